//! One cluster for the tests of a file that run at the same time.

use anyhow::Result;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Made by the first test that asks, gone with the last one that holds it. A plain static would never be dropped, and
/// what it had on disk would stay behind.
#[derive(Debug)]
pub struct Shared<T>(Mutex<Weak<T>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Shared<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    /// What is shared; `make` makes it when nobody has it just now.
    pub fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = known.upgrade() {
            return Ok(shared);
        }
        let made = Arc::new(make()?);
        *known = Arc::downgrade(&made);
        Ok(made)
    }
}
