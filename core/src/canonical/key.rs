//! The order of two keys where they stand in the text.
//!
//! Promises the order a form asks for without knowing beforehand where a key ends or whether it has escapes, and without
//! a copy: eight bytes at a time while both are the same.

use std::cmp::Ordering;

use super::Form;
use super::scan::{byte, code_point, delimiters, word};

/// The first eight bytes of a key as a number that sorts as they do, zeros behind its end. None where an escape or a
/// character that the form sorts differently is among them.
#[inline]
pub(super) fn head<F: Form>(text: &[u8], at: usize) -> Option<u64> {
    let word = word(text, at)?;
    let end = delimiters(word);
    let kept = if end == 0 { word } else { word & ((1 << (end.trailing_zeros() & !7)) - 1) };
    let is_escaped = end != 0 && byte(text, at + end.trailing_zeros() as usize / 8) == b'\\';
    let is_ascii = kept & 0x8080_8080_8080_8080 == 0;
    (!is_escaped && (F::SORTS_BY_BYTE || is_ascii)).then_some(kept.swap_bytes())
}

/// Compares two keys of which the heads are known.
#[inline]
pub(super) fn compare_with_heads<F: Form>(text: &[u8], a: (u64, u32), b: (u64, u32)) -> Ordering {
    match a.0.cmp(&b.0) {
        // The last byte is a zero where a key has ended.
        Ordering::Equal if a.0 & 0xff != 0 => compare::<F>(text, a.1 as usize, b.1 as usize).0,
        order => order,
    }
}

/// Compares the keys whose first characters stand at `a` and `b`, and says how many bytes it took to tell. Equal means
/// the same key, however it is spelled.
pub(super) fn compare<F: Form>(text: &[u8], a: usize, b: usize) -> (Ordering, usize) {
    let mut same = 0;
    while let (Some(left), Some(right)) = (word(text, a + same), word(text, b + same)) {
        let end = (left ^ right) | delimiters(left);
        if end != 0 {
            same += end.trailing_zeros() as usize / 8;
            break;
        }
        same += 8;
    }
    loop {
        let (left, right) = (byte(text, a + same), byte(text, b + same));
        if left == b'\\' || right == b'\\' {
            return by_code_point::<F>(text, a + same, b + same, same);
        }
        // The one that ends is the smaller one, whatever follows in the other.
        let order = match (left, right) {
            (b'"', b'"') => return (Ordering::Equal, same),
            (b'"', _) => Ordering::Less,
            (_, b'"') => Ordering::Greater,
            _ => F::rank_of_byte(left).cmp(&F::rank_of_byte(right)),
        };
        if order.is_ne() {
            return (order, same);
        }
        same += 1;
    }
}

/// From the first escape on. All before it was the same, so that both stand at the beginning of a character.
fn by_code_point<F: Form>(text: &[u8], mut a: usize, mut b: usize, same: usize) -> (Ordering, usize) {
    let start = a;
    loop {
        let order = match (byte(text, a), byte(text, b)) {
            (b'"', b'"') => return (Ordering::Equal, same + a - start),
            (b'"', _) => Ordering::Less,
            (_, b'"') => Ordering::Greater,
            _ => {
                let (left, right);
                (left, a) = code_point(text, a);
                (right, b) = code_point(text, b);
                F::rank_of_code(left).cmp(&F::rank_of_code(right))
            }
        };
        if order.is_ne() {
            return (order, same + a - start);
        }
    }
}
