//! Backfill: baselines of the old model for inputs that have none, from a JSON array or from the staging table.
//!
//! A *baseline* is a row of variant v1, known by its tenant and the hash of its input. One that is there is left alone, whoever wrote it.
//! Records are written a batch in one statement, each batch in a subtransaction of its own. A batch that the server refuses is halved until
//! the records that are at fault stand alone, and everything else is written. Trouble of the moment (cancel, shutdown, a deadlock, a full
//! disk) is nobody's fault and ends the call.
//!
//! It runs under the lock of whoever does the backfill, to the end of the transaction: two at a time would only wait for each other. A call
//! on the staging table notes there what became of each record, in the same transaction, so whatever happens it goes on where it was.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use costsim_core::canonical::Malformed;
use costsim_core::digest;
use pgrx::datum::DatumWithOid;
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{INT4OID, INT8ARRAYOID, INT8OID, TEXTARRAYOID};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::once::{self, Written};
use super::record::{self, BACKFILL, BASELINE, LONGEST_BATCH, Record};
use super::store;
use crate::convert::{JsonText, Jsonb, beginning};
use crate::db::{self, Statement, column};
use crate::error::{Error, Result, required};
use crate::turn;

/// The lock id of whoever fills in baselines.
const BASELINE_BACKFILL: i64 = 7004;

/// The most records of one statement.
const LARGEST_STATEMENT: i32 = 10_000;

/// How many errors are told one by one, and how many characters of each: an answer, not a log.
const MOST_DETAILS: usize = 100;
const LONGEST_MESSAGE: usize = 500;

/// Writes baselines from a JSON array of records.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_backfill_v1_baseline(
    records: Option<JsonText>,
    batch_size: default!(Option<i32>, "100"),
    dry_run: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (name!(inserted, i64), name!(skipped, i64), name!(errors, i64), name!(error_details, Jsonb)),
    >,
    ErrorReport,
> {
    db::require_writable(c"costsim_backfill_v1_baseline()");
    let (batch_size, dry_run) = (size_of_batch(batch_size)?, required(dry_run, "dry_run")?);
    let records = required(records, "records")?;
    let elements = record::elements(records.text("records", LONGEST_BATCH)?)?;
    turn::take(BASELINE_BACKFILL)?;

    let mut progress = Progress::start(elements.len());
    let mut details: Vec<Detail> = Vec::new();
    let mut fill = || {
        for (batch, first) in elements.chunks(batch_size).zip((0..).step_by(batch_size)) {
            let texts: Vec<&str> = batch.iter().map(|element| element.get()).collect();
            for (index, outcome) in (first..).zip(write_batch(&texts, &mut progress)?) {
                if let Outcome::Error(fault) = outcome
                    && details.len() < MOST_DETAILS
                {
                    details.push(Detail { index, sqlstate: fault.sqlstate, error: fault.message });
                }
            }
        }
        Ok(())
    };
    if dry_run {
        db::rehearse(fill)?
    } else {
        fill()?
    }

    let details = serde_json::to_string(&details)
        .map_err(|error| Error::Internal(format!("errors could not be told: {error}")))?;
    let Counts { inserted, skipped, errors, .. } = progress.end();
    Ok(TableIterator::once((inserted, skipped, errors, Jsonb::read(&details)?)))
}

/// Writes baselines from the staging table: the next so many records.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_backfill_staged(
    max_records: default!(Option<i32>, "10000"),
    batch_size: default!(Option<i32>, "100"),
    dry_run: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (name!(inserted, i64), name!(skipped, i64), name!(errors, i64), name!(remaining, i64)),
    >,
    ErrorReport,
