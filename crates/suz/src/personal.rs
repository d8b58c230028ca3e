//! What makes a machine its owner's: name, user and keys.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use image::Seed;
use machine::Spec;
use machine::spec::Device;

use crate::data;
use crate::folder::Name;

/// The name of a user where the host's can't be one in the guest.
const USER: &str = "user";

/// For a machine of this name, the user who runs this program; the guest mounts each shared folder where its tag says.
/// Interfaces have their addresses already.
pub(crate) fn seed(name: &Name, spec: &Spec) -> anyhow::Result<Seed> {
    let mut keys = vec![public(&key()?)?];
    keys.extend(own_keys());
    keys.dedup();
    let shares = spec.devices.iter().filter_map(|device| match device {
        Device::Share(share) => Some((share.tag.clone(), share.tag.clone())),
        _ => None,
    });
    let macs = spec.devices.iter().filter_map(|device| match device {
        Device::Net(net) => net.mac,
        _ => None,
    });
    let uid = rustix::process::getuid().as_raw();
    Ok(Seed {
        host_name: host_name(name),
        id: unique()?,
        user: user(),
        uid: (uid >= 1000).then_some(uid),
        keys,
        macs: macs.collect(),
        shares: shares.filter(|(tag, _)| tag.starts_with('/')).collect(),
    })
}

/// The name of the guest's user: the invoker's, as far as Debian allows.
pub(crate) fn user() -> String {
    let asked = Command::new("id").arg("-un").stderr(Stdio::null()).output();
    let name = asked.map(|output| {
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .to_lowercase()
    });
    let is_good = |name: &String| {
        let may_be =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let starts_well =
            name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
        starts_well && name.len() <= 32 && name.bytes().all(may_be)
    };
    name.ok().filter(is_good).unwrap_or_else(|| USER.to_owned())
}

/// The private key that this program comes into machines by; made when it is first needed.
pub(crate) fn key() -> anyhow::Result<PathBuf> {
    let folder = data::folder()?.join("ssh");
    let path = folder.join("id_ed25519");
    if path.is_file() {
        return Ok(path);
    }
    data::make(&folder).with_context(|| folder.display().to_string())?;
    // Two who need it at once make two, and one of them stays.
    let draft = folder.join(format!(".new-{}", std::process::id()));
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-t", "ed25519", "-N", "", "-C", "suzerain", "-f"])
        .arg(&draft);
    let made = make.stdin(Stdio::null()).output();
    let made =
        made.context("ssh-keygen, which makes the key to machines: install openssh-client")?;
    if !made.status.success() {
        bail!(
            "ssh-keygen: {}",
            String::from_utf8_lossy(&made.stderr).trim()
        );
    }
    let moved = std::fs::rename(draft.with_extension("pub"), path.with_extension("pub"));
    moved
        .and_then(|()| std::fs::rename(&draft, &path))
        .with_context(|| path.display().to_string())?;
    Ok(path)
}

fn public(key: &Path) -> anyhow::Result<String> {
    let path = key.with_extension("pub");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.trim().to_owned())
}

/// The keys that the user has already.
fn own_keys() -> Vec<String> {
    let folder = std::env::var_os("HOME").map(|home| Path::new(&home).join(".ssh"));
    let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok());
    let paths = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "pub"))
        .collect();
    paths.sort();
    let texts = paths
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    let is_key = |text: &str| {
        let first = text.split(' ').next().unwrap_or_default();
        let kinds = ["ssh-", "ecdsa-", "sk-"];
        text.lines().count() == 1
            && kinds.iter().any(|kind| first.starts_with(kind))
            && !first.contains("cert")
    };
    texts
        .map(|text| text.trim().to_owned())
        .filter(|text| is_key(text))
        .collect()
}

/// A machine's name as a host's: without what DNS does not have.
fn host_name(name: &Name) -> String {
    let name = name.as_str().replace('_', "-");
    name.trim_end_matches(['.', '-']).to_owned()
}

fn unique() -> anyhow::Result<String> {
    let path = "/proc/sys/kernel/random/uuid";
    let text = std::fs::read_to_string(path).context(path)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_names_that_hosts_can_have() {
        let host_name = |name: &str| host_name(&name.parse().unwrap());
        assert_eq!(host_name("web_1"), "web-1");
        assert_eq!(host_name("debian-13"), "debian-13");
        assert_eq!(host_name("a.b."), "a.b");
    }

    #[test]
    fn the_user_can_be_one_of_the_guests() {
        let name = user();
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
