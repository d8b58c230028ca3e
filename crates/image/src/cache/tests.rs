use super::*;
use crate::Initramfs;

/// A cache in a folder of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> (Self, Cache) {
        let root = std::env::temp_dir().join(format!("suz-cache-{name}-{}", std::process::id()));
        let cache = Cache::at(&root).unwrap();
        (Self(root), cache)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Publishes a busybox that holds `content`.
fn publish(cache: &Cache, version: &str, content: &str) -> PathBuf {
    let files = cache.root().join("tmp").join(unique()).join("files");
    create(&files).unwrap();
    fs::write(files.join("busybox"), content).unwrap();
    let mut manifest = Manifest {
        package: "busybox-static".into(),
        version: version.into(),
        ..Manifest::default()
    };
    manifest.add(&files.join("busybox")).unwrap();
    manifest.write(&files).unwrap();
    cache.publish(Known::Busybox, version, &files).unwrap()
}

#[test]
fn what_is_published_is_found_and_replaced() {
    let (_scratch, cache) = Scratch::new("publish");
    assert_eq!(cache.find(Known::Busybox), None);
    let first = publish(&cache, "1:1-1", "one");
    let found = cache.find(Known::Busybox).unwrap();
    assert_eq!(
        (found.version.as_str(), found.path, found.initrd),
        ("1:1-1", first.join("busybox"), None)
    );
    // What is there is not fetched.
    assert_eq!(cache.ensure(Known::Busybox).unwrap().version, "1:1-1");

    publish(&cache, "1:1-2", "two");
    assert_eq!(cache.find(Known::Busybox).unwrap().version, "1:1-2");
    assert!(
        first.join("busybox").exists(),
        "a machine may be starting from it"
    );
    publish(&cache, "1:1-2", "two again");
    assert_eq!(
        fs::read_to_string(cache.find(Known::Busybox).unwrap().path).unwrap(),
        "two again"
    );
    assert_eq!(cache.find(Known::Cloud), None);
}

#[test]
fn damage_is_seen() {
    let (_scratch, cache) = Scratch::new("damage");
    assert!(matches!(
        cache.damage(Known::Busybox),
        Err(Error::File { .. })
    ));
    let folder = publish(&cache, "1", "abc");
    assert_eq!(cache.damage(Known::Busybox).unwrap(), None);
    fs::write(folder.join("busybox"), "abd").unwrap();
    assert_eq!(
        cache.damage(Known::Busybox).unwrap(),
        Some(folder.join("busybox"))
    );
    assert!(
        cache.find(Known::Busybox).is_some(),
        "a start looks at sizes alone"
    );
    fs::write(folder.join("busybox"), "ab").unwrap();
    assert_eq!(cache.find(Known::Busybox), None);
    fs::write(folder.join("manifest"), "rubbish").unwrap();
    assert_eq!(cache.find(Known::Busybox), None);
    assert_eq!(
        cache.damage(Known::Busybox).unwrap(),
        Some(folder.join("manifest"))
    );
}

#[test]
fn the_lock_is_exclusive_and_clears_what_was_left() {
    let (_scratch, cache) = Scratch::new("lock");
    let left = cache.root().join("tmp/left");
    create(&left).unwrap();
    let held = cache.lock().unwrap();
    assert!(!left.exists());

    let (sender, receiver) = std::sync::mpsc::channel();
    let other = Cache::at(cache.root()).unwrap().with_notice({
        let sender = sender.clone();
        move |line| sender.send(line.to_owned()).unwrap()
    });
    let waiter = std::thread::spawn(move || {
        drop(other.lock().unwrap());
        sender.send("had it".to_owned()).unwrap();
    });
    assert!(
        receiver
            .recv()
            .unwrap()
            .starts_with("waiting for another process")
    );
    assert!(receiver.try_recv().is_err());
    drop(held);
    assert_eq!(receiver.recv().unwrap(), "had it");
    waiter.join().unwrap();
}

#[test]
fn an_initrd_is_named_by_its_content() {
    let (_scratch, cache) = Scratch::new("initrd");
    let one = Initramfs::new().file("a", 0o644, b"1");
    let path = cache.initrd("test", &one).unwrap();
    assert_eq!(fs::read(&path).unwrap(), one.build());
    assert_eq!(cache.initrd("test", &one).unwrap(), path);
    // A damaged file is replaced.
    fs::write(&path, "cut").unwrap();
    cache.initrd("test", &one).unwrap();
    assert_eq!(fs::read(&path).unwrap(), one.build());
    assert_ne!(
        cache.initrd("test", &one.clone().folder("b")).unwrap(),
        path
    );
    assert_eq!(
        fs::read_dir(cache.root().join("initrd")).unwrap().count(),
        2
    );
}

#[test]
fn an_initrd_of_inputs_is_made_once_and_again_when_it_is_cut() {
    let (_scratch, cache) = Scratch::new("inputs");
    let made = std::cell::Cell::new(0);
    let of = |inputs: &[u8]| {
        let build = || {
            made.set(made.get() + 1);
            Ok(Initramfs::new().file("a", 0o644, inputs))
        };
        cache.initrd_of("test", inputs, build).unwrap()
    };
    let path = of(b"1");
    let whole = Initramfs::new().file("a", 0o644, b"1").build();
    assert_eq!(fs::read(&path).unwrap(), whole);
    assert_eq!((of(b"1"), made.get()), (path.clone(), 1));
    assert_ne!(of(b"2"), path);
    assert_eq!(made.get(), 2);
    for torn in [&whole[..whole.len() - 4], &whole[..8], b""] {
        fs::write(&path, torn).unwrap();
        of(b"1");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    assert_eq!(made.get(), 5);
    // No draft is left.
    assert_eq!(
        fs::read_dir(cache.root().join("initrd")).unwrap().count(),
        2
    );
}

#[test]
fn the_demonstration_follows_its_busybox() {
    let (_scratch, cache) = Scratch::new("follow");
    let kernel = cache.root().join("tmp/kernel/files");
    create(&kernel).unwrap();
    fs::write(kernel.join("vmlinuz"), "kernel").unwrap();
    let mut manifest = Manifest::default();
    manifest.add(&kernel.join("vmlinuz")).unwrap();
    manifest.write(&kernel).unwrap();
    cache.publish(Known::Cloud, "1", &kernel).unwrap();
    let holds = |content: &str| {
        let bytes = fs::read(cache.demonstration().unwrap().initrd).unwrap();
        bytes
            .windows(content.len())
            .any(|part| part == content.as_bytes())
    };
    publish(&cache, "1", "the first busybox");
    assert!(holds("the first busybox"));
    publish(&cache, "2", "another busybox!!");
    assert!(holds("another busybox!!") && !holds("the first busybox"));
    // The same version and size with other content, as after a repair.
    publish(&cache, "2", "repaired busybox!");
    assert!(holds("repaired busybox!"));
}

#[test]
fn archives_that_nobody_uses_go() {
    let (_scratch, cache) = Scratch::new("sweep");
    let of = |name: &str| {
        let build = || Ok(Initramfs::new().folder(name));
        cache.initrd_of(name, b"1", build).unwrap()
    };
    let (old, kept) = (of("old"), of("kept"));
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 24 * 3600);
    for path in [&old, &kept] {
        let file = fs::File::open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    assert_eq!(of("kept"), kept);
    assert!(old.exists(), "nothing was written");
    let new = of("new");
    assert!(!old.exists() && kept.exists() && new.exists());
}
