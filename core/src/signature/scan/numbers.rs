//! Numbers with all that belongs to them.

use super::Scan;
use super::lists::{Measure, is_unit, measure};

impl Scan<'_> {
    /// A number with all that belongs to it, if it ends where a word does.
    pub(super) fn number(&mut self) -> bool {
        let Some(at) = self.number_end(self.at) else { return false };
        if let Some((end, is_moment)) = self.measured(at) {
            if is_moment {
                self.write("<timestamp>", end);
            } else {
                self.write_number(end);
            }
            return true;
        }
        if self.ends(at) {
            self.write_number(at);
            return true;
        }
        let end = at + self.run_of(at, u8::is_ascii_alphabetic);
        if !self.ends(end) || !is_unit(&self.text[at..end]) {
            return false;
        }
        self.write_number(at);
        self.copy_to(end);
        true
    }

    /// The end of a unit of time or size behind the digits of a number, at once or behind a space.
    fn unit_end(&self, at: usize) -> Option<(usize, Measure)> {
        let is_apart = self.byte(at) == b' ';
        let start = at + usize::from(is_apart);
        let end = start + self.run_of(start, u8::is_ascii_alphabetic);
        let measure = measure(self.text.get(start..end)?, is_apart)?;
        let next = self.byte(end);
        let is_whole = if is_apart {
            self.ends(end) && next.is_ascii() && (self.ends(end + 1) || !b"-/.".contains(&next))
        } else {
            self.ends(end) || (measure != Measure::Size && next.is_ascii_digit())
        };
        is_whole.then_some((end, measure))
    }

    /// Whether a unit of time or size stands behind a number that ends here.
    pub(super) fn is_measured(&self, at: usize) -> bool {
        self.unit_end(at).is_some()
    }

    /// The end of a duration or size whose first number ends here, and whether it is one of days and a time of day.
    fn measured(&self, number: usize) -> Option<(usize, bool)> {
        let (mut end, mut unit) = self.unit_end(number)?;
        // What goes on in another way is no duration.
        let mut whole = None;
        while unit != Measure::Size {
            let mut next = end;
            if self.ends(end) {
                whole = Some(end);
                next += usize::from(self.byte(end) == b',');
                if self.byte(next) != b' ' {
                    break;
                }
                next += 1;
                if self.text.get(next..next + 4).is_some_and(|and| and.eq_ignore_ascii_case(b"and ")) {
                    next += 4;
                }
                if unit == Measure::Days
                    && let Some(time) = self.time(next)
                {
                    return Some((time, true));
                }
            }
            let Some((after, following)) = self.number_end(next).and_then(|at| self.unit_end(at)) else {
                break;
            };
            if following == Measure::Size {
                break;
            }
            (end, unit) = (after, following);
        }
        self.ends(end).then_some(end).or(whole).map(|end| (end, false))
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
