//! What images may be called.

use crate::{Debian, Error};

/// No name is longer.
const LONGEST: usize = 64;

/// The name under which an image is kept: `debian:12` is `debian`.
pub(super) fn canonical(name: &str) -> Result<String, Error> {
    if let Some(debian) = Debian::named(name) {
        return Ok(debian.name().to_owned());
    }
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let is_reserved = name == "lock";
    if !starts_well || is_reserved || name.len() > LONGEST || !name.bytes().all(is_good) {
        return Err(Error::ImageName {
            name: name.to_owned(),
        });
    }
    Ok(name.to_owned())
}
