//! `suz stop`: machines are asked to power off, and made to where they don't.

use std::time::Duration;

use crate::Status;
use crate::cli;
use crate::control::{Action, Power};
use crate::folder::{Folder, Machines};

/// How long a machine's process may take for its end once the guest is off.
const END: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &cli::Stop) -> anyhow::Result<Status> {
    let machines = Machines::open()?;
    let folders: anyhow::Result<Vec<Folder>> = arguments
        .names
        .iter()
        .map(|name| machines.named(name))
        .collect();
    let mut running = Vec::new();
    for folder in folders? {
        if folder.is_held()? {
            running.push(folder);
        } else {
            crate::say(&format!("machine {} does not run", folder.name()));
        }
    }
    if arguments.force {
        return running.iter().try_for_each(force).map(|()| Status::DONE);
    }
    // All shut down at the same time.
    for folder in &running {
        press(folder);
    }
    let limit = Duration::from_secs(arguments.timeout);
    for folder in &running {
        if !folder.wait_free(limit) {
            let seconds = limit.as_secs();
            crate::say(&format!(
                "machine {} did not power off in {seconds} s and is switched off",
                folder.name()
            ));
            force(folder)?;
        }
    }
    Ok(Status::DONE)
}

/// Presses the power button, which only a guest that runs can notice. A machine that can't be asked is forced later.
fn press(folder: &Folder) {
    let action = Action::Button;
    let pressed = folder.client().and_then(|client| {
        client.put("/resume", &())?;
        client.put("/power", &Power { action })
    });
    if let Err(error) = pressed {
        tracing::warn!("{error:#}");
    }
}

/// Ends a machine whatever its guest does, and its process whatever that does.
pub(crate) fn force(folder: &Folder) -> anyhow::Result<()> {
    let action = Action::Off;
    let asked = folder
        .client()
        .and_then(|client| client.put("/power", &Power { action }));
    if let Err(error) = &asked {
        tracing::warn!("{error:#}");
    }
    if asked.is_ok() && folder.wait_free(END) {
        return Ok(());
    }
    folder.kill()?;
    folder.wait_free(END);
    Ok(())
}
