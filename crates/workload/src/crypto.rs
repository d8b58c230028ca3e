//! Checksums, ciphers and compression, of real data: this program's own bytes.

pub(crate) mod aes;
pub(crate) mod sha256;

use std::hint::black_box;

use crate::Task;

/// Bytes that are worked on by a unit.
const BYTES: usize = 64 << 10;

/// The program's own code, or why it can't be read.
fn data() -> Result<Vec<u8>, String> {
    let program = std::fs::read("/proc/self/exe").map_err(|error| error.to_string())?;
    // The middle is code and tables rather than headers.
    let start = program.len() / 3;
    let data = program.get(start..start + BYTES);
    Ok(data.ok_or("the program is too small")?.to_vec())
}

/// Compression of the data as gzip does it, and its expansion.
pub(crate) fn gzip() -> Task {
    let data = match data() {
        Ok(data) => data,
        Err(reason) => return Task::Missing(reason),
    };
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            let packed = miniz_oxide::deflate::compress_to_vec(black_box(&data), 6);
            let again = miniz_oxide::inflate::decompress_to_vec(&packed);
            assert!(again.is_ok_and(|again| again == data));
        }
    }))
}
