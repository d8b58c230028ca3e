//! The description of a machine: one document for the command line, files and snapshots.
//!
//! In a file sizes are bytes, or texts such as "2G"; paths are relative to the file's folder.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::layout::{CPUS_MAX, MEMORY_MAX, MEMORY_STEP, MIB};
use crate::{Error, size};

mod document;
mod mac;

/// What executes the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// The best that the host offers.
    #[default]
    Auto,
    /// The software CPU.
    Soft,
    /// Hardware virtualization by `/dev/kvm`.
    Kvm,
}

/// What the machine starts by itself, without firmware.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// A bzImage, an ELF file with a PVH entry, or a Multiboot kernel; absent, the system on the first disk starts,
    /// with the kernel, the initial RAM disk and the command line that are found there.
    #[serde(default)]
    pub kernel: Option<PathBuf>,
    /// The initial RAM disk; for a Multiboot kernel its modules: `FILE ARGUMENTS,FILE ARGUMENTS`.
    #[serde(default)]
    pub initrd: Option<PathBuf>,
    /// The command line; for a system on a disk, what is added to it.
    #[serde(default)]
    pub append: String,
}

/// A device that not every machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Device {
    /// A source of random numbers.
    Rng,
    /// A disk.
    Disk(Disk),
    /// A network interface.
    Net(Net),
    /// A balloon, by which memory that the guest does not use goes back to the host.
    Balloon,
    /// Sockets between guest and host.
    Vsock(Vsock),
    /// A folder of the host's.
    Share(Share),
    /// A stream with a name between a program in the guest and one on the host.
    Port(Port),
}

/// Which device the guest's console is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Console {
    /// The first serial port.
    #[default]
    Serial,
    /// A virtio console.
    Virtio,
}

/// A network interface and what it is plugged into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Net {
    /// The network.
    pub network: Network,
    /// The interface's address; one by chance when absent.
    #[serde(default, with = "mac")]
    pub mac: Option<[u8; 6]>,
    /// A file that all frames are written to, in the format of libpcap.
    #[serde(default)]
    pub pcap: Option<PathBuf>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// A TAP device of the host's, by its name.
    Tap(String),
    /// The host's network, as this process reaches it.
    User(UserNetwork),
}

/// What a guest may do in the host's network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserNetwork {
    /// Ports of the host's that lead to the guest.
    #[serde(default)]
    pub forwards: Vec<Forward>,
    /// Whether the gateway's address stands for the host's loopback.
    #[serde(default)]
    pub host_loopback: bool,
}

/// What a forwarded port carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

/// A port of the host's that leads to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// What it carries.
    #[serde(default)]
    pub protocol: Protocol,
    /// Where the host listens.
    pub host: SocketAddr,
    /// The guest's port.
    pub guest: u16,
}

/// Sockets between guest and host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vsock {
    /// The guest's address, 3 to 4294967294.
    #[serde(default = "default_cid")]
    pub cid: u32,
    /// The host's socket, by which the host connects; the guest's connections to port P go to this path with `_P`.
    pub socket: PathBuf,
}

/// Most bytes of [`Port::name`].
const PORT_NAME_MAX: usize = 64;

/// [`Vsock::cid`] of a machine that doesn't say.
pub const DEFAULT_CID: u32 = 3;

fn default_cid() -> u32 {
    DEFAULT_CID
}

/// A folder of the host's that the guest mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The folder.
    pub path: PathBuf,
    /// The name by which the guest mounts it, 1 to 36 bytes: the path where it belongs in the guest.
    pub tag: String,
    /// Whether the guest can't change anything in it.
    #[serde(default)]
    pub read_only: bool,
}

/// A stream with a name between a program in the guest and one on the host: a port of a virtio console device, which
/// Linux calls /dev/virtio-ports/NAME.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its name: letters, digits and `._-:@+#`, a letter or digit first, 64 at most.
    pub name: String,
    /// The host's socket; when absent NAME.port in the folder of the file that describes the machine.
    #[serde(default)]
    pub socket: Option<PathBuf>,
}

/// A disk and what it is kept in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// An image or a block device.
    pub path: PathBuf,
    /// How the image is laid out; by its name when absent.
    #[serde(default)]
    pub format: Option<String>,
    /// Whether the guest can't write to it.
    #[serde(default)]
    pub read_only: bool,
    /// Whether what the guest writes goes to a layer that vanishes with the machine.
    #[serde(default)]
    pub ephemeral: bool,
    /// What the guest is told as its serial number: 20 bytes.
    #[serde(default)]
    pub serial: String,
    /// Which device the guest sees.
    #[serde(default)]
    pub bus: Bus,
    /// What the host keeps of it in memory.
    #[serde(default)]
    pub cache: Cache,
}

