//! `cargo xtask man`: the manual pages, out of the command line's own definitions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Where the pages are kept.
const FOLDER: &str = "docs/man";

/// What both pages end with, beside what the help texts say.
const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "SUZ_LOG",
        "What the monitor logs, where --log does not say it.",
    ),
    (
        "SUZ_DATA",
        "Where machines with names are kept; else $XDG_DATA_HOME/suzerain or ~/.local/share/suzerain.",
    ),
    (
        "SUZ_CACHE",
        "Where fetched guests are kept; else $XDG_CACHE_HOME/suzerain or ~/.cache/suzerain. Removing it is always safe.",
    ),
];

/// Writes the manual pages from the definitions of the command line
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail where a page is not what it would be
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("creating {FOLDER}"))?;
    for (name, text) in pages()? {
        let path: PathBuf = folder.join(&name);
        if arguments.check {
            let kept = fs::read(&path).unwrap_or_default();
            if kept != text {
                bail!("{FOLDER}/{name} is out of date: run `cargo xtask man`");
            }
        } else {
            fs::write(&path, text).with_context(|| format!("writing {FOLDER}/{name}"))?;
            println!("{FOLDER}/{name}");
        }
    }
    Ok(())
}

/// Every page: its file name and its text.
fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut program = suz::cli::Cli::command();
    program.build();
    let commands = program
        .get_subcommands()
        .filter(|command| command.get_name() != "help");
    let mut pages = vec![page("suz", &program)?];
    for command in commands {
        pages.push(page(&format!("suz-{}", command.get_name()), command)?);
    }
    Ok(pages)
}

fn page(name: &str, command: &Command) -> anyhow::Result<(String, Vec<u8>)> {
    let man = Man::new(command.clone())
        .title(name.to_owned())
        .section("1");
    let man = man.manual("Suzerain").source("");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let after = command.get_after_long_help().map(ToString::to_string);
    let mut end = Roff::new();
    sections(&mut end, &after.unwrap_or_default());
    environment(&mut end);
    end.to_writer(&mut text)?;
    Ok((format!("{name}.1"), text))
}

/// The paragraphs of a help text that are led by a title and a colon, as sections.
fn sections(roff: &mut Roff, text: &str) {
    for paragraph in text.split("\n\n") {
        let (title, body) = match paragraph.split_once(":\n") {
            Some(parts) => parts,
            None => ("Notes", paragraph),
        };
        if body.trim().is_empty() {
            continue;
        }
        roff.control("SH", [title.to_uppercase().as_str()]);
        roff.control("nf", []);
        for line in body.lines() {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        roff.control("fi", []);
    }
}

fn environment(roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in ENVIRONMENT {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*meaning)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_in_the_repository_are_current() {
        run(&Arguments { check: true }).unwrap();
    }

    #[test]
    fn the_page_of_run_tells_options_and_statuses() {
        let (_, text) = pages()
            .unwrap()
            .into_iter()
            .find(|page| page.0 == "suz-run.1")
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        for wanted in ["debug\\-exit", ".SH \"EXIT STATUS\"", "SUZ_LOG", "Ctrl\\-]"] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }
}
