//! The room's memory: runs as they are read, and rows of feedback.
//!
//! Whoever writes holds the tenants (see [`super::detect::Tenants`]), so rows are read and written as they are at this moment, under every isolation level.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use costsim_core::pattern::Seen;
use costsim_core::signature::{Method, Signature};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{INT4OID, INT8ARRAYOID, INT8OID, JSONBOID, TEXTOID, TIMESTAMPTZOID};
use serde::Deserialize;
use serde_json::{Value, json};

use super::detect::{Finding, Look};
use crate::convert::{self, Jsonb};
use crate::db::{self, Row, Statement, column};
use crate::error::{Error, Result};
use crate::run::source;

/// What every pattern is called, as the reference calls it.
pub const SEVERITY: &str = "warning";

/// What an application's own table may hold besides runs, and ours cannot: names that nothing here can be kept under.
const NO_ODD_NAMES: &str = "
           AND pg_catalog.octet_length(r.tenant_id) OPERATOR(pg_catalog.<=) 512 AND r.tenant_id OPERATOR(pg_catalog.<>) ''::pg_catalog.text
           AND pg_catalog.octet_length(r.worker_id) OPERATOR(pg_catalog.<=) 512 AND r.worker_id OPERATOR(pg_catalog.<>) ''::pg_catalog.text
           AND pg_catalog.octet_length(r.id) OPERATOR(pg_catalog.<=) 512 AND r.id OPERATOR(pg_catalog.<>) ''::pg_catalog.text";

/// The same for costs: infinite ones, and those that ours would round away.
const NO_ODD_COSTS: &str = "
           AND r.cost_cents OPERATOR(pg_catalog.>=) 0.000001::pg_catalog.numeric
           AND r.cost_cents OPERATOR(pg_catalog.<) 100000000000000::pg_catalog.numeric";

/// How many groups are taken at once, more than which is refused.
pub const MOST_GROUPS: usize = 100_000;

/// One pass: signatures, counts, and what is shown, which is bounded for each group. Without an OFFSET the planner would guess how many signatures there are by how
/// many texts there are; so it takes them for few, parallel workers each gather their own groups, and what has no room in memory goes to disk.
const GROUPS: &str = "
    SELECT s.tenant_id, s.key, pg_catalog.count(*), pg_catalog.min(s.created_at), pg_catalog.max(s.created_at),
           @schema@._costsim_occurrences(s.created_at, s.id, s.worker_id)
      FROM (SELECT r.tenant_id, @schema@._costsim_error_key(r.error, $5) AS key, r.created_at, r.id, r.worker_id
              FROM @runs@ AS r
             WHERE r.created_at OPERATOR(pg_catalog.>) $2 AND r.created_at OPERATOR(pg_catalog.<=) $3
               AND ($1 IS NULL OR r.tenant_id OPERATOR(pg_catalog.=) $1)
               AND (r.status OPERATOR(pg_catalog.=) 'failed' AND (NOT $5 OR r.error IS NOT NULL)
                    OR r.status OPERATOR(pg_catalog.=) 'crashed' AND NOT $5) @odd_names@
            OFFSET '0'::pg_catalog.int8) AS s
     GROUP BY s.tenant_id, s.key
    HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>=) $4::pg_catalog.int8
     ORDER BY s.tenant_id, s.key
     LIMIT $6";

/// The error of the newest run of a group. The moment is one of its index, where there is one.
const SAMPLES: &str = "
    SELECT f.ordinal, pg_catalog.left(coalesce(r.error, ''::pg_catalog.text), 8192)
      FROM pg_catalog.jsonb_to_recordset($1) AS f (ordinal pg_catalog.int4, tenant_id pg_catalog.text, id pg_catalog.text, created_at pg_catalog.timestamptz)
      JOIN @runs@ AS r
        ON r.tenant_id OPERATOR(pg_catalog.=) f.tenant_id AND r.created_at OPERATOR(pg_catalog.=) f.created_at
       AND r.id OPERATOR(pg_catalog.=) f.id AND r.status OPERATOR(pg_catalog.=) ANY ('{failed,crashed}'::pg_catalog.text[])";

