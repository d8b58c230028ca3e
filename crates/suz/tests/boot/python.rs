//! A guest with Debian's Python beside the busybox, for what no shell can do.

use std::path::Path;

use image::{Cache, Known, Packages, Release, user_space};

use crate::guest::{Guest, Spec};

const RECIPE: Packages = Packages {
    name: "test-python",
    release: Release::Bookworm,
    wanted: &["python3.11-minimal", "libpython3.11-stdlib"],
    // What installing needs, and modules that no test imports.
    without: &[
        "debconf",
        "dpkg",
        "libbz2-1.0",
        "libcrypt1",
        "libdb5.3",
        "libffi8",
        "libgssapi-krb5-2",
        "liblzma5",
        "libncursesw6",
        "libnsl2",
        "libreadline8",
        "libsqlite3-0",
        "libtinfo6",
        "libtirpc3",
        "libuuid1",
        "media-types",
        "perl-base",
        "tar",
    ],
    except: &[
        "usr/share/",
        "usr/lib/x86_64-linux-gnu/gconv",
        "usr/lib/python3.11/asyncio",
        "usr/lib/python3.11/distutils",
        "usr/lib/python3.11/email",
        "usr/lib/python3.11/lib2to3",
        "usr/lib/python3.11/pydoc_data",
        "usr/lib/python3.11/unittest",
        "usr/lib/python3.11/xml",
        "etc/",
        "sbin/",
    ],
};

/// Debian's kernel, with its drivers loaded before `script` runs, and `program` as `/program.py`.
pub(crate) fn start(name: &str, script: &str, program: &str, options: &[(&str, &str)]) -> Guest {
    let cache = Cache::open().expect("a folder for the cache");
    let tree = cache.tree(&RECIPE).expect("Debian's Python can be had");
    let (kernel, drivers) = cache
        .drivers()
        .expect("the cloud kernel's modules can be had");
    let busybox = cache.ensure(Known::Busybox).expect("busybox can be had");
    let busybox = std::fs::read(busybox.path).expect("the cache is readable");
    let script = format!("drivers\nexport PATH=/bin:/usr/bin\n{script}");
    let more = user_space::with_drivers(user_space::script(&busybox, &script), &drivers).file(
        "program.py",
        0o644,
        program.as_bytes(),
    );
    let initrd = cache
        .tree_initrd(name, &tree, &more)
        .expect("the cache is writable");
    let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let spec = Spec::new(&kernel.path)
        .with("--initrd", path(&initrd))
        .with("--append", "console=ttyS0 quiet panic=-1");
    let with = |spec: Spec, &(option, value): &(&str, &str)| spec.with(option, value);
    options.iter().fold(spec, with).start()
}
