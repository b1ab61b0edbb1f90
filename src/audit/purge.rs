//! The only way out of the record: what is older than a bound, oldest first, and a record of that which stays.

use std::cell::RefCell;
use std::collections::HashSet;

use chrono::TimeDelta;
use costsim_core::audit::{Purge, digest_of};
use pgrx::datum::Uuid;
use pgrx::datum::UuidBytes;
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{INT8OID, TEXTOID, TIMESTAMPTZOID, UUIDARRAYOID};
use pgrx::prelude::*;

use crate::convert::short_text;
use crate::db::{self, Statement, column};
use crate::error::{Answer, Error, Result, required};
use crate::{clock, convert};

/// The most rows of one call: their numbers are kept in memory.
const LARGEST_PURGE: i64 = 1_000_000;

const LONGEST_NAME: usize = 256;
const LONGEST_NOTE: usize = 10_000;

/// Old by both its times: a record of a decision of long ago that was written today stays as long as all others.
static CHOOSE: Statement = Statement::current(
    "SELECT audit_id, decision_timestamp, content_digest FROM ONLY @schema@.costsim_audit_records
      WHERE decision_timestamp < $1 AND created_at < $1
      ORDER BY decision_timestamp, audit_id LIMIT $2 FOR UPDATE SKIP LOCKED",
    &[TIMESTAMPTZOID, INT8OID],
);

static DELETE: Statement = Statement::current(
    "DELETE FROM ONLY @schema@.costsim_audit_records WHERE audit_id = ANY ($1) RETURNING audit_id",
    &[UUIDARRAYOID],
);

/// Answers whether the row says what it was to say.
static NOTE: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_audit_purges AS p
            (purged_at, purged_by, session_user_name, reason, cut_off, rows, first_decision_timestamp, last_decision_timestamp, digest,
             content_digest)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     RETURNING (p.purged_at, p.purged_by, p.session_user_name, p.reason, p.cut_off, p.rows, p.first_decision_timestamp,
                p.last_decision_timestamp, p.digest, p.content_digest) = ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    &[
        TIMESTAMPTZOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TIMESTAMPTZOID,
        INT8OID,
        TIMESTAMPTZOID,
        TIMESTAMPTZOID,
        TEXTOID,
        TEXTOID,
    ],
);

thread_local! {
    /// What the purge is deleting just now.
    static PURGING: RefCell<Option<Purging>> = const { RefCell::new(None) };
}

/// The records that may go, and how old they must be.
struct Purging {
    before: pg_sys::TimestampTz,
    left: HashSet<UuidBytes>,
}

/// Whether a purge is deleting just now.
pub fn is_purging() -> bool {
    PURGING.with_borrow(Option::is_some)
}

/// Whether the purge is deleting this record just now, which it may once.
pub fn lets_go(id: UuidBytes, decided: pg_sys::TimestampTz, created: pg_sys::TimestampTz) -> bool {
    PURGING.with_borrow_mut(|purging| {
        purging.as_mut().is_some_and(|purging| {
            decided < purging.before && created < purging.before && purging.left.remove(&id)
        })
    })
}

/// While it lives, the trigger lets these records go. An error ends it as well.
struct Going;

impl Going {
    fn begin(before: TimestampWithTimeZone, left: HashSet<UuidBytes>) -> Self {
        PURGING.set(Some(Purging { before: before.into(), left }));
        Self
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        PURGING.set(None);
    }
}

/// How many at most, which must be one.
pub fn at_least_one(max_rows: Option<i64>, hint: &'static str) -> Result<i64> {
    match required(max_rows, "max_rows")? {
        rows @ 1.. => Ok(rows),
        _ => Err(Error::invalid("max_rows must be at least 1", hint)),
    }
}

