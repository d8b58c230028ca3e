use std::io::Read;

use super::*;

fn seed() -> Seed {
    Seed {
        host_name: "box".into(),
        id: "1-2".into(),
        user: "ada".into(),
        uid: Some(1001),
        keys: vec!["ssh-ed25519 AAAA it's mine".into()],
        macs: vec![[2, 0, 0, 0, 0, 0xab]],
        shares: vec![("work".into(), "/mnt/work space".into())],
    }
}

fn read(disk: &[u8], name: &str) -> String {
    let mut disk = disk.to_vec();
    let files = FileSystem::new(Cursor::new(&mut disk[..]), FsOptions::new()).unwrap();
    assert_eq!(files.volume_label(), "CIDATA");
    let mut text = String::new();
    let mut file = files.root_dir().open_file(name).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_disk_has_what_our_images_read() {
    let disk = seed().disk().unwrap();
    assert_eq!(
        read(&disk, "suzerain"),
        "hostname box\nuser ada 1001\nkey ssh-ed25519 AAAA it's mine\nshare work /mnt/work space\n"
    );
}

#[test]
fn the_disk_has_what_cloud_init_reads() {
    let disk = seed().disk().unwrap();
    assert_eq!(
        read(&disk, "meta-data"),
        "instance-id: '1-2'\nlocal-hostname: 'box'\n"
    );
    let user = read(&disk, "user-data");
    assert!(user.starts_with("#cloud-config\nhostname: 'box'\nusers:\n  - name: 'ada'\n"));
    assert!(user.contains("    ssh_authorized_keys:\n      - 'ssh-ed25519 AAAA it''s mine'\n"));
    assert!(user.contains("suzerain-ssh.socket\n    content: |\n      [Unit]\n      Description="));
    assert!(user.contains("\n      ListenStream=vsock::22\n"));
    assert!(user.contains(
        "runcmd:\n  - [sh, -c, 'grep -qsw UNKNOWN /etc/hosts || printf ''%s UNKNOWN\\n''"
    ));
    assert!(user.contains("  - ['work', '/mnt/work space', virtiofs, 'defaults,nofail']\n"));
    assert_eq!(
        read(&disk, "network-config"),
        "version: 2\nethernets:\n  eth0:\n    match:\n      macaddress: '02:00:00:00:00:ab'\n    set-name: eth0\n    \
         dhcp4: true\n    dhcp6: false\n    accept-ra: true\n"
    );
    let lonely = Seed {
        macs: Vec::new(),
        ..seed()
    };
    let disk = lonely.disk().unwrap();
    assert_eq!(read(&disk, "network-config"), "version: 2\nethernets: {}\n");
}

#[test]
fn root_is_a_user_that_is_there() {
    let root = Seed {
        user: "root".into(),
        uid: None,
        ..seed()
    };
    let user = read(&root.disk().unwrap(), "user-data");
    assert!(user.contains("disable_root: false\nssh_authorized_keys:\n  - 'ssh"));
    assert!(!user.contains("users:"));
}

#[test]
fn more_than_fits_is_an_error() {
    let seed = Seed {
        keys: vec!["k".repeat(600 << 10)],
        ..seed()
    };
    assert!(matches!(seed.disk(), Err(Error::Seed(_))));
}