/// How a disk's data goes to the host's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cache {
    /// By the host's page cache.
    #[default]
    Host,
    /// Past it: nothing is kept twice in memory.
    Direct,
}

/// Which device a disk is to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// A virtio block device.
    #[default]
    Virtio,
    /// The namespace of an NVMe controller of its own.
    Nvme,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The image that its disk was made from, for people.
    #[serde(default)]
    pub image: Option<String>,
    /// Processors, 1 to 64.
    #[serde(default = "default_cpus")]
    pub cpus: u32,
    /// Bytes of RAM, whole mebibytes up to 64 GiB.
    #[serde(default = "default_memory", with = "size::bytes")]
    pub memory: u64,
    /// What it starts.
    #[serde(default)]
    pub boot: Boot,
    /// Whether a guest that resets itself starts again; else that is the machine's end.
    #[serde(default = "default_reboot")]
    pub reboot: bool,
    /// What executes it.
    #[serde(default)]
    pub engine: EngineKind,
    /// Whether the software CPU interprets all code instead of translating what is hot.
    #[serde(default)]
    pub interpret: bool,
    /// Compares translated code with the interpreter for so many instructions; for one processor of the software CPU.
    #[serde(default)]
    pub lockstep: Option<u64>,
    /// Bytes of translated code that the software CPU keeps for each processor; whole mebibytes up to 1 GiB.
    #[serde(default = "default_code_cache", with = "size::bytes")]
    pub code_cache: u64,
    /// Whether the debug-exit device for kernels under test is at port 0xf4.
    #[serde(default)]
    pub debug_exit: bool,
    /// The frequency of the guest's TSC in kHz; the engine's own choice when absent.
    #[serde(default)]
    pub tsc_khz: Option<u32>,
    /// Which device the guest's console is.
    #[serde(default)]
    pub console: Console,
    /// Whether virtio devices offer packed rings beside split ones.
    #[serde(default)]
    pub packed_rings: bool,
    /// Further devices, in the order of their PCI slots.
    #[serde(default)]
    pub devices: Vec<Device>,
}

/// Processors of a machine that doesn't say.
pub const DEFAULT_CPUS: u32 = 1;
/// Bytes of RAM of a machine that doesn't say.
pub const DEFAULT_MEMORY: u64 = 512 * MIB;

/// [`Spec::code_cache`] of a machine that doesn't say.
pub const DEFAULT_CODE_CACHE: u64 = soft::Config::CODE_CACHE as u64;

fn default_code_cache() -> u64 {
    DEFAULT_CODE_CACHE
}

fn default_reboot() -> bool {
    true
}

fn default_cpus() -> u32 {
    DEFAULT_CPUS
}

fn default_memory() -> u64 {
    DEFAULT_MEMORY
}

impl Spec {
    /// The default machine with this to start.
    pub fn new(boot: Boot) -> Self {
        Self {
            image: None,
            cpus: DEFAULT_CPUS,
            memory: DEFAULT_MEMORY,
            boot,
            reboot: default_reboot(),
            engine: EngineKind::default(),
            interpret: false,
            lockstep: None,
            code_cache: DEFAULT_CODE_CACHE,
            debug_exit: false,
            tsc_khz: None,
            console: Console::default(),
            packed_rings: false,
            devices: Vec::new(),
        }
    }

    /// Checks what can be checked without looking at the host or at a file.
    pub fn validate(&self) -> Result<(), Error> {
        if !(1..=CPUS_MAX).contains(&self.cpus) {
            return Err(Error::Cpus { asked: self.cpus });
        }
        if self.lockstep.is_some()
            && (self.cpus > 1 || self.interpret || self.engine == EngineKind::Kvm)
        {
            return Err(Error::Lockstep);
        }
        if self.memory == 0 || !self.memory.is_multiple_of(MEMORY_STEP) || self.memory > MEMORY_MAX
        {
            return Err(Error::Memory { asked: self.memory });
        }
        if !(MEMORY_STEP..=1 << 30).contains(&self.code_cache)
            || !self.code_cache.is_multiple_of(MEMORY_STEP)
        {
            return Err(Error::CodeCache {
                asked: self.code_cache,
            });
        }
        self.validate_vsock()?;
        self.validate_shares()?;
        self.validate_ports()
    }

