//! The control socket of a running machine: HTTP/1.1 and JSON over a Unix socket in its folder.
//!
//! ```text
//! GET /machine                        what the machine is and does: Description
//! GET /stats                          figures about its run
//! PUT /power {"action": "button"}     "button", "reset" or "off"
//! PUT /pause    PUT /resume
//! GET /console                        by upgrade to the console's bytes
//! PUT /console/size {"columns": 80, "rows": 25}
//! ```
//! Who may open the socket may do all of it: its folder is the user's alone. What is refused is told by
//! `{"error": "one line"}`.

use std::collections::BTreeMap;

use machine::Spec;
use machine::spec::EngineKind;
use serde::{Deserialize, Serialize};

mod address;
mod client;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use address::connect;
pub(crate) use client::Client;
pub(crate) use server::{Server, Subject};

/// What the console's bytes are called as a protocol.
const CONSOLE: &str = "console";

/// The answer to `GET /machine`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) pid: u32,
    /// Seconds.
    pub(crate) uptime: f64,
    /// What executes it, where the spec may leave the choice open.
    pub(crate) engine: EngineKind,
    pub(crate) spec: Spec,
    pub(crate) stats: Statistics,
}

/// Whether the guest's time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Running,
    Paused,
}

/// Figures, by their names.
pub(crate) type Statistics = BTreeMap<String, u64>;

/// The body of `PUT /power`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Power {
    pub(crate) action: Action,
}

/// What is done to the machine's buttons.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// The power button is pressed: the guest decides.
    Button,
    /// The machine starts again.
    Reset,
    /// The machine is without power.
    Off,
}

/// The body of `PUT /console/size`: the window, in characters.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Size {
    pub(crate) columns: u16,
    pub(crate) rows: u16,
}

impl Size {
    /// The longest side that is believed.
    const LONGEST: u16 = 1000;

    fn is_window(self) -> bool {
        let sides = 1..=Self::LONGEST;
        sides.contains(&self.columns) && sides.contains(&self.rows)
    }
}

/// The body of every refusal.
#[derive(Debug, Serialize, Deserialize)]
struct Problem {
    error: String,
}
