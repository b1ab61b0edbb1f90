//! Drift that is answered from roll-ups is the drift of the rows, at every moment and for everybody who asks.
//!
//! Sessions write, move, delete, purge and truncate, take some of it back, prepare it, commit it late, and go past ordinary triggers;
//! refreshes run whenever they like. Again and again `costsim_drift_stats` is asked of some range, and in the same snapshot the
//! aggregate is asked of the raw rows. `COSTSIM_ROLLUP_STEPS`, `_ROUNDS` and `_SEED` make more of it, or the same again.

use anyhow::{Context, Result, anyhow, bail, ensure};
use costsim_harness::{Cluster, Signal, wait_until};
use costsim_server_tests::{LIMIT, Shared, Site, one, sqlstate_of, wait_for};
use fastrand::Rng;
use postgres::Client;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

static CLUSTER: Shared<Cluster> = Shared::new();

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

/// In microseconds, as moments are kept.
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// How far back rows lie: days that are over, whole and in part.
const PAST: i64 = 4 * DAY;

const TENANTS: [Option<&str>; 4] = [Some("acme"), Some("globex"), Some("initech"), None];
const VARIANTS: [Option<&str>; 4] = [Some("v1"), Some("v2"), Some("canary"), None];

/// A number that a longer run sets.
fn setting(name: &str, default: u64) -> Result<u64> {
    let Ok(value) = std::env::var(name) else { return Ok(default) };
    value.parse().with_context(|| format!("{name} is {value}"))
}

fn seed(default: u64) -> Result<Rng> {
    let seed = setting("COSTSIM_ROLLUP_SEED", default)?;
    println!("seed {seed}");
    Ok(Rng::with_seed(seed))
}

/// The present hour when a test began, in microseconds since 1970.
fn this_hour(client: &mut Client) -> Result<i64> {
    one(client, "SELECT (extract(epoch FROM date_trunc('hour', now(), 'UTC')) * 1000000)::bigint")
}

/// What drift is asked of. Bounds are microseconds since 1970, both inclusive.
#[derive(Clone, Copy, Debug, Default)]
struct Question {
    start: Option<i64>,
    end: Option<i64>,
    tenant: Option<&'static str>,
    variant: Option<&'static str>,
}

impl Question {
    const EVERYTHING: Self = Self { start: None, end: None, tenant: None, variant: None };

    fn random(rng: &mut Rng, now: i64) -> Self {
        let (start, end) = (bound(rng, now), bound(rng, now));
        // Now and then the wrong way round: nothing.
        let (start, end) = match (start, end) {
            (Some(one), Some(other)) if one > other && rng.u8(..10) > 0 => (end, start),
            (Some(_), Some(_)) if rng.u8(..20) == 0 => (start, start),
            _ => (start, end),
        };
        // An empty text is no filter; of some nobody has rows.
        let tenant = rng.choice([None, None, Some(""), Some("acme"), Some("globex"), Some("nobody")]);
        let variant = rng.choice([None, None, None, Some(""), Some("v2"), Some("v1"), Some("no such")]);
        Self { start, end, tenant: tenant.flatten(), variant: variant.flatten() }
    }
}

fn bound(rng: &mut Rng, now: i64) -> Option<i64> {
    let hour = now - rng.i64(-3..PAST / HOUR + 2) * HOUR;
    match rng.u8(..10) {
        0..2 => None,
        2..5 => Some(hour),
        5 => Some(hour - 1),
        6 => Some(hour + 1),
        7 => Some(hour - hour.rem_euclid(DAY)),
        _ => Some(hour + rng.i64(0..HOUR)),
    }
}

/// The columns of `costsim_drift_stats` in its own order, and how the aggregate over the rows answers each.
const COLUMNS: [(&str, &str); 17] = [
    ("total", "costsim_drift_count(r.d)"),
    ("avg_delta", "coalesce(costsim_drift_mean(r.d), 0)"),
    ("min_delta", "coalesce(costsim_drift_min(r.d), 0)"),
    ("max_delta", "coalesce(costsim_drift_max(r.d), 0)"),
    ("stddev_delta", "coalesce(costsim_drift_stddev(r.d), 0)"),
    ("p50_abs_delta", "costsim_drift_percentile(r.d, 0.5)"),
    ("p90_abs_delta", "costsim_drift_percentile(r.d, 0.9)"),
    ("p99_abs_delta", "costsim_drift_percentile(r.d, 0.99)"),
    ("p50_rel_delta", "costsim_drift_percentile(r.d, 0.5, 'rel_delta')"),
    ("p90_rel_delta", "costsim_drift_percentile(r.d, 0.9, 'rel_delta')"),
    ("p99_rel_delta", "costsim_drift_percentile(r.d, 0.99, 'rel_delta')"),
    ("p50_delta", "costsim_drift_percentile(r.d, 0.5, 'delta')"),
    ("p90_delta", "costsim_drift_percentile(r.d, 0.9, 'delta')"),
    ("p99_delta", "costsim_drift_percentile(r.d, 0.99, 'delta')"),
    ("kl_divergence", "costsim_drift_kl(r.d)"),
    ("js_divergence", "costsim_drift_js(r.d)"),
    ("not_finite", "costsim_drift_not_finite(r.d)"),
];

const MOMENT: &str = "timestamptz 'epoch' + interval '1 microsecond' *";

/// Asks twice in one statement, so in one snapshot: the function, and the aggregate of the rows.
fn both_answers() -> String {
    let of = |side: fn(&(&str, &str)) -> String| COLUMNS.iter().map(side).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT {}, {}
           FROM costsim_drift_stats({MOMENT} $1::bigint, {MOMENT} $2::bigint, $3::text, $4::text) s,
                (SELECT costsim_drift(p.v1_cost, p.v2_cost) AS d FROM costsim_provenance p
                  WHERE ($1 IS NULL OR p.created_at >= {MOMENT} $1) AND ($2 IS NULL OR p.created_at <= {MOMENT} $2)
                    AND (coalesce($3, '') = '' OR p.tenant_id = $3)
                    AND (coalesce($4, '') = '' OR p.variant_slug = $4)) r",
        of(|(name, _)| format!("s.{name}::float8")),
        of(|(_, accessor)| format!("({accessor})::float8")),
    )
}

/// Where the two answers differ. Sums are kept in twice the digits of an answer, so that the order of adding may show in its last digit
/// at most; everything else is the same to the last bit.
fn differences(client: &mut Client, asked: &Question) -> Result<Vec<String>> {
    let Question { start, end, tenant, variant } = asked;
    let row = client
        .query_one(&both_answers(), &[start, end, tenant, variant])
        .with_context(|| format!("{asked:?}"))?;
    let mut found = Vec::new();
    for (at, (name, _)) in COLUMNS.iter().enumerate() {
        let (ours, raw): (Option<f64>, Option<f64>) = (row.get(at), row.get(COLUMNS.len() + at));
        let are_equal = match (ours, raw) {
            (Some(ours), Some(raw)) if matches!(*name, "avg_delta" | "stddev_delta") => ulps(ours, raw) <= 1,
            (ours, raw) => {
                ours == raw || ours.zip(raw).is_some_and(|(one, other)| one.is_nan() && other.is_nan())
            }
        };
        if !are_equal {
            found.push(format!("{name} is {ours:?}, of the rows {raw:?}"));
        }
    }
    Ok(found)
}

