//! LZ4 in its legacy frame, the form that Linux packs itself in.
//!
//! A frame is a magic number and chunks, each with its packed length in front; a chunk is one LZ4 block and
//! unpacks to [`CHUNK`] bytes, the last one to fewer.

use crate::Error;

/// The first four bytes, little-endian.
pub(crate) const MAGIC: u32 = 0x184C_2102;

/// Unpacked size of a chunk.
const CHUNK: usize = 8 << 20;

/// Shortest match; a token holds the length less this.
const MIN_MATCH: usize = 4;

const SHORT: Error = Error::Lz4("it ends too early");

/// Unpacks a legacy frame, which may be no longer than `limit` bytes unpacked.
pub(crate) fn unpack(frame: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let (magic, mut rest) = word(frame).ok_or(SHORT)?;
    if magic != MAGIC {
        return Err(Error::Lz4("no legacy frame"));
    }
    let mut output = Vec::new();
    while let Some((length, body)) = word(rest) {
        let length = length as usize;
        let chunk = body.get(..length).ok_or(SHORT)?;
        block(chunk, &mut output, limit)?;
        rest = &body[length..];
    }
    if rest.is_empty() {
        Ok(output)
    } else {
        Err(SHORT)
    }
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*word), rest))
}

/// Unpacks one block to the end of `output`; matches reach back within the block alone.
fn block(mut input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<(), Error> {
    let start = output.len();
    let limit = limit.min(start + CHUNK);
    let room = |output: &Vec<u8>, more: usize| {
        if limit - output.len() < more {
            Err(Error::Lz4("it unpacks to more than it says"))
        } else {
            Ok(())
        }
    };
    while let Some((&token, rest)) = input.split_first() {
        input = rest;
        let literals = length(token >> 4, &mut input)?;
        room(output, literals)?;
        output.extend_from_slice(input.get(..literals).ok_or(SHORT)?);
        input = &input[literals..];
        if input.is_empty() {
            // The last sequence is literals alone.
            return Ok(());
        }
        let (&back, rest) = input.split_first_chunk().ok_or(SHORT)?;
        input = rest;
        let back = usize::from(u16::from_le_bytes(back));
        let count = length(token & 15, &mut input)? + MIN_MATCH;
        room(output, count)?;
        if back == 0 || back > output.len() - start {
            return Err(Error::Lz4("a match points before its block"));
        }
        repeat(output, back, count);
    }
    Ok(())
}

/// A length of which 4 bits were in the token; 15 means that bytes follow, up to the first that is not 255.
fn length(nibble: u8, input: &mut &[u8]) -> Result<usize, Error> {
    let mut length = usize::from(nibble);
    if nibble == 15 {
        loop {
            let (&more, rest) = input.split_first().ok_or(SHORT)?;
            *input = rest;
            length += usize::from(more);
            if more != 255 {
                break;
            }
        }
    }
    Ok(length)
}

/// Appends `count` bytes that start `back` bytes before the end; they may overlap what is being appended.
fn repeat(output: &mut Vec<u8>, back: usize, mut count: usize) {
    let from = output.len() - back;
    while count > 0 {
        // Each round doubles what there is to copy from.
        let step = count.min(output.len() - from);
        output.extend_from_within(from..from + step);
        count -= step;
    }
}

#[cfg(test)]
mod tests;
