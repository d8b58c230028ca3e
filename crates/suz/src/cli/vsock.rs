//! The value of `--vsock`.

use machine::spec::{DEFAULT_CID, Vsock};

use super::list;

/// Parses `SOCKET[,cid=N]`.
pub(super) fn parse(text: &str) -> Result<Vsock, String> {
    let mut parts = list::split(text).into_iter();
    let path = parts.next().filter(|path| !path.is_empty());
    let mut vsock = Vsock {
        cid: DEFAULT_CID,
        socket: path.ok_or("a path comes first")?.into(),
    };
    for part in parts {
        let cid = part.strip_prefix("cid=");
        let cid = cid.ok_or_else(|| format!("there is no option '{part}'; there is cid=N"))?;
        vsock.cid = cid
            .parse()
            .map_err(|_| format!("'{cid}' is no address: 3 to 4294967294 are possible"))?;
    }
    Ok(vsock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_follow_the_path() {
        let parsed = |text| parse(text).map(|vsock| (vsock.socket, vsock.cid));
        assert_eq!(parsed("v"), Ok(("v".into(), 3)));
        assert_eq!(parsed("a,,b,cid=7"), Ok(("a,b".into(), 7)));
        for bad in ["", ",cid=3", "v,cid", "v,cid=x", "v,port=3"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
