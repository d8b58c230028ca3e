//! Single files out of Debian packages.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::{Error, tool};

/// Takes `members` (paths without a leading `/`) out of the package into `folder`; returns their new paths.
///
/// Unpacking stops at the last member, which for a kernel spares hundreds of megabytes of modules.
pub(crate) fn extract(
    deb: &Path,
    package: &str,
    members: &[String],
    folder: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let place = |member: &String| folder.join(member.rsplit('/').next().unwrap_or(member));
    let failed = |member: Option<&String>, detail: &str| Error::Unpack {
        package: package.to_owned(),
        file: member.cloned().unwrap_or_default(),
        detail: detail.to_owned(),
    };
    let mut unpack = tool::command("dpkg-deb");
    unpack
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut source = unpack
        .spawn()
        .map_err(|error| tool::failure(&unpack, error))?;
    let archive = source
        .stdout
        .take()
        .expect("the standard output was asked for as a pipe");

    let mut take = tool::command("tar");
    take.args([
        "-x",
        "--occurrence=1",
        "--no-same-owner",
        "--transform=s|.*/||",
        "-f",
        "-",
    ]);
    let taken = take
        .arg("-C")
        .arg(folder)
        .args(members.iter().map(|member| format!("./{member}")))
        .stdin(archive)
        .output();
    let taken = taken.map_err(|error| tool::failure(&take, error));
    // The command holds the pipe's end until it is dropped. dpkg-deb, when tar has had enough, ends by a broken
    // pipe, so its own failure tells something only if tar failed too.
    drop(take);
    let broken = source
        .wait_with_output()
        .map_err(|error| tool::failure(&unpack, error))?;
    let taken = taken?;
    if !taken.status.success() {
        let why = if broken.status.success() {
            taken.stderr
        } else {
            broken.stderr
        };
        let missing = members.iter().find(|member| !place(member).is_file());
        return Err(failed(
            missing.or(members.first()),
            String::from_utf8_lossy(&why)
                .lines()
                .next()
                .unwrap_or("no reason given"),
        ));
    }
    let odd = |file: &PathBuf| !file.is_file() || file.is_symlink();
    match members.iter().find(|member| odd(&place(member))) {
        Some(member) => Err(failed(Some(member), "it is no regular file")),
        None => Ok(members.iter().map(place).collect()),
    }
}

/// Unpacks `NAME.gz` to `NAME` beside it, which replaces it, and returns the new path.
pub(crate) fn gunzip(path: &Path) -> Result<PathBuf, Error> {
    tool::run(tool::command("gzip").args(["-d", "--"]).arg(path))?;
    Ok(path.with_extension(""))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    /// A small package made here; None where dpkg-deb is missing.
    fn package(folder: &Path) -> Option<()> {
        let tree = folder.join("tree");
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::create_dir_all(tree.join("boot")).unwrap();
        let control = "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example>\nDescription: x\n";
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        fs::write(tree.join("boot/a+b"), "kernel").unwrap();
        fs::set_permissions(tree.join("boot/a+b"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("a+b", tree.join("boot/link")).unwrap();
        let packed = Command::new("gzip")
            .arg("-nc")
            .arg(tree.join("boot/a+b"))
            .output()
            .unwrap();
        fs::write(tree.join("boot/k.gz"), packed.stdout).unwrap();
        // Large enough that unpacking is under way when tar has had enough.
        fs::write(tree.join("boot/z"), vec![0x5A; 8 << 20]).unwrap();
        let deb = folder.join("tiny.deb");
        Command::new("dpkg-deb")
            .arg("--build")
            .arg(&tree)
            .arg(&deb)
            .output()
            .ok()?
            .status
            .success()
            .then_some(())
    }

    #[test]
    fn one_file_comes_out_and_what_is_absent_is_named() {
        let folder = std::env::temp_dir().join(format!("suz-deb-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        if package(&folder).is_none() {
            eprintln!("SKIPPED: no dpkg-deb on this host");
            return;
        }
        let (deb, out) = (folder.join("tiny.deb"), folder.join("out"));
        fs::create_dir(&out).unwrap();
        let take = |member: &str| {
            let taken = extract(&deb, "tiny", &[member.to_owned()], &out)?;
            Ok::<_, Error>(taken.into_iter().next().unwrap_or_default())
        };
        let kernel = take("boot/a+b").unwrap();
        assert_eq!(kernel, out.join("a+b"));
        assert_eq!(fs::read(&kernel).unwrap(), b"kernel");
        assert_eq!(
            fs::metadata(&kernel).unwrap().permissions().mode() & 0o777,
            0o755
        );
        let unpacked = gunzip(&take("boot/k.gz").unwrap()).unwrap();
        assert_eq!(unpacked, out.join("k"));
        assert_eq!(fs::read(unpacked).unwrap(), b"kernel");
        assert_eq!(
            fs::read_dir(&out).unwrap().count(),
            2,
            "nothing else is left there"
        );

        let error = take("boot/none").unwrap_err().to_string();
        assert!(
            error.starts_with("cannot take boot/none out of tiny: ") && error.contains("Not found"),
            "{error}"
        );
        let error = take("boot/link").unwrap_err().to_string();
        assert!(error.ends_with("it is no regular file"), "{error}");
        fs::write(&deb, "no package").unwrap();
        let error = take("boot/a+b").unwrap_err().to_string();
        assert!(error.contains("dpkg-deb"), "{error}");
        fs::write(out.join("x.gz"), "not packed").unwrap();
        assert!(matches!(
            gunzip(&out.join("x.gz")),
            Err(Error::ToolFailed { .. })
        ));
        fs::remove_dir_all(&folder).unwrap();
    }
}
