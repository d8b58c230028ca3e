//! Errors in the engine's terms.

use std::io;

use iface::EngineError;

/// Says what was tried when the host refused.
pub(crate) fn failed(what: &'static str) -> impl FnOnce(io::Error) -> EngineError {
    move |source| EngineError::Host { what, source }
}

/// What this host can't do, and what to do about it.
pub(crate) fn unsupported(line: String) -> EngineError {
    EngineError::Unsupported(line)
}
