//! An hour of real requests, priced by two models of which one begins to drift: the drift is found where it was put, and nowhere else.
//!
//! The trace is the Azure LLM inference trace of 2023, conversation service. V1 takes 0.3 cents for a thousand context tokens and 0.6 cents for
//! a thousand generated ones. V2 takes the same, until at 18:45 it begins to take a quarter more for requests of over 2,000 context tokens.
//! What the server must say is computed here, from the file, by sorting and adding.

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, one, shared_file, wait_for};
use postgres::Client;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

const REQUESTS: usize = 19_366;
const BATCH: usize = 1_000;
const BEGINS: &str = "2023-11-16 18:45:00";
const LONG: u32 = 2_000;

/// A request of the trace and what it costs.
#[derive(Clone, Debug)]
struct Request {
    /// In UTC, as the file has it.
    at: String,
    context: u32,
    generated: u32,
    tenant: &'static str,
    v1: f64,
    v2: f64,
}

impl Request {
    fn delta(&self) -> f64 {
        self.v2 - self.v1
    }

    fn minute(&self) -> &str {
        &self.at[..16]
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "run_id": self.at, "tenant_id": self.tenant, "v1_cost": self.v1, "v2_cost": self.v2,
            "payload": { "context": self.context, "generated": self.generated },
        })
    }

    fn line(&self) -> String {
        format!("{at}\t{}\tv2\tsandbox\t{}\t{}\t{at}Z\n", self.tenant, self.v1, self.v2, at = self.at)
    }
}

fn trace() -> Result<Vec<Request>> {
    let path = shared_file("data/azure_llm_conv.csv");
    let mut file = csv::Reader::from_path(&path)
        .with_context(|| format!("the trace must be at {}; set COSTSIM_SHARED", path.display()))?;
    let mut requests = Vec::new();
    for (number, record) in file.records().enumerate() {
        let record = record?;
        let (context, generated): (u32, u32) = (record[1].parse()?, record[2].parse()?);
        let v1 = f64::from(context) * 0.000_3 + f64::from(generated) * 0.000_6;
        let drifts = context > LONG && &record[0] >= BEGINS;
        requests.push(Request {
            // The server keeps microseconds, and would round what the file has beyond.
            at: record[0][..26].to_owned(),
            context,
            generated,
            tenant: if number % 3 == 0 { "globex" } else { "acme" },
            v1,
            v2: if drifts { v1 * 1.25 } else { v1 },
        });
    }
    ensure!(requests.len() == REQUESTS, "{} has {} requests", path.display(), requests.len());
    Ok(requests)
}

/// The first half in batches, whose rows are given their times afterwards; the second half by COPY, with them.
fn write(client: &mut Client, requests: &[Request]) -> Result<()> {
    let (batched, copied) = requests.split_at(REQUESTS / 2);
    for batch in batched.chunks(BATCH) {
        let records = serde_json::Value::Array(batch.iter().map(Request::json).collect());
        let ids: Vec<i64> = client
            .query("SELECT costsim_write_provenance_batch($1)", &[&records])?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let times: Vec<String> = batch.iter().map(|request| format!("{}Z", request.at)).collect();
        let moved = client.execute(
            "UPDATE costsim_provenance p SET created_at = t.at::timestamptz
               FROM unnest($1::bigint[], $2::text[]) AS t (id, at) WHERE p.id = t.id",
            &[&ids, &times],
        )?;
        ensure!(moved == batch.len() as u64, "{moved} of {} rows were given their times", batch.len());
    }
    let mut lines = String::new();
    for request in copied {
        lines.push_str(&request.line());
    }
    let mut writer = client.copy_in(
        "COPY costsim_provenance (run_id, tenant_id, variant_slug, source, v1_cost, v2_cost, created_at) FROM STDIN",
    )?;
    writer.write_all(lines.as_bytes())?;
    ensure!(writer.finish()? == copied.len() as u64, "a row was lost on the way");
    Ok(())
}

/// What the server says of some requests, in the order of [`SAID`].
struct Said([Option<f64>; 9]);

const SAID: &str = "total::float8, avg_delta, min_delta, max_delta, stddev_delta, p50_abs_delta, p90_abs_delta, p99_abs_delta, p99_rel_delta";

impl Said {
    fn of(client: &mut Client, arguments: &str) -> Result<Self> {
        let row = client.query_one(&format!("SELECT {SAID} FROM costsim_drift_stats({arguments})"), &[])?;
        let mut said = [None; 9];
        for (at, column) in said.iter_mut().enumerate() {
            *column = row.try_get(at)?;
        }
        Ok(Self(said))
    }

