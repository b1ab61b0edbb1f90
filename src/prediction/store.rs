//! The room's memory: what runs say of workers, read at once, and what is said of them, written at once.
//!
//! Statements over predictions see what is committed at the moment, under the lock of whoever predicts. They are planned for few rows and given
//! many: so subjects are looked up one by one in the order of an index, or by what was read of all that are current.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use costsim_core::prediction::cost::MOST_RUNS;
use costsim_core::prediction::failure::Counts;
use pgrx::pg_sys::BuiltinOid::{FLOAT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;
use serde_json::Value;

use super::same::is_same;
use crate::access::scope;
use crate::convert;
use crate::db::{self, Row, Statement, column, nullable};
use crate::error::Result;
use crate::run::source;

/// How it is predicted.
#[derive(Clone, Copy)]
pub enum Method {
    Standard { min_runs: u64, level: f64 },
    Reference,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard { .. } => "standard",
            Self::Reference => "reference",
        }
    }
}

/// What is looked at, and until when it is said.
pub struct Look<'a> {
    pub tenant: Option<&'a str>,
    pub method: Method,
    pub as_of: DateTime<Utc>,
    pub since: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// What runs say of a worker.
pub struct Worker {
    pub tenant: String,
    pub id: String,
    /// Of runs that have ended.
    pub counts: Counts,
    /// Of runs of whatever status, and failed ones with an error: what the reference counts.
    pub all_runs: u64,
    pub told_failures: u64,
    /// Of completed runs that cost anything, the oldest first.
    pub costs: Vec<f64>,
    /// Beginnings of errors, the newest first.
    pub errors: Vec<String>,
    /// Patterns of failure last seen in the window that name it.
    pub patterns: i64,
}

/// What is said of a worker.
pub struct Said {
    pub tenant: String,
    pub kind: &'static str,
    pub subject: String,
    pub confidence: f64,
    pub value: Value,
    pub factors: String,
}

/// Where that stands.
pub struct Stands {
    pub id: i64,
    pub expires_at: TimestampWithTimeZone,
    pub is_new: bool,
}

/// Windows of runs by worker, in one pass. Of costs and errors no more is gathered than is used, however many there are; what no cost of a run can be
/// (of an application's table, which may hold anything) counts for nothing.
const WORKERS: &str = "
    SELECT w.tenant_id, w.worker_id,
           pg_catalog.count(*) FILTER (WHERE w.has_ended), pg_catalog.count(*) FILTER (WHERE w.has_failed),
           pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE w.is_told),
           pg_catalog.array_agg(w.cost ORDER BY w.nth DESC) FILTER (WHERE w.kind OPERATOR(pg_catalog.=) 1 AND w.nth OPERATOR(pg_catalog.<=) $4),
           pg_catalog.array_agg(w.error ORDER BY w.nth) FILTER (WHERE w.kind OPERATOR(pg_catalog.=) 2 AND w.nth OPERATOR(pg_catalog.<=) 20)
      FROM (SELECT k.tenant_id, k.worker_id, k.kind, k.has_ended, k.has_failed, k.is_told,
                   CASE WHEN k.kind OPERATOR(pg_catalog.=) 1 THEN k.cost_cents::pg_catalog.float8 END AS cost,
                   CASE WHEN k.kind OPERATOR(pg_catalog.=) 2 THEN k.error END AS error,
                   pg_catalog.row_number() OVER (PARTITION BY k.tenant_id, k.worker_id, k.kind ORDER BY k.created_at DESC, k.id DESC) AS nth
              FROM (SELECT r.tenant_id, r.worker_id, r.created_at, r.id, r.cost_cents, pg_catalog.left(r.error, 100) AS error,
                           r.status OPERATOR(pg_catalog.=) ANY ('{completed,failed,crashed}'::pg_catalog.text[]) AS has_ended,
                           r.status OPERATOR(pg_catalog.=) ANY ('{failed,crashed}'::pg_catalog.text[]) AS has_failed,
                           r.status OPERATOR(pg_catalog.=) 'failed'::pg_catalog.text AND r.error IS NOT NULL AS is_told,
                           CASE WHEN r.status OPERATOR(pg_catalog.=) 'completed'::pg_catalog.text AND r.cost_cents OPERATOR(pg_catalog.>=) 1e-12::pg_catalog.numeric
                                 AND r.cost_cents OPERATOR(pg_catalog.<=) 1e15::pg_catalog.numeric THEN 1
                                WHEN r.status OPERATOR(pg_catalog.=) ANY ('{failed,crashed}'::pg_catalog.text[]) AND r.error IS NOT NULL THEN 2 ELSE 0 END AS kind
                      FROM @runs@ r
                     WHERE r.created_at OPERATOR(pg_catalog.>) $2 AND r.created_at OPERATOR(pg_catalog.<=) $3
                       AND ($1 IS NULL OR r.tenant_id OPERATOR(pg_catalog.=) $1)) AS k) AS w
     GROUP BY w.tenant_id, w.worker_id
     ORDER BY w.tenant_id, w.worker_id";

