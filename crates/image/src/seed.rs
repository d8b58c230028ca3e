//! What makes a machine its owner's: a small disk that its first start reads.
//!
//! ```text
//! suzerain                            for the images that we build: a line each, a word and its value
//! meta-data user-data network-config  for others, which have cloud-init (its data source NoCloud)
//! ```
//! The disk is a FAT file system labelled CIDATA, as cloud-init looks for.

use std::fmt::Write as _;
use std::io::{self, Cursor, Write};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

use crate::Error;
use crate::debian::{SSH, SSH_SOCKET};

#[cfg(test)]
mod tests;

/// Bytes of the disk.
const SIZE: usize = 512 << 10;
/// What cloud-init looks for.
const LABEL: [u8; 11] = *b"CIDATA     ";

/// Whose machine it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seed {
    /// The machine's host name.
    pub host_name: String,
    /// What tells this machine from others; a machine that has another is set up anew.
    pub id: String,
    /// The user's name and, if the guest's user shall have the same, number.
    pub user: String,
    /// The user's number, if the guest's user shall have the same.
    pub uid: Option<u32>,
    /// Public keys that the user can log in by.
    pub keys: Vec<String>,
    /// Addresses of the machine's network interfaces.
    pub macs: Vec<[u8; 6]>,
    /// Folders of the host's: tag, and where the guest mounts it.
    pub shares: Vec<(String, String)>,
}

impl Seed {
    /// The bytes of the disk.
    ///
    /// # Errors
    /// [`Error::Seed`] when more was to be written than fits.
    pub fn disk(&self) -> Result<Vec<u8>, Error> {
        self.write().map_err(Error::Seed)
    }

    fn write(&self) -> io::Result<Vec<u8>> {
        let mut disk = vec![0; SIZE];
        let options = FormatVolumeOptions::new().volume_label(LABEL);
        fatfs::format_volume(Cursor::new(&mut disk[..]), options)?;
        let files = FileSystem::new(Cursor::new(&mut disk[..]), FsOptions::new())?;
        let root = files.root_dir();
        for (name, text) in [
            ("suzerain", self.plain()),
            ("meta-data", self.meta_data()),
            ("user-data", self.user_data()),
            ("network-config", self.network()),
        ] {
            root.create_file(name)?.write_all(text.as_bytes())?;
        }
        drop(root);
        files.unmount()?;
        Ok(disk)
    }

    /// For our own images.
    fn plain(&self) -> String {
        let mut text = format!("hostname {}\nuser {}", self.host_name, self.user);
        if let Some(uid) = self.uid {
            // Writing to a string does not fail.
            let _ = write!(text, " {uid}");
        }
        text.push('\n');
        for key in &self.keys {
            let _ = writeln!(text, "key {key}");
        }
        for (tag, path) in &self.shares {
            let _ = writeln!(text, "share {tag} {path}");
        }
        text
    }

    fn meta_data(&self) -> String {
        format!(
            "instance-id: {}\nlocal-hostname: {}\n",
            quoted(&self.id),
            quoted(&self.host_name)
        )
    }

    fn user_data(&self) -> String {
        let mut text = format!("#cloud-config\nhostname: {}\n", quoted(&self.host_name));
        let keys = |text: &mut String, indent: &str| {
            let _ = writeln!(text, "{indent}ssh_authorized_keys:");
            for key in &self.keys {
                let _ = writeln!(text, "{indent}  - {}", quoted(key));
            }
        };
        if self.user == "root" {
            text += "disable_root: false\n";
            keys(&mut text, "");
        } else {
            let name = quoted(&self.user);
            let _ = write!(
                text,
                "users:\n  - name: {name}\n    shell: /bin/bash\n    lock_passwd: true\n    \
                 sudo: 'ALL=(ALL) NOPASSWD:ALL'\n"
            );
            if let Some(uid) = self.uid {
                let _ = writeln!(text, "    uid: {uid}");
            }
            keys(&mut text, "    ");
        }
        if !self.shares.is_empty() {
            text += "mounts:\n";
            for (tag, path) in &self.shares {
                let (tag, path) = (quoted(tag), quoted(path));
                let _ = writeln!(text, "  - [{tag}, {path}, virtiofs, 'defaults,nofail']");
            }
        }
        text += "write_files:\n";
        for (unit, content) in UNITS {
            let _ = writeln!(text, "  - path: /etc/systemd/system/{unit}\n    content: |");
            for line in content.lines() {
                let _ = writeln!(text, "      {line}");
            }
        }
        let _ = writeln!(text, "runcmd:\n  - [sh, -c, {}]", quoted(LISTEN));
        text
    }

    /// By DHCP and router advertisements, on every interface. Each is named and told by its address: not everything
    /// that cloud-init writes settings for knows patterns.
    fn network(&self) -> String {
        let mut text = "version: 2\nethernets:".to_owned();
        for (number, mac) in self.macs.iter().enumerate() {
            let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
            let _ = write!(
                text,
                "\n  eth{number}:\n    match:\n      macaddress: '{mac}'\n    set-name: eth{number}\n    \
                 dhcp4: true\n    dhcp6: false\n    accept-ra: true"
            );
        }
        if self.macs.is_empty() {
            text += " {}";
        }
        text.push('\n');
        text
    }
}

/// What listens for shells of the host's.
const UNITS: [(&str, &str); 2] = [
    ("suzerain-ssh.socket", SSH_SOCKET),
    ("suzerain-ssh@.service", SSH),
];

/// Has it listen, where systemd does not do the same by itself and there is a socket to listen at. What sshd calls
/// those who come that way gets addresses, or else each login looks them up in vain.
const LISTEN: &str = "\
    grep -qsw UNKNOWN /etc/hosts || printf '%s UNKNOWN\\n' 0.0.0.0 :: >> /etc/hosts; \
    [ -e /usr/lib/systemd/system-generators/systemd-ssh-generator ] || ! [ -d /run/systemd/system ] || \
    ! modprobe -q vmw_vsock_virtio_transport || \
    { systemctl daemon-reload && systemctl -q enable --now suzerain-ssh.socket; }";

/// A string in YAML's single quotes, which know one escape.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
