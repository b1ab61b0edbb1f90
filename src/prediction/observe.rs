//! What came of predictions: looked at once, after they have expired.

use chrono::{DateTime, Utc};
use costsim_core::prediction::Interval as Range;
use costsim_core::prediction::cost::OVERRUN;
use costsim_core::prediction::failure::{Counts, Foretold, HIGH_RATE, foretold};
use pgrx::pg_sys::BuiltinOid::{
    BOOLARRAYOID, FLOAT8ARRAYOID, INT8ARRAYOID, INT8OID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID,
};
use pgrx::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;

use super::{name, store};
use crate::db::{self, Row, Statement, column, nullable};
use crate::error::{Answer, Error, Result, required};
use crate::run::source;
use crate::{clock, convert, lock};

/// So many are looked at together.
const AT_ONCE: i64 = 10_000;

macro_rules! expired {
    ($tenant:literal) => {
        concat!(
            "SELECT p.id, p.tenant_id, p.prediction_type, p.subject_id, p.created_at, p.expires_at, p.prediction_value::pg_catalog.text,
                    p.contributing_factors::pg_catalog.text
               FROM @schema@.costsim_predictions AS p
              WHERE p.observed_at IS NULL AND p.method OPERATOR(pg_catalog.<>) 'external'::pg_catalog.text
                AND p.expires_at OPERATOR(pg_catalog.<=) $1",
            $tenant,
            " ORDER BY p.expires_at
              LIMIT $2
                FOR NO KEY UPDATE SKIP LOCKED"
        )
    };
}

static EXPIRED: Statement = Statement::current(expired!(""), &[TIMESTAMPTZOID, INT8OID]);

static EXPIRED_OF: Statement = Statement::current(
    expired!(" AND p.tenant_id OPERATOR(pg_catalog.=) $3"),
    &[TIMESTAMPTZOID, INT8OID, TEXTOID],
);

/// What ran while they held. Costs beyond what is reckoned with count for nothing, as when it was predicted.
const CAME: &str = "
    SELECT s.place,
           pg_catalog.count(*) FILTER (WHERE s.status OPERATOR(pg_catalog.=) ANY ('{completed,failed,crashed}'::pg_catalog.text[])),
           pg_catalog.count(*) FILTER (WHERE s.status OPERATOR(pg_catalog.=) ANY ('{failed,crashed}'::pg_catalog.text[])),
           pg_catalog.count(s.cost),
           pg_catalog.max(s.cost) FILTER (WHERE s.nth OPERATOR(pg_catalog.=) 1)
      FROM (SELECT c.place, c.status, c.cost,
                   pg_catalog.row_number() OVER (PARTITION BY c.place, c.cost IS NULL ORDER BY c.created_at, c.id) AS nth
              FROM (SELECT a.place, r.status, r.created_at, r.id,
                           CASE WHEN r.status OPERATOR(pg_catalog.=) 'completed'::pg_catalog.text
                                 AND r.cost_cents OPERATOR(pg_catalog.>=) 1e-12::pg_catalog.numeric AND r.cost_cents OPERATOR(pg_catalog.<=) 1e15::pg_catalog.numeric
                                THEN r.cost_cents::pg_catalog.float8 END AS cost
                      FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))
                           WITH ORDINALITY AS a (tenant_id, worker_id, created_at, expires_at, place)
                      JOIN @runs@ r ON r.tenant_id OPERATOR(pg_catalog.=) a.tenant_id AND r.worker_id OPERATOR(pg_catalog.=) a.worker_id
                       AND r.created_at OPERATOR(pg_catalog.>) a.created_at AND r.created_at OPERATOR(pg_catalog.<=) a.expires_at
                     WHERE r.created_at OPERATOR(pg_catalog.>) $5 AND r.created_at OPERATOR(pg_catalog.<=) $6
                       AND ($7 IS NULL OR r.tenant_id OPERATOR(pg_catalog.=) $7)) AS c) AS s
     GROUP BY s.place";

static WRITE: Statement = Statement::current(
    "UPDATE @schema@.costsim_predictions AS p
        SET observed = n.observed::pg_catalog.jsonb, observed_at = pg_catalog.clock_timestamp(), was_covered = n.was_covered, expected_coverage = n.expected
       FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) AS n (id, observed, was_covered, expected)
      WHERE p.id OPERATOR(pg_catalog.=) n.id AND p.observed_at IS NULL",
    &[INT8ARRAYOID, TEXTARRAYOID, BOOLARRAYOID, FLOAT8ARRAYOID],
);

/// A prediction that has expired.
struct Expired {
    id: i64,
    tenant: String,
    kind: String,
    subject: String,
    created_at: TimestampWithTimeZone,
    expires_at: TimestampWithTimeZone,
    value: Value,
    factors: Value,
}

/// What ran while it held.
#[derive(Default, Clone, Copy)]
struct Came {
    counts: Option<Counts>,
    costs: i64,
    next_cost: Option<f64>,
}

