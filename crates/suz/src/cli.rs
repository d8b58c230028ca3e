//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use machine::Size;
use machine::spec::{Disk, EngineKind, Forward, Port, Share, Vsock};

mod disk;
pub mod gdb;
pub mod image;
mod list;
pub mod net;
mod port;
mod share;
pub mod store;
mod vsock;

/// Runs unmodified operating systems as virtual machines, with and without hardware virtualization
#[derive(Debug, Parser)]
#[command(
    name = "suz",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_long_help = AFTER
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// What the monitor itself logs to standard error: error, warn, info, debug, trace, or a filter such as
    /// soft=debug
    ///
    /// Without the option the variable SUZ_LOG says it.
    #[arg(long, global = true, value_name = "FILTER", display_order = 100)]
    pub log: Option<String>,
}

const AFTER: &str = "\
Start with `suz run`: it fetches Debian's kernel and a small user space, and ends in a shell.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a virtual machine whose serial console is this terminal
    ///
    /// An image by its name makes a machine of that name (or of --name), with a disk of its own over the image's, and
    /// the same command starts it again; with --ephemeral nothing of it stays. debian is Debian 12 and debian:13 the
    /// next release: both are built from Debian's packages when they are first wanted. The machine gets 1 GiB of
    /// memory, two processors, the user network and a console that follows the window's size; the first start makes
    /// a user of your name in it, who can be root by sudo and log in by your ssh keys.
    ///
    /// Without an image and without --kernel a demonstration guest is started: Debian's kernel with a small user
    /// space, to a shell prompt. Its parts are fetched from Debian's packages once.
    ///
    /// The system of a disk image has to be on ext4, with or without partitions. Its kernel, initial RAM disk and command
    /// line are read at each start and whenever the guest reboots: those of grub's first entry, else those that
    /// /vmlinuz and /initrd.img lead to, else the newest in /boot.
    ///
    /// A machine with a --name is kept, and the same command, or --name alone, starts it again.
    ///
    /// On a terminal every key goes to the guest, Ctrl-C included; Ctrl-] leaves and ends the machine. When
    /// standard input is a pipe or a file, its bytes are the guest's input, and the guest runs on when it ends.
    #[command(after_long_help = RUN_AFTER)]
    Run(Box<Run>),
    /// Tell what this host can do for virtual machines, and how to get what is missing
    ///
    /// Looks at KVM and how fast guests really run on it, huge pages, control groups, network devices and sandboxes,
    /// and says which engine `suz run` chooses and why.
    Doctor,
    /// Make, resize, compact disk images, and tell what they are
    #[command(subcommand)]
    Disk(image::Disk),
    /// Build, import and list the images that machines are made of
    #[command(subcommand)]
    Image(store::Image),
    /// List machines: what they are and whether they run
    ///
    /// FROM is the image or the kernel that a machine was made from.
    Ls(Ls),
    /// Start a machine that was kept by a name, in the background
    Start(Start),
    /// Press the power button of machines, and wait until they are off
    ///
    /// A guest that does not power off in time is switched off.
    Stop(Stop),
    /// Make this terminal the console of a machine that runs
    ///
    /// First it shows what the screen shows. Every key goes to the guest, Ctrl-C included; Ctrl-] leaves, and the
    /// machine runs on. Several may look at a console at the same time. What the guest printed while nobody did is in
    /// console.log in the machine's folder.
    Console(Console),
    /// Get a shell in a machine that runs, or run a command there, by ssh
    ///
    /// Needs no network in the guest: ssh goes through the machine's vsock device, with a key that machines made from
    /// images know. Shortly after a machine's start its sshd is waited for. The exit status is that of the command.
    Shell(Shell),
    /// Remove machines with everything in their folders
    Rm(Rm),
    /// Connect standard input and output to a vsock port of a guest
    #[command(hide = true)]
    VsockConnect(VsockConnect),
}