/// The newest runs of each worker, and of these the last one beside the mean of the others.
const SPIKES: &str = "
    SELECT w.tenant_id, w.worker_id, w.recent_at, w.recent_id, pg_catalog.trim_scale(w.recent)::pg_catalog.text,
           pg_catalog.round(w.percent, 1)::pg_catalog.text, pg_catalog.round(w.mean, 2)::pg_catalog.text, w.others,
           pg_catalog.jsonb_build_object(
               'worker_id', w.worker_id, 'avg_cost_cents', pg_catalog.round(w.mean, 2), 'recent_cost_cents', pg_catalog.trim_scale(w.recent),
               'spike_percent', pg_catalog.round(w.percent, 1), 'baseline_run_count', w.others)::pg_catalog.text
      FROM (SELECT m.*, (m.recent OPERATOR(pg_catalog.-) m.mean) OPERATOR(pg_catalog./) m.mean OPERATOR(pg_catalog.*) 100::pg_catalog.numeric AS percent
              FROM (SELECT n.tenant_id, n.worker_id,
                           pg_catalog.max(n.created_at) FILTER (WHERE n.place OPERATOR(pg_catalog.=) 1::pg_catalog.int8) AS recent_at,
                           pg_catalog.max(n.id) FILTER (WHERE n.place OPERATOR(pg_catalog.=) 1::pg_catalog.int8) AS recent_id,
                           pg_catalog.max(n.cost_cents) FILTER (WHERE n.place OPERATOR(pg_catalog.=) 1::pg_catalog.int8) AS recent,
                           pg_catalog.avg(n.cost_cents) FILTER (WHERE n.place OPERATOR(pg_catalog.>) 1::pg_catalog.int8) AS mean,
                           pg_catalog.count(*) FILTER (WHERE n.place OPERATOR(pg_catalog.>) 1::pg_catalog.int8) AS others
                      FROM (SELECT r.tenant_id, r.worker_id, r.created_at, r.id, r.cost_cents::pg_catalog.numeric AS cost_cents,
                                   pg_catalog.row_number() OVER (
                                       PARTITION BY r.tenant_id, r.worker_id ORDER BY r.created_at DESC, r.id COLLATE \"C\" DESC) AS place
                              FROM @runs@ AS r
                             WHERE r.created_at OPERATOR(pg_catalog.>) $2 AND r.created_at OPERATOR(pg_catalog.<=) $3
                               AND ($1 IS NULL OR r.tenant_id OPERATOR(pg_catalog.=) $1)
                               AND r.status OPERATOR(pg_catalog.=) 'completed' AND r.cost_cents OPERATOR(pg_catalog.>) 0::pg_catalog.numeric
                               @odd_names@ @odd_costs@) AS n
                     WHERE n.place OPERATOR(pg_catalog.<=) 200::pg_catalog.int8
                     GROUP BY n.tenant_id, n.worker_id) AS m
             WHERE m.others OPERATOR(pg_catalog.>=) 4::pg_catalog.int8 AND m.recent_at OPERATOR(pg_catalog.>) $4) AS w
     WHERE w.percent OPERATOR(pg_catalog.>=) $5::pg_catalog.numeric
     ORDER BY w.tenant_id, w.worker_id
     LIMIT $6";

/// The keys of findings, by their places.
macro_rules! keys {
    () => {
        "pg_catalog.jsonb_to_recordset($1) AS f (
            ordinal pg_catalog.int4, tenant_id pg_catalog.text, pattern_type pg_catalog.text, signature pg_catalog.text, version pg_catalog.int4,
            first_seen pg_catalog.timestamptz, last_seen pg_catalog.timestamptz, runs pg_catalog.int8, provenance pg_catalog.jsonb)
       JOIN @schema@.costsim_pattern_feedback AS p
         ON p.tenant_id OPERATOR(pg_catalog.=) f.tenant_id AND p.pattern_type OPERATOR(pg_catalog.=) f.pattern_type
        AND p.signature OPERATOR(pg_catalog.=) f.signature AND p.signature_version OPERATOR(pg_catalog.=) f.version
        AND p.time_window_minutes OPERATOR(pg_catalog.=) $2"
    };
}

/// The current episodes, and whether a finding tells of runs that the row has not seen.
static KNOWN: Statement = Statement::current(
    concat!(
        "SELECT f.ordinal, p.id, p.first_seen, p.last_seen, p.detected_at,
                f.last_seen OPERATOR(pg_catalog.>) p.last_seen OR f.first_seen OPERATOR(pg_catalog.<) p.first_seen
                OR f.runs OPERATOR(pg_catalog.>) p.occurrence_count OR NOT p.provenance OPERATOR(pg_catalog.@>) f.provenance
           FROM ",
        keys!(),
        " AND p.is_current"
    ),
    &[JSONBOID, INT4OID],
);