> {
    db::require_writable(c"costsim_backfill_staged()");
    let max_records = match required(max_records, "max_records")? {
        max if max > 0 => usize::try_from(max).unwrap_or(usize::MAX),
        max => {
            return Err(Error::invalid(
                format!("max_records must be positive, not {max}"),
                "Pass how many records to take in this transaction.",
            )
            .into());
        }
    };
    let (batch_size, dry_run) = (size_of_batch(batch_size)?, required(dry_run, "dry_run")?);
    turn::take(BASELINE_BACKFILL)?;

    let staged = count_staged()?;
    let mut progress = Progress::start(staged.min(max_records));
    let mut fill = || {
        let (mut last, mut left) = (i64::MIN, max_records);
        while left > 0 {
            let staged = next_staged(last, left.min(batch_size))?;
            let Some(newest) = staged.last() else { break };
            last = newest.id;
            left -= staged.len();
            let texts: Vec<&str> =
                staged.iter().map(|staged| staged.record.as_deref().unwrap_or("")).collect();
            let outcomes = write_batch(&texts, &mut progress)?;
            note_outcomes(&staged, &outcomes)?;
        }
        Ok(())
    };
    if dry_run {
        db::rehearse(fill)?
    } else {
        fill()?
    }

    let Counts { inserted, skipped, errors, processed } = progress.end();
    // What a dry run has done was taken back.
    let done = if dry_run { 0 } else { processed };
    let remaining = (i64::try_from(staged).unwrap_or(i64::MAX) - done).max(0);
    Ok(TableIterator::once((inserted, skipped, errors, remaining)))
}

fn size_of_batch(size: Option<i32>) -> Result<usize> {
    match required(size, "batch_size")? {
        size @ 1..=LARGEST_STATEMENT => Ok(usize::try_from(size).unwrap_or(1)),
        size => Err(Error::invalid(
            format!("batch_size must be between 1 and {LARGEST_STATEMENT}, not {size}"),
            "Pass how many records to write in one statement; 100 to 1000 are good.",
        )),
    }
}

/// What became of a record.
enum Outcome {
    Inserted(i64),
    Skipped(i64),
    Error(Fault),
}

/// What is wrong with a record.
struct Fault {
    sqlstate: String,
    message: String,
}

/// One line of the answer.
#[derive(Serialize)]
struct Detail {
    index: usize,
    sqlstate: String,
    error: String,
}

impl From<Malformed> for Fault {
    fn from(error: Malformed) -> Self {
        let sqlstate = match error {
            Malformed::Syntax { .. } | Malformed::NoForm { .. } => "22023",
            Malformed::TooLarge { .. } | Malformed::FormTooLarge { .. } => "54000",
            Malformed::TooDeep { .. } => "54001",
            Malformed::OutOfMemory => "53200",
        };
        Self::new(sqlstate, &error.to_string())
    }
}

impl Fault {
    fn new(sqlstate: &str, message: &str) -> Self {
        Self { sqlstate: sqlstate.to_owned(), message: beginning(message, LONGEST_MESSAGE).to_owned() }
    }
}

/// Writes a batch, in memory that is given back after it, and counts what became of each record.
fn write_batch(texts: &[&str], progress: &mut Progress) -> Result<Vec<Outcome>> {
    let mut memory = PgMemoryContexts::new("costsim_pg backfill");
    // SAFETY: what is answered lies in Rust's memory.
    let outcomes = unsafe {
        memory.switch_to(|_| {
            let read: Vec<Result<Record<'_>, Fault>> = texts.iter().map(|text| read(text)).collect();
            let fit: Vec<&Record<'_>> = read.iter().filter_map(|record| record.as_ref().ok()).collect();
            let mut written = Vec::with_capacity(fit.len());
            write(&fit, progress, &mut written)?;
            let mut written = written.into_iter();
            let settle = |record: Result<Record<'_>, Fault>| match record {
                Ok(_) => written.next().ok_or_else(|| Error::Internal("a record got lost".into())),
                Err(fault) => Ok(Outcome::Error(fault)),
            };
            read.into_iter().map(settle).collect::<Result<Vec<_>>>()
        })?
    };
    progress.count(&outcomes);
    Ok(outcomes)
}

/// Writes the records that the server takes, all at once if it takes them all.
fn write(records: &[&Record<'_>], progress: &mut Progress, outcomes: &mut Vec<Outcome>) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    // The records are only read, so nothing is torn when an error passes over them.
    let attempt = db::attempt(std::panic::AssertUnwindSafe(|| once::write_all(records, store::baselines)))?;
    let refusal = match attempt {
        Ok(written) => {
            outcomes.extend(written.into_iter().map(|Written { id, is_new }| match is_new {
                true => Outcome::Inserted(id),
                false => Outcome::Skipped(id),
            }));
            return Ok(());
        }
        Err(refusal) => refusal,
    };
    // The server has taken the progress off the board with the subtransaction.
    progress.show();
    if let [_] = records {
        outcomes.push(Outcome::Error(Fault::new(&refusal.sqlstate, &refusal.message)));
        return Ok(());
    }
    // In order, so that of records with the same key it is the first fit one that is written.
    let (first, second) = records.split_at(records.len() / 2);
    write(first, progress, outcomes)?;
    write(second, progress, outcomes)
}

/// A record as callers write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Baseline<'a> {
    #[serde(borrow)]
    run_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tenant_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input_hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    cost: Option<f64>,
    #[serde(borrow)]
    model_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    adapter_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    commit_sha: Option<Cow<'a, str>>,
    runtime_ms: Option<i32>,
    #[serde(borrow)]
    created_at: Option<Cow<'a, str>>,
}

