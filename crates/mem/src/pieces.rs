//! Scattered buffers in guest RAM, as devices are given them.
#![allow(unsafe_code, reason = "system calls on memory that guests share")]

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use host::vector::{self, PIECES_MAX, Piece};

use crate::{GuestRam, Offset};

/// Pieces of guest RAM that make one buffer. Reading and writing use it up from its front.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    list: VecDeque<(Offset, u64)>,
    len: u64,
}

impl Pieces {
    /// Adds bytes, which lie in RAM, at the end.
    pub fn push(&mut self, at: Offset, len: u64) {
        if len > 0 {
            self.list.push_back((at, len));
            self.len = self.len.saturating_add(len);
        }
    }

    /// Bytes that are left.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces that are left.
    pub fn iter(&self) -> impl Iterator<Item = (Offset, u64)> {
        self.list.iter().copied()
    }

    /// Uses up to `len` bytes of the first piece up.
    fn take_front(&mut self, len: u64) -> Option<(Offset, u64)> {
        let (at, available) = self.list.front_mut()?;
        let taken = (*at, len.min(*available));
        *at = at.add(taken.1);
        *available -= taken.1;
        if *available == 0 {
            self.list.pop_front();
        }
        self.len -= taken.1;
        Some(taken)
    }

    /// Takes the first `len` bytes off, or what there is.
    #[must_use]
    pub fn take(&mut self, len: u64) -> Self {
        let mut front = Self::default();
        while front.len < len {
            match self.take_front(len - front.len) {
                Some((at, len)) => front.push(at, len),
                None => break,
            }
        }
        front
    }

    /// Reads the next bytes, at most `to.len()`; returns how many.
    pub fn read(&mut self, ram: &GuestRam, to: &mut [u8]) -> usize {
        let mut done = 0;
        while done < to.len() {
            let Some((at, len)) = self.take_front((to.len() - done) as u64) else {
                break;
            };
            let end = done + len as usize;
            ram.copy_out(at, &mut to[done..end]);
            done = end;
        }
        done
    }

    /// Writes the next bytes, at most `from.len()`; returns how many.
    pub fn write(&mut self, ram: &GuestRam, from: &[u8]) -> usize {
        let mut done = 0;
        while done < from.len() {
            let Some((at, len)) = self.take_front((from.len() - done) as u64) else {
                break;
            };
            let end = done + len as usize;
            ram.copy_in(at, &from[done..end]);
            done = end;
        }
        done
    }

    /// Writes zeros over what is left.
    pub fn clear(&mut self, ram: &GuestRam) {
        while let Some((at, len)) = self.take_front(u64::MAX) {
            ram.fill(at, 0_u8, len);
        }
    }

    fn vector(&self, ram: &GuestRam) -> Vec<Piece> {
        let piece = |(at, len)| Piece::new(ram.pointer(at, len), len as usize);
        self.iter().take(PIECES_MAX).map(piece).collect()
    }

    /// Reads once from a file at `at`, or from where a stream or socket stands, straight into the pieces, and uses
    /// up as much. Returns how many bytes that was; 0 at the end.
    pub fn fill_from(&mut self, ram: &GuestRam, fd: impl AsFd, at: Option<u64>) -> io::Result<u64> {
        let vector = self.vector(ram);
        // SAFETY: `pointer` checked that the pieces lie in the mapping, which `ram` keeps; guest RAM holds nothing
        // that this process relies on.
        let count = unsafe { vector::read(fd, &vector, at) }? as u64;
        let mut left = count;
        while left > 0 {
            let Some((at, len)) = self.take_front(left) else {
                break;
            };
            ram.flags().written(at, len);
            left -= len;
        }
        Ok(count)
    }

    /// Writes the pieces once to a file at `at`, or to a stream or socket, and uses up as much as was taken. Returns
    /// how many bytes that was.
    pub fn drain_to(&mut self, ram: &GuestRam, fd: impl AsFd, at: Option<u64>) -> io::Result<u64> {
        let vector = self.vector(ram);
        // SAFETY: `pointer` checked that the pieces lie in the mapping, which `ram` keeps.
        let count = unsafe { vector::write(fd, &vector, at) }? as u64;
        let _ = self.take(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;
    use crate::Gpa;

    fn ram() -> GuestRam {
        GuestRam::new(&[(Gpa(0), 0x4000)]).unwrap()
    }

    fn pieces(list: &[(u64, u64)]) -> Pieces {
        let mut pieces = Pieces::default();
        for &(at, len) in list {
            pieces.push(Offset(at), len);
        }
        pieces
    }

    #[test]
    fn bytes_go_through_the_pieces_in_order() {
        let ram = ram();
        let list = [(0x1ffe, 3), (0, 0), (0x10, 2)];
        assert_eq!(pieces(&list).write(&ram, b"hello world"), 5);
        let mut read = [0; 5];
        let mut rest = pieces(&list);
        assert_eq!(rest.read(&ram, &mut read[..4]), 4);
        assert_eq!(rest, pieces(&[(0x11, 1)]));
        assert_eq!(rest.read(&ram, &mut read[4..]), 1);
        assert_eq!(&read, b"hello");
        assert!(rest.is_empty());
        pieces(&list).clear(&ram);
        pieces(&list).read(&ram, &mut read);
        assert_eq!(read, [0; 5]);
    }

    #[test]
    fn a_front_can_be_taken_off() {
        let mut all = pieces(&[(0, 10), (100, 10)]);
        assert_eq!(all.take(12), pieces(&[(0, 10), (100, 2)]));
        assert_eq!(all, pieces(&[(102, 8)]));
        assert_eq!(all.take(100).len(), 8);
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn files_are_read_and_written_in_place() {
        let ram = ram();
        ram.flags().watch_code(1);
        let version = ram.flags().version(1);
        let path = std::env::temp_dir().join(format!("suz-pieces-{}", std::process::id()));
        let mut file = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut place = pieces(&[(0xffe, 4), (0x2000, 100)]);
        assert_eq!(place.fill_from(&ram, &file, Some(2)).unwrap(), 8);
        assert_eq!(place.len(), 96);
        assert_ne!(ram.flags().version(1), version);
        let mut source = pieces(&[(0x2000, 4), (0xffe, 4)]);
        assert_eq!(source.drain_to(&ram, &file, Some(1)).unwrap(), 8);
        assert!(source.is_empty());
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "0678923459");
    }
}
