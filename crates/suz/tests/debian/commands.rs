//! `suz run debian -- COMMAND` and `suz image`.

use std::process::Command;

use crate::image::{data, plain, suz};

/// What it prints and its status.
fn does(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("suz starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Refused by one line.
fn refused(command: &mut Command) -> String {
    let (status, _, said) = does(command);
    assert_eq!(status, Some(2), "{said}");
    let line = said.strip_suffix('\n').unwrap_or_default();
    assert!(line.starts_with("suz: ") && !line.contains('\n'), "{said}");
    line.to_owned()
}

#[test]
fn a_command_hands_back_output_and_status_and_leaves_nothing() {
    let Some(mut suz) = suz() else { return };
    let script = "echo \"it's $((6 * 7))\"; echo oops >&2; exit 7";
    let (status, out, err) = does(suz.args([
        "run", "debian", "--engine", "soft", "--", "sh", "-c", script,
    ]));
    assert_eq!((status, &*out, &*err), (Some(7), "it's 42\n", "oops\n"));
    let machines = std::fs::read_dir(data().unwrap().join("machines")).unwrap();
    let left = machines
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("debian-"));
    assert_eq!(left.count(), 0);
}

#[test]
fn the_image_tells_what_it_is() {
    let Some(mut suz) = suz() else { return };
    let (status, out, _) = does(suz.args(["image", "inspect", "debian"]));
    assert_eq!(status, Some(0));
    assert!(out.contains("system   Debian 12 (bookworm)\n"), "{out}");
    assert!(
        out.contains("kernel   /vmlinuz\ninitrd   /initrd.img\nappend   root=UUID="),
        "{out}"
    );
}

#[test]
fn mistakes_are_told_in_one_line_and_leave_nothing() {
    let folder = std::env::temp_dir().join(format!("suz-images-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let odd = file("odd.img", &[1; 1000]);
    let empty = file("empty.img", &[0; 1 << 20]);
    let fake = file("fake.qcow2", b"QFI\xfb and nothing that follows");
    let vmdk = file("fake.vmdk", b"KDMV and nothing that follows");
    let data = folder.join("data");
    let refused = |words: &[&str]| refused(plain().env("SUZ_DATA", &data).args(words));
    for (words, what) in [
        (
            &["run", "debain"][..],
            "no image is called debain; there are debian, debian:13",
        ),
        (&["run", "no/such/file"], "no/such/file"),
        (&["run", "a b"], "is no name of an image"),
        (&["run", &empty], "nothing to start on the first disk"),
        (&["run", &empty, "--", "true"], "in machines from images"),
        (&["image", "build", "gentoo"], "no image is called gentoo"),
        (&["image", "build", "debian", "--size", "1M"], "2G at least"),
        (&["image", "rm", "debian"], "no image is called debian"),
        (&["image", "inspect", "x"], "no image is called x"),
        (&["image", "import", "no-such-file"], "no-such-file"),
        (
            &["image", "import", &odd],
            "no whole number of 512-byte sectors",
        ),
        (
            &["image", "import", &empty],
            "nothing to start on the first disk",
        ),
        (
            &["image", "import", &empty, "--name", "../x"],
            "is no name of an image",
        ),
        (&["image", "import", &fake], "fake.qcow2"),
        (&["image", "import", &vmdk], "fake.vmdk"),
    ] {
        let line = refused(words);
        assert!(line.contains(what), "{words:?}: {line}");
    }
    let images = std::fs::read_dir(data.join("images")).unwrap().flatten();
    let images: Vec<_> = images.map(|entry| entry.file_name()).collect();
    assert!(
        images.iter().all(|name| name == "lock" || name == ".work"),
        "{images:?}"
    );
    assert!(!data.join("machines").exists());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// An image's life, with a system of four files.
#[test]
fn disk_images_are_imported_listed_and_removed() {
    let folder = std::env::temp_dir().join(format!("suz-import-{}", std::process::id()));
    let root = folder.join("root");
    std::fs::create_dir_all(root.join("boot")).unwrap();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(root.join("boot/vmlinuz-1"), "kernel").unwrap();
    std::fs::write(root.join("boot/initrd.img-1"), "initrd").unwrap();
    std::fs::write(root.join("etc/os-release"), "PRETTY_NAME=\"Tiny 1\"\n").unwrap();
    let disk = folder.join("tiny.img");
    let mut make = Command::new("mke2fs");
    make.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    make.args(["-q", "-t", "ext4", "-d"])
        .args([&root, &disk])
        .arg("8M");
    if !make.status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: no mke2fs that can fill a file system");
        return;
    }
    let mut files = vec![disk.clone()];
    for format in ["qcow2", "vmdk", "vdi", "vhdx"] {
        let to = folder.join("tiny").with_extension(format);
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-O", format]).args([&disk, &to]);
        match convert.output() {
            Ok(output) if output.status.success() => files.push(to),
            _ => println!("SKIPPED {format}: no qemu-img that makes it"),
        }
    }
    let data = folder.join("data");
    let suz = |words: &[&str]| does(plain().env("SUZ_DATA", &data).args(words));
    for file in &files {
        let path = file.to_str().unwrap();
        let (status, _, said) = suz(&["image", "import", path, "--name", "tiny:1"]);
        assert_eq!(
            (status, &*said),
            (Some(0), "suz: imported tiny:1: Tiny 1\n"),
            "{path}"
        );
        let (_, list, _) = suz(&["image", "ls"]);
        assert!(
            list.contains("tiny:1") && list.contains("8M") && list.ends_with("Tiny 1\n"),
            "{list}"
        );
        let (_, text, _) = suz(&["image", "inspect", "tiny:1"]);
        assert!(
            text.contains("kernel   /boot/vmlinuz-1\ninitrd   /boot/initrd.img-1\n"),
            "{text}"
        );
        let line = refused(
            plain()
                .env("SUZ_DATA", &data)
                .args(["image", "import", path, "--name", "tiny:1"]),
        );
        assert!(line.contains("there is an image tiny:1 already"), "{line}");
        // What it holds is no kernel, and a machine that can't start leaves nothing.
        let line = refused(
            plain()
                .env("SUZ_DATA", &data)
                .args(["run", "tiny:1", "--engine", "soft"]),
        );
        assert!(
            line.contains("/boot/vmlinuz-1: is too short for a kernel"),
            "{line}"
        );
        assert_eq!(std::fs::read_dir(data.join("machines")).unwrap().count(), 0);
        assert_eq!(suz(&["image", "rm", "tiny:1"]).0, Some(0));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
