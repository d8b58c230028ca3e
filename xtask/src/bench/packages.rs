//! The root tree of Debian's packages: in the guest as an initramfs, on the bare host as a root of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{Cache, Initramfs, Release, Tree};

use super::boot::Figure;
use super::native;
use super::plan::{Plan, Stage};

/// A Python, a C compiler without linker, SQLite's shell and node, of Debian 12.
const RECIPE: image::Packages = image::Packages {
    name: "bench",
    release: Release::Bookworm,
    wanted: &[
        "python3.11-minimal",
        "gcc-12",
        "libc6-dev",
        "libstb-dev",
        "sqlite3",
        "nodejs",
    ],
    // What installing needs, and what no compilation of a C file loads.
    without: &[
        "debconf",
        "dpkg",
        "libasan8",
        "libcc1-0",
        "libdb5.3",
        "libgprofng0",
        "libgssapi-krb5-2",
        "libitm1",
        "libk5crypto3",
        "libkeyutils1",
        "libkrb5-3",
        "libkrb5support0",
        "liblsan0",
        "libnsl-dev",
        "libnsl2",
        "libselinux1",
        "libtirpc-common",
        "libtirpc-dev",
        "libtirpc3",
        "libtsan2",
        "libubsan1",
        "perl-base",
        "readline-common",
        "rpcsvc-proto",
        "tar",
    ],
    except: &[
        "usr/share/bug",
        "usr/share/doc",
        "usr/share/gcc",
        "usr/share/gdb",
        "usr/share/info",
        "usr/share/lintian",
        "usr/share/locale",
        "usr/share/man",
        "usr/lib/x86_64-linux-gnu/gconv",
        "usr/lib/gcc/x86_64-linux-gnu/12/lto",
        "usr/bin/x86_64-linux-gnu-dwp",
        "usr/bin/x86_64-linux-gnu-ld",
        "usr/bin/x86_64-linux-gnu-lto",
        "*.a",
    ],
};

/// Arguments: the root, the program, its arguments. Runs the program in the root, which it can't change, with a
/// tmpfs as a guest has it.
const ENTER: &str = r#"
root=$1 program=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount -t tmpfs tmp "$root/tmp"
cp "$program" "$root/tmp/program"
exec /usr/sbin/chroot "$root" /tmp/program "$@"
"#;

/// Ways to mounts of one's own, for root and for others.
const WAYS: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];

/// The tree, and how this user enters it.
pub(crate) struct Packages {
    tree: Tree,
    /// None where the host does not let this user have mounts of its own.
    way: Option<&'static [&'static str]>,
}

impl Packages {
    pub(crate) fn ensure(cache: &Cache, workload: &Path) -> anyhow::Result<Self> {
        let tree = cache.tree(&RECIPE)?;
        let works = |way: &&'static [&'static str]| {
            let mut command = enter(way, &tree.root, workload);
            command
                .arg("--list")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let way = WAYS.into_iter().find(works);
        if way.is_none() {
            println!(
                "SKIPPED the packages' programs on the bare host: `unshare --mount` is not allowed here"
            );
        }
        Ok(Self { tree, way })
    }

    /// The initramfs of a guest: the tree under `more`, which has the init.
    pub(crate) fn initrd(&self, cache: &Cache, more: &Initramfs) -> anyhow::Result<PathBuf> {
        Ok(cache.tree_initrd("bench-packages", &self.tree, more)?)
    }

    /// Runs the rows on the bare host, with the tree as the root.
    pub(crate) fn native(
        &self,
        workload: &Path,
        plan: &Plan,
        milliseconds: u64,
    ) -> anyhow::Result<Vec<Figure>> {
        let Some(way) = self.way else {
            return Ok(Vec::new());
        };
        let command = enter(way, &self.tree.root, workload);
        native::figures(command, plan, Stage::Packages, milliseconds)
    }

    /// What the programs are, for a page.
    pub(crate) fn versions(&self) -> String {
        let wanted = |name: &str| RECIPE.wanted.contains(&name) && !name.ends_with("-dev");
        let named = self.tree.packages.iter().filter(|(name, _)| wanted(name));
        let named: Vec<_> = named
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        named.join(", ")
    }
}

/// The program with the tree as its root; its arguments are still to be added.
fn enter(way: &[&str], root: &Path, program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(way)
        .args(["sh", "-ec", ENTER, "sh"])
        .arg(root)
        .arg(program)
        .env("TMPDIR", "/tmp");
    command
}