/// How many numbers of a double lie between the two.
fn ulps(one: f64, other: f64) -> u64 {
    let place = |number: f64| {
        let bits = number.to_bits() as i64;
        if bits < 0 { i64::MIN - bits } else { bits }
    };
    if one.is_nan() && other.is_nan() { 0 } else { place(one).abs_diff(place(other)) }
}

fn check(client: &mut Client, asked: &Question) -> Result<()> {
    let found = differences(client, asked)?;
    ensure!(found.is_empty(), "{asked:?}: {}", found.join("; "));
    Ok(())
}

/// Bucket by bucket, as far as buckets have rows.
fn check_series(client: &mut Client, bucket: &str, asked: &Question) -> Result<i64> {
    let Question { start, end, tenant, variant } = asked;
    let query = format!(
        "SELECT count(r.at), count(*) FILTER (WHERE (r.at IS NULL AND s.total + costsim_drift_not_finite(s.summary) > 0)
                    OR r.at IS NOT NULL AND (s.bucket_start IS NULL
                       OR (s.total, s.min_delta, s.max_delta, s.p50_abs_delta, s.p99_abs_delta, costsim_drift_not_finite(s.summary))
                          IS DISTINCT FROM
                          (costsim_drift_count(r.d), coalesce(costsim_drift_min(r.d), s.min_delta), coalesce(costsim_drift_max(r.d), s.max_delta),
                           costsim_drift_percentile(r.d, 0.5), costsim_drift_percentile(r.d, 0.99), costsim_drift_not_finite(r.d))
                       OR abs(s.avg_delta - costsim_drift_mean(r.d)) > 1e-15 * abs(s.avg_delta)))
           FROM costsim_drift_series({MOMENT} $1::bigint, {MOMENT} $2::bigint, '{bucket}', $3::text, $4::text) s
           FULL JOIN (SELECT date_bin('{bucket}', p.created_at, 'epoch') AS at, costsim_drift(p.v1_cost, p.v2_cost) AS d
                        FROM costsim_provenance p
                       WHERE p.created_at >= {MOMENT} $1 AND p.created_at <= {MOMENT} $2
                         AND p.v1_cost IS NOT NULL AND p.v2_cost IS NOT NULL
                         AND (coalesce($3, '') = '' OR p.tenant_id = $3)
                         AND (coalesce($4, '') = '' OR p.variant_slug = $4)
                       GROUP BY 1) r ON r.at = s.bucket_start"
    );
    let row = client
        .query_one(&query, &[start, end, tenant, variant])
        .with_context(|| format!("series by {bucket}, {asked:?}"))?;
    let (buckets, wrong): (i64, i64) = (row.get(0), row.get(1));
    ensure!(
        wrong == 0,
        "series by {bucket}, {asked:?}: {wrong} of {buckets} buckets are not what the rows say"
    );
    Ok(buckets)
}

/// Rows to be written, as literals: run, tenant, variant, costs, moment.
struct Rows(Vec<[String; 6]>);

impl Rows {
    fn random(rng: &mut Rng, run: &str, now: i64) -> Self {
        // Mostly together in one hour, as runs come.
        let hour = now - rng.i64(-1..PAST / HOUR) * HOUR;
        let count = if rng.u8(..12) == 0 { rng.usize(130..300) } else { rng.usize(1..20) };
        let rows = (0..count).map(|_| {
            let moment = match rng.u8(..20) {
                0 => hour,
                1 => hour + HOUR - 1,
                2 => now - rng.i64(0..PAST),
                _ => hour + rng.i64(0..HOUR),
            };
            let (v1, v2) = costs(rng);
            let name = |known: Option<Option<&'static str>>| known.flatten().unwrap_or("\\N").to_owned();
            [
                run.to_owned(),
                name(rng.choice(TENANTS)),
                name(rng.choice(VARIANTS)),
                v1,
                v2,
                moment.to_string(),
            ]
        });
        Self(rows.collect())
    }

    fn insert(&self) -> String {
        let mut text = format!(
            "INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, v1_cost, v2_cost, created_at)
             SELECT r, nullif(t, '\\N'), nullif(v, '\\N'), nullif(c1, '\\N')::float8, nullif(c2, '\\N')::float8, {MOMENT} m FROM (VALUES "
        );
        for (at, [run, tenant, variant, v1, v2, moment]) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(text, "{comma}('{run}', '{tenant}', '{variant}', '{v1}', '{v2}', {moment})").ok();
        }
        text + ") AS rows (r, t, v, c1, c2, m)"
    }

    /// By COPY, whose rows are given their moments on the way in.
    fn copy(&self, client: &mut Client) -> Result<(), postgres::Error> {
        let mut text = String::new();
        for row in &self.0 {
            let [fields @ .., moment] = row;
            let micros: i64 = moment.parse().unwrap_or_default();
            writeln!(text, "{}\t{}", fields.join("\t"), utc(micros)).ok();
        }
        let into = "COPY costsim_provenance (run_id, tenant_id, variant_slug, v1_cost, v2_cost, created_at) FROM STDIN";
        let mut writer = client.copy_in(into)?;
        // What is wrong is told by the end of the COPY.
        writer.write_all(text.as_bytes()).ok();
        writer.finish().map(drop)
    }
}

