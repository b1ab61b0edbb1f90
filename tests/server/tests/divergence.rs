//! The divergence report over thousands of random rows, held against pairs and metrics that are computed here, from the rows alone.

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use costsim_harness::Cluster;
use costsim_server_tests::one;
use fastrand::Rng;
use postgres::Client;
use serde_json::Value;

/// A stored row.
struct Row {
    id: i64,
    tenant: Option<String>,
    model: Option<String>,
    hash: Option<String>,
    hash_version: Option<i16>,
    v1: Option<f64>,
    v2: Option<f64>,
    agrees: bool,
    at: DateTime<Utc>,
}

/// Two costs that belong together.
#[derive(Debug, Clone, PartialEq)]
struct Pair {
    id: i64,
    v1_id: Option<i64>,
    v1: f64,
    v2: f64,
    agrees: bool,
    at: DateTime<Utc>,
    model: Option<String>,
}

fn store(client: &mut Client, rng: &mut Rng, count: usize) -> Result<()> {
    let begin = DateTime::from_timestamp(1_746_057_600, 0).unwrap_or_default();
    let mut transaction = client.transaction()?;
    let insert = transaction.prepare(
        "INSERT INTO costsim_provenance (tenant_id, model_version, input_hash, hash_version, v1_cost, v2_cost, payload, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )?;
    for _ in 0..count {
        let tenant = [None, Some(""), Some("acme"), Some("beta")][rng.usize(..4)];
        let model = [None, Some("2.0"), Some("2.1")][rng.usize(..3)];
        let hash = (rng.u8(..10) > 0).then(|| format!("{:016x}", rng.u32(..60)));
        let version = [None, Some(1_i16), Some(3)][rng.usize(..3)];
        let cost = |rng: &mut Rng| match rng.u8(..4) {
            0 => f64::from(rng.u8(..4)),
            1 => f64::from(rng.u32(..100_000)) / 100.0,
            _ => 50.0 + f64::from(rng.u8(..30)),
        };
        let (v1, v2) = match rng.u8(..10) {
            0..3 => (Some(cost(rng)), None),
            3..6 => (None, Some(cost(rng))),
            6 => (None, None),
            _ => (Some(cost(rng)), Some(cost(rng))),
        };
        let payload = match rng.u8(..6) {
            0 => Some(serde_json::json!({ "comparison": { "feasibility_match": false } })),
            1 => Some(serde_json::json!({ "comparison": { "feasibility_match": true } })),
            2 => Some(serde_json::json!({ "plan": [] })),
            _ => None,
        };
        // Within ten days, many at one moment.
        let at = begin + TimeDelta::minutes(i64::from(rng.u32(..480)) * 30);
        transaction.execute(&insert, &[&tenant, &model, &hash, &version, &v1, &v2, &payload, &at])?;
    }
    Ok(transaction.commit()?)
}

fn rows(client: &mut Client) -> Result<Vec<Row>> {
    let rows = client.query(
        "SELECT id, tenant_id, model_version, input_hash, hash_version, v1_cost, v2_cost, payload, created_at FROM costsim_provenance",
        &[],
    )?;
    let row = |row: &postgres::Row| {
        let payload: Option<Value> = row.get(7);
        let agrees =
            payload.is_none_or(|payload| payload["comparison"]["feasibility_match"] != Value::Bool(false));
        Row {
            id: row.get(0),
            tenant: row.get(1),
            model: row.get(2),
            hash: row.get(3),
            hash_version: row.get(4),
            v1: row.get(5),
            v2: row.get(6),
            agrees,
            at: row.get(8),
        }
    };
    Ok(rows.iter().map(row).collect())
}

/// The pairs of all rows, by looking at every other row for each.
fn pairs(rows: &[Row]) -> Vec<Pair> {
    let tenant = |row: &Row| row.tenant.clone().unwrap_or_default();
    let pair = |row: &Row| {
        let v2 = row.v2?;
        let (v1, v1_id) = match row.v1 {
            Some(v1) => (v1, None),
            None => {
                let hash = row.hash.as_ref()?;
                let baselines = rows.iter().filter(|other| {
                    other.v1.is_some()
                        && other.v2.is_none()
                        && other.hash.as_ref() == Some(hash)
                        && other.hash_version == row.hash_version
                        && tenant(other) == tenant(row)
                });
                let latest = baselines.max_by_key(|other| (other.at, other.id))?;
                (latest.v1?, Some(latest.id))
            }
        };
        Some(Pair { id: row.id, v1_id, v1, v2, agrees: row.agrees, at: row.at, model: row.model.clone() })
    };
    rows.iter().filter_map(pair).collect()
}

/// A window of the report.
struct Asked {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    tenant: Option<&'static str>,
    most: Option<i32>,
}

impl Asked {
    fn of(&self, all: &[Pair], rows: &[Row]) -> Vec<Pair> {
        let is_the_tenants = |pair: &&Pair| match self.tenant {
            None | Some("") => true,
            tenant => rows.iter().any(|row| row.id == pair.id && row.tenant.as_deref() == tenant),
        };
        let mut found: Vec<_> = all
            .iter()
            .filter(|pair| pair.at >= self.start && pair.at <= self.end)
            .filter(is_the_tenants)
            .cloned()
            .collect();
        found.sort_by_key(|pair| std::cmp::Reverse((pair.at, pair.id)));
        found.truncate(self.most.map_or(usize::MAX, |most| most as usize));
        found
    }
}

fn score(pair: &Pair) -> f64 {
    let difference = (pair.v2 - pair.v1).abs();
    let relative = if pair.v1 > 0.0 { (difference / pair.v1.max(1.0)).min(1.0) } else { 0.0 };
    0.6 * relative + if pair.agrees { 0.0 } else { 0.4 }
}

/// To so many decimals, by a decimal text: nothing here is exactly between two.
fn rounded(x: f64, decimals: usize) -> f64 {
    format!("{x:.decimals$}").parse().unwrap_or(f64::NAN)
}

/// The shares of costs in ten bins.
fn shares(costs: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut shares = vec![0.0; 10];
    for cost in costs {
        let bin = if high > low { ((cost - low) / ((high - low) / 10.0)) as usize } else { 0 };
        shares[bin.min(9)] += 1.0;
    }
    shares.iter_mut().for_each(|share| *share /= costs.len() as f64);
    shares
}

fn divergences(pairs: &[Pair]) -> (f64, f64) {
    let v1: Vec<_> = pairs.iter().map(|pair| pair.v1.max(1.0)).collect();
    let v2: Vec<_> = pairs.iter().map(|pair| pair.v2.max(1.0)).collect();
    let both = v1.iter().chain(&v2);
    let (low, high) =
        both.fold((f64::INFINITY, 0.0_f64), |(low, high), cost| (low.min(*cost), high.max(*cost)));
    let (p, q) = (shares(&v1, low, high), shares(&v2, low, high));
    let (mut kl, mut js) = (0.0, 0.0);
    for (p, q) in p.iter().zip(&q) {
        if *p > 1e-10 {
            kl += p * ((p + 1e-10) / (q + 1e-10)).ln();
        }
        for one in [p, q] {
            if *one > 0.0 {
                js += one * (one / ((p + q) / 2.0)).log2() / 2.0;
            }
        }
    }
    (kl.max(0.0), js)
}

/// Every field of the report that is a number, by name.
fn metrics(pairs: &[Pair]) -> Vec<(&'static str, f64)> {
    let count = pairs.len();
    let scores: Vec<f64> = pairs.iter().map(score).collect();
    let mut sizes: Vec<f64> = pairs.iter().map(|pair| (pair.v2 - pair.v1).abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let between = |fraction: f64| {
        let place = fraction * (count - 1) as f64;
        let (below, above) = (sizes[place.floor() as usize], sizes[place.ceil() as usize]);
        below + (above - below) * place.fract()
    };
    let times = |is: &dyn Fn(f64) -> bool| scores.iter().filter(|score| is(**score)).count() as f64;
    let mean = |of: &dyn Fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>() / count as f64;
    let (kl, js) = divergences(pairs);
    let greater = |pair: &Pair| pair.v1.max(pair.v2);
    vec![
        ("sample_count", count as f64),
        ("delta_p50", rounded(sizes[count / 2], 2)),
        ("delta_p90", rounded(sizes[(count as f64 * 0.9) as usize], 2)),
        ("kl_divergence", rounded(kl, 4)),
        ("outlier_count", times(&|score| rounded(score, 4) > 0.5)),
        ("fail_ratio", rounded(times(&|score| rounded(score, 4) > 0.2) / count as f64, 4)),
        ("matching_rate", rounded(times(&|score| score <= 0.05) / count as f64, 4)),
        ("match_count", times(&|score| score <= 0.05)),
        ("minor_drift_count", times(&|score| score > 0.05 && score <= 0.15)),
        ("major_drift_count", times(&|score| score > 0.15 && score <= 0.3)),
        ("mismatch_count", times(&|score| score > 0.3)),
        ("feasibility_mismatches", pairs.iter().filter(|pair| !pair.agrees).count() as f64),
        ("delta_p50_cont", between(0.5)),
        ("delta_p90_cont", between(0.9)),
        ("js_divergence", js),
        ("mean_delta", mean(&|pair| pair.v2 - pair.v1)),
        ("mean_drift", mean(&score)),
        ("max_drift", scores.iter().copied().fold(0.0, f64::max)),
        (
            "mean_symmetric_difference",
            mean(&|pair| {
                if greater(pair) > 0.0 { (pair.v2 - pair.v1).abs() / greater(pair) } else { 0.0 }
            }),
        ),
        ("not_finite", 0.0),
    ]
}

/// Holds what SQL says of pairs against what is computed here.
fn check(what: &str, document: &Value, pairs: &[Pair]) -> Result<()> {
    if pairs.is_empty() {
        assert_eq!(document["sample_count"], 0, "{what}");
        return Ok(());
    }
    for (name, expected) in metrics(pairs) {
        let Some(ours) = document[name].as_f64() else { anyhow::bail!("{name} of {what} is no number") };
        assert!(
            (ours - expected).abs() < 1e-9 * expected.abs().max(1.0),
            "{name} of {what}: {ours}, not {expected}"
        );
    }
    Ok(())
}

const SAMPLES: &str =
    "SELECT id, v1_id, v1_cost_cents, v2_cost_cents, feasibility_match, \"timestamp\", model_version
   FROM costsim_divergence_samples($1, $2, $3, $4)";

#[test]
fn every_report_is_that_of_the_pairs_there_are() -> Result<()> {
    let cluster = Cluster::builder().conf("fsync", "off").start()?;
    let mut client = cluster.create_database_with_extension("divergence")?;
    let mut rng = Rng::with_seed(7);
    store(&mut client, &mut rng, 4_000)?;
    let rows = rows(&mut client)?;
    let all = pairs(&rows);
    let of_two = all.iter().filter(|pair| pair.v1_id.is_some()).count();
    ensure!(of_two > 500 && all.len() - of_two > 500, "{of_two} of {} pairs are of two rows", all.len());
    let begin: DateTime<Utc> = one(&mut client, "SELECT min(created_at) FROM costsim_provenance")?;
    let mut sizes = Vec::new();
    for turn in 0..60 {
        // With statistics and without, and in another process.
        match turn {
            20 => client.batch_execute("ANALYZE")?,
            40 => client.batch_execute("SET force_parallel_mode = on")?,
            _ => {}
        }
        let start = begin + TimeDelta::minutes(i64::from(rng.u32(..240)) * 30);
        let asked = Asked {
            start,
            end: start + TimeDelta::minutes(i64::from(rng.u32(..400)) * 30),
            tenant: [None, None, Some(""), Some("acme"), Some("beta"), Some("nobody")][rng.usize(..6)],
            most: [None, None, None, Some(0), Some(10), Some(333)][rng.usize(..6)],
        };
        let expected = asked.of(&all, &rows);
        let Asked { start, end, tenant, most } = &asked;
        let what = format!("{start} to {end} of {tenant:?}, {most:?}");
        let samples = client.query(SAMPLES, &[start, end, tenant, most])?;
        let sample = |row: &postgres::Row| Pair {
            id: row.get(0),
            v1_id: row.get(1),
            v1: row.get(2),
            v2: row.get(3),
            agrees: row.get(4),
            at: row.get(5),
            model: row.get(6),
        };
        assert_eq!(samples.iter().map(sample).collect::<Vec<_>>(), expected, "samples of {what}");
        let report = "SELECT costsim_divergence_json($1, $2, $3, $4)";
        let report: Value = client.query_one(report, &[start, end, tenant, most])?.get(0);
        check(&what, &report, &expected)?;
        let by_model = client.query(
            "SELECT model_version, to_jsonb(m) FROM costsim_divergence_by_model($1, $2, $3, $4) m",
            &[start, end, tenant, most],
        )?;
        let mut counted = 0;
        for row in &by_model {
            let model: Option<String> = row.get(0);
            let of_it: Vec<_> = expected.iter().filter(|pair| pair.model == model).cloned().collect();
            check(&format!("{what} by {model:?}"), &row.get(1), &of_it)?;
            counted += of_it.len();
        }
        assert_eq!(counted, expected.len(), "by model of {what}");
        let by_bucket = client.query(
            "SELECT bucket_start, to_jsonb(b) FROM costsim_divergence_by_bucket($1, $2, $3, $4, '10 hours') b",
            &[start, end, tenant, most],
        )?;
        let mut counted = 0;
        for row in &by_bucket {
            let bucket: DateTime<Utc> = row.get(0);
            let is_in = |pair: &&Pair| pair.at >= bucket && pair.at < bucket + TimeDelta::hours(10);
            let of_it: Vec<_> = expected.iter().filter(is_in).cloned().collect();
            check(&format!("{what} from {bucket}"), &row.get(1), &of_it)?;
            counted += of_it.len();
        }
        assert_eq!(counted, expected.len(), "by bucket of {what}");
        sizes.push(expected.len());
    }
    sizes.sort_unstable();
    ensure!(sizes[30] > 5 && sizes[59] > 500, "windows of {sizes:?} pairs");
    Ok(())
}
