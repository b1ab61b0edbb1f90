//! Doubles from and to text, digit for digit as CPython and ECMAScript read and print them.
//!
//! The standard library rounds as well as they do, but differs in two corners that a hash would notice: how far it
//! follows a huge exponent, and which of two equally near spellings it prints. Nothing here asks for memory, however long
//! a number is spelled.

use std::io::Write;

/// The double nearest to a JSON number.
pub(super) fn read(lexeme: &[u8]) -> f64 {
    // The standard library stops counting an exponent beyond 65,535. A number that is shorter than that cannot bring it
    // back into the range of doubles, so only a longer one needs its point moved by hand.
    if lexeme.len() < 65_000 { nearest(lexeme) } else { nearest(&shortened(lexeme)) }
}

/// The scanner lets nothing pass that does not parse.
fn nearest(lexeme: &[u8]) -> f64 {
    std::str::from_utf8(lexeme).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

/// Between two neighbouring doubles lies no boundary of more digits; all beyond can only say that there is more.
const TELLING_DIGITS: usize = 800;

/// The same number, as far as a double can tell, spelled `0.ddd` with a leading digit that is not zero, so that the
/// exponent alone tells its size.
fn shortened(lexeme: &[u8]) -> [u8; TELLING_DIGITS + 32] {
    let spelled = Spelled::new(lexeme);
    let mut short = [b'0'; TELLING_DIGITS + 32];
    let (head, tail) = short.split_at_mut(3);
    head.copy_from_slice(if lexeme.starts_with(b"-") { b"-0." } else { b"00." });
    let mut digits = spelled.digits();
    for (place, digit) in tail.iter_mut().zip(digits.by_ref().take(TELLING_DIGITS)) {
        *place = digit;
    }
    if let (Some(place), true) = (tail.get_mut(TELLING_DIGITS), digits.any(|digit| digit != b'0')) {
        *place = b'1';
    }
    // Doubles end near 1e-324 and 1e308; all that lies far beyond reads as zero or infinity.
    let point = spelled.point.clamp(-1000, 1000);
    if let Some(mut exponent) = tail.get_mut(TELLING_DIGITS + 1..) {
        // The width is what is left, so that all of the array is the number.
        let _ = write!(exponent, "e{point:+027}");
    }
    short
}

/// A number as it is spelled: its digits without leading zeros are those of `0.ddd`, times ten to the `point`.
struct Spelled<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    leading_zeros: usize,
    point: i128,
}

impl<'a> Spelled<'a> {
    fn new(lexeme: &'a [u8]) -> Self {
        let unsigned = lexeme.strip_prefix(b"-").unwrap_or(lexeme);
        let split = |bytes: &'a [u8], at: Option<usize>| match at.and_then(|at| bytes.split_at_checked(at)) {
            Some((before, after)) => (before, after.get(1..).unwrap_or_default()),
            None => (bytes, &b""[..]),
        };
        let (mantissa, exponent) =
            split(unsigned, unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')));
        let (whole, fraction) = split(mantissa, mantissa.iter().position(|byte| *byte == b'.'));
        let leading_zeros = whole.iter().chain(fraction).take_while(|digit| **digit == b'0').count();
        let (is_negative, digits) = match exponent {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] | digits => (false, digits),
        };
        let size = digits.iter().fold(0_i128, |size, digit| {
            size.saturating_mul(10).saturating_add(i128::from(digit.saturating_sub(b'0')))
        });
        let exponent = if is_negative { -size } else { size };
        let point = exponent.saturating_add(whole.len() as i128).saturating_sub(leading_zeros as i128);
        Self { whole, fraction, leading_zeros, point }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).skip(self.leading_zeros).copied()
    }
}

