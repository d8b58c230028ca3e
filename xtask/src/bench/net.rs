//! The user-mode network beside QEMU's: iperf3 of Debian's packages, and bytes that go to and fro.
//!
//! ```text
//! guest: iperf3, workload --ping-pong ──▶ 10.0.2.2 ──▶ the host's loopback: iperf3 of the same tree, an echo here
//! ```
//! A row is the time that a MiB takes, or a round trip.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use image::{Cache, Known, Release, Tree, user_space};

use super::boot::{self, Boot, Figure};
use super::guest::{Guest, Monitor};
use super::plan::{Plan, Side};

/// The rows, and what iperf3 is told for them; nothing for the one that it does not measure.
pub(crate) const ROWS: [(&str, &str); 7] = [
    ("iperf-out-1", "-P 1"),
    ("iperf-out-4", "-P 4"),
    ("iperf-in-1", "-R -P 1"),
    ("iperf-in-4", "-R -P 4"),
    ("iperf-udp-out", "-u -b 0 -l 1400"),
    ("iperf-udp-in", "-R -u -b 0 -l 1400"),
    (PING_PONG, ""),
];
const PING_PONG: &str = "net-ping-pong";

/// iperf3 of Debian 12, with its libraries.
const RECIPE: image::Packages = image::Packages {
    name: "bench-net",
    release: Release::Bookworm,
    wanted: &["iperf3"],
    without: &[
        "adduser",
        "debconf",
        "dpkg",
        "init-system-helpers",
        "libdb5.3",
        "passwd",
        "perl-base",
        "tar",
    ],
    except: &[
        "usr/share",
        "usr/lib/x86_64-linux-gnu/gconv",
        "usr/lib/x86_64-linux-gnu/perl-base",
    ],
};

/// Where a guest finds the host's loopback, here and in QEMU's network.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Bits of a MiB times a million: over kbit/s, that makes nanoseconds for a MiB.
const SCALE: f64 = 8.0 * 1048576.0 * 1e6;
/// Seconds that a row takes.
const SECONDS: u32 = 3;
/// A row is tried again while the server is still at the end of another, which it refuses.
const TRIES: u32 = 3;

/// iperf3's server, an echo, and the guest that talks to both.
pub(crate) struct Net {
    guest: Guest,
    tree: Tree,
    workload: PathBuf,
    rows: Vec<(&'static str, &'static str)>,
    port: u16,
    echo: u16,
    server: Child,
}