    /// Against the requests themselves.
    fn check(&self, requests: &[&Request]) -> Result<()> {
        let [total, mean, min, max, stddev, p50, p90, p99, relative] =
            self.0.map(|it| it.unwrap_or(f64::NAN));
        ensure!(total == requests.len() as f64, "{total} of {} requests", requests.len());
        let deltas: Vec<f64> = requests.iter().map(|it| it.delta()).collect();
        let (least, most) = deltas.iter().fold((f64::MAX, f64::MIN), |(a, b), &it| (a.min(it), b.max(it)));
        ensure!((min, max) == (least, most), "from {min} to {max}, and not from {least} to {most}");
        let exact = sum(&deltas) / total;
        ensure!((mean - exact).abs() <= 1e-14 * exact.abs(), "mean {mean}, and not {exact}");
        let squares: Vec<f64> = deltas.iter().map(|it| (it - exact) * (it - exact)).collect();
        let exact = (sum(&squares) / (total - 1.0)).sqrt();
        ensure!((stddev - exact).abs() <= 1e-12 * exact, "stddev {stddev}, and not {exact}");
        let absolute: Vec<f64> = deltas.iter().map(|it| it.abs()).collect();
        for (fraction, said) in [(0.5, p50), (0.9, p90), (0.99, p99)] {
            percentile(&absolute, fraction, said)?;
        }
        let ratios: Vec<f64> = requests.iter().map(|it| it.delta().abs() / it.v1).collect();
        percentile(&ratios, 0.99, relative)
    }
}

/// Kahan's, so that it is more exact than what it is compared with.
fn sum(numbers: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    for number in numbers {
        let next: f64 = number - lost;
        let grown: f64 = sum + next;
        lost = (grown - sum) - next;
        sum = grown;
    }
    sum
}

/// Within 1 % of the two values between which the percentile lies.
fn percentile(values: &[f64], fraction: f64, said: f64) -> Result<()> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = fraction * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    ensure!(
        low * 0.99 - 1e-9 <= said && said <= high * 1.01 + 1e-9,
        "percentile {fraction} of {} values: {said} lies not between {low} and {high}",
        sorted.len()
    );
    Ok(())
}

fn prepared(name: &str) -> Result<(Arc<Cluster>, Client, Vec<Request>)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let mut client = cluster.create_database_with_extension(name)?;
    client.batch_execute("SET timezone = 'UTC'")?;
    let requests = trace()?;
    write(&mut client, &requests)?;
    Ok((cluster, client, requests))
}

fn refresh(client: &mut Client) -> Result<()> {
    client.batch_execute("SELECT costsim_refresh_drift()")?;
    wait_for(
        client,
        "hours of 2023 to be refreshed",
        "SELECT NOT EXISTS (SELECT FROM costsim_drift_changes WHERE hour < '2024-01-01')
                AND EXISTS (SELECT FROM costsim_drift_rollups WHERE bucket_start < '2024-01-01')",
    )
}

#[test]
fn drift_of_a_real_hour_is_found_in_the_minute_where_it_was_put() -> Result<()> {
    let (_cluster, mut client, requests) = prepared("minutes")?;
    let mut minutes: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    for request in &requests {
        minutes.entry(request.minute()).or_default().push(request);
    }
    for is_refreshed in [false, true] {
        if is_refreshed {
            refresh(&mut client)?;
        }
        let query = "SELECT to_char(bucket_start, 'YYYY-MM-DD HH24:MI'), total, avg_delta, min_delta, max_delta, stddev_delta,
                            p50_abs_delta, p99_abs_delta, costsim_drift_percentile(summary, 0.9), costsim_drift_percentile(summary, 0.99, 'rel_delta'),
                            costsim_drift_js(summary)
                       FROM costsim_drift_series('2023-11-16 18:00', '2023-11-16 20:00', '1 minute') WHERE total > 0 ORDER BY 1";
        let rows = client.query(query, &[])?;
        assert_eq!(rows.len(), minutes.len());
        let mut first_drift = None;
        for (row, (minute, requests)) in rows.iter().zip(&minutes) {
            assert_eq!(row.get::<_, &str>(0), *minute);
            let number = |at: usize| row.get::<_, Option<f64>>(at);
            let total = row.get::<_, i64>(1) as f64;
            let said = Said([
                Some(total),
                number(2),
                number(3),
                number(4),
                number(5),
                number(6),
                number(8),
                number(7),
                number(9),
            ]);
            if requests.len() > 1 {
                said.check(requests).with_context(|| format!("{minute}, refreshed: {is_refreshed}"))?;
            }
            let highest = number(4).context("the highest of a minute with rows")?;
            if *minute < &BEGINS[..16] {
                assert_eq!(
                    (number(3), highest, number(7), number(10)),
                    (Some(0.0), 0.0, Some(0.0), Some(0.0)),
                    "{minute}"
                );
            } else if highest > 0.0 && first_drift.is_none() {
                first_drift = Some(minute.to_owned());
            }
        }
        let expected = requests.iter().find(|it| it.delta() > 0.0).context("V2 does not drift")?;
        assert_eq!(first_drift, Some(expected.minute()));
    }
    Ok(())
}