/// Whether a number is spelled, but for its sign, as a decimal is printed: no exponent, at most 15 digits, no zero at its
/// end but a single one behind the point, at most so many zeros between the point and the first digit of one below 1. No
/// two decimals of at most 15 digits are the same double, so each is the shortest spelling of its own.
pub(super) fn is_short_decimal(lexeme: &[u8], most_zeros: usize) -> bool {
    let unsigned = lexeme.strip_prefix(b"-").unwrap_or(lexeme);
    if unsigned.len() > 16 {
        return false;
    }
    let Some(point) = unsigned.iter().position(|byte| !byte.is_ascii_digit()) else { return false };
    let (whole, fraction) = (unsigned.get(..point).unwrap_or(b""), unsigned.get(point + 1..).unwrap_or(b""));
    if unsigned.get(point) != Some(&b'.') || !fraction.iter().all(u8::is_ascii_digit) {
        return false;
    }
    match fraction {
        b"0" => true,
        [.., b'0'] | [] => false,
        _ => whole != b"0" || fraction.iter().take_while(|digit| **digit == b'0').count() <= most_zeros,
    }
}

/// Whether a number, as it is spelled, has the very value that these digits have.
pub(super) fn is_same(lexeme: &[u8], digits: &Digits) -> bool {
    let spelled = Spelled::new(lexeme);
    let mut spelled_digits = spelled.digits().peekable();
    if spelled_digits.peek().is_none() {
        return digits.all() == b"0";
    }
    let point = i128::from(digits.point);
    let is_same = digits.all().iter().all(|digit| spelled_digits.next().unwrap_or(b'0') == *digit);
    is_same && spelled.point == point && spelled_digits.all(|digit| digit == b'0')
}

/// The shortest digits that read back as the same double, without zeros at their end; of those the nearest, and of two
/// equally near ones the even. They are those of `0.ddd`, times ten to the `point`. Zero is the digit 0.
pub(super) struct Digits {
    digits: [u8; 17],
    count: usize,
    point: i32,
}

impl Digits {
    /// Of a finite double; the sign is the caller's.
    pub(super) fn new(value: f64) -> Self {
        let value = value.abs();
        let shortest = Self::printed(value, None);
        if shortest.count >= 16 && is_tie(value, shortest.count) {
            // 2169758666957829.25 lies exactly between ..9.2 and ..9.3, and both read back as it. Rounding to as many
            // digits breaks such a tie to even; next to a power of two only one of them reads back.
            let even = Self::printed(value, Some(shortest.count - 1));
            if even.value() == value {
                return even;
            }
        }
        shortest
    }

    fn printed(value: f64, precision: Option<usize>) -> Self {
        let mut text = [0; 32];
        let mut rest = &mut text[..];
        // 17 digits, a point and an exponent of three digits fit.
        let _ = match precision {
            None => write!(rest, "{value:e}"),
            Some(precision) => write!(rest, "{value:.precision$e}"),
        };
        let mut all = Self { digits: [b'0'; 17], count: 0, point: 0 };
        let mut bytes = text.iter().copied();
        for byte in bytes.by_ref().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit) {
            if let Some(place) = all.digits.get_mut(all.count) {
                *place = byte;
                all.count += 1;
            }
        }
        let mut is_negative = false;
        for byte in bytes {
            match byte {
                b'-' => is_negative = true,
                b'0'..=b'9' => all.point = all.point * 10 + i32::from(byte - b'0'),
                _ => break,
            }
        }
        if is_negative {
            all.point = -all.point;
        }
        all.point += 1;
        while all.count > 1 && all.digits.get(all.count - 1) == Some(&b'0') {
            all.count -= 1;
        }
        all
    }

    fn all(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or(b"0")
    }

    fn value(&self) -> f64 {
        let mut text = Printed::default();
        text.put(b"0.");
        text.put(self.all());
        text.exponent("e", self.point, 1);
        nearest(text.bytes())
    }
}