impl Net {
    pub(crate) fn new(cache: &Cache, plan: &Plan, workload: &Path) -> anyhow::Result<Self> {
        let tree = cache.tree(&RECIPE)?;
        let (kernel, drivers) = cache.drivers()?;
        let busybox = std::fs::read(cache.ensure(Known::Busybox)?.path)?;
        let rows: Vec<_> = ROWS
            .into_iter()
            .filter(|(name, _)| plan.wants(name))
            .collect();
        let initramfs = user_space::script(&busybox, &script(&rows));
        let initramfs = user_space::with_drivers(initramfs, &drivers);
        let initramfs = initramfs.file("bin/workload", 0o755, &std::fs::read(workload)?);
        let initrd = cache.tree_initrd("bench-net", &tree, &initramfs)?;
        let (port, echo) = (free_port()?, echo()?);
        let server = iperf(&tree)
            .args(["-s", "-B", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("iperf3 could not be started")?;
        let append = format!("console=ttyS0 quiet cryptomgr.notests iperf={port} echo={echo}");
        Ok(Self {
            guest: Guest {
                kernel: kernel.path,
                initrd,
                append,
                cpus: 1,
                memory: 1024,
            },
            tree,
            workload: workload.to_owned(),
            rows,
            port,
            echo,
            server,
        })
    }

    /// The rows in a guest.
    pub(crate) fn boot(&self, monitor: &Monitor) -> anyhow::Result<Boot> {
        let mut command = self.guest.command(monitor);
        match monitor.side {
            Side::Qemu => {
                command.args(["-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n"])
            }
            _ => command.args(["--net", "user,loopback"]),
        };
        Boot::run(&mut command, self.guest.memory)
    }

    /// The rows on the bare host.
    pub(crate) fn native(&self) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for (name, arguments) in &self.rows {
            let mut command = if arguments.is_empty() {
                let mut command = Command::new(&self.workload);
                command.args(["--ping-pong", &format!("127.0.0.1:{}", self.echo)]);
                command
            } else {
                let mut command = iperf(&self.tree);
                command
                    .args(["-c", "127.0.0.1", "-p", &self.port.to_string()])
                    .args(["-f", "k", "-t", &SECONDS.to_string()])
                    .args(arguments.split(' '));
                command
            };
            let mut output = command.output().context("iperf3 could not be started")?;
            for _ in 1..TRIES {
                if output.status.success() {
                    break;
                }
                thread::sleep(Duration::from_secs(1));
                output = command.output().context("iperf3 could not be started")?;
            }
            let text = String::from_utf8_lossy(&output.stdout);
            let line = text.lines().rev().find_map(|line| {
                // `0.00-3.00 sec 1 GBytes 123456 Kbits/sec receiver`, and more words for datagrams.
                let words: Vec<&str> = line.split_whitespace().collect();
                let at = words.iter().position(|&word| word == "Kbits/sec")?;
                let rate: f64 = words.get(at.checked_sub(1)?)?.parse().ok()?;
                (words.last() == Some(&"receiver"))
                    .then(|| Figure::Value((*name).to_owned(), SCALE / rate))
            });
            let Some(figure) = line.or_else(|| text.lines().find_map(Figure::parse)) else {
                bail!("{name} gave nothing on the bare host: {text}");
            };
            figures.push(figure);
        }
        Ok(figures)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The host's iperf3 is the tree's, started by the tree's own linker.
fn iperf(tree: &Tree) -> Command {
    let libraries = tree.root.join("usr/lib/x86_64-linux-gnu");
    let mut linker = tree.root.join("lib/x86_64-linux-gnu");
    if !linker.join("ld-linux-x86-64.so.2").exists() {
        linker.clone_from(&libraries);
    }
    let mut paths = libraries.into_os_string();
    paths.push(":");
    paths.push(&linker);
    let mut command = Command::new(linker.join("ld-linux-x86-64.so.2"));
    command
        .arg("--library-path")
        .arg(paths)
        .arg(tree.root.join("usr/bin/iperf3"));
    command
}

/// What the guest does.
fn script(rows: &[(&str, &str)]) -> String {
    let mut text = format!(
        "drivers; network
         for word in $(cat /proc/cmdline); do case $word in iperf=*|echo=*) eval $word;; esac; done
         row() {{
             name=$1; shift
             for try in $(seq {TRIES}); do iperf3 -c {GATEWAY} -p $iperf -f k -t {SECONDS} \"$@\" > /tmp/$name && break; sleep 1; done
             awk -v name=$name '$NF == \"receiver\" {{ for (at = 1; at < NF; at++) if ($at == \"Kbits/sec\") rate = $(at - 1) }}
                 END {{ if (rate) printf \"row %s %f\\n\", name, {SCALE} / rate; else exit 1 }}' /tmp/$name || cat /tmp/$name
         }}
         export PATH=$PATH:/usr/bin
         read begin rest < /proc/uptime; echo clock begin\n"
    );
    for (name, arguments) in rows {
        text += &match *arguments {
            "" => format!("/bin/workload --ping-pong {GATEWAY}:$echo\n"),
            _ => format!("row {name} {arguments}\n"),
        };
    }
    text += "read end rest < /proc/uptime\necho clock end $(echo $begin $end | awk '{ print $2 - $1 }')\n";
    text + "echo " + boot::DONE + "\n"
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// Sends back whatever comes, as long as the program runs.
fn echo() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let port = listener.local_addr()?.port();
    let back = |mut stream: TcpStream| {
        let mut bytes = [0; 4096];
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            if stream.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || back(stream));
        }
    });
    Ok(port)
}