/// As COPY reads it.
fn utc(micros: i64) -> String {
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    // Of the proleptic Gregorian calendar, counted from a March.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// What runs cost, in cents, and what nobody expects.
fn costs(rng: &mut Rng) -> (String, String) {
    let v1 = rng.i64(1..2_000_000) as f64 / 1_000.0;
    match rng.u8(..40) {
        0 => ("\\N".into(), v1.to_string()),
        1 => (v1.to_string(), "\\N".into()),
        2 => ("0".into(), v1.to_string()),
        3 => (v1.to_string(), v1.to_string()),
        4 => ("NaN".into(), v1.to_string()),
        5 => (v1.to_string(), "Infinity".into()),
        6 => ("-Infinity".into(), "-Infinity".into()),
        7 => ((-v1).to_string(), v1.to_string()),
        8 => ((v1 * 1e9).to_string(), v1.to_string()),
        9 => (v1.to_string(), (v1 + 1e-7).to_string()),
        _ => (v1.to_string(), (v1 * (0.7 + rng.f64() * 0.7)).to_string()),
    }
}

/// A session that writes, and where it stands.
struct Player {
    client: Client,
    name: String,
    /// Rows are its own by their run: two players never wait for each other at a row.
    run: usize,
    in_transaction: bool,
    is_repeatable: bool,
    savepoints: usize,
    /// Since it has refreshed in its transaction, the next refresher waits for it.
    has_refreshed: bool,
}

/// What a step may come to besides success, and then its transaction is rolled back.
const CONFLICTS: [&str; 2] = ["40001", "40P01"];

impl Player {
    fn new(mut client: Client, name: String) -> Result<Self> {
        // Nobody waits; whoever does shows it by an error.
        client.batch_execute("SET lock_timeout = '10 s'; SET timezone = 'UTC'")?;
        Ok(Self {
            client,
            name,
            run: 0,
            in_transaction: false,
            is_repeatable: false,
            savepoints: 0,
            has_refreshed: false,
        })
    }

    fn run_id(&self) -> String {
        format!("{}.{}", self.name, self.run)
    }

    /// Whether it was done; if not, the transaction is over.
    fn may_fail(&mut self, outcome: Result<(), postgres::Error>, with: &[&str]) -> Result<bool> {
        let Err(error) = outcome else { return Ok(true) };
        let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
        if !with.contains(&&*code) {
            return Err(anyhow!(error).context(format!("{} {code}", self.name)));
        }
        self.client.batch_execute("ROLLBACK")?;
        self.in_transaction = false;
        self.has_refreshed = false;
        Ok(false)
    }

    fn say(&mut self, statement: &str, may_fail_with: &[&str]) -> Result<bool> {
        let outcome = self.client.batch_execute(statement);
        self.may_fail(outcome, may_fail_with).with_context(|| statement.chars().take(300).collect::<String>())
    }

    fn begin(&mut self, rng: &mut Rng) -> Result<()> {
        self.is_repeatable = rng.u8(..4) == 0;
        let level = if self.is_repeatable { "REPEATABLE READ" } else { "READ COMMITTED" };
        self.in_transaction = self.say(&format!("BEGIN ISOLATION LEVEL {level}"), &[])?;
        self.savepoints = 0;
        Ok(())
    }

    fn end(&mut self, statement: &str) -> Result<bool> {
        let is_done = self.say(statement, &CONFLICTS)?;
        self.in_transaction = false;
        self.has_refreshed = false;
        Ok(is_done)
    }

    fn write(&mut self, rng: &mut Rng, now: i64) -> Result<bool> {
        let rows = Rows::random(rng, &self.run_id(), now);
        match rng.u8(..8) {
            0 => {
                let outcome = rows.copy(&mut self.client);
                self.may_fail(outcome, &CONFLICTS)
            }
            1 => {
                let run = self.run_id();
                let v1 = rng.i64(1..90_000) as f64 / 100.0;
                let batch = format!(
                    "SELECT costsim_write_provenance_batch(jsonb_build_array(
                         jsonb_build_object('run_id', '{run}', 'tenant_id', 'acme', 'v1_cost', {v1}, 'v2_cost', {}),
                         jsonb_build_object('run_id', '{run}', 'v1_cost', {v1}, 'v2_cost', 0)))",
                    v1 * 1.25
                );
                self.say(&batch, &CONFLICTS)
            }
            2 => {
                // As a subscriber applies what it is sent, and as pg_restore may.
                let statement = rows.insert();
                let as_replica = format!(
                    "SET session_replication_role = replica; {statement}; SET session_replication_role = origin"
                );
                self.say(&as_replica, &CONFLICTS)
            }
            _ => self.say(&rows.insert(), &CONFLICTS),
        }
    }

    /// Its rows change hour, tenant and cost.
    fn change(&mut self, rng: &mut Rng) -> Result<bool> {
        let some = format!(
            "run_id = '{}' AND mod(id, {}) = {}",
            self.run_id(),
            1 + rng.u8(..5),
            // Sometimes none.
            rng.u8(..2)
        );
        let hours = rng.i64(-30..30);
        let set = match rng.u8(..6) {
            0 => format!("created_at = created_at + interval '{hours} hours'"),
            1 => "tenant_id = CASE WHEN tenant_id = 'acme' THEN 'globex' ELSE 'acme' END".to_owned(),
            2 => "v2_cost = v2_cost * 1.25".to_owned(),
            3 => "v1_cost = NULL".to_owned(),
            4 => format!(
                "created_at = created_at + interval '{hours} minutes', variant_slug = 'v2', v2_cost = v1_cost"
            ),
            // Nothing that drift is made of.
            _ => "payload = '{}'".to_owned(),
        };
        self.say(&format!("UPDATE costsim_provenance SET {set} WHERE {some}"), &CONFLICTS)
    }

    fn remove(&mut self, rng: &mut Rng) -> Result<bool> {
        let statement = format!(
            "DELETE FROM costsim_provenance WHERE run_id = '{}' AND mod(id, 3) = {}",
            self.run_id(),
            rng.u8(..3)
        );
        self.say(&statement, &CONFLICTS)
    }

    fn refresh(&mut self, rng: &mut Rng) -> Result<bool> {
        let hours = rng.choice([1, 2, 7, 1_000]).unwrap_or(1);
        let rebuild = rng.u8(..10) == 0;
        let is_done = self.say(&format!("SELECT costsim_refresh_drift({hours}, {rebuild})"), &CONFLICTS)?;
        self.has_refreshed = self.in_transaction;
        Ok(is_done)
    }

    /// It must not refresh, as its snapshot lasts; its transaction is over.
    fn is_refused(&mut self, rng: &mut Rng) -> Result<bool> {
        let rebuild = rng.bool();
        let is_done = self.say(&format!("SELECT costsim_refresh_drift(1000, {rebuild})"), &["25001"])?;
        ensure!(!is_done, "{} refreshed under REPEATABLE READ", self.name);
        Ok(true)
    }
}

/// Every session of a run that is played step by step: one acts at a time, in an order that the seed decides.
struct Game {
    players: Vec<Player>,
    rng: Rng,
    now: i64,
    prepared: Vec<String>,
    names_given: usize,
    done: [usize; 12],
    refusals: usize,
}

impl Game {
    fn step(&mut self) -> Result<()> {
        let act = self.rng.usize(..self.done.len());
        if self.act(act)? {
            self.done[act] += 1;
        }
        Ok(())
    }

