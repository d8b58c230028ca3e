//! The header of a guest: the comment lines at the top of its file.
//!
//! Prose, and lines `# key: value` with one of the keys below. A lone lower-case word before a colon is always
//! taken for a key, so that a misspelt one does not pass as prose.

use std::collections::BTreeMap;

/// How a guest must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By a write to the debug-exit port 0xF4 with this value.
    Exit(u32),
    /// By a shutdown: a triple fault.
    Shutdown,
    /// By a reset request to the chipset.
    Reset,
}

/// The end, and the state in which the machine must be then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// How the guest ends.
    pub end: End,
    /// Registers of the CPU that ended it, by lower-case name (`rax` to `r15`, `rip`, `rflags`). After an exit,
    /// RIP is behind the OUT instruction.
    pub registers: BTreeMap<String, u64>,
    /// Quadwords in guest-physical memory, by address.
    pub memory: BTreeMap<u64, u64>,
}

/// An emulator that is known to answer otherwise than a real CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `qemu`, `kvm` or `bochs`.
    pub emulator: String,
    /// What it does instead.
    pub why: String,
    /// Each time; otherwise only now and then.
    pub always: bool,
}

#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) summary: String,
    pub(crate) cpus: u32,
    pub(crate) memory: u64,
    pub(crate) expect: Expect,
    pub(crate) differs: Vec<Difference>,
}

const REGISTERS: [&str; 18] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip", "rflags",
];

impl Header {
    /// Reads the comment block at the top. An error has its line number, from 1.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut prose = Vec::new();
        let mut cpus = 1;
        let mut memory = 16 << 20;
        let mut end = None;
        let mut registers = BTreeMap::new();
        let mut words = BTreeMap::new();
        let mut differs = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let Some(line) = line.strip_prefix('#') else {
                break;
            };
            let line = line.trim();
            let number = index + 1;
            let Some((key, value)) = key_value(line) else {
                prose.push(line);
                continue;
            };
            match key {
                "cpus" => {
                    cpus = parse_cpus(value).ok_or((number, "cpus must be 1 to 64".to_owned()))?
                }
                "memory" => {
                    memory = parse_mebibytes(value)
                        .ok_or((number, "memory is written like 16M".to_owned()))?;
                }
                "differs" | "varies" => {
                    let difference = parse_difference(value, key == "differs");
                    differs.push(difference.map_err(|what| (number, what))?);
                }
                "expect" => {
                    for item in value.split([' ', ',']).filter(|item| !item.is_empty()) {
                        match parse_item(item).map_err(|what| (number, what))? {
                            Item::End(new) if end.is_none() => end = Some(new),
                            Item::End(_) => return Err((number, "a guest ends once".to_owned())),
                            Item::Register(name, value) => drop(registers.insert(name, value)),
                            Item::Word(address, value) => drop(words.insert(address, value)),
                        }
                    }
                }
                other => return Err((number, format!("unknown key `{other}`"))),
            }
        }
        let end = end.ok_or((
            1,
            "the header says nothing like `# expect: exit=0x10`".to_owned(),
        ))?;
        Ok(Self {
            summary: prose.join(" ").trim().to_owned(),
            cpus,
            memory,
            expect: Expect {
                end,
                registers,
                memory: words,
            },
            differs,
        })
    }
}

enum Item {
    End(End),
    Register(String, u64),
    Word(u64, u64),
}

fn key_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(": ")?;
    let is_word = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase());
    is_word.then_some((key, value.trim()))
}

fn parse_item(item: &str) -> Result<Item, String> {
    match item {
        "shutdown" => return Ok(Item::End(End::Shutdown)),
        "reset" => return Ok(Item::End(End::Reset)),
        _ => {}
    }
    let bad = || format!("can't read `{item}`");
    let (name, value) = item.split_once('=').ok_or_else(bad)?;
    let value = parse_number(value).ok_or_else(bad)?;
    if name == "exit" {
        return Ok(Item::End(End::Exit(
            u32::try_from(value).map_err(|_| bad())?,
        )));
    }
    if REGISTERS.contains(&name) {
        return Ok(Item::Register(name.to_owned(), value));
    }
    let address = name
        .strip_prefix("mem[")
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(bad)?;
    Ok(Item::Word(parse_number(address).ok_or_else(bad)?, value))
}

fn parse_difference(value: &str, always: bool) -> Result<Difference, String> {
    let (emulator, why) = value
        .split_once(": ")
        .ok_or("differs and varies are written like `differs: qemu: why`")?;
    if !["qemu", "kvm", "bochs"].contains(&emulator) {
        return Err(format!("unknown emulator `{emulator}`"));
    }
    Ok(Difference {
        emulator: emulator.to_owned(),
        why: why.trim().to_owned(),
        always,
    })
}

fn parse_cpus(value: &str) -> Option<u32> {
    value.parse().ok().filter(|cpus| (1..=64).contains(cpus))
}

fn parse_mebibytes(value: &str) -> Option<u64> {
    let count: u64 = value.strip_suffix('M')?.parse().ok()?;
    (1..=3072).contains(&count).then_some(count << 20)
}

fn parse_number(text: &str) -> Option<u64> {
    let text = text.replace('_', "");
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
