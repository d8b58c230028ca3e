//! The value of `--disk`.

use machine::spec::{Bus, Cache, Disk};

use super::list;

/// Parses `PATH[,OPTION]...`.
pub(super) fn parse(text: &str) -> Result<Disk, String> {
    let mut parts = list::split(text).into_iter();
    let path = parts.next().filter(|path| !path.is_empty());
    let mut disk = Disk {
        path: path.ok_or("a path comes first")?.into(),
        ..Disk::default()
    };
    for part in parts {
        match part.split_once('=') {
            None if part == "ro" => disk.read_only = true,
            None if part == "ephemeral" => disk.ephemeral = true,
            Some(("serial", serial)) => disk.serial = serial.to_owned(),
            Some(("format", format)) => disk.format = Some(format.to_owned()),
            Some(("cache", "host")) => disk.cache = Cache::Host,
            Some(("cache", "direct")) => disk.cache = Cache::Direct,
            Some(("bus", "virtio")) => disk.bus = Bus::Virtio,
            Some(("bus", "nvme")) => disk.bus = Bus::Nvme,
            _ => {
                let known = "there are ro, ephemeral, serial=TEXT, format=NAME, bus=virtio or nvme, cache=host or direct";
                return Err(format!("a disk has no option '{part}'; {known}"));
            }
        }
    }
    Ok(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_follow_the_path() {
        let disk = parse("a,,b.img,ro,serial=x=1,format=raw").unwrap();
        assert_eq!(disk.path.to_str(), Some("a,b.img"));
        assert!(disk.read_only && !disk.ephemeral);
        assert_eq!(
            (disk.serial.as_str(), disk.format.as_deref()),
            ("x=1", Some("raw"))
        );
        assert_eq!(parse("a,bus=nvme").unwrap().bus, Bus::Nvme);
        assert!(parse("a,bus=scsi").is_err());
        assert_eq!(parse("a,cache=direct").unwrap().cache, Cache::Direct);
        assert!(parse("a,rw").unwrap_err().contains("no option 'rw'"));
        assert!(parse(",ro").is_err());
    }
}
