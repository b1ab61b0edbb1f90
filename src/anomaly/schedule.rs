//! What the worker does: looks at tenants with something new, a few in each transaction.

use super::{DETECTOR, detect, store};
use crate::error::{Error, Result};
use crate::{clock, db, lock, turn};

/// Looks at the next tenants behind one of them: the last of these; nothing when there are none, or when somebody else is looking.
///
/// Whatever is folded or recorded from now on makes its tenant due again, for the mark is taken away before the series are read.
pub fn look(after: &str) -> Result<Option<String>> {
    db::as_owner(|| {
        if !lock::try_be_the_only_detector() {
            return Ok(None);
        }
        match turn::take(DETECTOR) {
            Ok(()) => {}
            Err(Error::LockHeld { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut tenants = store::due(after, detect::TENANTS_AT_ONCE)?;
        let Some(last) = tenants.last().cloned() else { return Ok(None) };
        // As whoever folds locks them.
        tenants.sort_unstable();
        store::take_up(&tenants)?;
        detect::detect(&tenants, clock::now())?;
        Ok(Some(last))
    })
}
