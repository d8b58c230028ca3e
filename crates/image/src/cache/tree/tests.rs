use super::*;

const RECIPE: Packages = Packages {
    name: "test",
    release: Release::Bookworm,
    wanted: &["tiny"],
    without: &[],
    except: &["usr/share/doc", "*.a"],
};

fn scratch(name: &str) -> (PathBuf, Cache) {
    let root = std::env::temp_dir().join(format!("suz-tree-{name}-{}", std::process::id()));
    let cache = Cache::at(&root).unwrap();
    (root, cache)
}

/// A root as packages would make it.
fn sample(root: &Path) {
    for folder in ["usr/bin", "usr/lib", "usr/share/doc/tiny", "usr/share/tiny"] {
        create(&root.join(folder)).unwrap();
    }
    for (path, text) in [
        ("usr/bin/tiny", "program"),
        ("usr/lib/tiny.a", "archive"),
        ("usr/share/doc/tiny/copyright", "text"),
        ("usr/share/tiny/data", "data"),
    ] {
        fs::write(root.join(path), text).unwrap();
    }
    std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
}

/// Publishes the sample as if it had been fetched.
fn published(cache: &Cache, recipe: &Packages) -> PathBuf {
    let files = cache.root().join("tmp").join(unique()).join("files");
    let root = files.join("root");
    sample(&root);
    prune(&root, recipe).unwrap();
    let count = Walk::count(&root).unwrap().line();
    let manifest = format!("recipe {}\npackage tiny 1-2 00\n{count}", recipe.hash());
    fs::write(files.join(MANIFEST), manifest).unwrap();
    publish(&cache.trees(recipe), "1", &files).unwrap()
}

#[test]
fn what_is_left_out_goes_with_its_folders() {
    let (scratch, _) = scratch("prune");
    sample(&scratch);
    prune(&scratch, &RECIPE).unwrap();
    let paths: Vec<_> = walk::walk(&scratch).unwrap();
    let paths: Vec<_> = paths.iter().map(|found| found.path.as_str()).collect();
    let expected = [
        "bin",
        "usr",
        "usr/bin",
        "usr/bin/tiny",
        "usr/lib",
        "usr/share",
        "usr/share/tiny",
        "usr/share/tiny/data",
    ];
    assert_eq!(paths, expected);
    fs::remove_dir_all(scratch).unwrap();
}

#[test]
fn a_tree_is_found_while_it_is_whole_and_of_this_recipe() {
    let (scratch, cache) = scratch("find");
    assert_eq!(cache.find_tree(&RECIPE), None);
    let folder = published(&cache, &RECIPE);
    let tree = cache.tree(&RECIPE).unwrap();
    assert_eq!(tree.root, folder.join("root"));
    assert_eq!(tree.packages, [("tiny".to_owned(), "1-2".to_owned())]);

    let other = Packages {
        without: &["more"],
        ..RECIPE
    };
    assert_eq!(cache.find_tree(&other), None);
    fs::write(tree.root.join("usr/bin/tiny"), "cut").unwrap();
    assert_eq!(cache.find_tree(&RECIPE), None);
    fs::write(tree.root.join("usr/bin/tiny"), "program").unwrap();
    assert!(cache.find_tree(&RECIPE).is_some());
    fs::remove_file(tree.root.join("bin")).unwrap();
    assert_eq!(cache.find_tree(&RECIPE), None);
    fs::remove_dir_all(scratch).unwrap();
}

#[test]
fn an_initramfs_holds_the_tree_and_what_is_put_over_it() {
    let (scratch, cache) = scratch("initrd");
    published(&cache, &RECIPE);
    let tree = cache.tree(&RECIPE).unwrap();
    let more = Initramfs::new().file("init", 0o755, b"init");
    let path = cache.tree_initrd("test", &tree, &more).unwrap();
    let bytes = fs::read(&path).unwrap();
    let expected = Initramfs::new()
        .link("bin", "usr/bin")
        .folder("usr/bin")
        .file("usr/bin/tiny", 0o644, b"program")
        .folder("usr/lib")
        .file("usr/share/tiny/data", 0o644, b"data")
        .then(&more)
        .build();
    assert_eq!(bytes, expected);
    let other = Initramfs::new().file("init", 0o755, b"other");
    assert_ne!(cache.tree_initrd("test", &tree, &other).unwrap(), path);
    fs::remove_dir_all(scratch).unwrap();
}