    /// Whether something was done.
    fn act(&mut self, act: usize) -> Result<bool> {
        let at = self.rng.usize(..self.players.len());
        // These wait for whoever is there, or for his rows.
        if act >= 10 {
            if self.rng.u8(..9) > 0 {
                return Ok(false);
            }
            self.finish()?;
        }
        let is_refreshing =
            self.players.iter().enumerate().any(|(other, it)| other != at && it.has_refreshed);
        let Self { players, rng, now, prepared, names_given, refusals, .. } = self;
        let player = &mut players[at];
        match act {
            0 | 1 => player.write(rng, *now),
            2 => player.change(rng),
            3 => player.remove(rng),
            4 if !player.in_transaction => player.begin(rng).map(|()| true),
            // Late, often: others have done and refreshed much since.
            4 if rng.u8(..3) == 0 => player.end("COMMIT"),
            5 if player.in_transaction && rng.u8(..3) == 0 => player.end("ROLLBACK"),
            6 if player.in_transaction => {
                player.savepoints += 1;
                player.say(&format!("SAVEPOINT s{}", player.savepoints), &[])
            }
            7 if player.in_transaction && player.savepoints > 0 => {
                let back = if rng.bool() { "ROLLBACK TO" } else { "RELEASE" };
                let savepoint = player.savepoints;
                player.savepoints -= usize::from(back == "RELEASE");
                player.say(&format!("{back} s{savepoint}"), &CONFLICTS)
            }
            8 if player.in_transaction && !player.has_refreshed && prepared.len() < 5 && rng.bool() => {
                *names_given += 1;
                let name = format!("p{names_given}");
                let is_done = player.end(&format!("PREPARE TRANSACTION '{name}'"))?;
                if is_done {
                    prepared.push(name);
                    // Its rows of before are locked until somebody decides.
                    player.run += 1;
                }
                Ok(is_done)
            }
            8 if !player.in_transaction && !prepared.is_empty() => {
                let name = prepared.swap_remove(rng.usize(..prepared.len()));
                let decision = if rng.u8(..3) == 0 { "ROLLBACK" } else { "COMMIT" };
                player.say(&format!("{decision} PREPARED '{name}'"), &[])
            }
            9 if player.in_transaction && player.is_repeatable => {
                *refusals += 1;
                player.is_refused(rng)
            }
            9 if !is_refreshing && (!player.in_transaction || !player.is_repeatable && rng.u8(..4) == 0) => {
                player.refresh(rng)
            }
            10 => {
                let days = rng.u8(..4);
                let rows = rng.choice([1, 10, 500]).unwrap_or(1);
                player.say(&format!("SELECT costsim_purge_provenance('{days} days', {rows})"), &[])
            }
            11 if rng.bool() => {
                let ending = if rng.bool() { "COMMIT" } else { "ROLLBACK" };
                let rows = Rows::random(rng, &player.run_id(), *now).insert();
                player.say(&format!("BEGIN; TRUNCATE costsim_provenance; {rows}; {ending}"), &CONFLICTS)
            }
            _ => Ok(false),
        }
    }

    /// Some session asks, as it stands: with what it wrote and has not committed, or with an old snapshot.
    fn ask(&mut self) -> Result<()> {
        let asked = if self.rng.u8(..3) == 0 {
            Question::EVERYTHING
        } else {
            Question::random(&mut self.rng, self.now)
        };
        let at = self.rng.usize(..self.players.len());
        let player = &mut self.players[at];
        check(&mut player.client, &asked).with_context(|| {
            format!(
                "{}, in a transaction: {}, repeatable: {}",
                player.name, player.in_transaction, player.is_repeatable
            )
        })
    }

    fn finish(&mut self) -> Result<()> {
        for player in &mut self.players {
            if player.in_transaction {
                player.end("COMMIT")?;
            }
        }
        for name in std::mem::take(&mut self.prepared) {
            self.players[0].say(&format!("COMMIT PREPARED '{name}'"), &[])?;
        }
        Ok(())
    }
}

/// Refreshes until no hour that is over is left, and says so. What is before all hours only a rebuild looks at.
fn refresh_everything(client: &mut Client) -> Result<()> {
    wait_until(LIMIT, "no hour that is over to be marked", || {
        client.batch_execute("SELECT costsim_refresh_drift()")?;
        let left = "SELECT NOT EXISTS (SELECT FROM costsim_drift_changes
                                        WHERE hour > '-infinity' AND hour < date_trunc('hour', now(), 'UTC'))";
        Ok(one::<bool>(client, left)?.then_some(()))
    })
}

/// Many ranges at once, when nobody writes.
fn check_thoroughly(client: &mut Client, rng: &mut Rng, now: i64) -> Result<()> {
    check(client, &Question::EVERYTHING)?;
    for _ in 0..60 {
        check(client, &Question::random(rng, now))?;
    }
    let asked = Question { start: Some(now - PAST), end: Some(now + HOUR), ..Question::EVERYTHING };
    for bucket in ["1 hour", "1 day", "15 minutes"] {
        let buckets = check_series(client, bucket, &asked)?;
        ensure!(buckets > 0, "there was nothing to compare by {bucket}");
    }
    let odd = Question {
        start: Some(now - PAST + 77_777),
        end: Some(now - HOUR / 3),
        tenant: Some("acme"),
        variant: None,
    };
    check_series(client, "1 hour", &odd).map(drop)
}

/// Raw rows that a question about hours that are over reads.
fn raw_rows_read(client: &mut Client, statement: &str) -> Result<i64> {
    let mut transaction = client.transaction()?;
    let read = "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint
                  FROM pg_stat_xact_user_tables WHERE relname = 'costsim_provenance'";
    let before: i64 = transaction.query_one(read, &[])?.get(0);
    transaction.batch_execute(statement)?;
    let after: i64 = transaction.query_one(read, &[])?.get(0);
    transaction.rollback()?;
    Ok(after - before)
}

#[test]
fn whoever_asks_at_any_step_is_told_what_the_rows_say() -> Result<()> {
    let mut rng = seed(6)?;
    let steps = setting("COSTSIM_ROLLUP_STEPS", 600)?;
    let (cluster, mut client) = database("steps")?;
    let now = this_hour(&mut client)?;
    let players = (0..5)
        .map(|number| Player::new(cluster.connect("steps")?, format!("s{number}")))
        .collect::<Result<_>>()?;
    let fork = rng.fork();
    let mut game =
        Game { players, rng: fork, now, prepared: Vec::new(), names_given: 0, done: [0; 12], refusals: 0 };
    for step in 0..steps {
        game.step().with_context(|| format!("step {step}"))?;
        game.ask().with_context(|| format!("after step {step}"))?;
    }
    ensure!(game.done.iter().all(|&times| times > 0), "some kind of step never came: {:?}", game.done);
    ensure!(game.refusals > 0, "nobody refreshed with a snapshot of his own");
    game.finish()?;
    check_thoroughly(&mut client, &mut rng, now)?;
    refresh_everything(&mut client)?;
    check_thoroughly(&mut client, &mut rng, now)
}

#[test]
fn refreshed_hours_are_answered_without_their_rows() -> Result<()> {
    let mut rng = seed(16)?;
    let (_cluster, mut client) = database("answered")?;
    let now = this_hour(&mut client)?;
    client.batch_execute(
        "INSERT INTO costsim_provenance (tenant_id, v1_cost, v2_cost, created_at)
         SELECT 'acme', n, n * 1.1, date_trunc('hour', now(), 'UTC') - n * interval '10 seconds' FROM generate_series(1, 20000) n;
         ANALYZE costsim_provenance",
    )?;
    let [past, of_a_day, from_within] = [
        "SELECT costsim_drift_stats(end_date => date_trunc('hour', now(), 'UTC') - interval '1 microsecond')",
        "SELECT costsim_drift_stats(date_trunc('hour', now(), 'UTC') - interval '24 hours',
                                    date_trunc('hour', now(), 'UTC') - interval '1 microsecond', 'acme')",
        "SELECT costsim_drift_stats(date_trunc('hour', now(), 'UTC') - interval '9 hours 30 minutes',
                                    date_trunc('hour', now(), 'UTC') - interval '1 microsecond')",
    ];
    ensure!(raw_rows_read(&mut client, past)? >= 20_000, "before the first refresh there are only rows");
    refresh_everything(&mut client)?;
    assert_eq!(raw_rows_read(&mut client, past)?, 0);
    assert_eq!(raw_rows_read(&mut client, of_a_day)?, 0);
    // Half an hour of rows, one in ten seconds, at the edge.
    let edge = raw_rows_read(&mut client, from_within)?;
    assert!((180..=362).contains(&edge), "{edge} rows for half an hour of 180");
    // A single row makes one hour of 360 a matter of rows again.
    client.batch_execute(
        "INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at)
         VALUES (1, 2, date_trunc('hour', now(), 'UTC') - interval '5 hours 30 minutes')",
    )?;
    let marked = raw_rows_read(&mut client, past)?;
    assert!((361..=724).contains(&marked), "{marked} rows for one hour of 361");
    check_thoroughly(&mut client, &mut rng, now)?;
    refresh_everything(&mut client)?;
    assert_eq!(raw_rows_read(&mut client, past)?, 0);
    check_thoroughly(&mut client, &mut rng, now)
}

