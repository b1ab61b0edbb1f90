//! The breaker room against plain SQL: what an application without it would send.
//!
//! A check inside a query is measured by the row, everything else by the call. Each breaker here is made once and belongs to the
//! contests that name it; `plain_*` are copies of the room's tables without its triggers.

use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use postgres::types::ToSql;
use postgres::{Client, Row};

use crate::compare::Outcome;
use crate::handover::Latencies;
use crate::written::{self, Written};

/// Rows of one query of a contest by the row: a quarter of a second and more, so that the round trip does not count.
const ROWS: usize = 2_000_000;

/// The same query, short enough to be asked the thousand times it takes to see what it writes.
const FEW_ROWS: usize = 1_000;

/// Writes of other sessions that a session sleeps through: more than the 4096 messages of which the server remembers, so that this
/// session throws away all it had cached.
const SLEPT_THROUGH: usize = 5_000;

const BREAKERS: &str = "
    SELECT costsim_report_drift(0.5);
    SELECT costsim_report_drift(0.01);
    SELECT costsim_configure_breaker('bench_bad', failure_threshold => 2147483647);
    SELECT costsim_configure_breaker('bench_open');
    SELECT costsim_disable_v2('bench', 'bench', name => 'bench_open');
    SELECT costsim_configure_breaker('bench_trip', failure_threshold => 1);
    SELECT costsim_configure_breaker('bench_miss')";

const TABLES: [(&str, &str); 4] = [
    ("costsim_cb_state", "plain_state"),
    ("costsim_cb_incidents", "plain_incidents"),
    ("costsim_cb_events", "plain_events"),
    ("costsim_alerts", "plain_alerts"),
];

const BAD_REPORT: Deed =
    Deed::Query("SELECT * FROM costsim_report_drift($1, name => $2)", &[&0.5, &"bench_bad"], none);

const BARE_UPDATE: Deed = Deed::Write(
    "UPDATE plain_state SET consecutive_failures = consecutive_failures + 1, last_failure_at = now(), updated_at = now()
      WHERE name = $1",
    &[&"bench_bad"],
);

const TRIP_BY_HAND: Deed = Deed::Script(
    "BEGIN;
     WITH incident AS (
         INSERT INTO plain_incidents (circuit_breaker_name, reason, severity, drift_score, sample_count, details_json)
         VALUES ('bench_trip', 'drift score above the threshold', 'P1', 0.5, 1, NULL) RETURNING id)
     UPDATE plain_state SET disabled = true, disabled_by = 'bench', disabled_reason = 'drift score above the threshold',
            disabled_until = now() + interval '24 hours', incident_id = incident.id, consecutive_failures = 1,
            last_failure_at = now(), opened_at = now(), updated_at = now()
       FROM incident WHERE name = 'bench_trip';
     INSERT INTO plain_alerts (fingerprint, labels, annotations, starts_at, incident_id)
         SELECT left(md5(incident_id), 16), jsonb_build_object('alertname', 'CostSimV2Disabled', 'severity', 'p1',
                'component', 'costsim', 'circuit_breaker', name, 'instance', 'bench', 'incident_id', incident_id),
                jsonb_build_object('summary', disabled_reason), now(), incident_id
           FROM plain_state WHERE name = 'bench_trip';
     INSERT INTO plain_events (circuit_breaker_name, happened_at, from_state, to_state, cause, actor, incident_id, drift_score,
                               sample_count, reason, configuration)
         SELECT name, now(), 'closed', 'open', 'drift', 'bench', incident_id, 0.5, 1, disabled_reason,
                jsonb_build_object('drift_threshold', drift_threshold, 'failure_threshold', failure_threshold)
           FROM plain_state WHERE name = 'bench_trip';
     COMMIT",
);

