//! Addresses and ids whose form says what they are: UUIDs, e-mail, IPv4, IPv6, MAC.

use super::Scan;
use super::lists::{has_digit, is_all, is_word};

impl Scan<'_> {
    /// The end of a UUID with dashes.
    pub(super) fn uuid(&self, start: usize) -> Option<usize> {
        let text = self.text.get(start..start + 36)?;
        let is_one = text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
        (is_one && self.ends(start + 36)).then_some(start + 36)
    }

    /// The end of an e-mail address that begins here.
    pub(super) fn address(&mut self) -> Option<usize> {
        if self.at < self.no_address_before {
            return None;
        }
        let is_part = |byte: &u8| is_word(*byte) || b".%+-".contains(byte);
        let at = self.at + self.run_of(self.at, is_part);
        self.no_address_before = at;
        if self.byte(at) != b'@' {
            return None;
        }
        let mut end = at
            + 1
            + self.run_of(at + 1, |byte| byte.is_ascii_alphanumeric() || *byte == b'.' || *byte == b'-');
        while matches!(self.byte(end - 1), b'.' | b'-') {
            end -= 1;
        }
        let host = self.text.get(at + 1..end)?;
        let dot = host.iter().rposition(|&byte| byte == b'.')?;
        (dot > 0 && is_all(&host[dot + 1..], u8::is_ascii_alphabetic) && self.ends(end)).then_some(end)
    }

    pub(super) fn ipv4(&self) -> Option<usize> {
        let mut at = self.at;
        for nth in 0..4 {
            if nth > 0 {
                if self.byte(at) != b'.' {
                    return None;
                }
                at += 1;
            }
            self.two_or_three(at).map(|end| at = end)?;
        }
        (self.ends(at) && !(self.byte(at) == b'.' && self.byte(at + 1).is_ascii_digit())).then_some(at)
    }

    /// The end of a number up to 255.
    pub(super) fn two_or_three(&self, at: usize) -> Option<usize> {
        let length = self.run_of(at, u8::is_ascii_digit);
        let value = self.text[at..at + length.min(3)]
            .iter()
            .fold(0_u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
        ((1..=3).contains(&length) && value <= 255).then_some(at + length)
    }

    pub(super) fn ipv6(&self, start: usize) -> Option<usize> {
        // No address is longer, and what is longer is not looked at again and again.
        let rest = &self.text[start..self.text.len().min(start + 46)];
        let length = rest.iter().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b':').count();
        if length > 45 {
            return None;
        }
        let mut end = start + length;
        // A colon behind it is the sentence's.
        if length > 2 && self.byte(end - 1) == b':' && self.byte(end - 2) != b':' {
            end -= 1;
        }
        let text = &self.text[start..end];
        let colons = text.iter().filter(|&&byte| byte == b':').count();
        let is_short = text.windows(2).filter(|pair| pair == b"::").count() == 1;
        let groups_fit = text.split(|&byte| byte == b':').all(|group| group.len() <= 4);
        ((is_short && (2..=7).contains(&colons) || colons == 7)
            && groups_fit
            && has_digit(text)
            && self.ends(end))
        .then_some(end)
    }

    pub(super) fn hardware_address(&self, separator: u8) -> Option<usize> {
        let text = self.text.get(self.at..self.at + 17)?;
        let is_one = text.iter().enumerate().all(|(at, byte)| match at % 3 {
            2 => *byte == separator,
            _ => byte.is_ascii_hexdigit(),
        });
        let end = self.at + 17;
        (is_one && self.ends(end) && self.byte(end) != separator).then_some(end)
    }
}