    /// Names that fit Linux's device files, and tell ports apart.
    fn validate_ports(&self) -> Result<(), Error> {
        let mut names = HashSet::new();
        for device in &self.devices {
            let Device::Port(Port { name, .. }) = device else {
                continue;
            };
            let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:@+#".contains(&byte);
            let starts_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
            if !starts_well || name.len() > PORT_NAME_MAX || !name.bytes().all(may_be) {
                return Err(Error::PortName { name: name.clone() });
            }
            if !names.insert(name) {
                return Err(Error::SamePort { name: name.clone() });
            }
        }
        if names.len() > virtio::serial::PORTS_MAX {
            return Err(Error::Ports { asked: names.len() });
        }
        Ok(())
    }

    /// Names that fit (virtio 1.2, 5.11.4) and tell shares apart.
    fn validate_shares(&self) -> Result<(), Error> {
        let mut tags = HashSet::new();
        for device in &self.devices {
            let Device::Share(Share { tag, .. }) = device else {
                continue;
            };
            if !(1..=virtio::fs::TAG).contains(&tag.len()) || tag.contains('\0') {
                return Err(Error::Tag { tag: tag.clone() });
            }
            if !tags.insert(tag) {
                return Err(Error::SameTag { tag: tag.clone() });
            }
        }
        Ok(())
    }

    /// One socket device at most, as guests know no more, and an address that is nobody else's (virtio 1.2, 5.10.4).
    fn validate_vsock(&self) -> Result<(), Error> {
        let vsocks = self.devices.iter().filter_map(|device| match device {
            Device::Vsock(vsock) => Some(vsock),
            _ => None,
        });
        let vsocks: Vec<_> = vsocks.collect();
        match vsocks[..] {
            [] => Ok(()),
            [&Vsock { cid, .. }] if (3..u32::MAX).contains(&cid) => Ok(()),
            [&Vsock { cid, .. }] => Err(Error::Cid { asked: cid }),
            _ => Err(Error::Vsocks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec::new(Boot {
            kernel: Some("vmlinuz".into()),
            initrd: None,
            append: String::new(),
        })
    }

    #[test]
    fn cpus_and_memory_have_limits() {
        let good = |cpus, memory| {
            let spec = Spec {
                cpus,
                memory,
                ..spec()
            };
            spec.validate().is_ok()
        };
        assert!(good(1, MIB) && good(64, MEMORY_MAX));
        assert!(!good(0, MIB) && !good(65, MIB));
        assert!(!good(1, 0) && !good(1, MIB + 4096) && !good(1, MEMORY_MAX + MIB));
    }

    #[test]
    fn shares_have_names_of_their_own() {
        let valid = |tags: &[&str]| {
            let share = |tag: &&str| {
                Device::Share(Share {
                    path: "/".into(),
                    tag: (*tag).to_owned(),
                    read_only: true,
                })
            };
            let devices = tags.iter().map(share).collect();
            let spec = Spec { devices, ..spec() };
            spec.validate().is_ok()
        };
        let long = "/".repeat(36);
        assert!(valid(&["/a", "/b", &long]));
        assert!(!valid(&["/a", "/a"]) && !valid(&[""]) && !valid(&[&format!("{long}x")]));
    }

    #[test]
    fn ports_have_names_of_their_own() {
        let valid = |names: &[&str]| {
            let port = |name: &&str| {
                Device::Port(Port {
                    name: (*name).to_owned(),
                    socket: None,
                })
            };
            let devices = names.iter().map(port).collect();
            let spec = Spec { devices, ..spec() };
            spec.validate().is_ok()
        };
        assert!(valid(&["a", "org.qemu.guest_agent.0", &"x".repeat(64)]));
        for bad in ["", "a/b", ".x", "..", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert!(!valid(&[bad]), "{bad}");
        }
        assert!(!valid(&["a", "a"]));
        let many: Vec<String> = (0..32).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(valid(&many[..31]) && !valid(&many));
    }

    #[test]
    fn a_guest_has_one_address_of_its_own() {
        let valid = |cids: &[u32]| {
            let vsock = |&cid: &u32| {
                Device::Vsock(Vsock {
                    cid,
                    socket: "v".into(),
                })
            };
            let devices = cids.iter().map(vsock).collect();
            let spec = Spec { devices, ..spec() };
            spec.validate().is_ok()
        };
        assert!(valid(&[]) && valid(&[3]) && valid(&[u32::MAX - 1]));
        assert!(!valid(&[0]) && !valid(&[2]) && !valid(&[u32::MAX]) && !valid(&[3, 4]));
    }
}
