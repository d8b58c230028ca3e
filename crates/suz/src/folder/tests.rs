use std::path::PathBuf;

use backend::disk;
use machine::spec::Boot;

use super::*;

/// A folder for one test, removed with it.
struct Rig(PathBuf);

impl Rig {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("suz-folder-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn machines(&self) -> Machines {
        Machines::at(&self.0.join("machines"))
    }

    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("machines")).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn spec() -> Spec {
    Spec::new(Boot {
        kernel: Some("vmlinuz".into()),
        initrd: None,
        append: String::new(),
    })
}

#[test]
fn a_machine_is_there_when_it_is_finished_and_not_before() {
    let rig = Rig::new("finish");
    let machines = rig.machines();
    let draft = machines.draft(&name("a")).unwrap();
    draft.write("seed.img", b"seed").unwrap();
    assert!(machines.find(&name("a")).is_none());
    let held = draft.finish(&spec()).unwrap();
    let found = machines.get(&name("a")).unwrap();
    assert_eq!(
        found.spec().unwrap().boot.kernel.unwrap(),
        held.path().join("vmlinuz")
    );
    assert_eq!(fs::read(held.path().join("seed.img")).unwrap(), b"seed");
    assert_eq!(rig.entries(), ["a"]);
}

#[test]
fn a_disk_over_an_image_holds_what_is_different() {
    let rig = Rig::new("overlay");
    let image = rig.0.join("base.img");
    fs::write(&image, vec![7; 1 << 20]).unwrap();
    let draft = rig.machines().draft(&name("a")).unwrap();
    draft
        .overlay("disk.qcow2", (&image, None), Some(4 << 20))
        .unwrap();
    let held = draft.finish(&spec()).unwrap();
    let disk = disk::open(&held.path().join("disk.qcow2"), disk::Options::default()).unwrap();
    assert_eq!(disk.len(), 4 << 20);
    let mut bytes = [0; 512];
    disk.read(512, &mut bytes).unwrap();
    assert_eq!(bytes, [7; 512]);
}

#[test]
fn a_draft_that_is_given_up_leaves_nothing() {
    let rig = Rig::new("drop");
    let draft = rig.machines().draft(&name("a")).unwrap();
    draft.write("seed.img", b"seed").unwrap();
    drop(draft);
    assert!(rig.entries().is_empty());
}

#[test]
fn what_a_killed_process_left_is_swept_away_and_work_in_progress_is_not() {
    let rig = Rig::new("sweep");
    let machines = rig.machines();
    let working = machines.draft(&name("working")).unwrap();
    for left in [".new-b-1", ".gone-c-2"] {
        fs::create_dir(machines.root.join(left)).unwrap();
        fs::write(machines.root.join(left).join("disk.qcow2"), "x").unwrap();
    }
    machines.draft(&name("a")).unwrap().finish(&spec()).unwrap();
    let mut entries = rig.entries();
    entries.sort();
    let mine = format!(".new-working-{}", std::process::id());
    assert_eq!(entries, [&*mine, "a"]);
    working.finish(&spec()).unwrap();
}

#[test]
fn one_name_is_one_machine() {
    let rig = Rig::new("twice");
    let machines = rig.machines();
    let late = machines.draft(&name("a")).unwrap();
    // As another process makes it, which has another number in its draft's name.
    fs::create_dir(machines.root.join("a")).unwrap();
    fs::write(machines.root.join("a").join(SPEC), "boot.kernel = 'k'").unwrap();
    let line = late.finish(&spec()).unwrap_err().to_string();
    assert!(line.contains("there is a machine a already"), "{line}");
    let line = machines.draft(&name("a")).unwrap_err().to_string();
    assert!(line.contains("there is a machine a already"), "{line}");
    assert_eq!(rig.entries(), ["a"]);
}

#[test]
fn a_machine_is_held_by_one_and_removed_by_that_one() {
    let rig = Rig::new("hold");
    let machines = rig.machines();
    let held = machines.draft(&name("a")).unwrap().finish(&spec()).unwrap();
    let line = machines.get(&name("a")).unwrap().hold().unwrap_err();
    assert!(line.to_string().contains("runs already"), "{line}");
    drop(held);
    let held = machines.get(&name("a")).unwrap().hold().unwrap();
    held.remove().unwrap();
    assert!(machines.find(&name("a")).is_none() && rig.entries().is_empty());
    let line = machines.get(&name("a")).unwrap_err().to_string();
    assert!(line.contains("there is no machine a"), "{line}");
}

/// The process of a machine may end while another that it starts still has copies of its open files.
#[test]
fn a_machine_whose_process_is_gone_but_for_a_moment_is_held_again() {
    let rig = Rig::new("linger");
    let machines = rig.machines();
    let held = machines.draft(&name("a")).unwrap().finish(&spec()).unwrap();
    let folder = held.release();
    let attempt = || {
        let holder = File::open(folder.path().join("lock")).unwrap();
        holder.lock().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(50));
                drop(holder);
            });
            folder.clone().hold().is_ok()
        })
    };
    // More than once for the sake of hosts that are too busy to wake the holder in time.
    assert!((0..10).any(|_| attempt()));
}