/// Reads one record; without a hash it gets that of its payload.
fn read(text: &str) -> Result<Record<'_>, Fault> {
    let unfit = |detail: String| Fault::new("22023", &detail);
    if text.is_empty() {
        return Err(Fault::new("54000", &format!("the record has more than {LONGEST_BATCH} bytes")));
    }
    let baseline: Baseline<'_> = serde_json::from_str(text).map_err(|error| unfit(error.to_string()))?;
    let created_at = baseline
        .created_at
        .map(|moment| {
            DateTime::parse_from_rfc3339(&moment)
                .map(|moment| moment.with_timezone(&Utc))
                .map_err(|error| unfit(format!("created_at is no RFC 3339 date: {error}")))
        })
        .transpose()?;
    let (input_hash, hash_version) = match (baseline.input_hash, baseline.payload) {
        (Some(hash), _) if !hash.is_empty() => (hash, None),
        (_, Some(payload)) => (digest::input_hash(payload.get()).map_err(Fault::from)?.into(), Some(1)),
        _ => return Err(unfit("there must be an input_hash or a payload to know the record by".into())),
    };
    let record = Record {
        run_id: baseline.run_id,
        tenant_id: baseline.tenant_id,
        variant_slug: Some(BASELINE.into()),
        source: Some(BACKFILL.into()),
        model_version: baseline.model_version,
        adapter_version: baseline.adapter_version,
        commit_sha: baseline.commit_sha,
        input_hash: Some(input_hash),
        output_hash: None,
        v1_cost: baseline.cost,
        v2_cost: None,
        runtime_ms: baseline.runtime_ms,
        hash_version,
        payload: baseline.payload,
        created_at,
    };
    match record.fault_once().or_else(|| record.fault_of_text()) {
        Some(fault) => Err(unfit(fault.replace("v1_cost", "cost"))),
        None => Ok(record),
    }
}

/// What a call has done so far.
#[derive(Clone, Copy, Default)]
struct Counts {
    processed: i64,
    inserted: i64,
    skipped: i64,
    errors: i64,
}

/// The call's line in costsim_backfill_progress and, as far as that has columns for it, in pg_stat_progress_copy.
struct Progress {
    started_at: i64,
    total: usize,
    counts: Counts,
}

impl Progress {
    fn start(total: usize) -> Self {
        // SAFETY: reads the clock.
        let started_at = unsafe { pg_sys::GetCurrentTimestamp() };
        let progress = Self { started_at, total, counts: Counts::default() };
        progress.show();
        progress
    }

    fn count(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            self.counts.processed += 1;
            match outcome {
                Outcome::Inserted(_) => self.counts.inserted += 1,
                Outcome::Skipped(_) => self.counts.skipped += 1,
                Outcome::Error(_) => self.counts.errors += 1,
            }
        }
        self.update();
    }

    /// Puts the line up, also after an abort has taken it down.
    fn show(&self) {
        if let Ok(table) = db::relation(c"costsim_provenance") {
            // SAFETY: writes into this process' own place in shared memory.
            unsafe {
                pg_sys::pgstat_progress_start_command(
                    pg_sys::ProgressCommandType::PROGRESS_COMMAND_COPY,
                    table,
                );
            }
            self.update();
        }
    }

    fn update(&self) {
        let Counts { processed, inserted, skipped, errors } = self.counts;
        // Counted from 0 here, from 1 in SQL. The first four are COPY's own; ours begin behind what any major has.
        let parameters = [
            (pg_sys::PROGRESS_COPY_TUPLES_PROCESSED, inserted),
            (pg_sys::PROGRESS_COPY_TUPLES_EXCLUDED, skipped + errors),
            (pg_sys::PROGRESS_COPY_COMMAND, pg_sys::PROGRESS_COPY_COMMAND_FROM.into()),
            (pg_sys::PROGRESS_COPY_TYPE, pg_sys::PROGRESS_COPY_TYPE_CALLBACK.into()),
            (10, BASELINE_BACKFILL),
            (11, self.started_at),
            (12, i64::try_from(self.total).unwrap_or(i64::MAX)),
            (13, processed),
            (14, inserted),
            (15, skipped),
            (16, errors),
        ];
        let (places, values): (Vec<i32>, Vec<i64>) =
            parameters.into_iter().map(|(place, value)| (place.cast_signed(), value)).unzip();
        // SAFETY: both arrays have the length that is told; the places are below the twenty that there are.
        unsafe {
            pg_sys::pgstat_progress_update_multi_param(places.len() as i32, places.as_ptr(), values.as_ptr());
        }
    }

    fn end(self) -> Counts {
        // SAFETY: as above.
        unsafe { pg_sys::pgstat_progress_end_command() };
        self.counts
    }
}

