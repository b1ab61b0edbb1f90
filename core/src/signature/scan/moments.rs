//! Dates and times of day.

use super::Scan;
use super::lists::{is_all, is_day, is_month, is_zone};

impl Scan<'_> {
    /// A number of so many digits, and not more, up to a value.
    pub(super) fn figure(
        &self,
        at: usize,
        length: std::ops::RangeInclusive<usize>,
        most: u32,
    ) -> Option<usize> {
        let digits = self.run_of(at, u8::is_ascii_digit);
        let value =
            || self.text[at..at + digits].iter().fold(0_u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
        (length.contains(&digits) && value() <= most).then_some(at + digits)
    }

    /// Where it goes on behind one of these bytes, if one stands there.
    pub(super) fn behind(&self, at: usize, bytes: &[u8]) -> Option<usize> {
        bytes.contains(&self.byte(at)).then_some(at + 1)
    }

    /// The end of a moment that begins with digits.
    pub(super) fn moment(&self) -> Option<usize> {
        let start = self.at;
        match self.run_of(start, u8::is_ascii_digit) {
            4 => {
                let separator = self.byte(start + 4);
                let month = self.figure(self.behind(start + 4, b"-/.")?, 2..=2, 12)?;
                let date = self.figure(self.behind(month, &[separator])?, 2..=2, 31)?;
                self.date_end(date, b"Tt _")
            }
            8 => {
                let time = self.behind(start + 8, b"Tt")?;
                let digits = self.run_of(time, u8::is_ascii_digit);
                let end = time + digits;
                let end = if matches!(self.byte(end), b'z' | b'Z') { end + 1 } else { end };
                (matches!(digits, 4 | 6) && self.ends(end)).then_some(end)
            }
            1 | 2 => self.time(start).or_else(|| self.date_from_day(start)),
            _ => None,
        }
    }

    /// Where a date ends, a time may follow.
    pub(super) fn date_end(&self, date: usize, separators: &[u8]) -> Option<usize> {
        let time = self.behind(date, separators).and_then(|at| self.time(at));
        time.or_else(|| self.ends(date).then_some(date))
    }

    /// The end of a time of day with all that belongs to it.
    pub(super) fn time(&self, start: usize) -> Option<usize> {
        if start == self.at && matches!(self.before(), b':' | b'.') {
            return None;
        }
        let hour = self.figure(start, 1..=2, 24)?;
        let mut end = self.figure(self.behind(hour, b":")?, 2..=2, 59)?;
        if let Some(second) = self.behind(end, b":").and_then(|at| self.figure(at, 2..=2, 60)) {
            end = second;
            if let Some(fraction) = self.behind(end, b".,").filter(|&at| self.byte(at).is_ascii_digit()) {
                end = fraction + self.run_of(fraction, u8::is_ascii_digit);
            }
        }
        let gap = usize::from(self.byte(end) == b' ' && end < self.text.len());
        if matches!(self.byte(end + gap), b'a' | b'A' | b'p' | b'P')
            && matches!(self.byte(end + gap + 1), b'm' | b'M')
            && self.ends(end + gap + 2)
        {
            end += gap + 2;
        }
        let end = self.zone(end);
        (self.ends(end) && !(self.byte(end) == b':' && self.byte(end + 1).is_ascii_digit())).then_some(end)
    }

    pub(super) fn zone(&self, end: usize) -> usize {
        if matches!(self.byte(end), b'z' | b'Z') && self.ends(end + 1) {
            return end + 1;
        }
        let at = end + usize::from(self.byte(end) == b' ' && end < self.text.len());
        let letters = self.run_of(at, u8::is_ascii_alphabetic);
        if is_zone(&self.text[at.min(self.text.len())..at + letters]) && self.ends(at + letters) {
            return at + letters;
        }
        if let Some(hours) = self.behind(at, b"+-").and_then(|at| self.digits_at(at, 2)) {
            // As PostgreSQL writes it: hours alone, and nothing between.
            if at == end
                && self.ends(hours)
                && !(self.byte(hours) == b':' && self.byte(hours + 1).is_ascii_digit())
            {
                return hours;
            }
            let minutes = self.digits_at(self.behind(hours, b":").unwrap_or(hours), 2);
            if let Some(zone) = minutes.filter(|&zone| self.ends(zone)) {
                return zone;
            }
        }
        end
    }

    /// The end of so many digits, whatever follows.
    pub(super) fn digits_at(&self, at: usize, length: usize) -> Option<usize> {
        let digits = self.text.get(at..at + length)?;
        is_all(digits, u8::is_ascii_digit).then_some(at + length)
    }

    /// 02/01/2025, 2.1.2025, 02-Jan-2025, 2 Jan 2025, with a time.
    pub(super) fn date_from_day(&self, start: usize) -> Option<usize> {
        let day = self.figure(start, 1..=2, 31)?;
        let separator = self.byte(day);
        let month_at = self.behind(day, b"/.- ")?;
        let letters = self.run_of(month_at, u8::is_ascii_alphabetic);
        let month = if letters > 0 {
            is_month(&self.text[month_at..month_at + letters]).then_some(month_at + letters)?
        } else if separator == b' ' {
            return None;
        } else {
            self.figure(month_at, 1..=2, 31)?
        };
        let year = self.figure(self.behind(month, &[separator])?, 4..=4, 2999)?;
        let time = self.behind(year, b":").and_then(|at| self.time(at));
        time.or_else(|| self.date_end(year, b" ,T"))
    }

    /// A moment that begins with the name of a day or a month.
    pub(super) fn named_moment(&self, end: usize) -> Option<usize> {
        let word = &self.text[self.at..end];
        if !(3..=9).contains(&word.len()) || !matches!(self.byte(end), b' ' | b',') {
            return None;
        }
        if is_day(word) {
            let at = self.behind(end, b",").unwrap_or(end);
            let at = self.spaces(at)?;
            return self.date_from_day(at).or_else(|| {
                let letters = self.run_of(at, u8::is_ascii_alphabetic);
                self.month_first(at, at + letters)
            });
        }
        self.month_first(self.at, end)
    }

    /// Jan 2 03:04:05, Jan 2 03:04:05 2025, Jan 2, 2025 with a time.
    pub(super) fn month_first(&self, start: usize, end: usize) -> Option<usize> {
        if !is_month(&self.text[start..end]) {
            return None;
        }
        let day = self.figure(self.spaces(end)?, 1..=2, 31)?;
        let at = self.spaces(self.behind(day, b",").unwrap_or(day))?;
        if let Some(time) = self.time(at) {
            let year =
                self.spaces(time).and_then(|at| self.figure(at, 4..=4, 2999)).filter(|&end| self.ends(end));
            return Some(year.unwrap_or(time));
        }
        let year = self.figure(at, 4..=4, 2999)?;
        self.date_end(year, b" ,")
    }

    /// One space, or two where days are aligned.
    pub(super) fn spaces(&self, at: usize) -> Option<usize> {
        let spaces = self.run_of(at, |byte| *byte == b' ');
        (1..=2).contains(&spaces).then_some(at + spaces)
    }
}