/// Episodes that are over, and were seen at the time of the finding.
static PAST: Statement = Statement::current(
    concat!(
        "SELECT f.ordinal, pg_catalog.max(p.id) FROM ",
        keys!(),
        " AND NOT p.is_current AND p.first_seen OPERATOR(pg_catalog.<=) f.last_seen AND p.last_seen OPERATOR(pg_catalog.>=) f.first_seen
          GROUP BY f.ordinal"
    ),
    &[JSONBOID, INT4OID],
);

/// What is written of a finding.
macro_rules! findings {
    () => {
        "pg_catalog.jsonb_to_recordset($1) AS f (
            id pg_catalog.int8, tenant_id pg_catalog.text, pattern_type pg_catalog.text, severity pg_catalog.text, description pg_catalog.text,
            signature pg_catalog.text, version pg_catalog.int4, provenance pg_catalog.jsonb, runs pg_catalog.int8, threshold_used pg_catalog.text,
            metadata pg_catalog.jsonb, first_seen pg_catalog.timestamptz, last_seen pg_catalog.timestamptz)"
    };
}

static BEGIN: Statement = Statement::current(
    concat!(
        "INSERT INTO @schema@.costsim_pattern_feedback (
            tenant_id, pattern_type, severity, description, signature, signature_version, provenance, occurrence_count, time_window_minutes,
            threshold_used, metadata, first_seen, last_seen, detected_at)
         SELECT f.tenant_id, f.pattern_type, f.severity, f.description, f.signature, f.version, f.provenance, f.runs, $2,
                f.threshold_used, f.metadata, f.first_seen, f.last_seen, $3
           FROM ",
        findings!()
    ),
    &[JSONBOID, INT4OID, TIMESTAMPTZOID],
);

static GO_ON: Statement = Statement::current(
    concat!(
        "UPDATE @schema@.costsim_pattern_feedback AS p
            SET description = f.description, provenance = f.provenance, occurrence_count = f.runs, threshold_used = f.threshold_used,
                metadata = f.metadata, first_seen = f.first_seen, last_seen = f.last_seen, detected_at = $2, updated_at = pg_catalog.clock_timestamp()
           FROM ",
        findings!(),
        " WHERE p.id OPERATOR(pg_catalog.=) f.id AND p.tenant_id OPERATOR(pg_catalog.=) f.tenant_id
          RETURNING p.id"
    ),
    &[JSONBOID, TIMESTAMPTZOID],
);

static END: Statement = Statement::current(
    "UPDATE @schema@.costsim_pattern_feedback AS p
        SET is_current = false, updated_at = pg_catalog.clock_timestamp()
      WHERE p.id OPERATOR(pg_catalog.=) ANY ($1) AND p.is_current",
    &[INT8ARRAYOID],
);

static ACKNOWLEDGE: Statement = Statement::current(
    "UPDATE @schema@.costsim_pattern_feedback AS p
        SET acknowledged = true, acknowledged_at = pg_catalog.clock_timestamp(), acknowledged_by = $3, note = coalesce($4, p.note),
            updated_at = pg_catalog.clock_timestamp()
      WHERE p.tenant_id OPERATOR(pg_catalog.=) $1 AND p.id OPERATOR(pg_catalog.=) $2 AND NOT p.acknowledged",
    &[TEXTOID, INT8OID, TEXTOID, TEXTOID],
);

/// Failed runs with one signature.
pub struct Group {
    pub tenant: String,
    pub signature: Signature,
    pub count: i64,
    pub seen: Seen,
    shown: String,
}

/// What is shown of a group, as _costsim_occurrences answers it.
#[derive(Deserialize)]
pub struct Shown {
    /// The newest first.
    pub runs: Vec<String>,
    pub first_worker: String,
    pub workers: Vec<String>,
}

impl Group {
    pub fn shown(&self) -> Result<Shown> {
        serde_json::from_str(&self.shown).map_err(unexpected)
    }
}