/// The control: rows that change behind the triggers' back are missed, and the comparison of these tests sees it.
#[test]
fn rows_that_change_without_their_trigger_are_noticed_by_the_comparison_and_mended_by_a_rebuild() -> Result<()>
{
    let mut rng = seed(26)?;
    let (_cluster, mut client) = database("control")?;
    let now = this_hour(&mut client)?;
    for _ in 0..10 {
        client.batch_execute(&Rows::random(&mut rng, "control", now - HOUR).insert())?;
    }
    let a_day_ago = format!("{MOMENT} {}", now - DAY);
    let insert = |v2: u8| {
        format!(
            "INSERT INTO costsim_provenance (run_id, tenant_id, v1_cost, v2_cost, created_at) VALUES ('x', 'acme', 1, {v2}, {a_day_ago})"
        )
    };
    client.batch_execute(&insert(2))?;
    refresh_everything(&mut client)?;
    check(&mut client, &Question::EVERYTHING)?;
    for behind in [insert(100), "DELETE FROM costsim_provenance WHERE run_id = 'x'".to_owned()] {
        client.batch_execute("ALTER TABLE costsim_provenance DISABLE TRIGGER ALL")?;
        client.batch_execute(&behind)?;
        client.batch_execute(ENABLE_ALWAYS)?;
        let found = differences(&mut client, &Question::EVERYTHING)?;
        ensure!(found.iter().any(|it| it.starts_with("total")), "{behind} was not noticed: {found:?}");
        client.batch_execute("SELECT costsim_refresh_drift(rebuild => true)")?;
        check_thoroughly(&mut client, &mut rng, now)?;
    }
    Ok(())
}

/// As the extension makes them: a plain ENABLE would leave them silent for whoever is a replica.
const ENABLE_ALWAYS: &str = "ALTER TABLE costsim_provenance ENABLE ALWAYS TRIGGER zz_costsim_provenance_row, ENABLE ALWAYS TRIGGER costsim_provenance_truncated";

#[test]
fn table_has_one_trigger_for_rows_and_one_for_truncation_and_both_fire_always() -> Result<()> {
    let (_cluster, mut client) = database("triggers")?;
    let are_there = "SELECT string_agg(format('%s %s', tgname, tgenabled), ', ' ORDER BY tgname)
                       FROM pg_trigger WHERE tgrelid = 'costsim_provenance'::regclass";
    let expected = "costsim_provenance_truncated A, zz_costsim_provenance_row A";
    assert_eq!(one::<String>(&mut client, are_there)?, expected);
    // What puts them back names them all.
    client.batch_execute("ALTER TABLE costsim_provenance ENABLE TRIGGER ALL")?;
    client.batch_execute(ENABLE_ALWAYS)?;
    assert_eq!(one::<String>(&mut client, are_there)?, expected);
    Ok(())
}

/// What goes on beside each other in the tests below, until it is told to end.
struct Traffic<'a> {
    cluster: &'a Cluster,
    database: &'static str,
    now: i64,
    is_over: AtomicBool,
    compared: AtomicUsize,
    written: AtomicUsize,
}

