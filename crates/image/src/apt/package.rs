//! What apt's index says of a package, and which package a meta-package stands for.

use super::source::{field, paragraphs};
use crate::Error;

/// One version of a package, as `apt-cache show` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Size of the `.deb` in bytes.
    pub(crate) size: u64,
    /// SHA-256 of the `.deb`, in hexadecimal.
    pub(crate) sha256: String,
    depends: String,
}

impl Package {
    /// Reads the first paragraph of `apt-cache show --no-all-versions NAME`; None where there is none.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Option<Self>, Error> {
        let stanza = paragraphs(text).into_iter().next();
        stanza.map(|stanza| Self::of(name, &stanza)).transpose()
    }

    /// Reads every paragraph of `apt-cache show --no-all-versions NAME…`.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Self>, Error> {
        let stanzas = paragraphs(text);
        let name = |stanza| field(stanza, "Package").unwrap_or("?").to_owned();
        stanzas
            .iter()
            .map(|stanza| Self::of(&name(stanza), stanza))
            .collect()
    }

    fn of(name: &str, stanza: &[(String, String)]) -> Result<Self, Error> {
        let get = |wanted: &'static str| {
            field(stanza, wanted).ok_or_else(|| Error::BadIndex {
                package: name.to_owned(),
                field: wanted,
            })
        };
        let size = get("Size")?;
        Ok(Self {
            name: get("Package")?.to_owned(),
            version: get("Version")?.to_owned(),
            size: size.parse().map_err(|_| Error::BadIndex {
                package: name.to_owned(),
                field: "Size",
            })?,
            sha256: get("SHA256")?.to_owned(),
            depends: field(stanza, "Depends").unwrap_or("").to_owned(),
        })
    }

    /// The kernel package that a kernel meta-package pulls in; None for a package that is no such meta-package.
    pub(crate) fn kernel(&self) -> Option<&str> {
        let names = self
            .depends
            .split([',', '|'])
            .filter_map(|relation| relation.split_whitespace().next());
        names
            .map(|name| name.split(':').next().unwrap_or(name))
            .find(|name| name.starts_with("linux-image-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = "\
Package: linux-image-cloud-amd64
Source: linux-signed-amd64 (6.1.176+1)
Version: 6.1.176-1
Provides: linux-latest-modules-6.1.0-50-cloud-amd64, wireguard-modules (= 1.0.0)
Depends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)
Filename: pool/main/l/linux-signed-amd64/linux-image-cloud-amd64_6.1.176-1_amd64.deb
Size: 1500
SHA256: 6f32a25a6ee7b58852de01577ba261fda873c3002c736a2148bf0a6593bd93c8

Package: linux-image-cloud-amd64
Version: 6.1.1-1
Depends: linux-image-6.1.0-1-cloud-amd64 (= 6.1.1-1)
Size: 1
SHA256: 00
";

    const KERNEL: &str = "\
Package: linux-image-6.1.0-50-cloud-amd64
Version: 6.1.176-1
Depends: kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool
Size: 26484304
SHA256: efe19f605b6f54a8352e68d85a629abb2d30b72a085faef603a9152590baa791
";

    fn parse(text: &str) -> Package {
        Package::parse("p", text).unwrap().unwrap()
    }

    #[test]
    fn a_meta_package_leads_to_its_kernel() {
        let meta = parse(META);
        assert_eq!(meta.version, "6.1.176-1");
        assert_eq!(meta.kernel(), Some("linux-image-6.1.0-50-cloud-amd64"));
        let kernel = parse(KERNEL);
        assert_eq!(kernel.kernel(), None);
        assert_eq!(kernel.size, 26_484_304);
        assert!(kernel.sha256.starts_with("efe19f60"));
    }

    #[test]
    fn alternatives_and_architectures_of_a_dependency() {
        let text = META
            .replace("Depends: linux", "Depends: base | x (>> 2), linux")
            .replace("-amd64 (=", "-amd64:any (=");
        assert_eq!(
            parse(&text).kernel(),
            Some("linux-image-6.1.0-50-cloud-amd64")
        );
    }

    #[test]
    fn several_packages_are_read() {
        let packages = Package::parse_all(&format!("{META}\n{KERNEL}")).unwrap();
        let names: Vec<_> = packages.iter().map(|package| &*package.name).collect();
        assert_eq!(names[2], "linux-image-6.1.0-50-cloud-amd64");
        assert_eq!(names.len(), 3);
        assert!(Package::parse_all("").unwrap().is_empty());
        assert!(Package::parse_all(&META.replace("Size", "Weight")).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(Package::parse("p", "").unwrap().is_none());
        let error = Package::parse("p", &KERNEL.replace("SHA256", "MD5")).unwrap_err();
        assert!(
            matches!(
                error,
                Error::BadIndex {
                    field: "SHA256",
                    ..
                }
            ),
            "{error:?}"
        );
        let error = Package::parse("p", &KERNEL.replace("26484304", "much")).unwrap_err();
        assert!(
            matches!(error, Error::BadIndex { field: "Size", .. }),
            "{error:?}"
        );
    }
}
