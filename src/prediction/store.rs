//! The room's memory: what runs say of workers, read at once, and what is said of them, written at once.
//!
//! Statements over predictions see what is committed at the moment, under the lock of whoever predicts. They are planned for few rows and given
//! many: so subjects are looked up one by one in the order of an index, or hashed.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use costsim_core::prediction::cost::MOST_RUNS;
use costsim_core::prediction::failure::Counts;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{FLOAT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::convert;
use crate::db::{Statement, column, nullable};
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
    pub value: String,
    pub factors: String,
}

/// Where that stands.
pub struct Stands {
    pub id: i64,
    pub expires_at: TimestampWithTimeZone,
    pub is_new: bool,
}

/// Windows of runs by worker, in one pass.
const WORKERS: &str = "
    SELECT r.tenant_id, r.worker_id,
           pg_catalog.count(*) FILTER (WHERE r.status OPERATOR(pg_catalog.=) ANY ('{completed,failed,crashed}'::pg_catalog.text[])),
           pg_catalog.count(*) FILTER (WHERE r.status OPERATOR(pg_catalog.=) ANY ('{failed,crashed}'::pg_catalog.text[])),
           pg_catalog.count(*),
           pg_catalog.count(*) FILTER (WHERE r.status OPERATOR(pg_catalog.=) 'failed'::pg_catalog.text AND r.error IS NOT NULL),
           (pg_catalog.array_agg(r.cost_cents::pg_catalog.float8 ORDER BY r.created_at DESC, r.id DESC)
            FILTER (WHERE r.status OPERATOR(pg_catalog.=) 'completed'::pg_catalog.text AND r.cost_cents OPERATOR(pg_catalog.>) 0::pg_catalog.numeric)
           )[1:$4],
           (pg_catalog.array_agg(pg_catalog.left(r.error, 100) ORDER BY r.created_at DESC, r.id DESC)
            FILTER (WHERE r.status OPERATOR(pg_catalog.=) ANY ('{failed,crashed}'::pg_catalog.text[]) AND r.error IS NOT NULL))[1:20]
      FROM @runs@ r
     WHERE r.created_at OPERATOR(pg_catalog.>) $2 AND r.created_at OPERATOR(pg_catalog.<=) $3
       AND ($1 IS NULL OR r.tenant_id OPERATOR(pg_catalog.=) $1)
     GROUP BY r.tenant_id, r.worker_id
     ORDER BY r.tenant_id, r.worker_id";

/// How many patterns of failure name which workers.
static PATTERNS: Statement = Statement::deciding(
    "SELECT f.tenant_id, w.w, pg_catalog.count(*)
       FROM @schema@.costsim_pattern_feedback AS f
      CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(
            CASE WHEN pg_catalog.jsonb_typeof(f.metadata OPERATOR(pg_catalog.->) 'workers'::pg_catalog.text) OPERATOR(pg_catalog.=) 'array'::pg_catalog.text
                 THEN f.metadata OPERATOR(pg_catalog.->) 'workers'::pg_catalog.text ELSE '[]'::pg_catalog.jsonb END) AS w (w)
      WHERE f.is_current AND f.pattern_type OPERATOR(pg_catalog.=) 'failure_pattern'::pg_catalog.text
        AND f.last_seen OPERATOR(pg_catalog.>) $2 AND f.last_seen OPERATOR(pg_catalog.<=) $3
        AND ($1 IS NULL OR f.tenant_id OPERATOR(pg_catalog.=) $1)
      GROUP BY f.tenant_id, w.w",
    &[TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID],
);

/// What is given to the statements below: what is said, and of whom.
macro_rules! said {
    () => {
        "ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5))
              WITH ORDINALITY AS f (tenant_id, kind, subject_id, confidence, value, place)"
    };
}

/// What of this room stands of the subject of a row of `f`; the method is $6.
macro_rules! of_subject {
    () => {
        "p.tenant_id OPERATOR(pg_catalog.=) f.tenant_id AND p.subject_type OPERATOR(pg_catalog.=) 'worker'::pg_catalog.text
               AND p.subject_id OPERATOR(pg_catalog.=) f.subject_id AND p.prediction_type OPERATOR(pg_catalog.=) f.kind
               AND p.method OPERATOR(pg_catalog.=) $6"
    };
}