impl<'a> Traffic<'a> {
    fn new(cluster: &'a Cluster, database: &'static str, now: i64) -> Self {
        let [compared, written] = [0, 0].map(AtomicUsize::new);
        Self { cluster, database, now, is_over: AtomicBool::new(false), compared, written }
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Transactions of any kind, of its own rows and now and then of everybody's.
    fn write(&self, mut rng: Rng, name: &str) -> Result<()> {
        let mut player = Player::new(self.cluster.connect(self.database)?, name.to_owned())?;
        while self.goes_on() {
            player.begin(&mut rng)?;
            for _ in 0..rng.u8(1..5) {
                let goes_on = match rng.u8(..6) {
                    0 => player.change(&mut rng)?,
                    1 => player.remove(&mut rng)?,
                    2 => {
                        let of_all = format!(
                            "UPDATE costsim_provenance SET v2_cost = v2_cost + 1
                              WHERE id IN (SELECT id FROM costsim_provenance WHERE mod(id, 50) = {} ORDER BY id LIMIT 5)",
                            rng.u8(..50)
                        );
                        player.say(&of_all, &CONFLICTS)?
                    }
                    _ => player.write(&mut rng, self.now)?,
                };
                if !goes_on {
                    break;
                }
            }
            if player.in_transaction {
                let ending = if rng.u8(..4) == 0 { "ROLLBACK" } else { "COMMIT" };
                player.end(ending)?;
                self.written.fetch_add(1, Ordering::Relaxed);
            }
            // What it has written so far stays; the next transactions have rows of their own.
            player.run += usize::from(rng.u8(..8) == 0);
        }
        Ok(())
    }

    fn refresh(&self, mut rng: Rng) -> Result<()> {
        let mut player = Player::new(self.cluster.connect(self.database)?, "refresher".to_owned())?;
        while self.goes_on() {
            player.refresh(&mut rng)?;
        }
        Ok(())
    }

    /// Keeps the table small.
    fn purge(&self, mut rng: Rng) -> Result<()> {
        let mut player = Player::new(self.cluster.connect(self.database)?, "purger".to_owned())?;
        while self.goes_on() {
            let some = format!("SELECT costsim_purge_provenance('{} hours', 40)", rng.u8(1..96));
            player.say(&some, &CONFLICTS)?;
        }
        Ok(())
    }

    fn compare(&self, mut rng: Rng) -> Result<()> {
        let mut client = self.cluster.connect(self.database)?;
        while self.goes_on() {
            let asked = if rng.bool() { Question::EVERYTHING } else { Question::random(&mut rng, self.now) };
            check(&mut client, &asked)?;
            // The same, in one snapshot of several statements.
            client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
            for _ in 0..3 {
                check(&mut client, &Question::random(&mut rng, self.now))?;
                check(&mut client, &asked)?;
            }
            client.batch_execute("COMMIT")?;
            self.compared.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Runs the sessions, and `body` beside them, to whose end they go on. An error of one ends all.
    fn run(&self, rng: &mut Rng, refreshes: bool, body: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut parts: Vec<Box<dyn FnOnce() -> Result<()> + Send + '_>> = Vec::new();
        for number in 0..3 {
            let rng = rng.fork();
            parts.push(Box::new(move || self.write(rng, &format!("w{number}"))));
        }
        let [one, two, three] = [rng.fork(), rng.fork(), rng.fork()];
        parts.push(Box::new(move || self.purge(one)));
        parts.push(Box::new(move || self.compare(two)));
        if refreshes {
            parts.push(Box::new(move || self.refresh(three)));
        }
        thread::scope(|scope| {
            let mut sessions = Vec::new();
            for part in parts {
                sessions.push(scope.spawn(move || {
                    let outcome = part();
                    self.is_over.store(true, Ordering::Relaxed);
                    outcome
                }));
            }
            let outcome = body();
            self.is_over.store(true, Ordering::Relaxed);
            for session in sessions {
                session.join().map_err(|_| anyhow!("a session panicked"))??;
            }
            outcome
        })
    }

    /// Waits until so much has been compared and written since, or somebody has failed.
    fn wait_for(&self, compared: usize, written: usize) -> Result<()> {
        // The more there is, the longer each takes.
        let limit = LIMIT * (2 + u32::try_from(compared / 20)?);
        wait_until(limit, "enough to be compared", || {
            if !self.goes_on() {
                return Ok(Some(()));
            }
            let (compares, writes) =
                (self.compared.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed));
            if compares < compared || writes < written {
                bail!("{compares} comparisons, {writes} transactions");
            }
            Ok(Some(()))
        })
    }
}

#[test]
fn sessions_that_write_refresh_and_purge_at_the_same_time_never_make_an_answer_wrong() -> Result<()> {
    let mut rng = seed(36)?;
    let steps = usize::try_from(setting("COSTSIM_ROLLUP_STEPS", 600)?)?;
    let (cluster, mut client) = database("together")?;
    let now = this_hour(&mut client)?;
    let traffic = Traffic::new(&cluster, "together", now);
    traffic.run(&mut rng, true, || traffic.wait_for(steps / 10, steps / 2))?;
    refresh_everything(&mut client)?;
    check_thoroughly(&mut client, &mut rng, now)
}

#[test]
fn worker_refreshes_what_is_over_while_sessions_write() -> Result<()> {
    let mut rng = seed(46)?;
    let site = Site::start(Site::builder("").conf("costsim.worker_poll_interval", "1s"))?;
    let mut client = site.connect()?;
    let now = this_hour(&mut client)?;
    let refreshed =
        "SELECT coalesce((SELECT total_rows FROM costsim_maintenance WHERE task = 'refresh_drift'), 0)";
    let traffic = Traffic::new(&site.cluster, "app", now);
    traffic.run(&mut rng, false, || {
        for _ in 0..3 {
            let before: i64 = one(&mut client, refreshed)?;
            wait_until(LIMIT, "the worker to refresh", || {
                let after: i64 = one(&mut client, refreshed)?;
                Ok((after > before || !traffic.goes_on()).then_some(()))
            })?;
        }
        traffic.wait_for(10, 20)
    })?;
    // Nobody else refreshes here.
    wait_for(
        &mut client,
        "the worker to have come to every hour that is over",
        "SELECT NOT EXISTS (SELECT FROM costsim_drift_changes WHERE hour < date_trunc('hour', now(), 'UTC'))",
    )?;
    let complaints: Vec<String> =
        site.lines_of_workers()?.into_iter().filter(|line| line.contains("failed")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    check_thoroughly(&mut client, &mut rng, now)
}

#[test]
fn refresh_that_is_killed_leaves_answers_right_and_the_next_one_goes_on() -> Result<()> {
    let mut rng = seed(56)?;
    let rounds = setting("COSTSIM_ROLLUP_ROUNDS", 4)?;
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("killed")?;
    let now = this_hour(&mut client)?;
    let mut was_caught = 0;
    for round in 0..rounds {
        for _ in 0..40 {
            client.batch_execute(&Rows::random(&mut rng, "killed", now).insert())?;
        }
        // Another one writes and has not committed.
        let mut late = cluster.connect("killed")?;
        late.batch_execute("BEGIN")?;
        late.batch_execute(&Rows::random(&mut rng, "late", now).insert())?;

        let mut refresher = cluster.connect("killed")?;
        let pid: i32 = one(&mut refresher, "SELECT pg_backend_pid()")?;
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| -> Result<()> {
            let is_over = &is_over;
            let refreshing = scope.spawn(move || {
                let rebuild = "SELECT costsim_refresh_drift(rebuild => true)";
                while !is_over.load(Ordering::Relaxed) && refresher.simple_query(rebuild).is_ok() {}
            });
            // A transaction number: it has written something and has not committed it.
            let question = format!("SELECT backend_xid IS NOT NULL FROM pg_stat_activity WHERE pid = {pid}");
            let caught = wait_for(&mut client, "a refresh that has begun to write", &question);
            let killed = cluster.kill_backend(pid, Signal::KILL);
            is_over.store(true, Ordering::Relaxed);
            killed?;
            refreshing.join().map_err(|_| anyhow!("the refresher panicked"))?;
            was_caught += u32::from(caught.is_ok());
            Ok(())
        })?;
        // The server ends every session, and starts again by itself.
        wait_until(LIMIT, "the server to notice", || {
            Ok(client.simple_query("SELECT 1").is_err().then_some(()))
        })?;
        client = wait_until(LIMIT, "the server to be back", || {
            let mut client = cluster.connect("killed")?;
            client.simple_query("SELECT 1")?;
            Ok(Some(client))
        })?;
        check_thoroughly(&mut client, &mut rng, now).with_context(|| format!("after kill {round}"))?;
        if round % 2 == 1 {
            refresh_everything(&mut client)?;
            check_thoroughly(&mut client, &mut rng, now)
                .with_context(|| format!("refreshed after kill {round}"))?;
        }
    }
    ensure!(was_caught > 0, "no refresh was caught at work");
    Ok(())
}

/// A mark that cannot be seen yet belongs to rows that cannot be seen yet.
#[test]
fn transaction_that_commits_after_a_refresh_of_its_hour_is_not_missed() -> Result<()> {
    let (cluster, mut client) = database("late")?;
    let now = this_hour(&mut client)?;
    let an_hour_ago = format!("{MOMENT} {}", now - HOUR);
    let insert =
        format!("INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, {an_hour_ago})");
    client.batch_execute(&insert)?;
    let mut late = cluster.connect("late")?;
    let mut reader = cluster.connect("late")?;
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    check(&mut reader, &Question::EVERYTHING)?;
    late.batch_execute("BEGIN")?;
    late.batch_execute(&insert)?;
    for _ in 0..2 {
        client.batch_execute("SELECT costsim_refresh_drift()")?;
        check(&mut client, &Question::EVERYTHING)?;
        check(&mut late, &Question::EVERYTHING)?;
    }
    late.batch_execute("COMMIT")?;
    check(&mut client, &Question::EVERYTHING)?;
    refresh_everything(&mut client)?;
    check(&mut client, &Question::EVERYTHING)?;
    // Its snapshot is from before both; what was refreshed since is not of its world.
    check(&mut reader, &Question::EVERYTHING)?;
    let seen = "SELECT total FROM costsim_drift_stats()";
    assert_eq!((one::<i64>(&mut reader, seen)?, one::<i64>(&mut client, seen)?), (1, 2));
    reader.batch_execute("COMMIT")?;
    assert_eq!(one::<i64>(&mut reader, seen)?, 2);
    Ok(())
}

/// A refresh rolls up what has been committed by now. A transaction that goes on seeing what was there before would find its answers mixed
/// from both.
#[test]
fn refresh_is_refused_in_a_transaction_whose_snapshot_lasts() -> Result<()> {
    let (cluster, mut client) = database("snapshot")?;
    let now = this_hour(&mut client)?;
    let insert = insert_at(&format!("{MOMENT} {}", now - HOUR));
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        client.batch_execute(&insert)?;
        let mut late = cluster.connect("snapshot")?;
        late.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}"))?;
        check(&mut late, &Question::EVERYTHING)?;
        client.batch_execute(&insert)?;
        late.batch_execute("SAVEPOINT before")?;
        for refresh in ["SELECT costsim_refresh_drift()", "SELECT costsim_refresh_drift(rebuild => true)"] {
            assert_eq!(sqlstate_of(&mut late, refresh)?, "25001", "{level}: {refresh}");
            late.batch_execute("ROLLBACK TO before")?;
        }
        check(&mut late, &Question::EVERYTHING).context(level)?;
        // It stands in nobody's way.
        refresh_everything(&mut client)?;
        check(&mut late, &Question::EVERYTHING).context(level)?;
        late.batch_execute("COMMIT")?;
        check(&mut client, &Question::EVERYTHING)?;
    }
    Ok(())
}

