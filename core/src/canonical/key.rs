//! The order of two keys where they stand in the text.
//!
//! Promises the order a form asks for without knowing beforehand where a key ends or whether it has escapes, and without
//! a copy: eight bytes at a time while both are the same.

use std::cmp::Ordering;

use super::Form;
use super::scan::{byte, code_point, delimiters, word};

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
