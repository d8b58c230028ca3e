//! What a terminal would show now that had seen everything.
//!
//! A whole screen that a program has drawn is drawn again. Lines are written below what the client's terminal shows
//! already. Sending the last bytes again instead would begin in the middle of something, and repeat questions to the terminal,
//! whose answers the guest would take for input.

use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};

use vt100::{Parser, Screen};

/// The longest side that is drawn, in characters; clients ask for sizes, and each character takes memory.
const LONGEST: u16 = 1000;
/// What the guest is told before somebody says otherwise.
const COLUMNS: u16 = 80;
const ROWS: u16 = 25;

/// A screen in memory.
pub(super) struct Picture {
    parser: Parser,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            parser: parser(COLUMNS, ROWS),
        }
    }
}

impl Picture {
    /// Follows output of the guest, whatever it is.
    pub(super) fn draw(&mut self, bytes: &[u8]) {
        self.guarded(|parser| parser.process(bytes));
    }

    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        self.guarded(|parser| parser.set_size(side(rows), side(columns)));
    }

    /// What makes a terminal show the same.
    pub(super) fn redraw(&mut self) -> String {
        let mut text = String::new();
        self.guarded(|parser| {
            let screen = parser.screen();
            text = if screen.alternate_screen() {
                "\x1b[?1049h".to_owned() + &screen.state_formatted()
            } else {
                lines(screen)
            };
        });
        text
    }

    /// A guest that finds a fault of the parser's spoils its own picture alone.
    fn guarded(&mut self, what: impl FnOnce(&mut Parser)) {
        let done = catch_unwind(AssertUnwindSafe(|| what(&mut self.parser)));
        if done.is_err() {
            let (rows, columns) = self.parser.screen().size();
            self.parser = parser(columns.get(), rows.get());
        }
    }
}

/// The lines of a screen, with the cursor where it was among them.
fn lines(screen: &Screen) -> String {
    let (_, columns) = screen.size();
    let (row, column) = screen.cursor_position();
    let row = usize::from(row);
    let written: Vec<String> = screen.rows(0, columns.get()).collect();
    let last = written.iter().rposition(|line| !line.trim().is_empty());
    let last = last.unwrap_or(0).max(row);
    let rows = screen.rows_formatted(0, columns.get()).take(last + 1);
    let mut text = rows.collect::<Vec<_>>().join("\x1b[m\r\n") + "\r";
    if last > row {
        text += &format!("\x1b[{}A", last - row);
    }
    if column > 0 {
        text += &format!("\x1b[{column}C");
    }
    if screen.hide_cursor() {
        text += "\x1b[?25l";
    }
    text + &screen.attributes_formatted() + &screen.input_mode_formatted()
}

fn parser(columns: u16, rows: u16) -> Parser {
    Parser::new(side(rows), side(columns), 0)
}

fn side(asked: u16) -> NonZeroU16 {
    let asked = NonZeroU16::new(asked.min(LONGEST));
    asked.unwrap_or(NonZeroU16::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_screenful_is_drawn_without_questions() {
        let mut picture = Picture::default();
        for line in 0..100 {
            picture.draw(format!("line {line}\r\n\x1b[6n").as_bytes());
        }
        picture.draw(b"\x1b[1mprompt# ");
        let text = picture.redraw();
        assert!(
            text.contains("line 99") && text.contains("prompt#"),
            "{text:?}"
        );
        assert!(
            !text.contains("line 70") && !text.contains("[6n"),
            "{text:?}"
        );
        let mut again = Picture::default();
        again.draw(text.as_bytes());
        assert_eq!(
            again.parser.screen().contents(),
            picture.parser.screen().contents()
        );
        assert_eq!(again.parser.screen().cursor_position(), (24, 8));
        assert!(again.parser.screen().bold());
    }

    #[test]
    fn lines_stand_below_what_the_terminal_shows_already() {
        let mut picture = Picture::default();
        picture.draw(b"one\r\n\x1b[7mtwo\x1b[m\r\nthree\x1b[A\x1b[2D");
        let mut terminal = Picture::default();
        terminal.draw(b"$ suz console a\r\n");
        terminal.draw(picture.redraw().as_bytes());
        let screen = terminal.parser.screen();
        assert_eq!(screen.contents(), "$ suz console a\none\ntwo\nthree");
        assert_eq!(screen.cursor_position(), (2, 3));
        assert!(screen.cell(2, 0).unwrap().inverse() && !screen.cell(3, 0).unwrap().inverse());
    }

    #[test]
    fn a_program_that_has_the_whole_screen_gets_it() {
        let mut picture = Picture::default();
        picture.draw(b"shell\x1b[?1049h\x1b[10;20Heditor");
        let mut terminal = Picture::default();
        terminal.draw(b"$ suz console a\r\n");
        terminal.draw(picture.redraw().as_bytes());
        assert_eq!(terminal.parser.screen().cursor_position(), (9, 25));
        assert!(!terminal.parser.screen().contents().contains("suz"));
        terminal.draw(b"\x1b[?1049l");
        assert_eq!(terminal.parser.screen().contents(), "$ suz console a");
    }

    #[test]
    fn no_size_and_no_bytes_are_too_much() {
        let mut picture = Picture::default();
        for (columns, rows) in [(0, 0), (1, 1), (u16::MAX, u16::MAX), (2, 1)] {
            picture.resize(columns, rows);
            for seed in 0..20_000_u32 {
                let word = seed.wrapping_mul(0x9e37_79b9).to_be_bytes();
                picture.draw(&word);
                picture.draw(b"\x1b[");
            }
            picture.draw("漢字\x1b[99999;99999H\x1b[65535L\x1b[65535@漢".as_bytes());
            picture.redraw();
        }
    }
}
