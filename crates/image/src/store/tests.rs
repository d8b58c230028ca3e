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
