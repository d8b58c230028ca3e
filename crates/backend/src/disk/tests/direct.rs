//! Disks past the host's page cache.

use super::{Folder, Gpa, GuestRam, Offset, Options, Pieces, SIZE, WRITING, exercise, fs, open};

const DIRECT: Options = Options {
    direct: true,
    ..WRITING
};

fn pieces(at: u64, len: u64) -> Pieces {
    let mut pieces = Pieces::default();
    pieces.push(Offset(at), len);
    pieces
}

/// Whole pages go past the cache and parts of them by it; both see the same bytes.
#[test]
fn a_direct_disk_keeps_what_is_written() {
    let folder = Folder::new("direct");
    for name in ["disk.raw", "disk.qcow2"] {
        let path = folder.0.join(name);
        super::super::create(&path, None, Some(SIZE), None).unwrap();
        let disk = match open(&path, DIRECT) {
            Ok(disk) => disk,
            Err(error) => {
                assert!(
                    error.to_string().contains("leave cache=direct out"),
                    "{error}"
                );
                println!("SKIPPED: {error}");
                return;
            }
        };
        let model = exercise(&*disk, vec![0; SIZE as usize]);
        let ram = GuestRam::new(&[(Gpa(0), 0x4_0000)]).unwrap();
        ram.write(Gpa(0x4000), &[0x5a; 0x3000]).unwrap();
        disk.write_pieces(&ram, 0x8000, pieces(0x4000, 0x2000))
            .unwrap();
        let mut bytes = [0; 0x3000];
        disk.read(0x7800, &mut bytes).unwrap();
        assert_eq!(bytes[..0x800], model[0x7800..0x8000]);
        assert!(bytes[0x800..0x2800].iter().all(|&byte| byte == 0x5a));
        disk.write(0x9000, &[0xa5; 512]).unwrap();
        disk.read_pieces(&ram, 0x9000, pieces(0x1_0000, 0x1000))
            .unwrap();
        let mut page = [0; 0x1000];
        ram.read(Gpa(0x1_0000), &mut page).unwrap();
        assert_eq!((page[511], page[512]), (0xa5, 0x5a));
        // The last pages, of which the file has a part.
        let end = SIZE / 0x1000 * 0x1000;
        let rest = SIZE - end;
        disk.read_pieces(&ram, end, pieces(0x1_0000, rest)).unwrap();
        ram.read(Gpa(0x1_0000), &mut page).unwrap();
        assert_eq!(page[..rest as usize], model[end as usize..]);
        disk.flush().unwrap();
        drop(disk);
        assert!(fs::metadata(&path).unwrap().len() >= 0xa000);
    }
}
