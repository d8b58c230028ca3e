//! The configuration of our private apt folder.
//!
//! How to reach mirrors (proxies, retries, credentials) and whom to trust is the host's; everything that names a
//! place to write, a hook or an extra index is not.

use std::path::{Path, PathBuf};

use crate::guest::Architecture;
use crate::{Error, tool};

/// Where the host keeps what we read from it.
#[derive(Debug)]
pub(crate) struct Host {
    /// `sources.list`.
    pub(crate) source_list: PathBuf,
    /// `sources.list.d`.
    pub(crate) source_parts: PathBuf,
    trust: String,
    acquire: String,
}

/// Settings below `Acquire::` that are not taken over from the host.
const OURS: [&str; 8] = [
    "Acquire::IndexTargets",
    "Acquire::Languages",
    "Acquire::GzipIndexes",
    "Acquire::AllowInsecureRepositories",
    "Acquire::AllowWeakRepositories",
    "Acquire::AllowDowngradeToInsecureRepositories",
    "Acquire::CompressionTypes",
    "Acquire::Changelogs",
];

/// The places asked for, as `apt-config shell` names them: files end in `/f`, folders in `/d`.
const PLACES: [(&str, &str); 6] = [
    ("sourcelist", "Dir::Etc::sourcelist/f"),
    ("sourceparts", "Dir::Etc::sourceparts/d"),
    ("trusted", "Dir::Etc::trusted/f"),
    ("trustedparts", "Dir::Etc::trustedparts/d"),
    ("netrc", "Dir::Etc::netrc/f"),
    ("netrcparts", "Dir::Etc::netrcparts/d"),
];

impl Host {
    /// Asks `apt-config`.
    pub(crate) fn read() -> Result<Self, Error> {
        let mut shell = tool::command("apt-config");
        shell
            .arg("shell")
            .args(PLACES.iter().flat_map(|(name, item)| [name, item]));
        let places = tool::run(&mut shell)?;
        let place = |name: &str| {
            let line = places
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix("='"));
            line.map(|value| value.trim_end_matches('\'').to_owned())
                .unwrap_or_default()
        };
        let trust = ["trusted", "trustedparts", "netrc", "netrcparts"]
            .map(|name| format!("Dir::Etc::{name} \"{}\";\n", place(name)))
            .concat();
        let dump = tool::run(tool::command("apt-config").arg("dump"))?;
        Ok(Self {
            source_list: place("sourcelist").into(),
            source_parts: place("sourceparts").into(),
            trust,
            acquire: acquire(&dump),
        })
    }

    /// How the host reaches mirrors: lines of a configuration.
    pub(crate) fn options(&self) -> Vec<String> {
        self.acquire.lines().map(str::to_owned).collect()
    }

    /// The text of the private `apt.conf` for the folder `root`.
    pub(crate) fn private(&self, root: &Path, architecture: Architecture) -> String {
        let root = root.display();
        let name = architecture.debian();
        format!(
            "Dir::State \"{root}/state\";\n\
             Dir::State::status \"{root}/status\";\n\
             Dir::Cache \"{root}/cache\";\n\
             Dir::Cache::srcpkgcache \"\";\n\
             Dir::Etc \"{root}/etc\";\n\
             {trust}\
             {acquire}\
             Acquire::Languages {{ \"none\"; }};\n\
             Acquire::GzipIndexes \"true\";\n\
             APT::Architecture \"{name}\";\n\
             APT::Architectures {{ \"{name}\"; }};\n\
             APT::Update::Error-Mode \"any\";\n\
             APT::Sandbox::User \"root\";\n",
            trust = self.trust,
            acquire = self.acquire,
        )
    }
}

/// The lines of `apt-config dump` that say how to reach mirrors.
fn acquire(dump: &str) -> String {
    let kept = |line: &&str| {
        line.starts_with("Acquire::") && !OURS.iter().any(|ours| line.starts_with(ours))
    };
    dump.lines()
        .filter(kept)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_mirrors_is_kept_and_hooks_are_not() {
        let dump = "\
Dir \"/\";
Acquire \"\";
Acquire::AllowInsecureRepositories \"1\";
Acquire::http \"\";
Acquire::http::Proxy \"http://proxy.example:3128\";
Acquire::IndexTargets::deb-src::Sources::MetaKey \"$(COMPONENT)/source/Sources\";
Acquire::Languages:: \"de\";
APT::Update::Post-Invoke:: \"touch /tmp/x\";
";
        let kept = "Acquire::http \"\";\nAcquire::http::Proxy \"http://proxy.example:3128\";\n";
        assert_eq!(acquire(dump), kept);
    }

    #[test]
    fn the_private_configuration_writes_in_its_own_folder_alone() {
        let host = Host {
            source_list: "/etc/apt/sources.list".into(),
            source_parts: "/etc/apt/sources.list.d/".into(),
            trust: "Dir::Etc::trusted \"/etc/apt/trusted.gpg\";\n".into(),
            acquire: String::new(),
        };
        let text = host.private(Path::new("/c/apt/bookworm-i386"), Architecture::I386);
        assert!(text.contains("APT::Architectures { \"i386\"; };\n"));
        for line in text.lines().filter(|line| {
            line.starts_with("Dir::") && !line.contains("::trusted") && !line.ends_with(" \"\";")
        }) {
            assert!(line.contains(" \"/c/apt/bookworm-i386/"), "{line}");
        }
    }
}