fn insert_at(moment: &str) -> String {
    format!("INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, {moment})")
}

/// Marks of an hour that are committed.
fn marks_of(client: &mut Client, hour: i64) -> Result<i64> {
    let question = format!("SELECT count(*) FROM costsim_drift_changes WHERE hour = {MOMENT} {hour}");
    one(client, &question)
}

/// What drift counts, and what the rows are, as one text: of one statement, so of one snapshot.
const BOTH: &str = "format('%s of %s', (SELECT s.total FROM costsim_drift_stats() s), (SELECT count(*) FROM costsim_provenance))";

/// Hours that are over, with two rows each, and all of it rolled up.
fn rolled_up(client: &mut Client, hours: i64) -> Result<()> {
    client.batch_execute(&format!(
        "INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
         SELECT 'old', n, n + 1, date_trunc('hour', now(), 'UTC') - n * interval '30 minutes' FROM generate_series(1, {hours} * 2) n"
    ))?;
    refresh_everything(client)
}

/// Answers that some code noted: so many, and every one that of the rows.
fn check_noted(client: &mut Client, question: &str, expected: usize) -> Result<()> {
    let noted: Vec<String> = client.query(question, &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(noted.len(), expected, "{noted:?}");
    for answer in &noted {
        let (total, rows) = answer.split_once(" of ").with_context(|| answer.clone())?;
        assert_eq!(total, rows, "drift's total of so many rows, in turn: {noted:?}");
    }
    Ok(())
}

/// Triggers of one kind fire in the order of their names, row after row: this one comes between a row and whatever else there is.
#[test]
fn trigger_of_the_users_that_asks_in_the_same_statement_is_told_what_the_rows_say() -> Result<()> {
    let (_cluster, mut client) = database("in_triggers")?;
    client.batch_execute(&format!(
        "CREATE TABLE noted (answer text);
         CREATE FUNCTION check_drift() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO noted SELECT {BOTH}; RETURN NULL; END $$;
         CREATE TRIGGER check_drift AFTER INSERT OR UPDATE OR DELETE ON costsim_provenance
             FOR EACH ROW EXECUTE FUNCTION check_drift()"
    ))?;
    // More hours than a transaction takes locks of.
    rolled_up(&mut client, 30)?;
    let statements = [
        "INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
         SELECT 'new', 1, 2, date_trunc('hour', now(), 'UTC') - n * interval '17 minutes' FROM generate_series(1, 40) n",
        "UPDATE costsim_provenance SET created_at = created_at - interval '100 minutes' WHERE run_id = 'new'",
        "UPDATE costsim_provenance SET v1_cost = v1_cost + 1 WHERE run_id = 'new'",
        "DELETE FROM costsim_provenance WHERE run_id = 'new'",
    ];
    for (at, statement) in statements.into_iter().enumerate() {
        for level in ["READ COMMITTED", "REPEATABLE READ"] {
            client.batch_execute("TRUNCATE noted")?;
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; {statement}"))?;
            check_noted(&mut client, "SELECT answer FROM noted", 40).with_context(|| statement.to_owned())?;
            check(&mut client, &Question::EVERYTHING)?;
            // Of the last only what is committed goes on.
            client.batch_execute(if level == "READ COMMITTED" { "ROLLBACK" } else { "COMMIT" })?;
        }
        check(&mut client, &Question::EVERYTHING)?;
        if at % 2 == 0 {
            refresh_everything(&mut client)?;
        }
    }
    Ok(())
}

/// All that a rule makes of a statement has one snapshot, and counts what the parts before it wrote. A mark that was committed after it was
/// taken is not in it.
#[test]
fn rule_that_writes_and_asks_is_told_what_the_rows_say_when_another_marks_the_hour_in_between() -> Result<()>
{
    let (cluster, mut client) = database("rule")?;
    client.batch_execute(&format!(
        "CREATE TABLE log (answer text);
         CREATE VIEW prices AS SELECT v1_cost, v2_cost, created_at FROM costsim_provenance;
         CREATE RULE priced AS ON INSERT TO prices DO INSTEAD (
             INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (NEW.v1_cost, NEW.v2_cost, NEW.created_at);
             INSERT INTO log SELECT {BOTH})"
    ))?;
    rolled_up(&mut client, 5)?;
    in_between(&cluster, &mut client)?;
    check_noted(&mut client, "SELECT answer FROM log", 1)?;
    assert_eq!(one::<String>(&mut client, "SELECT answer FROM log")?, "11 of 11", "without the other's row");
    check(&mut client, &Question::EVERYTHING)
}

/// Inserts into the view, and another first when that statement has begun.
fn in_between(cluster: &Cluster, client: &mut Client) -> Result<()> {
    const GATE: &str = "7";
    let now = this_hour(client)?;
    let moment = format!("{MOMENT} {}", now - 2 * HOUR);
    assert_eq!(marks_of(client, now - 2 * HOUR)?, 0);
    let mut writer = cluster.connect("rule")?;
    let pid: i32 = one(&mut writer, "SELECT pg_backend_pid()")?;
    client.batch_execute(&format!("SELECT pg_advisory_lock({GATE})"))?;
    thread::scope(|scope| -> Result<()> {
        let statement =
            format!("INSERT INTO prices SELECT 1, 2, {moment} FROM pg_advisory_xact_lock({GATE}) AS gate");
        let writing = scope.spawn(move || writer.batch_execute(&statement));
        // It has its snapshot, and has written nothing.
        let waits = format!(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = {pid} AND NOT granted)"
        );
        let waited = wait_for(client, "the writer to come to the gate", &waits);
        let marked = client.batch_execute(&insert_at(&moment));
        client.batch_execute(&format!("SELECT pg_advisory_unlock({GATE})"))?;
        writing.join().map_err(|_| anyhow!("the writer panicked"))??;
        waited?;
        Ok(marked?)
    })
}

