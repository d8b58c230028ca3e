//! Feature bits that belong to rings and transport (virtio 1.2, 6).

/// A chain may lie in a table of its own.
pub const INDIRECT_DESC: u64 = 1 << 28;
/// Both sides say at which index they want to be told.
pub const EVENT_IDX: u64 = 1 << 29;
/// The device follows version 1 of the specification.
pub const VERSION_1: u64 = 1 << 32;
/// The packed ring format.
pub const RING_PACKED: u64 = 1 << 34;
/// Queues can be reset one by one.
pub const RING_RESET: u64 = 1 << 40;

/// What every device of ours offers by its transport.
pub(crate) const TRANSPORT: u64 = INDIRECT_DESC | EVENT_IDX | VERSION_1 | RING_RESET;