const ENABLE_BY_HAND: Deed = Deed::Script(
    "BEGIN;
     UPDATE plain_incidents SET resolved = true, resolved_at = now(), resolved_by = 'bench', resolution_notes = 'enabled by hand'
      WHERE circuit_breaker_name = 'bench_trip' AND NOT resolved;
     UPDATE plain_alerts SET resolved_at = now(), revision = revision + 1, next_send_at = now()
      WHERE incident_id = (SELECT incident_id FROM plain_state WHERE name = 'bench_trip') AND resolved_at IS NULL;
     INSERT INTO plain_events (circuit_breaker_name, happened_at, from_state, to_state, cause, actor, incident_id, reason,
                               configuration)
         SELECT name, now(), 'open', 'closed', 'manual', 'bench', incident_id, 'enabled by hand',
                jsonb_build_object('drift_threshold', drift_threshold, 'failure_threshold', failure_threshold)
           FROM plain_state WHERE name = 'bench_trip';
     UPDATE plain_state SET disabled = false, disabled_by = NULL, disabled_reason = NULL, disabled_until = NULL,
            incident_id = NULL, consecutive_failures = 0, opened_at = NULL, updated_at = now() WHERE name = 'bench_trip';
     COMMIT",
);

const SELECT_1: Side = Side { label: "SELECT 1", way: Way::Calls(&[Deed::Query("SELECT 1", &[], one)]) };

/// Public functions of the extension that do next to nothing: one reads a number, the other finds nothing in an empty table. An id
/// that nobody leads.
const TIMELINE: Side =
    Side { label: "a Rust function, no argument", way: Way::Rows("_costsim_timeline() IS NULL", 0) };
const IS_LEADER: Side =
    Side { label: "a Rust function, one argument", way: Way::Rows("costsim_is_leader(7099)", 0) };

/// A function of the server's own, written in C. Its argument depends on the row: it would be computed once otherwise.
const LENGTH: Side = Side {
    label: "octet_length, of the row",
    way: Way::Rows("octet_length(CASE WHEN i > 0 THEN 'costsim_v2' END) = 0", 0),
};
const NO_FUNCTION: Side = Side { label: "no function", way: Way::Rows("i = 0", 0) };

const CLOSED_BY_ROW: Side = Side { label: "costsim_is_open, closed", way: Way::Rows("costsim_is_open()", 0) };
const OPEN_BY_ROW: Side =
    Side { label: "costsim_is_open, open", way: Way::Rows("costsim_is_open('bench_open')", ROWS) };

