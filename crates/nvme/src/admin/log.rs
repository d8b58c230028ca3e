//! Get Log Page (5.14).

use crate::bytes::{Page, double, words};
use crate::command::{Answer, Command, Status};
use crate::controller::Controller;
use crate::data;

const ERRORS: u8 = 0x01;
const SMART: u8 = 0x02;
const FIRMWARE: u8 = 0x03;

/// Double word 10: the event that led here stays masked.
const RETAIN: u32 = 1 << 15;

impl Controller {
    pub(super) fn get_log_page(&mut self, command: &Command) -> Answer {
        let [ten, eleven, low, high, ..] = command.words;
        let [page, ..] = ten.to_le_bytes();
        let ([_, count_low], [count_high, _]) = (words(ten), words(eleven));
        let count = u64::from(count_low) | u64::from(count_high) << 16;
        let (len, offset) = ((count + 1) * 4, double(low, high));
        let log = match page {
            ERRORS => self.io.health.error_log(),
            SMART => self.io.health.smart_log(),
            FIRMWARE => firmware(),
            _ => return Err(Status::INVALID_LOG),
        };
        let all = log.bytes();
        let rest = usize::try_from(offset).ok().and_then(|at| all.get(at..));
        let (Some(rest), true) = (rest, len <= data::MAX && offset.is_multiple_of(4)) else {
            return Err(Status::INVALID_FIELD);
        };
        // What lies behind the log's end is zero.
        let mut bytes = rest.to_vec();
        bytes.resize(usize::try_from(len).unwrap_or(0), 0);
        let answer = self.give(command, &bytes);
        if ten & RETAIN == 0 && page == ERRORS {
            self.events.read();
        }
        answer
    }
}

/// The first slot is active, and holds the only revision.
fn firmware() -> Page {
    let mut page = Page::new(512);
    page.put(0, &[1]).text(8, 8, "1");
    page
}