/// A worker whose last run cost much more than those before it. Amounts are as they are shown.
pub struct Spike {
    pub tenant: String,
    pub worker: String,
    pub at: DateTime<Utc>,
    pub run: String,
    pub recent: String,
    pub percent: String,
    pub mean: String,
    pub baseline_runs: i64,
    pub metadata: String,
}

/// The current episode of a pattern, and the look that wrote it.
pub struct Known {
    pub id: i64,
    /// Whether there are runs that the row has not seen.
    pub has_news: bool,
    seen: Seen,
    written_at: DateTime<Utc>,
}

impl Known {
    pub fn as_seen(&self) -> (Seen, DateTime<Utc>) {
        (self.seen, self.written_at)
    }
}

/// Groups of failed runs that have reached the threshold.
pub fn groups(look: &Look) -> Result<Vec<Group>> {
    let arguments = [
        look.tenant.as_deref().into(),
        convert::timestamptz(look.as_of - look.window)?.into(),
        convert::timestamptz(look.as_of)?.into(),
        look.threshold.into(),
        (look.method == Method::Reference).into(),
        most_rows().into(),
    ];
    let groups = read(GROUPS, &arguments, |row| {
        Ok(Group {
            tenant: column(row, 1)?,
            signature: Signature::from_key(column(row, 2)?),
            count: column(row, 3)?,
            seen: Seen { first: moment(row, 4)?, last: moment(row, 5)? },
            shown: column(row, 6)?,
        })
    })?;
    few_enough(groups)
}

/// Reads runs as they are at this moment, under every isolation level: rows of feedback are read so, and a look under an old snapshot would take back what a
/// later one has written.
fn read<T>(
    text: &str,
    arguments: &[DatumWithOid<'_>],
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let (table, odd_names, odd_costs) = if source::is_the_applications()? {
        (source::VIEW, NO_ODD_NAMES, NO_ODD_COSTS)
    } else {
        ("costsim_worker_runs", "", "")
    };
    let text = text
        .replace("@odd_names@", odd_names)
        .replace("@odd_costs@", odd_costs)
        .replace("@runs@", &format!("@schema@.{table}"));
    db::rows_once_now(&text, arguments, read)
}

/// One more than are taken.
fn most_rows() -> i64 {
    convert::count(MOST_GROUPS + 1)
}

fn few_enough<T>(found: Vec<T>) -> Result<Vec<T>> {
    if found.len() > MOST_GROUPS {
        return Err(Error::Beyond {
            what: format!("there are more than {MOST_GROUPS} patterns in the window"),
            hint: "Look at one tenant at a time, at a shorter window, or with a higher threshold.",
        });
    }
    Ok(found)
}

/// The errors of the newest runs of groups, by the groups' places.
pub fn samples(groups: &[(Group, Shown)]) -> Result<HashMap<usize, String>> {
    let asked = groups.iter().enumerate().map(|(ordinal, (group, shown))| {
        json!({"ordinal": ordinal, "tenant_id": group.tenant, "id": shown.runs.first(), "created_at": text(group.seen.last)})
    });
    let asked = document(asked.collect())?;
    let samples = read(SAMPLES, &[Jsonb::argument(Some(asked))], |row| Ok((place(row)?, column(row, 2)?)))?;
    Ok(samples.into_iter().collect())
}

/// Workers whose last run in the window was a spike.
pub fn spikes(look: &Look) -> Result<Vec<Spike>> {
    let baseline = look.as_of.checked_sub_signed(look.baseline).unwrap_or(DateTime::UNIX_EPOCH);
    let arguments = [
        look.tenant.as_deref().into(),
        convert::timestamptz(baseline)?.into(),
        convert::timestamptz(look.as_of)?.into(),
        convert::timestamptz(look.as_of - look.window)?.into(),
        look.spike_pct.into(),
        most_rows().into(),
    ];
    let spikes = read(SPIKES, &arguments, |row| {
        Ok(Spike {
            tenant: column(row, 1)?,
            worker: column(row, 2)?,
            at: moment(row, 3)?,
            run: column(row, 4)?,
            recent: column(row, 5)?,
            percent: column(row, 6)?,
            mean: column(row, 7)?,
            baseline_runs: column(row, 8)?,
            metadata: column(row, 9)?,
        })
    })?;
    few_enough(spikes)
}

/// The current episodes of findings, by the findings' places.
pub fn known(look: &Look, findings: &[Finding]) -> Result<HashMap<usize, Known>> {
    let known = KNOWN.rows(&of_keys(look, findings)?, |row| {
        let seen = Seen { first: moment(row, 3)?, last: moment(row, 4)? };
        Ok((
            place(row)?,
            Known { id: column(row, 2)?, has_news: column(row, 6)?, seen, written_at: moment(row, 5)? },
        ))
    })?;
    Ok(known.into_iter().collect())
}

/// Episodes that are over, by the places of the findings that tell of them again.
pub fn past(look: &Look, findings: &[Finding]) -> Result<HashMap<usize, i64>> {
    let past = PAST.rows(&of_keys(look, findings)?, |row| Ok((place(row)?, column(row, 2)?)))?;
    Ok(past.into_iter().collect())
}

/// Begins episodes.
pub fn begin<'a>(look: &Look, findings: impl Iterator<Item = &'a Finding>) -> Result<()> {
    let rows: Result<Vec<_>> = findings.map(|finding| row_of(finding, None, finding.seen)).collect();
    let arguments = [
        Jsonb::argument(Some(document(rows?)?)),
        minutes(look).into(),
        convert::timestamptz(look.as_of)?.into(),
    ];
    BEGIN.run(&arguments).map(drop)
}