/// Whether a double lies exactly between two decimals of so many digits: then it has one digit more, and that is a five. A
/// decimal of 17 or 18 digits that is a double has a fraction of at most 25 binary digits, since each adds a decimal digit
/// of its own; a whole number of that size has too many factors of two to end in a single five.
fn is_tie(value: f64, count: usize) -> bool {
    let bits = value.to_bits();
    let (exponent, fraction) = (bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
    if exponent == 0 {
        return false;
    }
    let mantissa = fraction | 1 << 52;
    let zeros = mantissa.trailing_zeros();
    let exponent = i64::try_from(exponent).unwrap_or(0) - 1075 + i64::from(zeros);
    let Ok(places @ 1..=25) = u32::try_from(-exponent) else { return false };
    let digits = u128::from(mantissa >> zeros) * 5_u128.pow(places);
    u32::try_from(count).is_ok_and(|count| digits.checked_ilog10() == Some(count))
}

/// A few characters.
#[derive(Default)]
pub(super) struct Printed {
    text: [u8; 32],
    count: usize,
}

impl Printed {
    pub(super) fn bytes(&self) -> &[u8] {
        self.text.get(..self.count).unwrap_or(b"")
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(place) = self.text.get_mut(self.count..self.count + bytes.len()) {
            place.copy_from_slice(bytes);
            self.count += bytes.len();
        }
    }

    fn zeros(&mut self, count: i32) {
        for _ in 0..count {
            self.put(b"0");
        }
    }

    fn exponent(&mut self, letter: &str, exponent: i32, least: usize) {
        let mut rest = self.text.get_mut(self.count..).unwrap_or_default();
        let free = rest.len();
        let _ = write!(rest, "{letter}{exponent:0least$}");
        self.count += free - rest.len();
    }

    /// The digits with a point among, before or behind them.
    fn positional(&mut self, digits: &Digits) {
        let all = digits.all();
        match usize::try_from(digits.point) {
            Ok(point @ 1..) => {
                let (whole, fraction) = all.split_at_checked(point).unwrap_or((all, b""));
                self.put(whole);
                self.zeros(digits.point - i32::try_from(whole.len()).unwrap_or(0));
                if !fraction.is_empty() {
                    self.put(b".");
                    self.put(fraction);
                }
            }
            _ => {
                self.put(b"0.");
                self.zeros(-digits.point);
                self.put(all);
            }
        }
    }

    fn scientific(&mut self, digits: &Digits, least: usize) {
        let (first, rest) = digits.all().split_at_checked(1).unwrap_or((b"0", b""));
        self.put(first);
        if !rest.is_empty() {
            self.put(b".");
            self.put(rest);
        }
        let exponent = digits.point - 1;
        self.exponent(if exponent < 0 { "e-" } else { "e+" }, exponent.abs(), least);
    }
}

/// Python's `repr`: positional while the decimal exponent lies in -4..16 and then always with a fraction, scientific with
/// at least two exponent digits outside.
pub(super) fn python(value: f64) -> Printed {
    let mut text = Printed::default();
    if value.is_nan() {
        text.put(b"NaN");
        return text;
    }
    if value.is_sign_negative() {
        text.put(b"-");
    }
    if value.is_infinite() {
        text.put(b"Infinity");
        return text;
    }
    let digits = Digits::new(value);
    if !(-3..=16).contains(&digits.point) {
        text.scientific(&digits, 2);
        return text;
    }
    text.positional(&digits);
    if digits.point >= 1 && usize::try_from(digits.point).is_ok_and(|point| point >= digits.count) {
        text.put(b".0");
    }
    text
}

/// ECMAScript's `Number::toString` of a finite double: positional from 1e-6 to below 1e21, a whole number without a point,
/// no sign on zero.
pub(super) fn ecmascript(value: f64, digits: &Digits) -> Printed {
    let mut text = Printed::default();
    if value < 0.0 {
        text.put(b"-");
    }
    if (-5..=21).contains(&digits.point) {
        text.positional(digits);
    } else {
        text.scientific(digits, 1);
    }
    text
}
