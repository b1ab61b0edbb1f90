//! Numbers with all that belongs to them.

use super::Scan;
use super::lists::{is_duration, is_unit};

impl Scan<'_> {
    /// A number with all that belongs to it, if it ends where a word does.
    pub(super) fn number(&mut self) -> bool {
        let Some(mut at) = self.number_end(self.at) else { return false };
        if self.ends(at) {
            self.write_number(at);
            return true;
        }
        // Units, and durations of more than one.
        loop {
            let unit = self.run_of(at, u8::is_ascii_alphabetic);
            let name = &self.text[at..at + unit];
            let end = at + unit;
            if unit == 0 || !is_unit(name) {
                return false;
            }
            if self.ends(end) {
                let (start, number) = (self.at, at);
                self.write_number(number);
                debug_assert!(start < end);
                self.copy_to(end);
                self.awaits_code = false;
                return true;
            }
            if !is_duration(name) {
                return false;
            }
            let Some(next) = self.number_end(end) else { return false };
            at = next;
        }
    }

    /// The end of digits with thousands, points and an exponent.
    pub(super) fn number_end(&self, start: usize) -> Option<usize> {
        let digits = self.run_of(start, u8::is_ascii_digit);
        if digits == 0 {
            return None;
        }
        let mut at = start + digits;
        if digits <= 3 {
            while self.byte(at) == b',' && self.run_of(at + 1, u8::is_ascii_digit) == 3 {
                at += 4;
            }
        }
        while self.byte(at) == b'.' && self.byte(at + 1).is_ascii_digit() {
            at += 1 + self.run_of(at + 1, u8::is_ascii_digit);
        }
        if matches!(self.byte(at), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(at + 1), b'-' | b'+'));
            let exponent = self.run_of(at + 1 + sign, u8::is_ascii_digit);
            if exponent > 0 && self.ends(at + 1 + sign + exponent) {
                at += 1 + sign + exponent;
            }
        }
        Some(at)
    }
}