const RUN_AFTER: &str = "\
Exit status:
  0      the guest powered off (or, with --no-reboot, rebooted), or was left by Ctrl-]
  2      the command line, a file, or this host does not allow it
  70     the guest died (a triple fault) or could not go on; a line says why and where
  odd    with --debug-exit: V*2+1 for the value V that the guest wrote to port 0xf4
  128+N  ended by signal N; 141 when nobody takes the guest's output any more

  other  with a command: the command's

Examples:
  suz run
  suz run debian
  suz run debian -- uname -a
  suz run --kernel vmlinuz --initrd initrd.img --append 'console=ttyS0' --cpus 2 --memory 1G
  suz run --detach --name mine --disk disk.qcow2
  suz run --kernel xen --initrd 'vmlinuz console=hvc0,initrd.img' --append 'placeholder com1=115200'";

/// Options of `suz run`.
#[derive(Debug, Args)]
pub struct Run {
    /// What to run: an image by its name (debian, debian:13), or the path of a disk image with a system on it
    #[arg(value_name = "IMAGE", conflicts_with_all = ["kernel", "file"])]
    pub image: Option<String>,
    /// Run this command in the machine, and hand back its output and its status
    ///
    /// It is run by ssh, in a fresh machine that leaves nothing, or in the one that --name names: that one is started
    /// for it, or runs already.
    #[arg(value_name = "COMMAND", last = true, requires = "image")]
    pub command: Vec<String>,
    /// What the machine is.
    #[command(flatten)]
    pub machine: Machine,
    /// A file that describes the machine, in TOML; options add to it. Relative paths in it are the file's folder's
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Keep the machine under this name, in a folder of its own; or start again the one that has it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Run it in the background; suz console shows its console
    #[arg(long, short, conflicts_with_all = ["gdb", "command"])]
    pub detach: bool,
    /// Be the process of a machine in the background, whose folder is there.
    #[arg(long, hide = true, requires = "name", conflicts_with = "detach")]
    pub background: bool,
    /// Remove the machine that this command makes when it has ended
    #[arg(long)]
    pub rm: bool,
    /// Let gdb debug the guest: by `target remote` it reaches the processors as threads
    ///
    /// It connects to a TCP port, of 127.0.0.1 unless an address is told, or to a Unix socket, a path with a '/'. The
    /// guest waits for it before the first instruction; with ,nowait behind the address it does not.
    #[arg(long, value_name = "[ADDRESS:]PORT|PATH[,nowait]", value_parser = gdb::parse)]
    pub gdb: Option<gdb::Gdb>,
    /// The size of the new machine's disk, where it is to be larger than the image's; the guest fills it
    #[arg(long, value_name = "SIZE", requires = "image")]
    pub disk_size: Option<Size>,
    /// When the machine has ended, print figures about its run
    #[arg(long)]
    pub stats: bool,
}