/// Brings episodes up to date: those that were there to be.
pub fn go_on(look: &Look, findings: &[(i64, Seen, &Finding)]) -> Result<Vec<i64>> {
    if findings.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Result<Vec<_>> =
        findings.iter().map(|(id, seen, finding)| row_of(finding, Some(*id), *seen)).collect();
    let arguments = [Jsonb::argument(Some(document(rows?)?)), convert::timestamptz(look.as_of)?.into()];
    GO_ON.rows(&arguments, |row| column(row, 1))
}

/// Ends episodes.
pub fn end(ids: Vec<i64>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    END.run(&[ids.into()]).map(drop)
}

/// Notes who knows of a pattern: whether nobody did.
pub fn acknowledge(tenant: &str, id: i64, who: &str, note: Option<&str>) -> Result<bool> {
    Ok(ACKNOWLEDGE.run(&[tenant.into(), id.into(), who.into(), note.into()])? > 0)
}

fn of_keys<'a>(look: &Look, findings: &[Finding]) -> Result<[DatumWithOid<'a>; 2]> {
    let keys = findings.iter().enumerate().map(|(ordinal, finding)| {
        Ok(json!({
            "ordinal": ordinal,
            "tenant_id": finding.tenant,
            "pattern_type": finding.kind.as_str(),
            "signature": finding.signature,
            "version": finding.version,
            "first_seen": text(finding.seen.first),
            "last_seen": text(finding.seen.last),
            "runs": finding.count,
            "provenance": serde_json::from_str::<Value>(&finding.provenance).map_err(unexpected)?,
        }))
    });
    Ok([Jsonb::argument(Some(document(keys.collect::<Result<_>>()?)?)), minutes(look).into()])
}

fn row_of(finding: &Finding, id: Option<i64>, seen: Seen) -> Result<Value> {
    let part = |text: &str| serde_json::from_str::<Value>(text).map_err(unexpected);
    Ok(json!({
        "id": id,
        "tenant_id": finding.tenant,
        "pattern_type": finding.kind.as_str(),
        "severity": SEVERITY,
        "description": finding.description,
        "signature": finding.signature,
        "version": finding.version,
        "provenance": part(&finding.provenance)?,
        "runs": finding.count,
        "threshold_used": finding.threshold_used,
        "metadata": part(&finding.metadata)?,
        "first_seen": text(seen.first),
        "last_seen": text(seen.last),
    }))
}

fn document(rows: Vec<Value>) -> Result<Jsonb> {
    Jsonb::read(&Value::from(rows).to_string())
}

/// A moment as the server reads it under every setting.
fn text(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn minutes(look: &Look) -> i32 {
    i32::try_from(look.window.num_minutes()).unwrap_or(i32::MAX)
}

fn moment(row: &Row<'_>, ordinal: i32) -> Result<DateTime<Utc>> {
    convert::finite_moment(column(row, ordinal)?, "created_at")
}

fn place(row: &Row<'_>) -> Result<usize> {
    usize::try_from(column::<i32>(row, 1)?).map_err(unexpected)
}

fn unexpected(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("unexpected answer of the server: {error}"))
}
