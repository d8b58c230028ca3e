//! Images of Debian, built from its packages on this host.
//!
//! ```text
//! host's apt sources ──▶ mmdebstrap (root, or a user namespace) ──▶ chroot ──mke2fs -d──▶ disk.img
//!                          hooks: files of ours before the packages, setup.sh behind them
//! ```
//! The disk is one ext4 file system without partitions: the monitor starts kernels itself, so nothing has to be
//! found at a fixed place, and a disk that was made longer is filled at the next start without a partition to move.
//! While it is written it has no name, so that a build that is interrupted leaves nothing.

use std::path::{Path, PathBuf};

use crate::guest::{Architecture, Release};
use crate::store::Manifest;
use crate::{Cache, Error};

mod bootstrap;
mod disk;
mod files;
#[cfg(test)]
mod tests;

use bootstrap::Bootstrap;
use disk::NewDisk;
pub(crate) use files::{SSH, SSH_SOCKET};

/// The file that is the disk.
const DISK: &str = "disk.img";

/// A release of Debian that images are built of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debian {
    name: &'static str,
    release: Release,
    /// Of the release.
    number: u32,
}

/// What is installed beside the essential packages: what starts a machine and lets people in, and what nobody wants
/// to miss there.
const PACKAGES: [&str; 25] = [
    "apt-utils",
    "ca-certificates",
    "dbus",
    "initramfs-tools",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "libpam-systemd",
    "linux-image-cloud-amd64",
    "nano",
    "netbase",
    "openssh-client",
    "openssh-server",
    "openssh-sftp-server",
    "procps",
    "sudo",
    "systemd",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
    "whiptail",
    "zstd",
    "bash-completion",
];

impl Debian {
    /// Those that there are.
    pub const ALL: [Self; 2] = [
        Self {
            name: "debian",
            release: Release::Bookworm,
            number: 12,
        },
        Self {
            name: "debian:13",
            release: Release::Trixie,
            number: 13,
        },
    ];
    /// Bytes of a disk when nobody says: they are taken on the host once they are written.
    pub const SIZE: u64 = 8 << 30;
    /// No disk is smaller.
    pub const SMALLEST: u64 = 2 << 30;

    /// The release that a name means: `debian`, `debian:12`, `debian:13`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is_meant =
            |debian: &Self| debian.name == name || format!("debian:{}", debian.number) == name;
        Self::ALL.into_iter().find(is_meant)
    }

    /// What its image is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// What is on it.
    #[must_use]
    pub fn system(self) -> String {
        format!("Debian {} ({})", self.number, self.release.codename())
    }

    /// Builds the disk in an empty folder.
    pub(crate) fn build(
        self,
        folder: PathBuf,
        size: u64,
        cache: &Cache,
        notice: &dyn Fn(&str),
    ) -> Result<Manifest, Error> {
        let system = self.system();
        notice(&format!(
            "building the image {}: {system} from its packages, once; this takes a few minutes",
            self.name
        ));
        let sources = cache.with_apt(self.release, Architecture::Amd64, |apt| apt.sources())?;
        let disk = NewDisk::create(&folder, size)?;
        let uuid = uuid()?;
        Bootstrap {
            program: cache.program("mmdebstrap", "usr/bin/mmdebstrap")?,
            release: self.release,
            sources,
            packages: &PACKAGES,
            early: files::early(&uuid),
            late: files::late(),
            uuid,
        }
        .run(&disk, notice)?;
        disk.publish(&folder.join(DISK))?;
        Ok(Manifest {
            system,
            origin: "built from Debian's packages".into(),
            disk: DISK.into(),
            format: "raw".into(),
            size,
        })
    }
}

/// A random UUID of the host's kernel.
fn uuid() -> Result<String, Error> {
    let path = Path::new("/proc/sys/kernel/random/uuid");
    let uuid = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    Ok(uuid.trim().to_owned())
}
