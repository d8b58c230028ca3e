//! The value of `--share`.

use machine::spec::Share;

/// Parses `HOSTPATH:GUESTPATH[:ro]`.
pub(super) fn parse(text: &str) -> Result<Share, String> {
    let (paths, read_only) = match text.strip_suffix(":ro") {
        Some(paths) => (paths, true),
        None => (text, false),
    };
    let (host, guest) = paths
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .ok_or_else(|| format!("'{text}' is no HOSTPATH:GUESTPATH such as src:/src"))?;
    if !guest.starts_with('/') {
        return Err(format!("the guest's path '{guest}' does not begin with /"));
    }
    if guest.contains(char::is_whitespace) {
        return Err(format!("the guest's path '{guest}' has a space in it"));
    }
    Ok(Share {
        path: host.into(),
        tag: guest.to_owned(),
        read_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_path_is_the_last_and_absolute() {
        let parsed = |text| parse(text).map(|share| (share.path, share.tag, share.read_only));
        assert_eq!(parsed("a:/b"), Ok(("a".into(), "/b".into(), false)));
        assert_eq!(parsed("/x:y:/b:ro"), Ok(("/x:y".into(), "/b".into(), true)));
        for bad in [
            "", "a", ":/b", "a:b", "a:", "a:ro", ":ro", "a:/b:rw", "a:/b c",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
