//! The summary of a window that moves over rows.
//!
//! Promises: the same summary as one made of the window's pairs alone; a pair that enters or leaves costs a constant, since sums and counts
//! take back exactly what they were given. Only when an extreme leaves are the window's pairs looked at again, once per answer.

use std::collections::VecDeque;

use super::digest::Digest;
use super::{Fault, KEPT, LARGEST_COUNT, Summary};

/// The pairs within a window, oldest first, and what is known of them.
#[derive(Debug, Default)]
pub struct Moving {
    pairs: VecDeque<(f64, f64)>,
    not_finite: u64,
    /// Of all pairs. Kept until there are far fewer than it is needed for, lest a window of about that size makes it again and again.
    digest: Option<Box<Digest>>,
    are_extremes_stale: bool,
}

impl Moving {
    /// A pair enters the window.
    pub fn add(&mut self, v1: f64, v2: f64) -> Result<(), Fault> {
        if !(v2 - v1).is_finite() {
            self.not_finite += 1;
            return Ok(());
        }
        if self.pairs.len() as u64 == LARGEST_COUNT {
            return Err(Fault::TooMany);
        }
        self.pairs.try_reserve(1)?;
        self.pairs.push_back((v1, v2));
        match &mut self.digest {
            Some(digest) => digest.add(&[(v1, v2)])?,
            None if self.pairs.len() > KEPT => {
                self.digest.get_or_insert_default().add(self.pairs.make_contiguous())?;
            }
            None => {}
        }
        Ok(())
    }

    /// The oldest pair leaves the window; false if it is none that has entered.
    pub fn remove(&mut self, v1: f64, v2: f64) -> bool {
        if !(v2 - v1).is_finite() {
            let has_entered = self.not_finite > 0;
            self.not_finite = self.not_finite.saturating_sub(1);
            return has_entered;
        }
        let Some(pair) = self.pairs.pop_front() else { return false };
        if (pair.0.to_bits(), pair.1.to_bits()) != (v1.to_bits(), v2.to_bits()) {
            return false;
        }
        if self.pairs.len() <= KEPT / 2 {
            self.digest = None;
        }
        if let Some(digest) = &mut self.digest {
            self.are_extremes_stale |= digest.remove(pair);
        }
        true
    }

    /// The binary form of the window's summary.
    pub fn to_bytes(&mut self) -> Result<Vec<u8>, Fault> {
        if let Some(digest) = self.digest.as_mut().filter(|_| self.pairs.len() > KEPT) {
            if std::mem::take(&mut self.are_extremes_stale) {
                digest.moments.forget_extremes();
                self.pairs.iter().for_each(|pair| digest.moments.extend(*pair));
            }
            return Ok(super::wire::write_digest(self.not_finite, digest));
        }
        let mut summary = Summary { not_finite: self.not_finite, ..Summary::default() };
        self.pairs.iter().try_for_each(|(v1, v2)| summary.add(*v1, *v2))?;
        summary.to_bytes()
    }
}
