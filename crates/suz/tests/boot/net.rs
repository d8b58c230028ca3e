//! Networks as Debian's drivers see them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use image::{Cache, Known};

use crate::disk::start;
use crate::guest::Guest;

/// What a web server here hands out.
const SIZE: usize = 3_000_000;

/// A server of one file that lives as long as the test.
fn serve() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let body: Vec<u8> = (0..SIZE).map(|at| (at / 7) as u8).collect();
            let _ = write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
            let _ = stream.write_all(&body);
        }
    });
    port
}

/// What a guest's program makes of what is sent in, once it listens.
fn converse(address: &str, text: &[u8]) -> String {
    let mut answer = String::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).expect("the port is open");
        let done = stream.write_all(text).and_then(|()| {
            stream.shutdown(std::net::Shutdown::Write)?;
            stream.read_to_string(&mut answer)
        });
        if done.is_ok() && !answer.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    answer
}

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn user_network_leads_out_and_in() {
    let port = serve();
    let free = free_port();
    let pcap = std::env::temp_dir().join(format!("suz-boot-{}.pcap", std::process::id()));
    let script = format!(
        "network
         ping -c 1 10.0.2.2 > /dev/null && echo pong
         wget -q -O /tmp/file http://10.0.2.2:{port}/file; wc -c < /tmp/file
         md5sum < /tmp/file
         wget -q -O - http://10.0.2.2:1/ || echo refused
         echo listening; nc -l -p 80 -e md5sum; sleep 3"
    );
    let publish = format!("{free}:80");
    let options = [
        ("--net", "user,loopback"),
        ("--publish", publish.as_str()),
        ("--pcap", pcap.to_str().expect("a path in UTF-8")),
    ];
    let mut guest = start("net-user", &script, &options);
    guest.expect("pong\r\n3000000\r\n");
    guest.expect("528fa9619d4121bdc0d9f1954f84395c");
    guest.expect("refused");
    guest.expect("listening");
    let answer = converse(&format!("127.0.0.1:{free}"), &[b'x'; 100_000]);
    assert_eq!(answer, "d5816f35916d1d9482fb0f1ec201101d  -\n");
    assert_eq!(guest.finish(), 0);
    let bytes = std::fs::read(&pcap).expect("the capture is there");
    std::fs::remove_file(&pcap).expect("our own file");
    assert!(bytes.len() > SIZE && bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]));
}

/// Whether this user may have a network namespace in which a command succeeds.
fn may_be_alone(command: &[&str]) -> bool {
    let alone = Command::new("unshare").arg("--net").args(command).status();
    alone.is_ok_and(|status| status.success())
}

/// Arguments: busybox, then a command. Runs that in a network whose only interface leads nowhere, but has addresses
/// that are not loopback's, with a web server of busybox's folder that ends with the command.
const ALONE: &str = r#"
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
ip addr add 2001:db8::1/128 dev lo
echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range
setpriv --pdeathsig KILL "$0" httpd -f -p [::]:80 -h "${0%/*}" &
exec "$@"
"#;

#[test]
fn user_network_speaks_ipv6() {
    let addresses = "ip link set lo up && ip addr add 2001:db8::1/128 dev lo";
    if !may_be_alone(&["sh", "-c", addresses]) {
        return println!("SKIPPED: no network namespace or no IPv6 here");
    }
    let cache = Cache::open().expect("a folder for the cache");
    let busybox = cache
        .ensure(Known::Busybox)
        .expect("busybox can be had")
        .path;
    let size = std::fs::metadata(&busybox).expect("it is there").len();
    let busybox = busybox.to_str().expect("a path in UTF-8");
    // The prefix and the router come by themselves, soon after the link is up.
    let script = "
network
for second in 1 2 3 4 5 6 7 8 9; do ip -6 addr show dev eth0 | grep -q 'fd53:757a::.*scope global *$' && break; sleep 1; done
ip -6 route | grep -o 'default via fe80::2 dev eth0'
sleep 2
ping6 -c 1 fd53:757a::2 | grep -o '1 packets received'
ping6 -c 1 2001:db8::1 | grep -o '1 packets received'
ping -c 1 192.0.2.1 | grep -o '1 packets received'
wget -q -O - http://[2001:db8::1]/busybox | wc -c
wget -q -O - http://192.0.2.1/busybox | wc -c
for address in [2001:db8:1::1] [fe80::2%eth0] [fd53:757a::2] 198.51.100.1 10.0.2.2 169.254.1.1; do
    read start rest < /proc/uptime
    wget -q -O - http://$address/busybox | wc -c
    read end rest < /proc/uptime
    [ $((${end%.*} - ${start%.*})) -lt 3 ] || echo slow $address
done
echo end
";
    let starter = ["unshare", "--net", "sh", "-c", ALONE, busybox];
    let mut guest = crate::disk::start_in(&starter, "net-v6", script, &[("--net", "user")]);
    guest.expect("default via fe80::2 dev eth0");
    for _ in 0..3 {
        guest.expect("1 packets received");
    }
    guest.expect(&format!("{size}\r\n{size}\r\n"));
    // What nobody routes, and what is not for guests, fails at once.
    let rest = guest.expect("end");
    assert_eq!(rest.matches("0\r\n").count(), 6, "{rest}");
    assert!(!rest.contains("slow"), "{rest}");
    assert_eq!(guest.finish(), 0);
}

