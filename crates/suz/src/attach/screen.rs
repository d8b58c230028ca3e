//! What a guest's programs make of the terminal, and how it is taken back.

/// What leads to a screen of a program's own, and, with another end, back from it.
const ALTERNATE: &[u8] = b"\x1b[?1049";

/// What takes back colours, a hidden cursor, keys and pastes of another kind, reports of the mouse.
const RESET: &str =
    "\x1b[m\x1b[?25h\x1b[?1l\x1b>\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l";

/// Follows what is printed.
#[derive(Debug, Default)]
pub(super) struct Screen {
    is_alternate: bool,
    /// The end of what was printed last, shorter than what is looked for.
    tail: Vec<u8>,
}

impl Screen {
    /// This was printed.
    pub(super) fn follow(&mut self, bytes: &[u8]) {
        let length = ALTERNATE.len() + 1;
        self.tail.extend_from_slice(bytes);
        for part in self.tail.windows(length) {
            match part.strip_prefix(ALTERNATE) {
                Some(b"h") => self.is_alternate = true,
                Some(b"l") => self.is_alternate = false,
                _ => {}
            }
        }
        let seen = self.tail.len().saturating_sub(length - 1);
        self.tail.drain(..seen);
    }

    /// What makes the terminal its user's again.
    pub(super) fn reset(&self) -> String {
        // Elsewhere it would move the cursor.
        let back = if self.is_alternate { "\x1b[?1049l" } else { "" };
        format!("{RESET}{back}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_of_a_programs_own_is_left() {
        let mut screen = Screen::default();
        assert!(!screen.reset().contains("1049"));
        for byte in b"x\x1b[?1049hy" {
            screen.follow(&[*byte]);
        }
        assert!(screen.reset().ends_with("\x1b[?1049l"));
        screen.follow(b"\x1b[?1049h\x1b[?1049l and more");
        assert!(!screen.reset().contains("1049"));
    }
}
