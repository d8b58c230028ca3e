//! `suz rm`: the end of machines.

use crate::cli::Rm;
use crate::folder::Machines;
use crate::{Status, stop};

pub(crate) fn run(arguments: &Rm) -> anyhow::Result<Status> {
    let machines = Machines::open()?;
    // A name that is wrong leaves the others alone.
    let folders: anyhow::Result<Vec<_>> = arguments
        .names
        .iter()
        .map(|name| machines.named(name))
        .collect();
    for folder in folders? {
        if arguments.force && folder.is_held()? {
            stop::force(&folder)?;
        }
        // With --rm it went at its end.
        if folder.path().exists() {
            folder.hold()?.remove()?;
        }
    }
    Ok(Status::DONE)
}
