//! `cargo xtask guests`: brings what guests are made of into the cache.

use std::error::Error;

use anyhow::bail;
use image::{Cache, Known};

/// Fetches kernels and programs for guests from Debian's packages, or checks those that are in the cache
///
/// Each is brought up to the newest version that Debian has. The cache is $SUZ_CACHE, or
/// $XDG_CACHE_HOME/suzerain, or ~/.cache/suzerain; removing it is always safe.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Guests by name; all if none is given
    names: Vec<Known>,
    /// Fetch nothing; compare what is in the cache with the checksums taken when it was fetched
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cache = Cache::open()?.with_notice(|line| eprintln!("{line}"));
    let chosen = if arguments.names.is_empty() {
        &Known::ALL[..]
    } else {
        &arguments.names
    };
    let state = if arguments.check { check } else { fetch };
    let mut failed = Vec::new();
    println!("{:<15} {:<28} PATH", "NAME", "VERSION");
    for &known in chosen {
        let named = !arguments.names.is_empty();
        let row = state(&cache, known);
        println!("{:<15} {}", known.name(), row.text);
        if row.is_bad && (named || known.is_required()) {
            failed.push(known.name());
        }
    }
    if !failed.is_empty() {
        bail!("not in order: {}", failed.join(", "));
    }
    Ok(())
}

/// What is said of one guest.
struct Row {
    text: String,
    is_bad: bool,
}

fn fetch(cache: &Cache, known: Known) -> Row {
    match (cache.refresh(known), cache.find(known)) {
        (Ok(guest), _) => present(&guest, ""),
        (Err(error), Some(guest)) => present(
            &guest,
            &format!(
                "\n{:15} kept, as newer cannot be had: {}",
                "",
                chain(&error)
            ),
        ),
        (Err(error), None) => Row {
            text: format!("none: {}", chain(&error)),
            is_bad: true,
        },
    }
}

fn check(cache: &Cache, known: Known) -> Row {
    let Some(guest) = cache.find(known) else {
        return Row {
            text: "not in the cache, or not whole: fetch it by `cargo xtask guests`".to_owned(),
            is_bad: true,
        };
    };
    match cache.damage(known) {
        Ok(None) => present(&guest, ""),
        Ok(Some(path)) => {
            let text = format!(
                "damaged: {} is not what was fetched: fetch it again by `cargo xtask guests {}`",
                path.display(),
                known.name()
            );
            Row { text, is_bad: true }
        }
        Err(error) => Row {
            text: chain(&error),
            is_bad: true,
        },
    }
}

fn present(guest: &image::Guest, remark: &str) -> Row {
    let initrd = guest
        .initrd
        .iter()
        .map(|initrd| format!("\n{:15} {:28} {}", "", "  initrd", initrd.display()));
    let text = format!(
        "{:<28} {}{}{remark}",
        guest.version,
        guest.path.display(),
        initrd.collect::<String>()
    );
    Row {
        text,
        is_bad: false,
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