#[test]
fn function_called_for_each_row_of_an_insert_is_told_what_the_rows_say() -> Result<()> {
    let (_cluster, mut client) = database("in_functions")?;
    rolled_up(&mut client, 30)?;
    for volatility in ["VOLATILE", "STABLE"] {
        client.batch_execute(&format!(
            "CREATE OR REPLACE FUNCTION seen(integer) RETURNS text LANGUAGE plpgsql {volatility} AS $$
                 BEGIN RETURN (SELECT {BOTH}); END $$"
        ))?;
        let insert = "INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
                      SELECT seen(n), 1, 2, date_trunc('hour', now(), 'UTC') - n * interval '47 minutes' FROM generate_series(1, 20) n";
        for (returning, level) in [
            ("RETURNING run_id", "READ COMMITTED"),
            ("RETURNING seen(1)", "READ COMMITTED"),
            ("RETURNING seen(1)", "REPEATABLE READ"),
        ] {
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}"))?;
            let context = || format!("{volatility}, {level}, {returning}");
            check_noted(&mut client, &format!("{insert} {returning}"), 20).with_context(context)?;
            check(&mut client, &Question::EVERYTHING).with_context(context)?;
            client.batch_execute("COMMIT")?;
            check(&mut client, &Question::EVERYTHING).with_context(context)?;
            refresh_everything(&mut client)?;
        }
    }
    Ok(())
}

#[test]
fn repeatable_read_writers_leave_no_mark_each_where_their_snapshot_shows_one() -> Result<()> {
    let (cluster, mut client) = database("repeatable")?;
    rolled_up(&mut client, 5)?;
    let now = this_hour(&mut client)?;
    let hour = now - 2 * HOUR;
    let insert = insert_at(&format!("{MOMENT} {hour}"));
    client.batch_execute(&insert)?;
    assert_eq!(marks_of(&mut client, hour)?, 1);
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        for _ in 0..10 {
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; {insert}"))?;
            check(&mut client, &Question::EVERYTHING)?;
            client.batch_execute("COMMIT")?;
        }
    }
    assert_eq!(marks_of(&mut client, hour)?, 1, "twenty transactions wrote into an hour that was marked");

    // One whose snapshot is older than the mark needs its own; one whose snapshot shows a mark that has gone since, as well.
    refresh_everything(&mut client)?;
    let mut before = cluster.connect("repeatable")?;
    before.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    check(&mut before, &Question::EVERYTHING)?;
    client.batch_execute(&insert)?;
    before.batch_execute(&insert)?;
    check(&mut before, &Question::EVERYTHING)?;
    before.batch_execute("COMMIT")?;
    check(&mut client, &Question::EVERYTHING)?;

    let mut after = cluster.connect("repeatable")?;
    after.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    check(&mut after, &Question::EVERYTHING)?;
    refresh_everything(&mut client)?;
    after.batch_execute(&insert)?;
    check(&mut after, &Question::EVERYTHING)?;
    after.batch_execute("COMMIT")?;
    check(&mut client, &Question::EVERYTHING)?;
    assert_eq!(one::<String>(&mut client, &format!("SELECT {BOTH}"))?, "34 of 34");
    Ok(())
}

#[test]
fn rows_at_the_ends_of_the_calendar_break_nothing() -> Result<()> {
    let mut rng = seed(66)?;
    let (_cluster, mut client) = database("calendar")?;
    let now = this_hour(&mut client)?;
    rolled_up(&mut client, 40)?;
    let ends = [
        "'294276-12-31 12:00Z'",
        "'4714-11-24 00:00Z BC'",
        "'262143-01-01 00:00Z'",
        "'infinity'",
        "'-infinity'",
    ];
    let questions = [
        "SELECT costsim_drift_stats('294276-12-31 12:00Z', '294276-12-31 12:00Z')",
        "SELECT costsim_drift_stats('294276-12-30 11:00Z', NULL, 'acme')",
        "SELECT costsim_drift_stats(NULL, '4714-11-24 00:00Z BC')",
        "SELECT count(*) FROM costsim_drift_series(bucket => '1 hour')",
        "SELECT count(*) FROM costsim_drift_series(bucket => '1 day')",
    ];
    for end in ends {
        client.batch_execute(&insert_at(end))?;
        for refresh in ["", "SELECT costsim_refresh_drift()", "SELECT costsim_refresh_drift(rebuild => true)"]
        {
            client.batch_execute(refresh).with_context(|| format!("{refresh} with a row at {end}"))?;
            check_thoroughly(&mut client, &mut rng, now).with_context(|| format!("a row at {end}"))?;
            for question in questions {
                client.batch_execute(question).with_context(|| format!("{question} with a row at {end}"))?;
            }
        }
    }
    let gone = "DELETE FROM costsim_provenance WHERE run_id IS NULL";
    assert_eq!(client.execute(gone, &[])?, ends.len() as u64);
    check_thoroughly(&mut client, &mut rng, now)?;
    refresh_everything(&mut client)?;
    check_thoroughly(&mut client, &mut rng, now)
}

/// A refresh takes marks away that its own transaction has made, so the next row needs a new one.
#[test]
fn row_that_comes_after_a_rebuild_in_the_same_transaction_is_not_missed() -> Result<()> {
    let (_cluster, mut client) = database("rebuilt")?;
    let now = this_hour(&mut client)?;
    for moment in
        ["'infinity'", "'-infinity'", &format!("{MOMENT} {now}"), &format!("{MOMENT} {}", now - HOUR)]
    {
        rolled_up(&mut client, 2)?;
        let insert = insert_at(moment);
        for refresh in ["SELECT costsim_refresh_drift()", "SELECT costsim_refresh_drift(rebuild => true)"] {
            let delete = format!("DELETE FROM costsim_provenance WHERE created_at = {moment}");
            client.batch_execute(&format!("BEGIN; {insert}; {delete}; {refresh}; {insert}"))?;
            check(&mut client, &Question::EVERYTHING).with_context(|| format!("{refresh}, {moment}"))?;
            client.batch_execute("COMMIT")?;
            check(&mut client, &Question::EVERYTHING).with_context(|| format!("{refresh}, {moment}"))?;
        }
        refresh_everything(&mut client)?;
        check(&mut client, &Question::EVERYTHING).with_context(|| moment.to_owned())?;
    }
    Ok(())
}

#[test]
fn refresh_takes_no_negative_number_of_hours() -> Result<()> {
    let (_cluster, mut client) = database("misuse")?;
    assert_eq!(sqlstate_of(&mut client, "SELECT costsim_refresh_drift(-1)")?, "22023");
    assert_eq!(sqlstate_of(&mut client, "SELECT costsim_refresh_drift(NULL)")?, "22004");
    Ok(())
}