/// Writes down what came of predictions that have expired: of how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["prediction"])]
fn costsim_observe_predictions(
    tenant_id: default!(Option<&str>, "NULL"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    db::require_writable(c"costsim_observe_predictions()");
    tenant_id.map(|tenant| name(tenant, "tenant_id")).transpose()?;
    let max_rows = required(max_rows, "max_rows")?;
    if max_rows < 1 {
        return Err(Error::invalid("max_rows must be at least 1", "Leave it out for 10,000.").into());
    }
    // Before any row: who looks takes them in this order, too.
    match tenant_id {
        Some(tenant) => lock::wait_to_predict(store::key(tenant)),
        None => lock::wait_to_predict_for_all(),
    }
    let now = clock::now();
    let mut rows = 0;
    while rows < max_rows {
        let page = observe(tenant_id, now, (max_rows - rows).min(AT_ONCE))?;
        if page == 0 {
            break;
        }
        rows += page;
        pgrx::check_for_interrupts!();
    }
    Ok(rows)
}

fn observe(tenant: Option<&str>, now: DateTime<Utc>, most: i64) -> Result<i64> {
    let read = |row: &Row<'_>| {
        let json = |ordinal| {
            Ok::<_, Error>(serde_json::from_str(&column::<String>(row, ordinal)?).unwrap_or_default())
        };
        Ok(Expired {
            id: column(row, 1)?,
            tenant: column(row, 2)?,
            kind: column(row, 3)?,
            subject: column(row, 4)?,
            created_at: column(row, 5)?,
            expires_at: column(row, 6)?,
            value: json(7)?,
            factors: json(8)?,
        })
    };
    let now = convert::timestamptz(now)?;
    let expired = match tenant {
        Some(tenant) => EXPIRED_OF.rows(&[now.into(), most.into(), tenant.into()], read)?,
        None => EXPIRED.rows(&[now.into(), most.into()], read)?,
    };
    let Some(first) = expired.iter().map(|expired| expired.created_at).min() else { return Ok(0) };
    let last = expired.iter().map(|expired| expired.expires_at).max().unwrap_or(first);
    let came: HashMap<usize, Came> = source::rows(
        CAME,
        &[
            expired.iter().map(|expired| expired.tenant.clone()).collect::<Vec<_>>().into(),
            expired.iter().map(|expired| expired.subject.clone()).collect::<Vec<_>>().into(),
            expired.iter().map(|expired| expired.created_at).collect::<Vec<_>>().into(),
            expired.iter().map(|expired| expired.expires_at).collect::<Vec<_>>().into(),
            first.into(),
            last.into(),
            tenant.into(),
        ],
        |row| {
            let count =
                |ordinal| column::<i64>(row, ordinal).map(|count| u64::try_from(count).unwrap_or_default());
            let place: i64 = column(row, 1)?;
            let came = Came {
                counts: Some(Counts::new(count(3)?, count(2)?)),
                costs: column(row, 4)?,
                next_cost: nullable(row, 5)?,
            };
            Ok((usize::try_from(place - 1).unwrap_or(usize::MAX), came))
        },
    )?
    .into_iter()
    .collect();
    let (mut ids, mut observed, mut covered, mut likely) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, expired) in expired.iter().enumerate() {
        let came = came.get(&place).copied().unwrap_or_default();
        let (what, told) =
            if expired.kind == "cost_overrun" { of_cost(expired, came) } else { of_failures(expired, came) };
        ids.push(expired.id);
        observed.push(what.to_string());
        covered.push(told.map(|told| told.is_covered));
        likely.push(told.map(|told| told.expected));
    }
    Ok(convert::count(WRITE.run(&[ids.into(), observed.into(), covered.into(), likely.into()])?))
}

/// How often it failed, beside how often the rate leads one to expect.
fn of_failures(expired: &Expired, came: Came) -> (Value, Option<Foretold>) {
    let counts = came.counts.filter(|counts| counts.runs() > 0);
    let Some(counts) = counts else { return (json!({"failures": 0, "runs": 0}), None) };
    let rate = counts.failures() as f64 / counts.runs() as f64;
    let posterior = expired
        .factors
        .as_array()
        .and_then(|factors| factors.iter().find(|factor| factor["factor"] == "posterior"))
        .map(|factor| &factor["value"]);
    let told = posterior.and_then(|posterior| {
        let posterior = (posterior["alpha"].as_f64()?, posterior["beta"].as_f64()?);
        foretold(posterior, counts, expired.value["interval_level"].as_f64()?)
    });
    let what = json!({"failures": counts.failures(), "runs": counts.runs(), "came_true": rate >= HIGH_RATE});
    (what, told)
}

/// What the next run cost, beside what it was to.
fn of_cost(expired: &Expired, came: Came) -> (Value, Option<Foretold>) {
    let Some(cost) = came.next_cost else { return (json!({"runs": came.costs}), None) };
    let of = |key: &str| expired.value[key].as_f64();
    let told = of("lower_cents").zip(of("upper_cents")).zip(of("interval_level")).map(
        |((lower, upper), expected)| {
            // Ends are stated to so many digits.
            let range = Range { lower: lower - 5e-7, upper: upper + 5e-7 };
            Foretold { is_covered: range.covers(cost), expected }
        },
    );
    let came_true = of("historical_avg_cents").map(|usual| cost >= OVERRUN * usual);
    (json!({"next_cost_cents": cost, "runs": came.costs, "came_true": came_true}), told)
}