/// Deletes records that are older than that, the oldest first, at most so many, and records that it did: how many.
///
/// It becomes the owner only after the caller's own deferred triggers have run: as the caller.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_purge_audit(
    older_than: Option<Interval>,
    max_rows: default!(Option<i64>, 10_000),
    purged_by: default!(Option<&str>, "NULL"),
    reason: default!(Option<&str>, "NULL"),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_audit()");
    let older_than = convert::span(required(older_than, "older_than")?);
    let max_rows = at_least_one(max_rows, "Leave it out for 10,000.")?;
    let by = short_text(
        required(purged_by, "purged_by")?,
        "purged_by",
        LONGEST_NAME,
        "Say who: a name, an address.",
    )?;
    let reason =
        short_text(required(reason, "reason")?, "reason", LONGEST_NOTE, "Say why, and by which rule.")?;
    if older_than < TimeDelta::zero() {
        return Err(
            Error::invalid("older_than must not be negative", "Pass how long records must stay.").into()
        );
    }
    if max_rows > LARGEST_PURGE {
        return Err(
            Error::invalid(format!("max_rows must be at most {LARGEST_PURGE}"), "Call it again.").into()
        );
    }
    if super::store::is_writing() {
        return Err(Error::Stays {
            what: "nothing is purged while a record is being written".into(),
            hint: "Call it from no trigger of costsim_audit_records.",
        }
        .into());
    }
    // Older than the calendar is nothing.
    let before = clock::now().checked_sub_signed(older_than).map(convert::timestamptz);
    let Some(Ok(before)) = before else { return Ok(0) };
    // What is put off to the commit cannot be, where the server watches over what is done.
    db::check_deferred_constraints()?;
    Ok(db::as_owner(|| purge(before, max_rows, by, reason))?)
}

fn purge(before: TimestampWithTimeZone, max_rows: i64, by: &str, reason: &str) -> Result<i64> {
    let gone = db::as_owner_of(db::relation(c"costsim_audit_records")?, || {
        let chosen = CHOOSE.rows(&[before.into(), max_rows.into()], |row| {
            Ok((
                *column::<Uuid>(row, 1)?.as_bytes(),
                column::<TimestampWithTimeZone>(row, 2)?,
                column::<String>(row, 3)?,
            ))
        })?;
        let ids: HashSet<UuidBytes> = chosen.iter().map(|(id, ..)| *id).collect();
        if ids.is_empty() {
            return Ok(chosen);
        }
        let list: Vec<Uuid> = chosen.iter().map(|(id, ..)| Uuid::from_bytes(*id)).collect();
        let going = Going::begin(before, ids.clone());
        let deleted = DELETE.rows(&[list.into()], |row| Ok(*column::<Uuid>(row, 1)?.as_bytes()))?;
        drop(going);
        // What is recorded as gone is gone, each by this statement: neither kept by somebody's trigger nor deleted under our cover.
        if deleted.len() == chosen.len() && deleted.iter().all(|id| ids.contains(id)) {
            Ok(chosen)
        } else {
            Err(Error::Stays {
                what: "a trigger or rule has come between the purge and the audit records".into(),
                hint: "Nothing was purged. Look at the triggers and rules of costsim_audit_records.",
            })
        }
    })?;
    let (Some((_, first, _)), Some((_, last, _))) = (gone.first(), gone.last()) else { return Ok(0) };
    let user = super::record::session_user();
    let moment = |at: &TimestampWithTimeZone| {
        convert::moment((*at).into())
            .ok_or_else(|| Error::Internal("a purge at a time that no calendar has".into()))
    };
    let note = Purge {
        purged_at: clock::now(),
        purged_by: by,
        session_user_name: &user,
        reason,
        cut_off: moment(&before)?,
        rows: convert::count(gone.len()),
        first_decision_timestamp: moment(first)?,
        last_decision_timestamp: moment(last)?,
        digest: &digest_of(gone.iter().map(|(_, _, digest)| digest.as_str())),
    };
    keep(&note, before, *first, *last)?;
    Ok(note.rows)
}

/// Keeps what a purge says of itself, or undoes all of it.
fn keep(
    note: &Purge<'_>,
    before: TimestampWithTimeZone,
    first: TimestampWithTimeZone,
    last: TimestampWithTimeZone,
) -> Result<()> {
    // Before the years of four digits there is nothing to purge.
    let content_digest = note.digest().ok_or_else(|| Error::Internal("a purge without a digest".into()))?;
    let purged_at = convert::timestamptz(note.purged_at)?;
    let says_so = db::as_owner_of(db::relation(c"costsim_audit_purges")?, || {
        let arguments = [
            purged_at.into(),
            note.purged_by.into(),
            note.session_user_name.into(),
            note.reason.into(),
            before.into(),
            note.rows.into(),
            first.into(),
            last.into(),
            note.digest.into(),
            content_digest.as_str().into(),
        ];
        NOTE.row(&arguments, |row| column::<bool>(row, 1))
    })?;
    if says_so == Some(true) {
        return Ok(());
    }
    Err(Error::Stays {
        what: "a trigger or rule has come between the purge and its own record".into(),
        hint: "Nothing was purged. Look at the triggers and rules of costsim_audit_purges.",
    })
}