/// How many patterns of failure name which workers.
const PATTERNS: &str = "
    SELECT f.tenant_id, w.w, pg_catalog.count(*)
       FROM @schema@.costsim_pattern_feedback AS f
      CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(
            CASE WHEN pg_catalog.jsonb_typeof(f.metadata OPERATOR(pg_catalog.->) 'workers'::pg_catalog.text) OPERATOR(pg_catalog.=) 'array'::pg_catalog.text
                 THEN f.metadata OPERATOR(pg_catalog.->) 'workers'::pg_catalog.text ELSE '[]'::pg_catalog.jsonb END) AS w (w)
      WHERE f.is_current AND f.pattern_type OPERATOR(pg_catalog.=) 'failure_pattern'::pg_catalog.text
        AND f.last_seen OPERATOR(pg_catalog.>) $2 AND f.last_seen OPERATOR(pg_catalog.<=) $3
        AND ($1 IS NULL OR f.tenant_id OPERATOR(pg_catalog.=) $1)
      GROUP BY f.tenant_id, w.w";

macro_rules! looks {
    ($tenant:literal) => {
        concat!(
            "SELECT l.tenant_id, l.as_of
               FROM @schema@.costsim_prediction_looks AS l
              WHERE l.method OPERATOR(pg_catalog.=) $1",
            $tenant
        )
    };
}

/// As of when was looked last: at anybody, and at one tenant, alone or with all; as it is now, and as this transaction's own statements see it.
static LOOKS: Statement = Statement::current(looks!(""), &[TEXTOID]);
static LOOKS_AT: Statement = Statement::current(
    looks!(" AND l.tenant_id OPERATOR(pg_catalog.=) ANY (ARRAY[$2, ''::pg_catalog.text])"),
    &[TEXTOID, TEXTOID],
);
static LOOKS_SEEN: Statement = Statement::deciding(looks!(""), &[TEXTOID]);
static LOOKS_AT_SEEN: Statement = Statement::deciding(
    looks!(" AND l.tenant_id OPERATOR(pg_catalog.=) ANY (ARRAY[$2, ''::pg_catalog.text])"),
    &[TEXTOID, TEXTOID],
);

static REMEMBER: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_prediction_looks AS l (tenant_id, method, as_of)
     VALUES ($1, $2, $3)
     ON CONFLICT (tenant_id, method) DO UPDATE SET as_of = excluded.as_of WHERE l.as_of OPERATOR(pg_catalog.<) excluded.as_of",
    &[TEXTOID, TEXTOID, TIMESTAMPTZOID],
);

macro_rules! current {
    ($tenant:literal) => {
        concat!(
            "SELECT p.id, p.tenant_id, p.prediction_type, p.subject_id, p.confidence_score, p.prediction_value::pg_catalog.text, p.created_at, p.expires_at
               FROM @schema@.costsim_predictions AS p
              WHERE p.superseded_at IS NULL AND p.method OPERATOR(pg_catalog.=) $1 AND p.subject_type OPERATOR(pg_catalog.=) 'worker'::pg_catalog.text
                AND p.prediction_type OPERATOR(pg_catalog.=) ANY ('{failure_likelihood,cost_overrun}'::pg_catalog.text[])",
            $tenant
        )
    };
}

static CURRENT: Statement = Statement::current(current!(""), &[TEXTOID]);
static CURRENT_OF: Statement =
    Statement::current(current!(" AND p.tenant_id OPERATOR(pg_catalog.=) $2"), &[TEXTOID, TEXTOID]);

static SUPERSEDE: Statement = Statement::current(
    "UPDATE @schema@.costsim_predictions AS p
        SET superseded_at = $2
      WHERE p.id OPERATOR(pg_catalog.=) ANY ($1) AND p.superseded_at IS NULL
     RETURNING p.id",
    &[INT8ARRAYOID, TIMESTAMPTZOID],
);

