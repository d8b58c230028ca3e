//! Symbols of functions, and what is left of them when the compiler changes.

/// Bytes of a hash in hexadecimal digits.
const HASH: usize = 16;

/// Whether a symbol is one that the compiler made of a path.
pub(super) fn is_of_rust(symbol: &str) -> bool {
    symbol.starts_with("_ZN") || symbol.starts_with("_R")
}

/// A linker's pattern that fits the symbol, without the hashes in it: of the function in one way of mangling, of
/// crates in the other.
pub(super) fn pattern(symbol: &str) -> String {
    let symbol = symbol.split_once(".llvm.").map_or(symbol, |parts| parts.0);
    if let Some(at) = symbol.rfind("17h")
        && symbol.starts_with("_ZN")
        && symbol.len() == at + 3 + HASH + 1
    {
        return format!("{}*", &symbol[..at + 3]);
    }
    let mut parts = symbol.split("Cs");
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_hash = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        pattern.push_str("Cs");
        match part.split_once('_') {
            Some((hash, rest)) if is_hash(hash) => {
                pattern.push_str("*_");
                pattern.push_str(rest);
            }
            _ => pattern.push_str(part),
        }
    }
    pattern + "*"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_left_out() {
        let cases = [
            ("_ZN3suz3run17h0123456789abcdefE", "_ZN3suz3run17h*"),
            ("_ZN3suz3run17h0123456789abcdefE.llvm.42", "_ZN3suz3run17h*"),
            (
                "_RNvNtCsjrHSEGnQ3l9_3std2rt19lang_start_internal",
                "_RNvNtCs*_3std2rt19lang_start_internal*",
            ),
            (
                "_RINvCs12_3foo3barNtCs3a_4core1XECs9_1z",
                "_RINvCs*_3foo3barNtCs*_4core1XECs*_1z*",
            ),
        ];
        for (symbol, wanted) in cases {
            assert_eq!(pattern(symbol), wanted);
        }
    }
}
