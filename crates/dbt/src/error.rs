//! Why native execution is not possible.

/// What the host refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No memory for generated code.
    #[error("the host grants no executable memory for generated code")]
    CodeMemory(#[source] std::io::Error),
    /// No handlers for exceptions in generated code.
    #[error("the host refuses signal handlers")]
    Signals(#[source] std::io::Error),
}