/// What nothing stands of, and of which nothing was said as of later.
static WRITE: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_predictions (
            tenant_id, prediction_type, subject_type, subject_id, method, confidence_score, prediction_value, contributing_factors, notes,
            created_at, expires_at)
     SELECT f.tenant_id, f.kind, 'worker', f.subject_id, $7, f.confidence, f.value::pg_catalog.jsonb, f.factors::pg_catalog.jsonb,
            'Advice only: nothing acts on it.', $8, $9
       FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6))
            AS f (tenant_id, kind, subject_id, confidence, value, factors)
       LEFT JOIN LATERAL (
            SELECT true AS is_there
              FROM @schema@.costsim_predictions AS p
             WHERE p.tenant_id OPERATOR(pg_catalog.=) f.tenant_id AND p.prediction_type OPERATOR(pg_catalog.=) f.kind
               AND p.subject_type OPERATOR(pg_catalog.=) 'worker'::pg_catalog.text AND p.subject_id OPERATOR(pg_catalog.=) f.subject_id
               AND p.method OPERATOR(pg_catalog.=) $7 AND p.superseded_at OPERATOR(pg_catalog.>) $8
             LIMIT 1) AS s ON true
      WHERE s.is_there IS NULL
     ON CONFLICT (tenant_id, prediction_type, subject_type, subject_id, method) WHERE superseded_at IS NULL DO NOTHING
     RETURNING id, tenant_id, prediction_type, subject_id",
    &[
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        FLOAT8ARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTOID,
        TIMESTAMPTZOID,
        TIMESTAMPTZOID,
    ],
);

static LINK: Statement = Statement::current(
    "UPDATE @schema@.costsim_predictions AS p
        SET superseded_by = n.successor
       FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS n (id, successor)
      WHERE p.id OPERATOR(pg_catalog.=) n.id",
    &[INT8ARRAYOID, INT8ARRAYOID],
);

/// What runs of the window say of workers, by tenant and worker.
pub fn workers(look: &Look<'_>) -> Result<Vec<Worker>> {
    let most = match look.method {
        Method::Standard { .. } => i32::try_from(MOST_RUNS).unwrap_or(i32::MAX),
        Method::Reference => i32::MAX,
    };
    let mut workers = source::rows(
        WORKERS,
        &[
            look.tenant.into(),
            convert::timestamptz(look.since)?.into(),
            convert::timestamptz(look.as_of)?.into(),
            most.into(),
        ],
        |row| {
            let count =
                |ordinal| column::<i64>(row, ordinal).map(|count| u64::try_from(count).unwrap_or_default());
            Ok(Worker {
                tenant: column(row, 1)?,
                id: column(row, 2)?,
                counts: Counts::new(count(4)?, count(3)?),
                all_runs: count(5)?,
                told_failures: count(6)?,
                costs: nullable(row, 7)?.unwrap_or_default(),
                errors: nullable(row, 8)?.unwrap_or_default(),
                patterns: 0,
            })
        },
    )?;
    // An application's own table may hold names that ours do not take.
    workers.retain(|worker| {
        [&worker.tenant, &worker.id]
            .iter()
            .all(|name| costsim_core::cost::text_fault(name.as_bytes()).is_none())
    });
    let asked = [
        look.tenant.into(),
        convert::timestamptz(look.since)?.into(),
        convert::timestamptz(look.as_of)?.into(),
    ];
    let patterns: HashMap<(String, String), i64> =
        db::rows_once(PATTERNS, &asked, |row| Ok(((column(row, 1)?, column(row, 2)?), column(row, 3)?)))?
            .into_iter()
            .collect();
    if !patterns.is_empty() {
        for worker in &mut workers {
            let key = (worker.tenant.clone(), worker.id.clone());
            worker.patterns = patterns.get(&key).copied().unwrap_or_default();
        }
    }
    Ok(workers)
}

/// Tenant, type and subject.
type Key = (String, String, String);

/// A row that is current.
struct Current {
    id: i64,
    confidence: f64,
    value: Value,
    created_at: TimestampWithTimeZone,
    expires_at: TimestampWithTimeZone,
}

impl Current {
    fn says(&self, said: &Said) -> bool {
        is_same((&said.value, said.confidence), (&self.value, self.confidence))
    }

