//! What our images have beside Debian's packages, none of which is changed.

/// A file of the guest's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Without the first slash.
    pub(super) path: &'static str,
    pub(super) mode: u32,
    pub(super) text: String,
}

/// Drivers that are needed to reach root and console, on whichever bus the disk is.
const DRIVERS: &str = "virtio_pci\nvirtio_blk\nvirtio_console\nnvme\next4\ncrc32c\n";

/// Runs at every start, before anybody can log in.
const SEED: &str = "\
[Unit]
Description=Make this machine its owner's
DefaultDependencies=no
After=systemd-remount-fs.service systemd-tmpfiles-setup-dev.service
Before=sysinit.target network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target
ConditionVirtualization=vm

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/suzerain/seed

[Install]
WantedBy=sysinit.target
";

const HOST_KEYS: &str = "\
[Unit]
Description=Make the host keys of this machine
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
ExecStart=ssh-keygen -q -t ecdsa -N '' -f /etc/ssh/ssh_host_ecdsa_key

[Install]
WantedBy=multi-user.target
";

/// Lets the host in without a network. Newer releases of systemd do the same by themselves.
pub(crate) const SSH_SOCKET: &str = "\
[Unit]
Description=Shells for the host, by vsock

[Socket]
ListenStream=vsock::22
Accept=yes

[Install]
WantedBy=sockets.target
";

/// One such shell.
pub(crate) const SSH: &str = "\
[Unit]
Description=A shell for the host
After=suzerain-host-keys.service

[Service]
ExecStart=-/usr/sbin/sshd -i
StandardInput=socket
RuntimeDirectory=sshd
RuntimeDirectoryPreserve=yes
KillMode=process
";

const CONSOLE: &str = "\
[Service]
ExecStart=
ExecStart=-/usr/lib/suzerain/console %I
";

/// Names without a dot would be asked for by multicast, which nobody hears, for twelve seconds.
const NETWORK: &str = "\
[Match]
Name=en* eth*

[Network]
DHCP=yes
LLMNR=no
";

/// What sshd calls those who come without a network has addresses, or else every login looks them up in vain, for
/// seconds where nobody answers.
const HOSTS: &str = "\
127.0.0.1 localhost
::1 localhost
0.0.0.0 UNKNOWN
:: UNKNOWN
";

/// Files that are there before the packages are installed, which heed some of them.
pub(super) fn early(uuid: &str) -> Vec<File> {
    let file = |path, mode, text: &str| File {
        path,
        mode,
        text: text.to_owned(),
    };
    let fstab = format!("UUID={uuid} / ext4 errors=remount-ro,x-systemd.growfs 0 1\n");
    vec![
        file("etc/fstab", 0o644, &fstab),
        file("etc/default/locale", 0o644, "LANG=C.UTF-8\n"),
        file("etc/hosts", 0o644, HOSTS),
        file(
            "etc/initramfs-tools/conf.d/suzerain",
            0o644,
            "MODULES=list\n",
        ),
        file(
            "usr/share/initramfs-tools/modules.d/suzerain",
            0o644,
            DRIVERS,
        ),
        file("etc/systemd/network/80-suzerain.network", 0o644, NETWORK),
        file("etc/systemd/system/suzerain-seed.service", 0o644, SEED),
        file(
            "etc/systemd/system/suzerain-host-keys.service",
            0o644,
            HOST_KEYS,
        ),
        file("etc/systemd/system/suzerain-ssh.socket", 0o644, SSH_SOCKET),
        file("etc/systemd/system/suzerain-ssh@.service", 0o644, SSH),
        file(
            "etc/systemd/system/serial-getty@.service.d/suzerain.conf",
            0o644,
            CONSOLE,
        ),
        file(
            "usr/lib/suzerain/seed",
            0o755,
            include_str!("../../guest/seed.sh"),
        ),
        file(
            "usr/lib/suzerain/console",
            0o755,
            include_str!("../../guest/console.sh"),
        ),
    ]
}

/// The script that runs in the system when the packages are installed.
pub(super) fn late() -> &'static str {
    include_str!("../../guest/setup.sh")
}