#[test]
fn published_ports_are_reached_by_ipv6_and_by_datagrams() {
    let has_v6 = TcpListener::bind("[::1]:0").is_ok();
    if !has_v6 {
        println!("SKIPPED in part: this host has no IPv6");
    }
    let (tcp, udp) = (free_port(), free_port());
    // No applet listens for datagrams, but the kernel counts those that nobody listens for.
    let script = "network; sleep 4; nc -l -p 80 -e md5sum &
while :; do set -- $(grep Udp: /proc/net/snmp | tail -n 1); [ $3 -gt 0 ] && break; sleep 1; done & echo listening
wait; echo datagrams arrived";
    let host = if has_v6 { "[::1]" } else { "127.0.0.1" };
    let (stream, datagram) = (format!("{host}:{tcp}:80"), format!("{udp}:53/udp"));
    let options = [
        ("--publish", stream.as_str()),
        ("--publish", datagram.as_str()),
    ];
    let mut guest = start("net-publish", script, &options);
    guest.expect("listening");
    let answer = converse(&format!("{host}:{tcp}"), b"hello");
    assert_eq!(answer, "5d41402abc4b2a76b9719d911017c592  -\n");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let sent = socket.send_to(b"datagram", (Ipv4Addr::LOCALHOST, udp));
    assert_eq!(sent.expect("the port is open"), 8);
    guest.expect("datagrams arrived");
    assert_eq!(guest.finish(), 0);
}

#[test]
fn a_port_in_use_is_one_line() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let output = Command::new(env!("CARGO_BIN_EXE_suz"))
        .args(["run", "--publish", &format!("{port}:80")])
        .output()
        .expect("suz starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains(&format!("port 127.0.0.1:{port} is in use")),
        "{text}"
    );
}

#[test]
fn tap_device_reaches_the_host() {
    if !may_be_alone(&["test", "-c", "/dev/net/tun"]) {
        return println!("SKIPPED: no network namespace or no TAP devices here");
    }
    let wrap = "ip tuntap add tap7 mode tap vnet_hdr multi_queue && ip addr add 10.9.9.1/24 dev tap7 \
                && ip link set tap7 up && exec \"$0\" \"$@\"";
    let script = "ifconfig eth0 10.9.9.2; ping -c 3 -s 1400 10.9.9.1 | grep received; ls /sys/class/net/eth0/queues";
    let options = [("--net", "tap:tap7"), ("--cpus", "2")];
    let mut guest: Guest = crate::disk::start_in(
        &["unshare", "--net", "sh", "-c", wrap],
        "net-tap",
        script,
        &options,
    );
    guest.expect("3 packets received");
    guest.expect("rx-0  rx-1  tx-0  tx-1");
    assert_eq!(guest.finish(), 0);
}

#[test]
fn console_and_balloon_are_driven() {
    let script = "
exec < /dev/hvc0 > /dev/hvc0 2>&1
stty -echo
echo hello by virtio; read line; echo got $line
dd if=/dev/zero of=/tmp/big bs=1M count=64 2> /dev/null; rm /tmp/big
sleep 5; dmesg | grep -c virtio_balloon; echo end
";
    let options = [("--balloon", "--console=virtio")];
    let mut guest = start("console", script, &options);
    guest.expect("hello by virtio");
    guest.send("some text\n");
    guest.expect("got some text");
    guest.expect("end");
    assert_eq!(guest.finish(), 0);
}
