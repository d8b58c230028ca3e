use super::*;

#[test]
fn releases_have_names() {
    let system = |name| Debian::named(name).map(Debian::system);
    assert_eq!(system("debian").as_deref(), Some("Debian 12 (bookworm)"));
    assert_eq!(system("debian:12"), system("debian"));
    assert_eq!(system("debian:13").as_deref(), Some("Debian 13 (trixie)"));
    assert_eq!(system("debian:11"), None);
}

#[test]
fn files_of_ours_are_whole_lines_without_the_mark_that_ends_them() {
    for file in files::early("u-u-i-d") {
        assert!(!file.path.starts_with('/') && file.text.ends_with('\n'));
        assert!(!file.text.lines().any(|line| line == "END OF FILE"));
    }
    assert!(files::late().ends_with('\n'));
}

#[test]
fn a_disk_has_no_name_before_it_is_complete() {
    let folder = std::env::temp_dir().join(format!("suz-disk-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let disk = NewDisk::create(&folder, 4096).unwrap();
    std::fs::write(disk.path(), "written by another").unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    disk.publish(&folder.join(DISK)).unwrap();
    let text = std::fs::read(folder.join(DISK)).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(text.starts_with(b"written by another"));
}

/// The builder's apt has its configuration in the new system's /tmp: without it, it works on the host's own folders.
#[test]
fn the_set_up_leaves_the_builders_files_alone() {
    let lines = files::late().lines();
    let mut code = lines.filter(|line| !line.trim_start().starts_with('#'));
    assert!(code.all(|line| !line.contains("/tmp") && !line.contains("00mmdebstrap")));
}
