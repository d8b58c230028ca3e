//! The guests that Suzerain knows by name, and where in Debian each comes from.

use std::path::PathBuf;
use std::str::FromStr;

/// A release of Debian that guests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Debian 11.
    Bullseye,
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Release {
    /// The code name, as the archive has it.
    pub fn codename(self) -> &'static str {
        match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// An architecture that a guest's package is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 32-bit x86.
    I386,
}

impl Architecture {
    /// Debian's name.
    pub fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::I386 => "i386",
        }
    }
}

/// A guest, or a program that guests' user spaces are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// Debian 12's kernel for clouds (6.1): the demonstration guest's. LZ4 inside.
    Cloud,
    /// Debian 12's general kernel (6.1). XZ inside.
    Generic,
    /// Debian 12's 32-bit kernel without PAE.
    I686,
    /// Debian 12's 32-bit kernel with PAE.
    I686Pae,
    /// Debian 13's kernel for clouds (6.12). Zstandard inside.
    CloudTrixie,
    /// Debian 11's kernel for clouds (5.10).
    CloudBullseye,
    /// Debian 12's installer over the network, text flavour: kernel and initrd.
    Installer,
    /// Memtest86+, 64-bit, started as a Linux kernel.
    Memtest64,
    /// Memtest86+, 32-bit, started as a Linux kernel.
    Memtest32,
    /// GNU Mach, a 32-bit Multiboot ELF (unpacked from its gzip file).
    GnuMach,
    /// The drivers of virtio devices that [`Known::Cloud`] has as modules, in an order in which they can be loaded.
    CloudModules,
    /// A statically linked busybox for 64-bit user spaces.
    Busybox,
    /// A statically linked busybox for 32-bit user spaces.
    Busybox386,
}

/// Where a guest comes from.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) release: Release,
    pub(crate) architecture: Architecture,
    /// A package, or a meta-package that leads to one.
    pub(crate) package: &'static str,
    /// Paths inside the package, `{release}` being the kernel release: first what starts, then the initrd.
    pub(crate) files: &'static [&'static str],
    /// Whether a development machine must be able to have it.
    pub(crate) required: bool,
}

const KERNEL: &[&str] = &["boot/vmlinuz-{release}"];
const MODULES: &[&str] = &[
    "lib/modules/{release}/kernel/drivers/virtio/virtio_ring.ko",
    "lib/modules/{release}/kernel/drivers/virtio/virtio.ko",
    "lib/modules/{release}/kernel/drivers/virtio/virtio_pci_legacy_dev.ko",
    "lib/modules/{release}/kernel/drivers/virtio/virtio_pci_modern_dev.ko",
    "lib/modules/{release}/kernel/drivers/virtio/virtio_pci.ko",
    "lib/modules/{release}/kernel/drivers/char/hw_random/virtio-rng.ko",
    "lib/modules/{release}/kernel/drivers/char/virtio_console.ko",
    "lib/modules/{release}/kernel/drivers/block/virtio_blk.ko",
    "lib/modules/{release}/kernel/net/core/failover.ko",
    "lib/modules/{release}/kernel/drivers/net/net_failover.ko",
    "lib/modules/{release}/kernel/drivers/net/virtio_net.ko",
    "lib/modules/{release}/kernel/drivers/virtio/virtio_balloon.ko",
    "lib/modules/{release}/kernel/net/vmw_vsock/vsock.ko",
    "lib/modules/{release}/kernel/net/vmw_vsock/vmw_vsock_virtio_transport_common.ko",
    "lib/modules/{release}/kernel/net/vmw_vsock/vmw_vsock_virtio_transport.ko",
    "lib/modules/{release}/kernel/fs/fuse/fuse.ko",
    "lib/modules/{release}/kernel/fs/fuse/virtiofs.ko",
];
const INSTALLER: &[&str] = &[
    "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux",
    "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz",
];

impl Known {
    /// Every guest, the one for the demonstration first.
    pub const ALL: [Self; 13] = [
        Self::Cloud,
        Self::Busybox,
        Self::CloudModules,
        Self::Generic,
        Self::I686,
        Self::I686Pae,
        Self::Busybox386,
        Self::Installer,
        Self::Memtest64,
        Self::Memtest32,
        Self::GnuMach,
        Self::CloudTrixie,
        Self::CloudBullseye,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.recipe().name
    }

