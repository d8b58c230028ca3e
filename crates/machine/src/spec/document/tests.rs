use super::*;
use crate::spec::{Boot, Console, Disk, EngineKind, Forward, Net, Network, Protocol, UserNetwork};

fn full() -> Spec {
    let mut spec = Spec::new(Boot {
        kernel: Some("vmlinuz".into()),
        initrd: Some("/boot/initrd".into()),
        append: "console=ttyS0 \"quoted\"".into(),
    });
    spec.image = Some("debian/12".into());
    spec.cpus = 3;
    spec.memory = 3 << 30;
    spec.engine = EngineKind::Soft;
    spec.console = Console::Virtio;
    spec.tsc_khz = Some(2_000_000);
    spec.devices = vec![
        Device::Rng,
        Device::Disk(Disk {
            path: "disk.qcow2".into(),
            format: Some("qcow2".into()),
            ephemeral: true,
            ..Disk::default()
        }),
        Device::Net(Net {
            network: Network::User(UserNetwork {
                forwards: vec![Forward {
                    protocol: Protocol::Udp,
                    host: "127.0.0.1:2222".parse().unwrap(),
                    guest: 22,
                }],
                host_loopback: true,
            }),
            mac: Some([2, 0, 0, 0, 0, 0xab]),
            pcap: Some("net.pcap".into()),
        }),
        Device::Net(Net {
            network: Network::Tap("tap0".into()),
            mac: None,
            pcap: None,
        }),
        Device::Balloon,
        Device::Port(Port {
            name: "agent".into(),
            socket: Some("agent.sock".into()),
        }),
        Device::Port(Port {
            name: "log".into(),
            socket: None,
        }),
    ];
    spec
}

#[test]
fn what_is_written_is_read_again() {
    let spec = full();
    let text = spec.to_toml().unwrap();
    assert_eq!(Spec::from_toml(&text), Ok(spec), "{text}");
    assert!(text.contains("memory = \"3G\""), "{text}");
    assert!(text.contains("mac = \"02:00:00:00:00:ab\""), "{text}");
}

#[test]
fn what_is_absent_is_as_on_the_command_line() {
    let spec = Spec::from_toml("boot.kernel = 'k'").unwrap();
    let boot = Boot {
        kernel: Some("k".into()),
        initrd: None,
        append: String::new(),
    };
    assert_eq!(spec, Spec::new(boot));
}

#[test]
fn sizes_are_bytes_or_texts() {
    let memory = |value| {
        let text = format!("memory = {value}\nboot.kernel = 'k'");
        Spec::from_toml(&text).map(|spec| spec.memory)
    };
    assert_eq!(memory("67108864"), Ok(64 << 20));
    assert_eq!(memory("'2G'"), Ok(2 << 30));
    assert_eq!(
        memory("'lots'").unwrap_err(),
        "line 1: 'lots' is no amount of memory: write 512M or 2G"
    );
    assert!(memory("-1").unwrap_err().contains("bytes, or a text"));
    assert!(memory("1.5").unwrap_err().contains("bytes, or a text"));
}

#[test]
fn mistakes_are_told_in_one_line_with_the_place() {
    let problem = |text| Spec::from_toml(text).unwrap_err();
    assert!(problem("boot.kernel = 'k'\ncpu = 2").starts_with("line 2: unknown field `cpu`"));
    assert_eq!(Spec::from_toml("cpus = 2").unwrap().boot, Boot::default());
    let disk = "boot.kernel = 'k'\n[[devices]]\nkind = 'disk'\npath = 'd'\nro = true";
    assert!(problem(disk).contains("unknown field `ro`"));
    for text in ["[", "cpus = ", "cpus = 'two'\nboot.kernel = 'k'", "\u{0}"] {
        assert!(!problem(text).contains('\n'), "{}", problem(text));
    }
}

#[test]
fn relative_paths_are_the_folders() {
    let mut spec = full();
    spec.resolve(Path::new("/m"));
    assert_eq!(spec.boot.kernel.as_deref(), Some(Path::new("/m/vmlinuz")));
    assert_eq!(spec.boot.initrd.as_deref(), Some(Path::new("/boot/initrd")));
    let (Device::Disk(disk), Device::Net(net)) = (&spec.devices[1], &spec.devices[2]) else {
        panic!("{:?}", spec.devices);
    };
    assert_eq!(disk.path, Path::new("/m/disk.qcow2"));
    assert_eq!(net.pcap.as_deref(), Some(Path::new("/m/net.pcap")));
    spec.place_ports(Path::new("/n"));
    let sockets = spec.devices.iter().filter_map(|device| match device {
        Device::Port(port) => port.socket.as_deref(),
        _ => None,
    });
    let sockets: Vec<_> = sockets.collect();
    assert_eq!(
        sockets,
        [Path::new("/m/agent.sock"), Path::new("/n/log.port")]
    );
}

#[test]
fn each_module_has_a_path() {
    let resolved = |list: &str| resolve_initrd(Path::new(list), Path::new("/m"));
    assert_eq!(
        resolved("vmlinuz a,,b,/i c"),
        Path::new("/m/vmlinuz a,,b,/i c")
    );
    assert_eq!(resolved("a,b x"), Path::new("/m/a,/m/b x"));
}
