//! Listings of what snippets become, so that a change which makes code worse is seen. `UPDATE=1` in the environment
//! writes them anew.

use std::fmt::Write as _;

use iced_x86::{Decoder, DecoderOptions, FastFormatter, Instruction};

use super::gate::Ways;
use super::*;
use snippets::{HOT, PATHS, SMALL, SNIPPETS, WIDE};

mod snippets;

const BASE: u64 = 0x10_0000;
const CONTEXT: u64 = BASE - 0x1000;

fn text(instruction: &Instruction) -> String {
    let mut text = String::new();
    FastFormatter::new().format(instruction, &mut text);
    text
}

const HISTORY: History = History {
    before: Exchange::NONE,
    misses: false,
    hot: None,
};

/// Guest code and what it becomes, as text: `inside` are the branches inside the block, as bits, `forks` those that lead to
/// its sides, and where these begin.
fn listing(
    bits: u32,
    code: &[u8],
    history: History,
    inside: u64,
    forks: &[(usize, usize)],
) -> String {
    let options = DecoderOptions::FORCE_RESERVED_NOP;
    let guests: Vec<Guest> = Decoder::with_ip(bits, code, 0, options)
        .iter()
        .enumerate()
        .map(|(number, instruction)| Guest {
            instruction,
            native: true,
            inside: inside >> number & 1 != 0,
        })
        .collect();
    let ends = forks.iter().skip(1).map(|&(_, first)| first);
    let ends = ends.chain([guests.len()]);
    let sides = forks.iter().zip(ends).map(|(&(fork, first), end)| Side {
        fork,
        guests: &guests[first..end],
    });
    let sides: Vec<_> = sides.collect();
    let way = forks.first().map_or(guests.len(), |&(_, first)| first);
    let source = Source {
        linear: if bits == 16 { 0x4000 } else { 0x40_0000 },
        wide: bits == 64,
        segmented: (bits == 16).then_some(Segmented {
            base: 0x1_2340,
            limit: 0xffff,
            big_stack: false,
        }),
        supervisor: true,
        far: None,
        turns: true,
        guests: &guests[..way],
        sides: &sides,
    };
    let frame = Frame {
        base: BASE,
        context: CONTEXT,
        leave: BASE - 0x100,
        load_vectors: BASE - 0x80,
        thunks: BASE - 0x200,
        unwind: BASE - 0x40,
        find_stack: [0x30, 0x38],
        find_site: [[0x40; 4], [0x48; 4]],
        strings: string::Routines::default(),
        ways: Ways::default(),
        read_tsc: 0,
        number: 0,
        first_jump: 0,
        accesses: Counts::default(),
    };
    let made = block(source, frame, history, &mut Scratch::default());
    let mut out = String::new();
    let mut decoder = Decoder::with_ip(64, &made.code, BASE, DecoderOptions::NONE);
    let mut marks = made.marks.iter().filter(|mark| mark.entry).peekable();
    while decoder.can_decode() {
        let at = (decoder.ip() - BASE) as u32;
        while let Some(mark) = marks.next_if(|mark| mark.at <= at) {
            match guests.get(usize::from(mark.op)) {
                Some(guest) => writeln!(out, "; {}", text(&guest.instruction)).unwrap(),
                None => writeln!(out, "; end").unwrap(),
            }
        }
        let host = decoder.decode();
        writeln!(out, "  {at:04x} {}", text(&host)).unwrap();
    }
    out
}

#[test]
fn snippets_become_what_the_listings_say() {
    let mut found = String::new();
    let plain = SNIPPETS.map(|(name, wide, code)| (name, if wide { 64 } else { 32 }, code));
    let small = SMALL.map(|(name, code)| (name, 16, code));
    let hot = HOT.map(|(name, code)| (name, 64, code));
    let all = plain.into_iter().chain(small);
    let none: &[(usize, usize)] = &[];
    let all = all.map(|snippet| (snippet, HISTORY, 0, none));
    let hot_with = |wide| History {
        hot: Some(Hot {
            sites: u64::MAX,
            wide,
            turns: true,
        }),
        ..HISTORY
    };
    let (often, widely) = (hot_with(false), hot_with(true));
    let hot = hot.into_iter().map(|snippet| (snippet, often, 0, none));
    let wide = WIDE.map(|(name, code)| ((name, 64, code), widely, 0, none));
    let hot = hot.chain(wide);
    let paths = PATHS.into_iter();
    let paths = paths.map(|(name, code, inside, forks)| ((name, 64, code), often, inside, forks));
    for ((name, bits, code), history, inside, forks) in all.chain(hot).chain(paths) {
        let code: Vec<u8> = (0..code.len() / 2)
            .map(|at| u8::from_str_radix(&code[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        write!(
            found,
            "== {name}\n{}\n",
            listing(bits, &code, history, inside, forks)
        )
        .unwrap();
    }
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/translate/tests/listings.txt"
    );
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let known = std::fs::read_to_string(file).unwrap();
    let differs = known.lines().zip(found.lines()).find(|(a, b)| a != b);
    assert!(
        known == found,
        "other code than before: {differs:?}; if it is better, write the listings with UPDATE=1"
    );
}