    /// Whether a development machine must be able to have it; the others are of releases that a mirror may lack.
    pub fn is_required(self) -> bool {
        self.recipe().required
    }

    pub(crate) fn recipe(self) -> Recipe {
        use Architecture::{Amd64, I386};
        use Release::{Bookworm, Bullseye, Trixie};
        let debian12 = |name, architecture, package, files| Recipe {
            name,
            release: Bookworm,
            architecture,
            package,
            files,
            required: true,
        };
        let cloud_of = |release, name| Recipe {
            release,
            required: false,
            ..debian12(name, Amd64, "linux-image-cloud-amd64", KERNEL)
        };
        match self {
            Self::Cloud => debian12("cloud", Amd64, "linux-image-cloud-amd64", KERNEL),
            Self::CloudModules => {
                debian12("cloud-modules", Amd64, "linux-image-cloud-amd64", MODULES)
            }
            Self::Generic => debian12("generic", Amd64, "linux-image-amd64", KERNEL),
            Self::I686 => debian12("686", I386, "linux-image-686", KERNEL),
            Self::I686Pae => debian12("686-pae", I386, "linux-image-686-pae", KERNEL),
            Self::CloudTrixie => cloud_of(Trixie, "cloud-trixie"),
            Self::CloudBullseye => cloud_of(Bullseye, "cloud-bullseye"),
            Self::Installer => debian12(
                "installer",
                Amd64,
                "debian-installer-12-netboot-amd64",
                INSTALLER,
            ),
            Self::Memtest64 => debian12(
                "memtest64",
                Amd64,
                "memtest86+",
                &["boot/memtest86+x64.bin"],
            ),
            Self::Memtest32 => debian12(
                "memtest32",
                Amd64,
                "memtest86+",
                &["boot/memtest86+ia32.bin"],
            ),
            Self::GnuMach => debian12(
                "gnumach",
                I386,
                "gnumach-image-1.8-486",
                &["boot/gnumach-1.8-486.gz"],
            ),
            Self::Busybox => debian12("busybox", Amd64, "busybox-static", &["bin/busybox"]),
            Self::Busybox386 => debian12("busybox-i386", I386, "busybox-static", &["bin/busybox"]),
        }
    }
}

impl Recipe {
    /// The paths inside `package`, which the recipe's own package led to.
    pub(crate) fn members(&self, package: &str) -> Vec<String> {
        let release = package.strip_prefix("linux-image-").unwrap_or(package);
        self.files
            .iter()
            .map(|file| file.replace("{release}", release))
            .collect()
    }

    /// Whether a member is unpacked on its way into the cache: an initrd goes to the guest as it is.
    pub(crate) fn is_packed_kernel(&self, member: &str) -> bool {
        self.files.first() == Some(&member) && member.ends_with(".gz")
    }
}

impl FromStr for Known {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|known| known.name()).collect();
                format!("no guest is called {name}; there are {}", names.join(", "))
            })
    }
}

/// A guest that is in the cache, ready to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Which one it is.
    pub known: Known,
    /// The Debian package that it came out of.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// What the machine starts; for a program, the program.
    pub path: PathBuf,
    /// The initrd that came with it.
    pub initrd: Option<PathBuf>,
    /// All files, in their recipe's order.
    pub files: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for known in Known::ALL {
            assert_eq!(known.name().parse(), Ok(known));
        }
        let error = "clout".parse::<Known>().unwrap_err();
        assert!(
            error.starts_with("no guest is called clout; there are cloud, busybox,"),
            "{error}"
        );
    }

    #[test]
    fn a_kernel_is_found_by_the_release_in_its_package_name() {
        let members = Known::Cloud
            .recipe()
            .members("linux-image-6.1.0-50-cloud-amd64");
        assert_eq!(members, ["boot/vmlinuz-6.1.0-50-cloud-amd64"]);
        let recipe = Known::GnuMach.recipe();
        assert!(
            recipe
                .members("x")
                .iter()
                .all(|member| recipe.is_packed_kernel(member))
        );
        let recipe = Known::Installer.recipe();
        assert!(
            !recipe
                .members("x")
                .iter()
                .any(|member| recipe.is_packed_kernel(member))
        );
    }
}