pub const CONTESTS: [Contest; 16] = [
    by_row("breaker_rows_closed_timeline", CLOSED_BY_ROW, TIMELINE),
    by_row("breaker_rows_closed_is_leader", CLOSED_BY_ROW, IS_LEADER),
    by_row("breaker_rows_closed_no_function", CLOSED_BY_ROW, NO_FUNCTION),
    by_row(
        "breaker_rows_closed_length",
        Side {
            label: "costsim_is_open, of the row, closed",
            way: Way::Rows("costsim_is_open(CASE WHEN i > 0 THEN 'costsim_v2' END)", 0),
        },
        LENGTH,
    ),
    by_row("breaker_rows_open_timeline", OPEN_BY_ROW, TIMELINE),
    by_row("breaker_rows_open_is_leader", OPEN_BY_ROW, IS_LEADER),
    by_row("breaker_rows_open_no_function", OPEN_BY_ROW, NO_FUNCTION),
    by_row(
        "breaker_rows_open_length",
        Side {
            label: "costsim_is_open, of the row, open",
            way: Way::Rows("costsim_is_open(CASE WHEN i > 0 THEN 'bench_open' END)", ROWS),
        },
        LENGTH,
    ),
    Contest {
        name: "breaker_is_open",
        setup: "",
        takes_no_lock: true,
        ours: Side {
            label: "costsim_is_open",
            way: Way::Calls(&[Deed::Query("SELECT costsim_is_open()", &[], is_false)]),
        },
        theirs: SELECT_1,
    },
    Contest {
        name: "breaker_is_open_open",
        setup: "",
        takes_no_lock: true,
        ours: Side {
            label: "costsim_is_open, open",
            way: Way::Calls(&[Deed::Query("SELECT costsim_is_open($1)", &[&"bench_open"], is_true)]),
        },
        theirs: SELECT_1,
    },
    Contest {
        name: "breaker_is_open_in_the_client",
        setup: "",
        takes_no_lock: true,
        ours: Side {
            label: "costsim_is_open",
            way: Way::Calls(&[Deed::Query("SELECT costsim_is_open()", &[], is_false)]),
        },
        theirs: Side {
            label: "SELECT of the row, TTL in the client",
            way: Way::Calls(&[Deed::Query(
                "SELECT disabled, disabled_until FROM costsim_cb_state WHERE name = $1",
                &[&"costsim_v2"],
                is_closed_to_client,
            )]),
        },
    },
    Contest {
        name: "breaker_allow",
        setup: "",
        takes_no_lock: true,
        ours: Side {
            label: "costsim_cb_allow, closed",
            way: Way::Calls(&[Deed::Query("SELECT costsim_cb_allow()", &[], is_true)]),
        },
        theirs: SELECT_1,
    },
    Contest {
        name: "breaker_good_report",
        setup: "",
        takes_no_lock: true,
        ours: Side {
            label: "costsim_report_drift, good",
            way: Way::Calls(&[Deed::Query("SELECT * FROM costsim_report_drift($1)", &[&0.01], none)]),
        },
        theirs: Side {
            label: "bare SELECT of the row",
            way: Way::Calls(&[Deed::Query(
                "SELECT disabled, disabled_until, consecutive_failures, drift_threshold FROM costsim_cb_state WHERE name = $1",
                &[&"costsim_v2"],
                one,
            )]),
        },
    },
    Contest {
        name: "breaker_bad_report",
        setup: "SET synchronous_commit = on",
        takes_no_lock: false,
        ours: Side { label: "costsim_report_drift, bad", way: Way::Calls(&[BAD_REPORT]) },
        theirs: Side { label: "bare UPDATE of such a row", way: Way::Calls(&[BARE_UPDATE]) },
    },
    Contest {
        name: "breaker_bad_report_async",
        setup: "SET synchronous_commit = off",
        takes_no_lock: false,
        ours: Side { label: "the same, synchronous_commit off", way: Way::Calls(&[BAD_REPORT]) },
        theirs: Side { label: "the same, synchronous_commit off", way: Way::Calls(&[BARE_UPDATE]) },
    },
    Contest {
        name: "breaker_trip_enable",
        setup: "",
        takes_no_lock: false,
        ours: Side {
            label: "trip by a report, enable",
            way: Way::Calls(&[
                Deed::Query(
                    "SELECT * FROM costsim_report_drift($1, name => $2)",
                    &[&0.5, &"bench_trip"],
                    one,
                ),
                Deed::Query("SELECT costsim_enable_v2($1, name => $2)", &[&"bench", &"bench_trip"], is_true),
            ]),
        },
        theirs: Side { label: "two transactions by hand", way: Way::Calls(&[TRIP_BY_HAND, ENABLE_BY_HAND]) },
    },
];

/// Our way against the other way.
pub struct Contest {
    pub name: &'static str,
    /// What the measuring session does first.
    setup: &'static str,
    /// Whether our side promises to take none: it is held to that.
    takes_no_lock: bool,
    pub ours: Side,
    pub theirs: Side,
}

pub struct Side {
    pub label: &'static str,
    way: Way,
}