    /// Whether less than half of its time is left, and the look would prolong it.
    fn is_worn(&self, as_of: TimestampWithTimeZone, expires_at: TimestampWithTimeZone) -> bool {
        let micros = |moment: TimestampWithTimeZone| i128::from(i64::from(moment));
        let end = micros(self.expires_at);
        expires_at > self.expires_at && 2 * (end - micros(as_of)) < end - micros(self.created_at)
    }
}

/// Looks are the room's own memory: they name every tenant, and whoever predicts for one need not be able to read them.
fn as_keeper<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    db::as_owner_of(db::relation(c"costsim_prediction_looks")?, body)
}

/// Of which tenants more is known than this look can: since it is as of an earlier moment than the last, or by a snapshot from before that.
struct Later {
    tenants: HashSet<String>,
    is_all: bool,
}

impl Later {
    fn than(look: &Look<'_>, as_of: TimestampWithTimeZone) -> Result<Self> {
        let read = |one: &'static Statement, all: &'static Statement| {
            let row =
                |row: &Row<'_>| Ok((column::<String>(row, 1)?, column::<TimestampWithTimeZone>(row, 2)?));
            match look.tenant {
                Some(tenant) => one.rows(&[look.method.name().into(), tenant.into()], row),
                None => all.rows(&[look.method.name().into()], row),
            }
        };
        let looks = as_keeper(|| read(&LOOKS_AT, &LOOKS))?;
        let seen: Option<HashMap<String, TimestampWithTimeZone>> = if db::has_lasting_snapshot() {
            Some(as_keeper(|| read(&LOOKS_AT_SEEN, &LOOKS_SEEN))?.into_iter().collect())
        } else {
            None
        };
        let tenants: HashSet<String> = looks
            .into_iter()
            .filter(|(tenant, last)| {
                *last > as_of || seen.as_ref().is_some_and(|seen| seen.get(tenant) != Some(last))
            })
            .map(|(tenant, _)| tenant)
            .collect();
        Ok(Self { is_all: tenants.contains(EVERYBODY), tenants })
    }

    fn knows(&self, tenant: &str) -> bool {
        self.is_all || self.tenants.contains(tenant)
    }
}

/// Keeps what is said, marks what it replaces or what is not said any more, and answers where it stands, by its place.
pub fn write(said: &[Said], look: &Look<'_>, now: DateTime<Utc>) -> Result<HashMap<usize, Stands>> {
    let (as_of, now) = (convert::timestamptz(look.as_of)?, convert::timestamptz(now)?);
    let expires_at = convert::timestamptz(look.expires_at)?;
    let method = look.method.name();
    let later = Later::than(look, as_of)?;
    let mut current = current(look)?;
    let seen =
        said.iter().map(|said| said.tenant.clone()).chain(current.keys().map(|(tenant, ..)| tenant.clone()));
    let seen: HashSet<String> = seen.collect();
    let (mut stands, mut ended, mut new) = (HashMap::new(), HashMap::new(), Vec::new());
    for (place, said) in said.iter().enumerate() {
        let key = (said.tenant.clone(), said.kind.to_owned(), said.subject.clone());
        let former = current.remove(&key);
        let is_late =
            later.knows(&said.tenant) || former.as_ref().is_some_and(|former| former.created_at > as_of);
        match former {
            Some(former)
                if former.expires_at > now
                    && former.says(said)
                    && (is_late || !former.is_worn(as_of, expires_at)) =>
            {
                let Current { id, expires_at, .. } = former;
                stands.insert(place, Stands { id, expires_at, is_new: false });
            }
            _ if is_late => {}
            Some(former) => {
                ended.insert(former.id, Some(place));
            }
            None => new.push(place),
        }
    }
    let over = current
        .into_iter()
        .filter(|((tenant, ..), former)| !later.knows(tenant) && former.created_at <= as_of)
        .map(|(_, former)| (former.id, None));
    ended.extend(over);
    // What a policy keeps from being updated stays, and nothing takes its place.
    let mut successors = HashMap::new();
    if !ended.is_empty() {
        let ids: Vec<i64> = ended.keys().copied().collect();
        for id in SUPERSEDE.rows(&[ids.into(), as_of.into()], |row| column::<i64>(row, 1))? {
            if let Some(Some(place)) = ended.get(&id) {
                successors.insert(*place, id);
                new.push(*place);
            }
        }
    }
    let (mut former, mut by) = (Vec::new(), Vec::new());
    for (place, id) in insert(said, &mut new, method, as_of, expires_at)? {
        if let Some(replaced) = successors.get(&place) {
            former.push(*replaced);
            by.push(id);
        }
        stands.insert(place, Stands { id, expires_at, is_new: true });
    }
    if !former.is_empty() {
        LINK.run(&[former.into(), by.into()])?;
    }
    remember(look, seen, method, as_of)?;
    Ok(stands)
}