/// What is not said any more, or otherwise, or has expired. What a later look has said stays.
static SUPERSEDE: Statement = Statement::current(
    concat!(
        "UPDATE @schema@.costsim_predictions AS p
            SET superseded_at = $8
          WHERE p.superseded_at IS NULL AND p.method OPERATOR(pg_catalog.=) $6 AND p.subject_type OPERATOR(pg_catalog.=) 'worker'::pg_catalog.text
            AND p.prediction_type OPERATOR(pg_catalog.=) ANY ('{failure_likelihood,cost_overrun}'::pg_catalog.text[])
            AND ($7 IS NULL OR p.tenant_id OPERATOR(pg_catalog.=) $7)
            AND p.created_at OPERATOR(pg_catalog.<=) $8
            AND (p.expires_at OPERATOR(pg_catalog.<=) $9
                 OR NOT ROW(p.tenant_id, p.prediction_type, p.subject_id, p.confidence_score, p.prediction_value) OPERATOR(pg_catalog.=) ANY (
                        SELECT f.tenant_id, f.kind, f.subject_id, f.confidence, f.value::pg_catalog.jsonb FROM ",
        said!(),
        "))
          RETURNING p.id, p.tenant_id, p.prediction_type, p.subject_id"
    ),
    &[
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        FLOAT8ARRAYOID,
        TEXTARRAYOID,
        TEXTOID,
        TEXTOID,
        TIMESTAMPTZOID,
        TIMESTAMPTZOID,
    ],
);

/// What nothing stands of, and no later look has spoken of.
static WRITE: Statement = Statement::current(
    concat!(
        "INSERT INTO @schema@.costsim_predictions (
                tenant_id, prediction_type, subject_type, subject_id, method, confidence_score, prediction_value, contributing_factors, notes,
                created_at, expires_at)
         SELECT f.tenant_id, f.kind, 'worker', f.subject_id, $6, f.confidence, f.value::pg_catalog.jsonb, ($7)[f.place]::pg_catalog.jsonb,
                'Advice only: nothing acts on it.', $8, $9
           FROM ",
        said!(),
        "
           LEFT JOIN LATERAL (
                SELECT true AS is_there
                  FROM @schema@.costsim_predictions AS p
                 WHERE ",
        of_subject!(),
        "
                   AND (p.superseded_at IS NULL OR p.superseded_at OPERATOR(pg_catalog.>) $8)
                 ORDER BY p.created_at DESC, p.id DESC
                 LIMIT 1) AS s ON true
          WHERE s.is_there IS NULL
         RETURNING id, tenant_id, prediction_type, subject_id"
    ),
    &[
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        FLOAT8ARRAYOID,
        TEXTARRAYOID,
        TEXTOID,
        TEXTARRAYOID,
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

static STANDING: Statement = Statement::current(
    concat!(
        "SELECT f.place, s.id, s.expires_at
           FROM ",
        said!(),
        "
          CROSS JOIN LATERAL (
                SELECT p.id, p.expires_at, p.confidence_score, p.prediction_value
                  FROM @schema@.costsim_predictions AS p
                 WHERE ",
        of_subject!(),
        " AND p.superseded_at IS NULL
                 ORDER BY p.created_at DESC, p.id DESC
                 LIMIT 1) AS s
          WHERE s.prediction_value OPERATOR(pg_catalog.=) f.value::pg_catalog.jsonb AND s.confidence_score OPERATOR(pg_catalog.=) f.confidence"
    ),
    &[TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, FLOAT8ARRAYOID, TEXTARRAYOID, TEXTOID],
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
            let mut costs: Vec<f64> = nullable(row, 7)?.unwrap_or_default();
            costs.reverse();
            Ok(Worker {
                tenant: column(row, 1)?,
                id: column(row, 2)?,
                counts: Counts::new(count(4)?, count(3)?),
                all_runs: count(5)?,
                told_failures: count(6)?,
                costs,
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
    let patterns: HashMap<(String, String), i64> = PATTERNS
        .rows(&asked, |row| Ok(((column(row, 1)?, column(row, 2)?), column(row, 3)?)))?
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

/// Keeps what is said, marks what it replaces or what is not said any more, and answers where it stands, by its place.
pub fn write(said: &[Said], look: &Look<'_>, now: DateTime<Utc>) -> Result<HashMap<usize, Stands>> {
    let (as_of, now) = (convert::timestamptz(look.as_of)?, convert::timestamptz(now)?);
    let method = look.method.name();
    let texts = |of: fn(&Said) -> &str| said.iter().map(of).map(str::to_owned).collect::<Vec<String>>();
    let (tenants, kinds) = (texts(|said| &said.tenant), texts(|said| said.kind));
    let (subjects, values) = (texts(|said| &said.subject), texts(|said| &said.value));
    let confidences: Vec<f64> = said.iter().map(|said| said.confidence).collect();
    let given = |others: Vec<DatumWithOid<'static>>| {
        let mut all: Vec<DatumWithOid<'static>> = vec![
            tenants.clone().into(),
            kinds.clone().into(),
            subjects.clone().into(),
            confidences.clone().into(),
            values.clone().into(),
            method.to_owned().into(),
        ];
        all.extend(others);
        all
    };
    let scope = look.tenant.map(str::to_owned);
    let superseded = SUPERSEDE.rows(&given(vec![scope.into(), as_of.into(), now.into()]), key_of)?;
    if said.is_empty() {
        return Ok(HashMap::new());
    }
    let factors = texts(|said| &said.factors);
    let expires_at = convert::timestamptz(look.expires_at)?;
    let written = WRITE.rows(&given(vec![factors.into(), as_of.into(), expires_at.into()]), key_of)?;
    let successors: HashMap<_, i64> = written.iter().map(|(id, key)| (key, *id)).collect();
    let (ids, by): (Vec<i64>, Vec<i64>) =
        superseded.iter().filter_map(|(id, key)| Some((*id, *successors.get(key)?))).unzip();
    if !ids.is_empty() {
        LINK.run(&[ids.into(), by.into()])?;
    }
    let new: HashSet<i64> = written.iter().map(|(id, _)| *id).collect();
    let standing = STANDING.rows(&given(Vec::new()), |row| {
        let place: i64 = column(row, 1)?;
        let id = column(row, 2)?;
        Ok((
            usize::try_from(place - 1).unwrap_or(usize::MAX),
            Stands { id, expires_at: column(row, 3)?, is_new: new.contains(&id) },
        ))
    })?;
    Ok(standing.into_iter().collect())
}

/// The key of the lock under which a tenant's predictions by a method are written.
pub fn key(tenant: &str, method: &str) -> i64 {
    use std::hash::{Hash as _, Hasher as _};
    let mut hasher = rustc_hash::FxHasher::default();
    (tenant, method).hash(&mut hasher);
    hasher.finish().cast_signed()
}

fn key_of(row: &crate::db::Row<'_>) -> Result<(i64, (String, String, String))> {
    Ok((column(row, 1)?, (column(row, 2)?, column(row, 3)?, column(row, 4)?)))
}
