//! What drift is asked of, and what the rows say to it: asked in one statement, so of one snapshot.
//!
//! `costsim_drift_stats` and `costsim_drift_series` against the aggregate over the raw rows, and rows to ask about.

use anyhow::{Context, Result, ensure};
use costsim_harness::wait_until;
use fastrand::Rng;
use postgres::Client;
use std::fmt::Write as _;
use std::io::Write as _;

use crate::{LIMIT, one};

/// In microseconds, as moments are kept.
pub const HOUR: i64 = 3_600_000_000;
pub const DAY: i64 = 24 * HOUR;

/// How far back rows lie: days that are over, whole and in part.
pub const PAST: i64 = 4 * DAY;

pub const TENANTS: [Option<&str>; 4] = [Some("acme"), Some("globex"), Some("initech"), None];
pub const VARIANTS: [Option<&str>; 4] = [Some("v1"), Some("v2"), Some("canary"), None];

/// A number that a longer run sets.
pub fn setting(name: &str, default: u64) -> Result<u64> {
    let Ok(value) = std::env::var(name) else { return Ok(default) };
    value.parse().with_context(|| format!("{name} is {value}"))
}

pub fn seed(default: u64) -> Result<Rng> {
    let seed = setting("COSTSIM_ROLLUP_SEED", default)?;
    println!("seed {seed}");
    Ok(Rng::with_seed(seed))
}

/// The present hour when a test began, in microseconds since 1970.
pub fn this_hour(client: &mut Client) -> Result<i64> {
    one(client, "SELECT (extract(epoch FROM date_trunc('hour', now(), 'UTC')) * 1000000)::bigint")
}

/// What drift is asked of. Bounds are microseconds since 1970, both inclusive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question {
    pub start: Option<i64>,
    pub end: Option<i64>,
    pub tenant: Option<&'static str>,
    pub variant: Option<&'static str>,
}

impl Question {
    pub const EVERYTHING: Self = Self { start: None, end: None, tenant: None, variant: None };

    pub fn random(rng: &mut Rng, now: i64) -> Self {
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

pub fn bound(rng: &mut Rng, now: i64) -> Option<i64> {
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
pub const COLUMNS: [(&str, &str); 17] = [
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

pub const MOMENT: &str = "timestamptz 'epoch' + interval '1 microsecond' *";

/// Asks twice in one statement, so in one snapshot: the function, and the aggregate of the rows.
pub fn both_answers() -> String {
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
pub fn differences(client: &mut Client, asked: &Question) -> Result<Vec<String>> {
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
pub fn ulps(one: f64, other: f64) -> u64 {
    let place = |number: f64| {
        let bits = number.to_bits() as i64;
        if bits < 0 { i64::MIN - bits } else { bits }
    };
    if one.is_nan() && other.is_nan() { 0 } else { place(one).abs_diff(place(other)) }
}

pub fn check(client: &mut Client, asked: &Question) -> Result<()> {
    let found = differences(client, asked)?;
    ensure!(found.is_empty(), "{asked:?}: {}", found.join("; "));
    Ok(())
}

/// Bucket by bucket, as far as buckets have rows.
pub fn check_series(client: &mut Client, bucket: &str, asked: &Question) -> Result<i64> {
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
pub struct Rows(pub Vec<[String; 6]>);

impl Rows {
    pub fn random(rng: &mut Rng, run: &str, now: i64) -> Self {
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

    pub fn insert(&self) -> String {
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
    pub fn copy(&self, client: &mut Client) -> Result<(), postgres::Error> {
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
pub fn utc(micros: i64) -> String {
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
pub fn costs(rng: &mut Rng) -> (String, String) {
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
/// Refreshes until no hour that is over is left, and says so. What is before all hours only a rebuild looks at.
pub fn refresh_everything(client: &mut Client) -> Result<()> {
    wait_until(LIMIT, "no hour that is over to be marked", || {
        client.batch_execute("SELECT costsim_refresh_drift()")?;
        let left = "SELECT NOT EXISTS (SELECT FROM costsim_drift_changes
                                        WHERE hour > '-infinity' AND hour < date_trunc('hour', now(), 'UTC'))";
        Ok(one::<bool>(client, left)?.then_some(()))
    })
}

/// Many ranges at once, when nobody writes.
pub fn check_thoroughly(client: &mut Client, rng: &mut Rng, now: i64) -> Result<()> {
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
