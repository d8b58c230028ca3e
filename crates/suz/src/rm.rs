//! `suz rm`: the end of machines.

use crate::Status;
use crate::cli::Rm;
use crate::folder::{Machines, Name};

pub(crate) fn run(arguments: &Rm) -> anyhow::Result<Status> {
    let machines = Machines::open()?;
    let names: Result<Vec<Name>, String> =
        arguments.names.iter().map(|name| name.parse()).collect();
    let names = names.map_err(anyhow::Error::msg)?;
    // A name that is wrong leaves the others alone.
    let folders: anyhow::Result<Vec<_>> = names.iter().map(|name| machines.get(name)).collect();
    for folder in folders? {
        folder.hold()?.remove()?;
    }
    Ok(Status::DONE)
}