/// Options that say what a machine is.
#[derive(Debug, Args)]
pub struct Machine {
    /// The kernel to start: a Linux bzImage, an ELF file with a PVH entry, or a Multiboot kernel
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// The initial RAM disk; for a Multiboot kernel its modules, 'FILE ARGUMENTS,FILE ARGUMENTS'
    ///
    /// In a list of modules a comma that belongs to the text is doubled.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub initrd: Option<PathBuf>,
    /// The kernel's command line; without --kernel it is added to that of the image or the demonstration guest
    #[arg(long, value_name = "TEXT")]
    pub append: Option<String>,
    /// Processors, 1 to 64 [default: 1]
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// Memory in whole mebibytes, such as 512M or 2G; at most 64G [default: 512M]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// What executes the guest [default: auto]
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<Engine>,
    /// Let the software CPU interpret all code instead of translating what is hot: slow, to look for errors
    #[arg(long)]
    pub interpret: bool,
    /// Compare translated code with the interpreter as it runs, and stop where they differ: slow, to look for errors
    ///
    /// Each piece of translated code is executed by the interpreter first; then registers and memory must be the same.
    /// The first difference is printed, with both states, and ends the machine with status 70. With a number only the
    /// first so many instructions of translated code are compared. For one processor of the software CPU.
    #[arg(long, value_name = "INSTRUCTIONS", num_args = 0..=1, require_equals = true, default_missing_value = "18446744073709551615")]
    pub lockstep: Option<u64>,
    /// Translated code that the software CPU keeps for each processor, in whole mebibytes [default: 64M]
    #[arg(long, value_name = "SIZE")]
    pub code_cache: Option<Size>,
    /// A disk: an image or a block device; may be given several times
    ///
    /// Options after the path, each behind a comma: ro (the guest can't write), ephemeral (what it writes vanishes
    /// with the machine), serial=TEXT, format=raw or qcow2 (else the name tells), bus=nvme (an NVMe controller of its
    /// own, else virtio), cache=direct (past the host's page cache). A comma that belongs to the path is doubled. The
    /// guest sees virtio disks as /dev/vda, /dev/vdb and so on, NVMe ones as /dev/nvme0n1, /dev/nvme1n1.
    #[arg(long, value_name = "PATH[,OPTION]...", value_parser = disk::parse)]
    pub disk: Vec<Disk>,
    /// Let what the guest writes to any disk vanish with the machine
    #[arg(long)]
    pub ephemeral: bool,
    /// A network interface and its network: user, tap:NAME or none; may be given several times
    ///
    /// user is the host's network as this program reaches it, without root: the guest is 10.0.2.15 by DHCP, behind
    /// the gateway 10.0.2.2 and the name server 10.0.2.3, and has an address in fd53:757a::/64, behind fd53:757a::2
    /// and fd53:757a::3. The host's loopback is out of reach; with user,loopback the gateways stand for it. tap:NAME
    /// is a TAP device of the host's. Without the option there is no network, unless --publish asks for one.
    #[arg(long, value_name = "NETWORK", value_parser = net::parse)]
    pub net: Vec<net::Choice>,
    /// Let a port of the host's lead to one of the guest's, in the user network
    ///
    /// The host's port is bound to 127.0.0.1 unless an address is told; one of IPv6 stands in brackets, and [::] is
    /// every address. Ports are TCP's, with /udp UDP's.
    #[arg(long, short, value_name = "[ADDRESS:]PORT:GUESTPORT[/udp]", value_parser = net::forward)]
    pub publish: Vec<Forward>,
    /// Write the frames of the first network interface to a file, for tcpdump -r and Wireshark
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// A folder of the host's for the guest, which finds it at a path of its own; may be given several times
    ///
    /// With :ro the guest can't change anything in it. Guests mount it by 'mount -t virtiofs GUESTPATH GUESTPATH'; the
    /// demonstration guest and machines of images do so themselves. Owners and modes are the host's; what the guest makes belongs to the user
    /// who runs this program or, when that is root, to the guest's user. Changes of the host's are seen within a
    /// second. Locks (flock and fcntl) hold between the guest and the host.
    #[arg(long, value_name = "HOSTPATH:GUESTPATH[:ro]", value_parser = share::parse)]
    pub share: Vec<Share>,
    /// Sockets between guest and host: a Unix socket by which the host reaches the guest's vsock ports
    ///
    /// Connect to it, write 'CONNECT PORT' and a newline, and read 'OK' and a number once the guest has accepted; then
    /// bytes are the guest's. Where a program of the guest connects to port P of the host, the Unix socket SOCKET_P is
    /// connected to. The guest's address is 3 unless ,cid=N tells another. A comma that belongs to the path is doubled.
    #[arg(long, value_name = "SOCKET[,cid=N]", value_parser = vsock::parse)]
    pub vsock: Option<Vsock>,
    /// A stream between a program in the guest and one on the host: the guest opens /dev/virtio-ports/NAME, the host
    /// connects to the Unix socket SOCKET; may be given several times
    ///
    /// Without a path the socket is NAME.port in the machine's folder. One program of the host's is connected at a time,
    /// the next waits; where either side closes, the other sees the end of the stream. What nobody reads yet waits.
    #[arg(long, value_name = "NAME[=SOCKET]", value_parser = port::parse)]
    pub port: Vec<Port>,
    /// Which device the guest's console is: a virtio console is hvc0 to Linux [default: serial]
    #[arg(long, value_name = "DEVICE")]
    pub console: Option<ConsoleDevice>,
    /// Let memory that the guest does not use go back to the host
    #[arg(long)]
    pub balloon: bool,
    /// Offer virtio devices' packed rings to the guest's drivers beside split ones
    #[arg(long)]
    pub packed_rings: bool,
    /// End the machine when the guest resets it, instead of starting it again
    #[arg(long)]
    pub no_reboot: bool,
    /// Put the debug-exit device at port 0xf4, by which kernels under test end with a status
    #[arg(long)]
    pub debug_exit: bool,
}

