//! Names of machines.

use std::fmt;
use std::str::FromStr;

/// No name is longer, in bytes: it is a host's name as well.
const LONGEST: usize = 63;

/// A machine's name: letters, digits, `-`, `.`, `_`, and a letter or digit first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let first = text.bytes().next();
        let is_name = first.is_some_and(|byte| byte.is_ascii_alphanumeric())
            && text.len() <= LONGEST
            && text.bytes().all(may_be);
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} can't be a machine's name: letters, digits, '-', '.' and '_' can, at most {LONGEST}, \
                 and a letter or digit first"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_files_and_on_command_lines() {
        for good in ["a", "web-1", "Debian.12_x", "0"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        let long = "x".repeat(64);
        for bad in [
            "", ".", "..", ".x", "-x", "_x", "a/b", "a b", "ä", "a\n", &long,
        ] {
            let line = bad.parse::<Name>().unwrap_err();
            assert!(!line.contains('\n'), "{line}");
        }
    }
}
