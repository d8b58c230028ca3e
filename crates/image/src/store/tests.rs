use super::*;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = format!("suz-store-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(folder))
    }

    fn store(&self) -> Store {
        Store::at(&self.0, |_| {}).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn manifest() -> Manifest {
    Manifest {
        system: "Odd \"1\"".into(),
        origin: "a test".into(),
        disk: "disk.img".into(),
        format: "raw".into(),
        size: 512,
    }
}

fn publish(store: &Store, name: &str) -> Image {
    let draft = store.draft().unwrap();
    fs::write(draft.folder().join("disk.img"), [0; 512]).unwrap();
    draft.publish(store, name, &manifest()).unwrap()
}

#[test]
fn an_image_is_there_when_it_is_published_and_gone_when_it_is_removed() {
    let place = Place::new("publish");
    let store = place.store();
    assert_eq!(store.find("odd").unwrap(), None);
    let made = publish(&store, "odd");
    assert_eq!(made.manifest, manifest());
    assert_eq!(store.find("odd").unwrap(), Some(made.clone()));
    assert_eq!(store.list(), [made]);
    store.remove("odd").unwrap();
    assert_eq!(store.find("odd").unwrap(), None);
    assert!(matches!(store.remove("odd"), Err(Error::NoImage { .. })));
    assert_eq!(names(&place.0), ["lock"]);
}

#[test]
fn what_is_not_published_leaves_nothing() {
    let place = Place::new("draft");
    let store = place.store();
    let draft = store.draft().unwrap();
    fs::write(draft.folder().join("disk.img"), "half").unwrap();
    drop(draft);
    assert_eq!(fs::read_dir(place.0.join(WORK)).unwrap().count(), 0);
    // What a killed process left goes with the next.
    create(&place.0.join(WORK).join("killed")).unwrap();
    publish(&store, "next");
    assert!(!place.0.join(WORK).join("killed").exists());
    assert_eq!(store.list().len(), 1);
}

#[test]
fn names_are_checked_and_debian_has_two_for_one() {
    let place = Place::new("names");
    let store = place.store();
    for bad in [
        "",
        "a/b",
        "../x",
        ".hidden",
        "-x",
        "lock",
        "a b",
        &"a".repeat(65),
    ] {
        let error = store.find(bad).unwrap_err();
        assert!(matches!(error, Error::ImageName { .. }), "{bad}: {error}");
    }
    assert_eq!(publish(&store, "debian:12").name, "debian");
    assert!(store.find("debian").unwrap().is_some());
    let error = store.unknown("debain").to_string();
    let start = "no image is called debain; there are debian, debian:13, and";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn damaged_descriptions_are_no_images() {
    let place = Place::new("damaged");
    let store = place.store();
    let image = publish(&store, "odd");
    let path = image.disk.with_file_name(MANIFEST);
    for text in [
        "",
        "system = 1",
        "disk = \"../../lock\"\nsystem=\"\"\norigin=\"\"\nformat=\"raw\"\nsize=1",
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(store.find("odd").unwrap(), None, "{text}");
        assert_eq!(store.list(), []);
    }
}

/// A version as an older build has left it.
fn older(store: &Store, name: &str, version: &str) -> PathBuf {
    let home = store.root.join(name);
    let folder = home.join(version);
    create(&folder).unwrap();
    fs::write(folder.join("disk.img"), [0; 512]).unwrap();
    manifest().write(&folder.join(MANIFEST)).unwrap();
    folder.join("disk.img")
}

#[test]
fn what_nobody_uses_of_old_versions_is_removed() {
    let place = Place::new("prune");
    let store = place.store();
    let used = older(&store, "odd", "20200101-000000");
    let unused = older(&store, "odd", "20210101-000000");
    let newest = publish(&store, "odd");
    let alone = publish(&store, "even");
    let versions = |images: &[Image]| {
        let versions = images.iter().map(|image| image.version.clone());
        versions.collect::<Vec<_>>()
    };
    let outdated = versions(&store.outdated());
    assert_eq!(outdated, ["20210101-000000", "20200101-000000"]);
    let gone = store.prune(|disk| Ok::<_, Error>(disk == used)).unwrap();
    assert_eq!(versions(&gone), ["20210101-000000"]);
    assert!(used.exists() && !unused.exists() && newest.disk.exists() && alone.disk.exists());
    // Somebody comes in the last moment, or can't be asked: it is there again.
    let asked = std::cell::Cell::new(0);
    let late = |_: &Path| {
        asked.set(asked.get() + 1);
        Ok::<_, Error>(asked.get() == 2)
    };
    assert_eq!(store.prune(late).unwrap(), []);
    assert!(used.exists());
    let fails = |disk: &Path| match disk.exists() {
        true => Ok(false),
        false => Err(store.unknown("x")),
    };
    store.prune(fails).unwrap_err();
    assert!(used.exists());
    assert_eq!(
        versions(&store.prune(|_| Ok::<_, Error>(false)).unwrap()),
        ["20200101-000000"]
    );
    assert!(!used.exists());
}