impl Machine {
    /// Whether the guest has devices that it needs drivers for.
    pub(crate) fn has_devices(&self) -> bool {
        let has_network = self.net.iter().any(|choice| *choice != net::Choice::None);
        let has_disk = !self.disk.is_empty() || !self.share.is_empty();
        let has_console = matches!(self.console, Some(ConsoleDevice::Virtio));
        let has_socket = self.vsock.is_some() || !self.port.is_empty() || !self.publish.is_empty();
        has_network || has_disk || has_console || has_socket || self.balloon
    }
}

/// Options of `suz ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// Write JSON, with everything that is known
    #[arg(long)]
    pub json: bool,
}

/// Options of `suz start`.
#[derive(Debug, Args)]
pub struct Start {
    /// The machine
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Make this terminal its console, as suz console does
    #[arg(long, short)]
    pub attach: bool,
}

/// Options of `suz stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// The machines
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// How long the guests may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// Switch off at once: what the guests have not written to their disks is lost
    #[arg(long)]
    pub force: bool,
}

/// Options of `suz console`.
#[derive(Debug, Args)]
pub struct Console {
    /// The machine
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Options of `suz shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// The machine
    #[arg(value_name = "NAME")]
    pub name: String,
    /// As whom; else as the user that machines made from images have, who is called as the host's
    #[arg(long, short, value_name = "USER")]
    pub user: Option<String>,
    /// What to run instead of a shell: one word is a line for the guest's shell, several are a program and its
    /// arguments
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<String>,
}

/// Options of `suz rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// The machines
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Also machines that run: they are switched off
    #[arg(long)]
    pub force: bool,
}

/// Options of `suz vsock-connect`.
#[derive(Debug, Args)]
pub struct VsockConnect {
    /// The machine's name, or the path of its vsock socket
    #[arg(value_name = "NAME")]
    pub to: String,
    /// The guest's port
    #[arg(value_name = "PORT")]
    pub port: u32,
    /// How long to try again while nobody listens
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait: u64,
}

/// Which device the guest's console is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ConsoleDevice {
    /// The first serial port
    Serial,
    /// A virtio console
    Virtio,
}

impl From<ConsoleDevice> for machine::spec::Console {
    fn from(console: ConsoleDevice) -> Self {
        match console {
            ConsoleDevice::Serial => Self::Serial,
            ConsoleDevice::Virtio => Self::Virtio,
        }
    }
}

/// What executes the guest.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Engine {
    /// The best that this host offers
    Auto,
    /// The software CPU: works everywhere
    Soft,
    /// Hardware virtualization by /dev/kvm
    Kvm,
}

impl From<Engine> for EngineKind {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Auto => Self::Auto,
            Engine::Soft => Self::Soft,
            Engine::Kvm => Self::Kvm,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_initrd_needs_a_kernel() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("suz run --initrd i").is_err());
        assert!(parse("suz run --kernel k --initrd i").is_ok());
        assert!(parse("suz run --memory 1.5G").is_err());
        assert!(parse("suz run --cpus two").is_err());
    }
}
