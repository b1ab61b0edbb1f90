//! Hashes of canonical forms.
//!
//! Promises: the same payload gives the same hash in every process, language and release; [`input_hash`] is byte for
//! byte the one that Python applications already store, so old rows and new rows can be compared. Does not: keep a
//! secret or authenticate anything; these are plain SHA-256 values that anyone can compute.
//!
//! The hash takes whole buffers, and the instructions of the CPU for it where there are any (`sha2` looks for them).

use sha2::{Digest as _, Sha256};

use crate::canonical::{self, Limits, Malformed, Sink};

/// Hexadecimal digits of an input hash: 64 bits, the width that is already stored. By the birthday bound a collision is
/// expected after some four billion payloads; where that matters, use [`input_digest`].
const HASH_DIGITS: usize = 16;

/// A SHA-256 value.
pub type Digest = [u8; 32];

/// Hashes a form while it is made, and calls `pulse` every few milliseconds, which may end the work by unwinding.
struct Hashing<'p> {
    hasher: Sha256,
    pulse: &'p mut dyn FnMut(),
}

impl Sink for Hashing<'_> {
    fn piece(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self.hasher.update(piece);
        Ok(())
    }

    fn pulse(&mut self) {
        (self.pulse)();
    }
}

/// A form that is written part by part, and hashed on the way.
pub(crate) struct Parts<'p> {
    hashing: Hashing<'p>,
    /// What is written next.
    pub(crate) buffer: Vec<u8>,
}

impl<'p> Parts<'p> {
    pub(crate) fn new(pulse: &'p mut dyn FnMut()) -> Self {
        Self { hashing: Hashing { hasher: Sha256::new(), pulse }, buffer: Vec::with_capacity(1024) }
    }

    /// The reference form of a JSON text that is stored.
    pub(crate) fn document(&mut self, text: &str) -> Result<(), Malformed> {
        self.hashing.hasher.update(&self.buffer);
        self.buffer.clear();
        canonical::reference_into(text, &Limits::stored(), &mut self.hashing)
    }

    pub(crate) fn digest(mut self) -> Digest {
        self.hashing.hasher.update(&self.buffer);
        self.hashing.hasher.finalize().into()
    }
}

/// SHA-256 over the reference form of a JSON text.
pub fn reference_digest(text: &str, limits: &Limits, pulse: &mut dyn FnMut()) -> Result<Digest, Malformed> {
    let mut sink = Hashing { hasher: Sha256::new(), pulse };
    canonical::reference_into(text, limits, &mut sink)?;
    Ok(sink.hasher.finalize().into())
}

/// SHA-256 over the RFC 8785 form of a JSON text.
pub fn jcs_digest(
    text: &str,
    limits: &Limits,
    strict_numbers: bool,
    pulse: &mut dyn FnMut(),
) -> Result<Digest, Malformed> {
    let mut sink = Hashing { hasher: Sha256::new(), pulse };
    canonical::jcs_into(text, limits, strict_numbers, &mut sink)?;
    Ok(sink.hasher.finalize().into())
}

/// The first 16 hexadecimal digits of [`input_digest`].
pub fn input_hash(text: &str) -> Result<String, Malformed> {
    Ok(short_hex(&reference_digest(text, &Limits::default(), &mut || ())?))
}

/// SHA-256 over the reference form of a JSON text: 64 lower-case hexadecimal digits.
pub fn input_digest(text: &str) -> Result<String, Malformed> {
    Ok(hex(&reference_digest(text, &Limits::default(), &mut || ())?))
}

/// A digest as it is stored: 64 lower-case hexadecimal digits.
pub fn hex(digest: &Digest) -> String {
    let mut hex = String::with_capacity(2 * digest.len());
    for byte in digest {
        for value in [byte >> 4, byte & 0xf] {
            hex.push(char::from(if value < 10 { b'0' + value } else { b'a' - 10 + value }));
        }
    }
    hex
}

/// The width that the reference stores: the first 16 of these digits.
pub fn short_hex(digest: &Digest) -> String {
    let mut hex = hex(digest);
    hex.truncate(HASH_DIGITS);
    hex
}