/// Keeps of whom this look was one. A caller who does not see a tenant's rows has not looked at that tenant, and one who does not see everybody's, and
/// asked for everybody, has looked at those of whom there was something to see.
fn remember(
    look: &Look<'_>,
    seen: HashSet<String>,
    method: &str,
    as_of: TimestampWithTimeZone,
) -> Result<()> {
    let table = c"costsim_predictions";
    let looked_at = match look.tenant {
        Some(tenant) if scope::admits(table, Some(tenant))? => HashSet::from([tenant.to_owned()]),
        Some(_) => HashSet::new(),
        None if scope::admits(table, None)? => HashSet::from([EVERYBODY.to_owned()]),
        None => seen,
    };
    // In the same order for all, so that none waits for another in a ring.
    let mut looked_at: Vec<_> = looked_at.into_iter().collect();
    looked_at.sort_unstable();
    as_keeper(|| {
        looked_at.iter().try_for_each(|tenant| {
            REMEMBER.run(&[tenant.as_str().into(), method.into(), as_of.into()]).map(drop)
        })
    })
}

/// Writes rows of these places, in their order: the place and the id of each that is written.
fn insert(
    said: &[Said],
    places: &mut [usize],
    method: &str,
    as_of: TimestampWithTimeZone,
    expires_at: TimestampWithTimeZone,
) -> Result<Vec<(usize, i64)>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    places.sort_unstable();
    let new: Vec<(usize, &Said)> =
        places.iter().filter_map(|place| said.get(*place).map(|said| (*place, said))).collect();
    let texts = |of: fn(&Said) -> String| new.iter().map(|(_, said)| of(said)).collect::<Vec<String>>();
    let confidences: Vec<f64> = new.iter().map(|(_, said)| said.confidence).collect();
    let places: HashMap<Key, usize> = new
        .iter()
        .map(|(place, said)| ((said.tenant.clone(), said.kind.to_owned(), said.subject.clone()), *place))
        .collect();
    let written = WRITE.rows(
        &[
            texts(|said| said.tenant.clone()).into(),
            texts(|said| said.kind.to_owned()).into(),
            texts(|said| said.subject.clone()).into(),
            confidences.into(),
            texts(|said| said.value.to_string()).into(),
            texts(|said| said.factors.clone()).into(),
            method.into(),
            as_of.into(),
            expires_at.into(),
        ],
        |row| {
            let key: Key = (column(row, 2)?, column(row, 3)?, column(row, 4)?);
            Ok((places.get(&key).copied(), column(row, 1)?))
        },
    )?;
    Ok(written.into_iter().filter_map(|(place, id)| place.map(|place| (place, id))).collect())
}

fn current(look: &Look<'_>) -> Result<HashMap<Key, Current>> {
    let method = look.method.name();
    let read = |row: &Row<'_>| {
        let key = (column(row, 2)?, column(row, 3)?, column(row, 4)?);
        let current = Current {
            id: column(row, 1)?,
            confidence: column(row, 5)?,
            value: serde_json::from_str(&column::<String>(row, 6)?).unwrap_or_default(),
            created_at: column(row, 7)?,
            expires_at: column(row, 8)?,
        };
        Ok((key, current))
    };
    let rows = match look.tenant {
        Some(tenant) => CURRENT_OF.rows(&[method.into(), tenant.into()], read)?,
        None => CURRENT.rows(&[method.into()], read)?,
    };
    Ok(rows.into_iter().collect())
}

/// In the memory of looks: all tenants.
const EVERYBODY: &str = "";

/// The key of the lock under which a tenant's predictions are written.
pub fn key(tenant: &str) -> i64 {
    use std::hash::{Hash as _, Hasher as _};
    let mut hasher = rustc_hash::FxHasher::default();
    tenant.hash(&mut hasher);
    hasher.finish().cast_signed()
}
