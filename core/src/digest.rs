//! Hashes of canonical forms.
//!
//! Promises: the same payload gives the same hash in every process, language and release; [`input_hash`] is byte for
//! byte the one that Python applications already store, so old rows and new rows can be compared. Does not: keep a
//! secret or authenticate anything; these are plain SHA-256 values that anyone can compute.

use sha2::{Digest, Sha256};

use crate::canonical::{self, Limits, Malformed};

/// Hexadecimal digits of an input hash: 64 bits, the width that is already stored. By the birthday bound a collision is
/// expected after some four billion payloads; where that matters, use [`input_digest`].
const HASH_DIGITS: usize = 16;

/// The first 16 hexadecimal digits of [`input_digest`].
pub fn input_hash(text: &str) -> Result<String, Malformed> {
    let mut hash = input_digest(text)?;
    hash.truncate(HASH_DIGITS);
    Ok(hash)
}

/// SHA-256 over the reference form of a JSON text: 64 lower-case hexadecimal digits.
pub fn input_digest(text: &str) -> Result<String, Malformed> {
    let mut hasher = Sha256::new();
    canonical::reference_into(text, &Limits::default(), &mut |piece| hasher.update(piece))?;
    Ok(format!("{:x}", hasher.finalize()))
}

/// SHA-256 over the reference form of a JSON text within these limits.
pub fn reference_digest(text: &str, limits: &canonical::Limits) -> Result<[u8; 32], Malformed> {
    let mut hasher = Sha256::new();
    canonical::reference_into(text, limits, &mut |piece| hasher.update(piece))?;
    Ok(hasher.finalize().into())
}
