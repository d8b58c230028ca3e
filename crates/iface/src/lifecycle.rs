//! Standing still and going on.

/// Something with work of its own in flight. Processors pause before devices, and go on after them.
pub trait Lifecycle: Send + Sync {
    /// Returns when nothing is in flight and nothing starts any more.
    fn pause(&self);

    /// Goes on.
    fn resume(&self);
}
