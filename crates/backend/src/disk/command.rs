//! What is done with images while no machine runs.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use iface::Disk;

use super::{Error, Format, Header, Options, Qcow2, SECTOR, by_name, format, lock, open};

/// Bytes that are copied at once.
const CHUNK: u64 = 1 << 20;

/// What can be said of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its format.
    pub format: Format,
    /// Bytes of the disk.
    pub size: u64,
    /// Bytes that the file takes on the host.
    pub taken: u64,
    /// The file below, as the image names it.
    pub below: Option<String>,
    /// Snapshots inside of it.
    pub snapshots: u32,
}

/// Looks at an image, which may be in use.
///
/// # Errors
/// When it can't be read or is no image.
pub fn info(path: &Path, told: Option<Format>) -> Result<Info, Error> {
    let file = File::open(path).map_err(Error::host(path))?;
    let metadata = file.metadata().map_err(Error::host(path))?;
    let taken = metadata.blocks() * 512;
    let format = format(path, &file, told)?;
    if format == Format::Raw {
        return Ok(Info {
            format,
            size: metadata.len(),
            taken,
            below: None,
            snapshots: 0,
        });
    }
    let header = Header::read(&file).map_err(Error::host(path))?;
    let header = header.ok_or_else(|| Error::image(path, "is no qcow2 image"))?;
    Ok(Info {
        format,
        size: header.size,
        taken,
        below: header.below.map(|(path, _)| path),
        snapshots: header.snapshots,
    })
}

/// Makes a new image of `size` bytes, or, over another image, of that one's size unless told otherwise.
///
/// # Errors
/// When there is a file already, or none can be made.
pub fn create(
    path: &Path,
    told: Option<Format>,
    size: Option<u64>,
    below: Option<(&Path, Option<Format>)>,
) -> Result<(), Error> {
    let kind = told.unwrap_or_else(|| by_name(path));
    let base = match below {
        Some(_) if kind == Format::Raw => {
            return Err(Error::image(
                path,
                "a raw image can't lie over another: make it qcow2",
            ));
        }
        Some((below, told)) => Some(self::base(path, below, told)?),
        None => None,
    };
    let size = size.or(base.as_ref().map(|(_, _, size)| *size));
    let size = size.ok_or_else(|| Error::image(path, "needs a size"))?;
    if size == 0 || !size.is_multiple_of(SECTOR) {
        let problem = format!("{size} bytes are no whole number of 512-byte sectors");
        return Err(Error::image(path, problem));
    }
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path);
    let file = file.map_err(Error::host(path))?;
    let made = match kind {
        Format::Raw => file.set_len(size).map_err(Error::host(path)),
        Format::Qcow2 => {
            let below = base
                .as_ref()
                .map(|(path, format, _)| (path.as_str(), *format));
            Qcow2::create(path, file, size, below)
        }
    };
    // Nothing half made stays.
    made.inspect_err(|_| drop(fs::remove_file(path)))
}

/// The name of an image below as one beside it will write it, its format, and its size.
fn base(path: &Path, below: &Path, told: Option<Format>) -> Result<(String, Format, u64), Error> {
    let Info { format, .. } = info(below, told)?;
    let options = Options {
        format: Some(format),
        read_only: true,
        ..Options::default()
    };
    let size = open(below, options)?.len();
    let folder = |path: &Path| match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    // Beside each other they can move together.
    let is_beside = fs::canonicalize(folder(path)).ok() == fs::canonicalize(folder(below)).ok();
    let name = match below.file_name() {
        Some(name) if is_beside => PathBuf::from(name),
        _ => fs::canonicalize(below).map_err(Error::host(below))?,
    };
    match name.to_str() {
        Some(name) => Ok((name.to_owned(), format, size)),
        None => Err(Error::image(below, "has a name that is no UTF-8")),
    }
}

/// Makes a disk longer, or shorter if `shrink` allows it: what was behind the new end is lost.
///
/// # Errors
/// When the image is in use or can't be changed.
pub fn resize(path: &Path, told: Option<Format>, size: u64, shrink: bool) -> Result<(), Error> {
    let file = lock(path, true)?;
    let format = format(path, &file, told)?;
    let old = info(path, Some(format))?.size;
    if size == 0 || !size.is_multiple_of(SECTOR) {
        let problem = format!("{size} bytes are no whole number of 512-byte sectors");
        return Err(Error::image(path, problem));
    }
    if size < old && !shrink {
        let problem = "would lose what lies behind the new end; --shrink allows it";
        return Err(Error::image(path, problem));
    }
    let resized = match format {
        Format::Raw => file.set_len(size).and_then(|()| file.sync_all()),
        Format::Qcow2 => Qcow2::new(path, file, Options::default())?.resize(size),
    };
    resized.map_err(Error::host(path))
}

/// Writes a qcow2 image anew, with what holds data alone, and puts it in the old one's place.
///
/// # Errors
/// When the image is in use, is not qcow2, or there is no room for the new one.
pub fn compact(path: &Path, told: Option<Format>) -> Result<(), Error> {
    let file = lock(path, true)?;
    if format(path, &file, told)? != Format::Qcow2 {
        return Err(Error::image(
            path,
            "is raw: discards inside of the guest keep it small",
        ));
    }
    if info(path, Some(Format::Qcow2))?.below.is_some() {
        return Err(Error::image(
            path,
            "lies over another image, which compacting would copy into it",
        ));
    }
    let old = Qcow2::new(path, file, Options::default())?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".compact");
    let draft = path.with_file_name(name);
    create(&draft, Some(Format::Qcow2), Some(old.len()), None)?;
    let copied = copy_all(&old, &draft).and_then(|()| {
        let renamed = fs::rename(&draft, path);
        renamed.map_err(Error::host(path))
    });
    copied.inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Makes a qcow2 image with the content of another, whatever lies below that.
///
/// # Errors
/// When the other is no image that can be used, there is a file already, or no room for a new one.
pub fn copy(from: &Path, told: Option<Format>, path: &Path) -> Result<(), Error> {
    let options = Options {
        format: told,
        read_only: true,
        ephemeral: false,
        ..Options::default()
    };
    let from = open(from, options)?;
    create(path, Some(Format::Qcow2), Some(from.len()), None)?;
    let to = Qcow2::new(path, lock(path, true)?, Options::default())?;
    let copied = copy_data(&*from, 0, from.len(), &to).and_then(|()| to.flush());
    copied
        .map_err(Error::host(path))
        .inspect_err(|_| drop(fs::remove_file(path)))
}

/// Copies what holds data and is not zero.
fn copy_all(from: &Qcow2, path: &Path) -> Result<(), Error> {
    let to = Qcow2::new(path, lock(path, true)?, Options::default())?;
    let copied = from.data(|at, len| copy_data(from, at, len, &to));
    copied.and_then(|()| to.flush()).map_err(Error::host(path))
}

/// Copies what is not zero of a range.
fn copy_data(from: &dyn Disk, at: u64, len: u64, to: &Qcow2) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK as usize];
    let mut done = 0;
    while done < len {
        let count = (len - done).min(CHUNK);
        let chunk = &mut chunk[..count as usize];
        from.read(at + done, chunk)?;
        for (index, part) in (0..).zip(chunk.chunks(64 << 10)) {
            if part.iter().any(|&byte| byte != 0) {
                to.write(at + done + index * (64 << 10), part)?;
            }
        }
        done += count;
    }
    Ok(())
}
