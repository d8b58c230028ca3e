//! Why something to start a machine from cannot be had.

use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate; each text is one line that says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither `SUZ_CACHE`, `XDG_CACHE_HOME` nor `HOME` says where the cache is.
    #[error("no place for the cache: set SUZ_CACHE to a folder, or set HOME")]
    NoCacheFolder,

    /// A file or folder of the cache or of the host's apt configuration resists.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb: "read", "create".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// A program that every Debian has is not there.
    #[error(
        "`{tool}` is not on this host: guests are fetched from Debian's packages, so run this on Debian, or copy \
         a filled cache from a Debian machine and point SUZ_CACHE at it"
    )]
    NoTool {
        /// The program's name.
        tool: String,
    },

    /// A program is there but could not be started or read from.
    #[error("cannot run `{tool}`")]
    Tool {
        /// The program's name.
        tool: String,
        /// The system's reason.
        source: io::Error,
    },

    /// A program ran and failed.
    #[error("`{tool}` failed: {detail}")]
    ToolFailed {
        /// The program's name.
        tool: String,
        /// The most telling line of what it printed.
        detail: String,
    },

    /// Packages' scripts have to run as some root.
    #[error(
        "images are built in a user namespace, and this user can't have one ({detail}): install uidmap and run \
         `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`, or build as root"
    )]
    NoNamespace {
        /// What mmdebstrap says.
        detail: String,
    },

    /// Nobody knows an image of that name.
    #[error("no image is called {name}; there are {known}, and `suz image import` makes others")]
    NoImage {
        /// What was asked for.
        name: String,
        /// Those that there are, and that can be built.
        known: String,
    },

    /// A name that no image can have.
    #[error(
        "'{name}' is no name of an image: letters, digits, '.', '-', '_' and ':' are possible, a letter or digit first"
    )]
    ImageName {
        /// The name.
        name: String,
    },

    /// The disk that makes a machine personal could not be made.
    #[error("making the seed")]
    Seed(#[source] io::Error),

    /// The host's apt knows no Debian mirror to derive others from.
    #[error(
        "apt's sources on this host list no Debian archive: add one (component main) under /etc/apt, or copy a \
         filled cache from a Debian machine and point SUZ_CACHE at it"
    )]
    NoDebianSource,

    /// The package index could not be fetched, and there is no older one.
    #[error(
        "no package index of Debian {release} ({detail}): check the network and `apt-get update`, then try again"
    )]
    NoIndex {
        /// The release's code name.
        release: &'static str,
        /// apt's own words.
        detail: String,
    },

    /// The index has no such package.
    #[error(
        "Debian {release} ({architecture}) has no package {package}: check that its mirror is complete"
    )]
    NoPackage {
        /// The package that was asked for.
        package: String,
        /// The release's code name.
        release: &'static str,
        /// Debian's name of the architecture.
        architecture: &'static str,
    },

    /// apt's answer about a package lacks a field.
    #[error(
        "apt says nothing of the {field} of {package}: this apt is too old, or its index is damaged"
    )]
    BadIndex {
        /// The package.
        package: String,
        /// The missing field.
        field: &'static str,
    },

    /// apt finds no way to have packages with all that they need.
    #[error("cannot install {packages} ({detail}): check that the mirror is complete")]
    Dependencies {
        /// The packages.
        packages: String,
        /// apt's own words.
        detail: String,
    },

    /// A package could not be downloaded.
    #[error("cannot download {package} ({detail}): check the network, then try again")]
    Download {
        /// The package.
        package: String,
        /// apt's own words.
        detail: String,
    },

    /// A downloaded package is not what the signed index promises.
    #[error(
        "{package} as downloaded does not have the SHA-256 of apt's index: try again, and if it stays so, another mirror"
    )]
    Checksum {
        /// The package.
        package: String,
    },

    /// A package does not hold the file that is wanted out of it.
    #[error("cannot take {file} out of {package}: {detail}")]
    Unpack {
        /// The package.
        package: String,
        /// The file's path inside it.
        file: String,
        /// tar's or dpkg-deb's own words.
        detail: String,
    },

    /// The bytes are no bzImage with a payload (Linux boot protocol 2.08 or newer).
    #[error("not a bzImage: {0}")]
    NotBzImage(&'static str),

    /// The payload of a bzImage is packed in a way that is not read here.
    #[error(
        "the kernel inside this bzImage is packed with {0}, and only LZ4 is read: boot the bzImage itself"
    )]
    Compression(&'static str),

    /// The payload of a bzImage does not unpack.
    #[error("the LZ4 data inside this bzImage is damaged: {0}")]
    Lz4(&'static str),
}

impl Error {
    /// Names the file and what was tried with it; for `map_err`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
