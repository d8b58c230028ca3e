//! Multiboot modules: files behind the kernel, each with a string.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use mem::{Gpa, PAGE_SIZE};

use super::super::{Target, target};
use crate::Error;
use crate::layout::HIGH_MEMORY;

/// A loaded module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) at: Gpa,
    pub(super) len: u64,
    /// Its file's name and arguments.
    pub(super) line: Vec<u8>,
}

/// Loads the modules of `FILE ARGUMENTS,FILE ARGUMENTS` page by page from `end` on.
pub(super) fn load(list: Option<&Path>, end: u64, target: &Target) -> Result<Vec<Module>, Error> {
    let mut next = end.max(HIGH_MEMORY.0).next_multiple_of(PAGE_SIZE);
    let mut modules = Vec::new();
    for line in list.map(split).unwrap_or_default() {
        let name = line.split(|&byte| byte == b' ').next().unwrap_or_default();
        let blob = target.open_initrd(Path::new(OsStr::from_bytes(name)))?;
        let len = blob.len();
        if let Err(problem) = target.check(next, len) {
            return Err(target::refusal(&blob, problem));
        }
        blob.copy_to(0..len, target.ram, Gpa(next))?;
        modules.push(Module {
            at: Gpa(next),
            len,
            line,
        });
        next = (next + len).next_multiple_of(PAGE_SIZE);
    }
    Ok(modules)
}

/// Splits at commas; a doubled comma is one that belongs to the text.
fn split(list: &Path) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut bytes = list.as_os_str().as_bytes().iter().peekable();
    while let Some(&byte) = bytes.next() {
        if byte == b',' && bytes.next_if_eq(&&b',').is_none() {
            lines.push(Vec::new());
        } else if let Some(line) = lines.last_mut() {
            line.push(byte);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_separate_and_doubled_ones_do_not() {
        let split = |text: &str| split(Path::new(text));
        assert_eq!(split("a"), [b"a"]);
        assert_eq!(split("a b c,d"), [b"a b c".to_vec(), b"d".to_vec()]);
        assert_eq!(split("a x,,y,b"), [b"a x,y".to_vec(), b"b".to_vec()]);
    }
}
