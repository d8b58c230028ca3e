//! The value of `--gdb`.

use gdb::Place;

/// Where a debugger may connect, and whether the guest waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gdb {
    pub(crate) place: Place,
    pub(crate) waits: bool,
}

/// Parses `[ADDRESS:]PORT[,nowait]` or `PATH[,nowait]`.
pub(super) fn parse(text: &str) -> Result<Gdb, String> {
    let (place, waits) = match text.strip_suffix(",nowait") {
        Some(place) => (place, false),
        None => (text, true),
    };
    let place = place
        .parse()
        .map_err(|error: gdb::Unclear| error.to_string())?;
    Ok(Gdb { place, waits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_waits_unless_told_otherwise() {
        let parsed = |text| parse(text).map(|gdb| (gdb.place.to_string(), gdb.waits));
        assert_eq!(parsed("1234"), Ok(("127.0.0.1:1234".to_owned(), true)));
        assert_eq!(
            parsed("/run/gdb,nowait"),
            Ok(("/run/gdb".to_owned(), false))
        );
        assert!(parsed("1234,later").is_err() && parsed(",nowait").is_err());
    }
}