static COUNT_STAGED: Statement = Statement::deciding(
    "SELECT pg_catalog.count(*) FROM @schema@.costsim_backfill_staging AS s WHERE s.state OPERATOR(pg_catalog.=) 'staged'",
    &[],
);

static NEXT_STAGED: Statement = Statement::deciding(
    "SELECT s.id, s.record FROM @schema@.costsim_backfill_staging AS s
      WHERE s.state OPERATOR(pg_catalog.=) 'staged' AND s.id OPERATOR(pg_catalog.>) $1
      ORDER BY s.id LIMIT $2",
    &[INT8OID, INT4OID],
);

/// The range of ids is there for the planner, which may have planned this for a table that was empty.
static NOTE_OUTCOMES: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_backfill_staging AS s
        SET state = r.state, error = r.error, provenance_id = r.provenance_id, processed_at = pg_catalog.clock_timestamp()
       FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))
         AS r(id, state, error, provenance_id)
      WHERE s.id OPERATOR(pg_catalog.=) r.id AND s.id OPERATOR(pg_catalog.>=) $5 AND s.id OPERATOR(pg_catalog.<=) $6",
    &[INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8OID, INT8OID],
);

/// A record that was staged; without its text when that is too long to be one.
struct Staged {
    id: i64,
    record: Option<String>,
}

fn count_staged() -> Result<usize> {
    let count: Option<i64> = COUNT_STAGED.row(&[], |row| column(row, 1))?;
    Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(0))
}

/// The next records behind `last`, and no more of them than one call takes.
fn next_staged(last: i64, most: usize) -> Result<Vec<Staged>> {
    let most = i32::try_from(most).unwrap_or(LARGEST_STATEMENT);
    let mut bytes = 0;
    let read = |row: &db::Row<'_>| {
        let (id, record): (i64, JsonText) = (column(row, 1)?, column(row, 2)?);
        let length = record.length();
        bytes += length.min(LONGEST_BATCH);
        Ok(match length {
            _ if bytes > LONGEST_BATCH => None,
            ..=LONGEST_BATCH => {
                Some(Staged { id, record: Some(record.text("record", LONGEST_BATCH)?.to_owned()) })
            }
            _ => Some(Staged { id, record: None }),
        })
    };
    let staged = NEXT_STAGED.rows(&[last.into(), most.into()], read)?;
    Ok(staged.into_iter().map_while(|staged| staged).collect())
}

fn note_outcomes(staged: &[Staged], outcomes: &[Outcome]) -> Result<()> {
    let (Some(first), Some(last)) = (staged.first(), staged.last()) else { return Ok(()) };
    let ids: Vec<i64> = staged.iter().map(|staged| staged.id).collect();
    let mut states: Vec<&str> = Vec::new();
    let mut errors: Vec<Option<String>> = Vec::new();
    let mut rows: Vec<Option<i64>> = Vec::new();
    for outcome in outcomes {
        let (state, error, row) = match outcome {
            Outcome::Inserted(id) => ("inserted", None, Some(*id)),
            Outcome::Skipped(id) => ("skipped", None, Some(*id)),
            Outcome::Error(fault) => ("error", Some(format!("{}: {}", fault.sqlstate, fault.message)), None),
        };
        states.push(state);
        errors.push(error);
        rows.push(row);
    }
    let arguments: [DatumWithOid<'_>; 6] =
        [ids.into(), states.into(), errors.into(), rows.into(), first.id.into(), last.id.into()];
    NOTE_OUTCOMES.run(&arguments).map(drop)
}