#[test]
fn windows_before_within_and_after_the_drift_say_what_the_file_says() -> Result<()> {
    let (_cluster, mut client, requests) = prepared("windows")?;
    let before = "'-infinity', timestamptz '2023-11-16 18:45:00Z' - interval '1 microsecond'";
    let is =
        |request: &Request, from: &str, to: &str| request.at.as_str() >= from && request.at.as_str() <= to;
    // Arguments, from, to, tenant.
    let windows = [
        ("", "", "9", None),
        (before, "", "2023-11-16 18:44:59.999999", None),
        ("'2023-11-16 18:45:00Z'", BEGINS, "9", None),
        (
            "'2023-11-16 18:00Z', '2023-11-16 18:59:59.999999Z'",
            "2023-11-16 18:00",
            "2023-11-16 18:59:59.999999",
            None,
        ),
        ("'2023-11-16 19:00Z'", "2023-11-16 19:00", "9", None),
        (
            "'2023-11-16 18:31:07.5Z', '2023-11-16 19:02:11Z'",
            "2023-11-16 18:31:07.500000",
            "2023-11-16 19:02:11.000000",
            None,
        ),
        ("'2023-11-16 18:45:00Z', NULL, 'globex'", BEGINS, "9", Some("globex")),
        ("'2023-11-16 18:45:00Z', NULL, 'acme', 'v2'", BEGINS, "9", Some("acme")),
    ];
    for is_refreshed in [false, true] {
        if is_refreshed {
            refresh(&mut client)?;
        }
        for (arguments, from, to, tenant) in windows {
            let of_window: Vec<&Request> = requests
                .iter()
                .filter(|it| is(it, from, to) && tenant.is_none_or(|tenant| it.tenant == tenant))
                .collect();
            ensure!(of_window.len() > 1_000, "{arguments}: {} requests", of_window.len());
            let said = Said::of(&mut client, arguments)?;
            said.check(&of_window).with_context(|| format!("({arguments}), refreshed: {is_refreshed}"))?;
        }
        let quiet = format!(
            "SELECT (avg_delta, min_delta, max_delta, stddev_delta, p99_abs_delta, p99_rel_delta, kl_divergence, js_divergence, not_finite)
                    = (0::float8, 0::float8, 0::float8, 0::float8, 0::float8, 0::float8, 0::float8, 0::float8, 0::bigint)
               FROM costsim_drift_stats({before})"
        );
        assert!(one::<bool>(&mut client, &quiet)?, "there was no drift before");
        // A quarter, of those that drift at all.
        let relative = "SELECT p99_rel_delta FROM costsim_drift_stats('2023-11-16 18:45:00Z')";
        let relative: f64 = one(&mut client, relative)?;
        assert!((relative - 0.25).abs() <= 0.0025, "{relative}");
    }
    Ok(())
}

#[test]
fn pages_of_the_trace_hold_every_request_once_newest_first() -> Result<()> {
    let (_cluster, mut client, requests) = prepared("pages")?;
    let page = client.prepare(
        "SELECT id, created_at::text, run_id FROM costsim_query_provenance(\"limit\" => 1000,
                before_created_at => $1::text::timestamptz, before_id => $2)",
    )?;
    let mut last: (Option<String>, Option<i64>) = (None, None);
    let mut seen = Vec::new();
    loop {
        let rows = client.query(&page, &[&last.0, &last.1])?;
        let Some(end) = rows.last() else { break };
        last = (Some(end.get(1)), Some(end.get(0)));
        seen.extend(rows.iter().map(|row| row.get::<_, String>(2)));
    }
    let mut expected: Vec<String> = requests.iter().map(|it| it.at.clone()).collect();
    // Requests of the same microsecond have the same run.
    expected.sort_by(|one, other| other.cmp(one));
    ensure!(seen == expected, "{} of {} requests came, or not in order", seen.len(), expected.len());
    let mut counts = String::new();
    for filter in
        ["", "tenant_id => 'globex'", "variant_slug => 'v2', source => 'sandbox'", "tenant_id => 'nobody'"]
    {
        write!(
            counts,
            "{} ",
            one::<i64>(&mut client, &format!("SELECT costsim_count_provenance({filter})"))?
        )?;
    }
    let of_globex = requests.iter().filter(|it| it.tenant == "globex").count();
    assert_eq!(counts, format!("{REQUESTS} {of_globex} {REQUESTS} 0 "));
    Ok(())
}
