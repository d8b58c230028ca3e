//! User spaces made of one busybox: the demonstration's shell, and scripts that test a machine.

use crate::Initramfs;

/// Makes a busybox user space whole: file systems, device nodes, applets by name.
const PROLOGUE: &str = "\
#!/bin/busybox sh
export PATH=/bin HOME=/root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
/bin/busybox --install -s /bin
";

/// An init that returns would be a kernel panic.
const EPILOGUE: &str = "\npoweroff -f\n";

const DEMONSTRATION: &str = r#"
hostname suz
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
cd /root
# A session with the console as its terminal: job control and Ctrl-C work.
if [ -c /dev/hvc0 ]; then
    setsid sh -c 'exec sh -l < /dev/hvc0 > /dev/hvc0 2>&1'
else
    setsid cttyhack sh -l
fi
"#;

/// What a shell begins with. A static busybox cannot look users up, so its own `\w` would not know whose home `~` is.
const PROFILE: &[u8] = br#"
echo
echo "This is Linux $(uname -r) on $(nproc) CPU(s) made by Suzerain."
echo "busybox is at hand (type its name for a list); 'exit' powers the machine off."
echo
PS1='suz:${PWD/\/root/\~}# '
"#;

/// The busybox with its surroundings, without an init.
fn base(busybox: &[u8]) -> Initramfs {
    Initramfs::new()
        .folder("proc")
        .folder("sys")
        .folder("tmp")
        .folder("root")
        .device("dev/console", 0o600, 5, 1)
        .device("dev/null", 0o666, 1, 3)
        .file("bin/busybox", 0o755, busybox)
        .link("bin/sh", "busybox")
}

/// An interactive shell on the kernel's console; the machine powers off when it ends.
#[must_use]
pub fn demonstration(busybox: &[u8]) -> Initramfs {
    script(busybox, DEMONSTRATION).file("etc/profile", 0o644, PROFILE)
}

/// A driver: its file's name, and the module.
pub type Driver = (String, Vec<u8>);

/// What busybox's DHCP client runs.
const LEASE: &str = r#"#!/bin/busybox sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ifconfig $interface $ip netmask $subnet
[ -z "$router" ] || route add default gw $router
: > /etc/resolv.conf
for server in $dns; do echo nameserver $server >> /etc/resolv.conf; done
"#;

/// Takes every interface up.
const NETWORK: &str = r#"#!/bin/busybox sh
ifconfig lo 127.0.0.1
for interface in $(cd /sys/class/net; echo e*); do
    [ -e /sys/class/net/$interface ] && ifconfig $interface up && udhcpc -q -n -i $interface -s /etc/lease > /dev/null 2>&1
done
"#;

/// Mounts the shared folders that the command line names.
const SHARES: &str = r#"#!/bin/busybox sh
for word in $(cat /proc/cmdline); do
    case $word in share=/*) mkdir -p ${word#share=} && mount -t virtiofs ${word#share=} ${word#share=};; esac
done
"#;

/// Gives ports their names, as udev does.
const PORTS: &str = r#"#!/bin/busybox sh
mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do
    read -r name 2> /dev/null < $port/name && ln -sf ../${port##*/} /dev/virtio-ports/$name
done
"#;

/// Adds drivers, and commands: `drivers` loads them, `network` asks for addresses, `shares` mounts folders, `ports`
/// names ports.
#[must_use]
pub fn with_drivers(initramfs: Initramfs, drivers: &[Driver]) -> Initramfs {
    let mut load = String::from("#!/bin/busybox sh\n");
    let mut initramfs = initramfs;
    for (name, module) in drivers {
        load += &format!("/bin/busybox insmod /lib/modules/{name}\n");
        initramfs = initramfs.file(&format!("lib/modules/{name}"), 0o644, module);
    }
    initramfs
        .file("bin/drivers", 0o755, load.as_bytes())
        .file("bin/network", 0o755, NETWORK.as_bytes())
        .file("bin/shares", 0o755, SHARES.as_bytes())
        .file("bin/ports", 0o755, PORTS.as_bytes())
        .file("etc/lease", 0o755, LEASE.as_bytes())
}

/// [`demonstration`] with drivers that are loaded at its start.
#[must_use]
pub fn demonstration_with(busybox: &[u8], drivers: &[Driver]) -> Initramfs {
    let script = script(
        busybox,
        &format!("drivers\nnetwork\nshares\nports\n{DEMONSTRATION}"),
    );
    with_drivers(script, drivers).file("etc/profile", 0o644, PROFILE)
}

/// A user space that runs `commands` as its init and then powers off.
///
/// They run in busybox's shell, as process 1, with every applet in `PATH`, `/proc`, `/sys`, `/dev` and `/tmp`
/// mounted, and input and output on the kernel's console. Further files can be added to what is returned.
/// `busybox` has to be of an architecture that the kernel runs.
#[must_use]
pub fn script(busybox: &[u8], commands: &str) -> Initramfs {
    base(busybox).file(
        "init",
        0o755,
        [PROLOGUE, commands, EPILOGUE].concat().as_bytes(),
    )
}
