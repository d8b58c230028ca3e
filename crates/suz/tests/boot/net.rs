//! Networks as Debian's drivers see them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

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
    // What the guest's program makes of what is sent in comes back out.
    let mut answer = String::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, free)).expect("the port is open");
        let done = stream.write_all(&[b'x'; 100_000]).and_then(|()| {
            stream.shutdown(std::net::Shutdown::Write)?;
            stream.read_to_string(&mut answer)
        });
        if done.is_ok() && !answer.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(answer, "d5816f35916d1d9482fb0f1ec201101d  -\n");
    assert_eq!(guest.finish(), 0);
    let bytes = std::fs::read(&pcap).expect("the capture is there");
    std::fs::remove_file(&pcap).expect("our own file");
    assert!(bytes.len() > SIZE && bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]));
}

#[test]
fn tap_device_reaches_the_host() {
    let alone = Command::new("unshare")
        .args(["--net", "test", "-c", "/dev/net/tun"])
        .status();
    if !alone.is_ok_and(|status| status.success()) {
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