enum Way {
    /// Statements, each a round trip and a transaction of its own.
    Calls(&'static [Deed]),
    /// A condition that a query asks of every row, and how many of [`ROWS`] meet it: all or none.
    Rows(&'static str, usize),
}

/// One statement and what it has to answer: a figure of calls that did something else would be worth nothing.
enum Deed {
    /// A prepared query.
    Query(&'static str, Parameters, fn(&[Row]) -> Result<bool>),
    /// A prepared statement that writes one row.
    Write(&'static str, Parameters),
    /// A transaction in one message.
    Script(&'static str),
}

type Parameters = &'static [&'static (dyn ToSql + Sync)];

const fn by_row(name: &'static str, ours: Side, theirs: Side) -> Contest {
    Contest { name, setup: "", takes_no_lock: true, ours, theirs }
}

fn none(rows: &[Row]) -> Result<bool> {
    Ok(rows.is_empty())
}

fn one(rows: &[Row]) -> Result<bool> {
    Ok(rows.len() == 1)
}

fn is_true(rows: &[Row]) -> Result<bool> {
    answer(rows)
}

fn is_false(rows: &[Row]) -> Result<bool> {
    Ok(!answer(rows)?)
}

fn answer(rows: &[Row]) -> Result<bool> {
    Ok(rows.first().context("no row")?.try_get(0)?)
}

/// The check that an application without the function makes: of the row, by its own clock.
fn is_closed_to_client(rows: &[Row]) -> Result<bool> {
    let row = rows.first().context("no row")?;
    let (disabled, until): (bool, Option<SystemTime>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(!(disabled && until.is_none_or(|until| SystemTime::now() < until)))
}

/// Makes the breakers, and what a user without the extension keeps in their place.
pub fn prepare(client: &mut Client) -> Result<()> {
    client.batch_execute(BREAKERS)?;
    for (table, copy) in TABLES {
        let options: Option<String> = client
            .query_one(
                "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = $1::text::regclass",
                &[&table],
            )?
            .get(0);
        let options = options.map_or_else(String::new, |options| format!("WITH ({options})"));
        client.batch_execute(&format!("CREATE TABLE {copy} (LIKE {table} INCLUDING ALL) {options}"))?;
    }
    client.batch_execute("INSERT INTO plain_state SELECT * FROM costsim_cb_state")?;
    Ok(())
}

impl Contest {
    /// Runs both sides in turn, after one block of each to warm up, then once more to see what they lock and write. A block has
    /// `statements` statements of the longer side, or is one query over many rows.
    pub fn measure(
        &self,
        client: &mut Client,
        observer: &mut Client,
        blocks: usize,
        statements: usize,
    ) -> Result<Outcome> {
        client.batch_execute(self.setup)?;
        let ours = self.ours.way.prepare(client, ROWS)?;
        let theirs = self.theirs.way.prepare(client, ROWS)?;
        let passes = match ours.checks {
            1 => (statements / ours.steps.len().max(theirs.steps.len())).max(1),
            _ => 1,
        };
        ours.rate(client, passes)?;
        theirs.rate(client, passes)?;
        let (mut ours_rates, mut theirs_rates) = (Vec::new(), Vec::new());
        for turn in 0..blocks {
            // The side that goes first changes, so that neither always runs in the other's wake.
            for is_ours in [turn % 2 == 0, turn % 2 != 0] {
                if is_ours {
                    ours_rates.push(ours.rate(client, passes)?);
                } else {
                    theirs_rates.push(theirs.rate(client, passes)?);
                }
            }
        }
        if self.takes_no_lock {
            ensure_no_lock(client, observer, &ours)?;
        }
        let outcome = Outcome {
            name: self.name,
            ours: self.said(&ours),
            theirs: self.said(&theirs),
            calls_per_block: passes * ours.checks,
            ours_calls_per_second: ours_rates,
            theirs_calls_per_second: theirs_rates,
            ours_written: self.ours.way.written(client)?,
            theirs_written: self.theirs.way.written(client)?,
        };
        client.batch_execute("RESET ALL")?;
        Ok(outcome)
    }

    fn said(&self, side: &Ready) -> String {
        if self.setup.is_empty() { side.sql.clone() } else { format!("{}; {}", self.setup, side.sql) }
    }
}

/// Runs a side in a transaction and looks at its session from outside: it may hold the transaction's virtual number and nothing
/// else, no relation and no transaction id.
fn ensure_no_lock(client: &mut Client, observer: &mut Client, side: &Ready) -> Result<()> {
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    client.batch_execute("BEGIN")?;
    side.run(client)?;
    let locks = observer.query(
        "SELECT locktype || coalesce(' ' || relation::regclass::text, '') FROM pg_locks WHERE pid = $1 ORDER BY 1",
        &[&pid],
    )?;
    client.batch_execute("COMMIT")?;
    let locks: Vec<String> = locks.iter().map(|lock| lock.get(0)).collect();
    ensure!(locks == ["virtualxid"], "{} took {locks:?}", side.sql);
    Ok(())
}

impl Way {
    fn prepare(&self, client: &mut Client, rows: usize) -> Result<Ready> {
        match self {
            Self::Calls(deeds) => Ok(Ready {
                sql: deeds.iter().map(Deed::sql).collect::<Vec<_>>().join("; "),
                steps: deeds.iter().map(|deed| deed.prepare(client)).collect::<Result<_>>()?,
                checks: 1,
            }),
            Self::Rows(condition, met) => {
                let sql = format!(
                    "SELECT count(*) FILTER (WHERE {condition}) FROM generate_series(1, {rows}) AS i"
                );
                Ok(Ready {
                    steps: vec![per_row(client, &sql, condition, (*met).min(rows))?],
                    sql,
                    checks: rows,
                })
            }
        }
    }

    /// What one call writes, or the check of one row.
    fn written(&self, client: &mut Client) -> Result<Written> {
        let ready = self.prepare(client, FEW_ROWS)?;
        let written = written::by(client, |client| ready.run(client))?;
        let checks = ready.checks as f64;
        Ok(Written {
            wal_bytes: written.wal_bytes / checks,
            rows_inserted: written.rows_inserted / checks,
            rows_updated: written.rows_updated / checks,
            rows_updated_hot: written.rows_updated_hot / checks,
        })
    }
}

impl Deed {
    fn sql(&self) -> &'static str {
        match self {
            Self::Query(sql, ..) | Self::Write(sql, _) | Self::Script(sql) => sql,
        }
    }

    fn prepare(&'static self, client: &mut Client) -> Result<Step> {
        Ok(match self {
            Self::Query(sql, parameters, is_right) => {
                let statement = client.prepare(sql).context(*sql)?;
                Box::new(move |client| {
                    let rows = client.query(&statement, parameters)?;
                    ensure!(is_right(&rows)?, "{sql} answered {rows:?}");
                    Ok(())
                })
            }
            Self::Write(sql, parameters) => {
                let statement = client.prepare(sql).context(*sql)?;
                Box::new(move |client| {
                    let rows = client.execute(&statement, parameters)?;
                    ensure!(rows == 1, "{sql} met {rows} rows");
                    Ok(())
                })
            }
            Self::Script(sql) => Box::new(|client| client.batch_execute(sql).context(*sql)),
        })
    }
}

/// A query over rows, of which so many meet its condition.
fn per_row(client: &mut Client, sql: &str, condition: &str, met: usize) -> Result<Step> {
    // What the planner computes beforehand is not asked of every row, and does not stand in the plan.
    let plan = client.query(&format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"), &[])?;
    let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
    let asked = condition.split('(').next().unwrap_or(condition);
    ensure!(plan.iter().any(|line| line.contains(asked)), "{condition} is not asked of the rows: {plan:?}");
    let statement = client.prepare(sql)?;
    let (sql, met) = (sql.to_owned(), i64::try_from(met)?);
    Ok(Box::new(move |client| {
        let counted: i64 = client.query_one(&statement, &[])?.try_get(0)?;
        ensure!(counted == met, "{sql} counted {counted}");
        Ok(())
    }))
}

type Step = Box<dyn Fn(&mut Client) -> Result<()>>;

/// A side whose statements are known to the server.
struct Ready {
    sql: String,
    steps: Vec<Step>,
    /// Calls that a pass through the steps stands for.
    checks: usize,
}

impl Ready {
    /// Calls per second.
    fn rate(&self, client: &mut Client, passes: usize) -> Result<f64> {
        let start = Instant::now();
        for _ in 0..passes {
            self.run(client)?;
        }
        Ok((passes * self.checks) as f64 / start.elapsed().as_secs_f64())
    }

    fn run(&self, client: &mut Client) -> Result<()> {
        self.steps.iter().try_for_each(|step| step(client))
    }
}

/// A check after other sessions have written, against the next one, which finds what the first has read.
pub struct Miss {
    pub name: &'static str,
    pub label: &'static str,
    /// Writes before each check.
    writes: usize,
    /// One in so many of the rounds asked for.
    every: usize,
}

/// What other sessions write. Only the first failure and the reset are told to everybody: a mere count moves no answer.
const FAILURE: Deed =
    Deed::Query("SELECT * FROM costsim_report_drift($1, name => $2)", &[&0.5, &"bench_miss"], none);
const RESET: Deed =
    Deed::Query("SELECT * FROM costsim_report_drift($1, name => $2)", &[&0.01, &"bench_miss"], none);

pub const MISSES: [Miss; 2] = [
    Miss { name: "breaker_check_after_a_write", label: "a check after a write", writes: 1, every: 1 },
    Miss {
        name: "breaker_check_after_many_writes",
        label: "a check after 5000 writes",
        writes: SLEPT_THROUGH,
        // A round takes half a second.
        every: 200,
    },
];

impl Miss {
    /// Milliseconds of each check, and by how many bytes the checking session has grown over all rounds.
    pub fn measure(&self, cluster: &Cluster, database: &str, rounds: usize) -> Result<(Latencies, i64)> {
        const CHECK: &str = "SELECT costsim_is_open('bench_miss')";
        let mut writer = cluster.connect(database)?;
        let mut client = cluster.connect(database)?;
        let writes = [FAILURE.prepare(&mut writer)?, RESET.prepare(&mut writer)?];
        let mut writes = writes.iter().cycle();
        let check = Deed::Query(CHECK, &[], is_false).prepare(&mut client)?;
        let mut before = 0;
        let (mut ours_ms, mut theirs_ms) = (Vec::new(), Vec::new());
        let rounds = (rounds / self.every).max(1);
        // A few rounds first, in which the session prepares what it keeps.
        for round in 0..rounds + 3 {
            if round == 3 {
                (ours_ms, theirs_ms) = (Vec::new(), Vec::new());
                before = memory(&mut client)?;
            }
            for write in writes.by_ref().take(self.writes) {
                write(&mut writer)?;
            }
            for latencies in [&mut ours_ms, &mut theirs_ms] {
                let start = Instant::now();
                check(&mut client)?;
                latencies.push(start.elapsed().as_secs_f64() * 1_000.0);
            }
        }
        let grown = memory(&mut client)? - before;
        // A check that was no miss would be a figure of something else.
        for write in writes.take(2) {
            write(&mut writer)?;
            let reads = [reads_of(&mut client, &check)?, reads_of(&mut client, &check)?];
            ensure!(reads[0] > 0 && reads[1] == 0, "the checks after a write read the table {reads:?} times");
        }
        Ok((Latencies { name: self.name, ours: CHECK, theirs: Some(CHECK), ours_ms, theirs_ms }, grown))
    }
}

/// How often a check reads the breakers' table.
fn reads_of(client: &mut Client, check: &Step) -> Result<i64> {
    const READS: &str = "SELECT coalesce(sum(seq_scan + idx_scan), 0)::bigint FROM pg_stat_xact_user_tables
                          WHERE relname = 'costsim_cb_state'";
    // The view counts since the session last told its counts, which it never does in the middle of a transaction.
    client.batch_execute("BEGIN")?;
    let before: i64 = client.query_one(READS, &[])?.get(0);
    check(client)?;
    let after: i64 = client.query_one(READS, &[])?.get(0);
    client.batch_execute("COMMIT")?;
    Ok(after - before)
}

/// What the server has allocated for this session.
fn memory(client: &mut Client) -> Result<i64> {
    // The view itself takes memory the first time it is read.
    let read = "SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts";
    client.query_one(read, &[])?;
    Ok(client.query_one(read, &[])?.get(0))
}
