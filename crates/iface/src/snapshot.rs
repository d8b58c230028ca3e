//! Saving and restoring what holds state.

use serde::{Serialize, de::DeserializeOwned};

/// A saved state that does not fit what it is given to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state of {name}: {reason}")]
pub struct Misfit {
    /// [`Snapshot::NAME`] of the refuser.
    pub name: &'static str,
    /// What does not fit.
    pub reason: &'static str,
}

/// Something whose state can be written down and taken up again.
///
/// The machine is paused around either call. Times in a state are machine time ([`crate::Clock::now`]): the
/// machine's clock is restored first. Levels of interrupt lines are saved at both ends of the wire, so restoring
/// drives no line.
pub trait Snapshot {
    /// What the state is called in a snapshot; never changes.
    const NAME: &'static str;
    /// Version of [`Snapshot::State`]'s meaning; grows with every change of it.
    const VERSION: u32;
    /// The state as data, apart from the runtime type.
    type State: Serialize + DeserializeOwned;

    /// The state now.
    fn save(&self) -> Self::State;

    /// Takes up a state. It may come from anywhere: what would break an invariant is refused, and then nothing
    /// has changed.
    ///
    /// # Errors
    /// [`Misfit`] when the state can't be of such a thing.
    fn restore(&mut self, state: Self::State) -> Result<(), Misfit>;
}
