//! The report: what happened, from the rows, and whether what has to be true is true.

use std::fmt::Write;

use anyhow::Result;
use postgres::Client;

use crate::canary::Trial;
use crate::cost::Bill;
use crate::play::{Recovery, Story, millis};
use crate::screen::{Paint, Tone, thousands};
use crate::signals::Signals;
use crate::stage::Stage;

/// The threshold of the breaker that the demo uses, the extension's default.
const THRESHOLD: f64 = 0.2;

/// Lines and columns of the plot.
const PLOT_LINES: usize = 40;
const PLOT_COLUMNS: usize = 50;

/// Two sums of the same numbers in another order differ in the last digits only.
const ROUNDING: f64 = 1e-9;

pub const HOW_TO_KEEP: &str = "Everything is removed now. To look around: make demo DEMO_ARGS=--keep";

/// One window, as its transaction noted it.
#[derive(Clone, Debug, PartialEq)]
struct Point {
    answered_by: String,
    drift: f64,
    tripped: bool,
}

/// A term, as far as it left rows.
struct Term {
    node: String,
    token: i64,
    from: f64,
    to: f64,
    windows: i64,
    requests: i64,
}

/// Something that has to be true.
struct Check {
    holds: bool,
    text: String,
}

/// Everything the report tells.
pub struct Report {
    source: String,
    window: usize,
    requests: i64,
    terms: Vec<Term>,
    points: Vec<Point>,
    story: Story,
    recovery: Recovery,
    bill: Bill,
    signals: Signals,
    queue: String,
    checks: Vec<Check>,
}

impl Report {
    pub fn collect(
        stage: &mut Stage,
        source: String,
        window: usize,
        story: Story,
        recovery: Recovery,
        bill: Bill,
        signals: Signals,
    ) -> Result<Self> {
        let client = &mut stage.client;
        let terms = terms(client)?;
        let points = points(client)?;
        let (queue, queue_check) = queue(client)?;
        let checks = vec![
            one_row_per_request(client)?,
            drift_stats(client)?,
            tokens_grow(&terms),
            one_incident(client)?,
            same_fingerprint(client, &story)?,
            queue_check,
            canary(&recovery.trial),
            sums(&bill),
            limit(&bill),
            spike(&bill),
            pattern(&signals),
            forecast(&signals),
            order(&signals),
            stays(&signals),
        ];
        let requests = client.query_one("SELECT count(*) FROM demo_requests", &[])?.get(0);
        Ok(Report { source, window, requests, terms, points, story, recovery, bill, signals, queue, checks })
    }

    /// Whether every check holds.
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    pub fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        self.write(&mut out, paint).ok();
        out
    }

    fn write(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        let heading = |text: &str| paint.tint(Tone::Heading, text);
        let whole = self.terms.iter().map(|term| term.to).fold(0.0, f64::max);
        let working: f64 = self.terms.iter().map(|term| term.to - term.from).sum();
        let rate =
            |seconds: f64| thousands(if seconds > 0.0 { (self.requests as f64 / seconds) as i64 } else { 0 });

        writeln!(out, "{}", heading("Requests"))?;
        writeln!(
            out,
            "  {} requests ({}) in {} windows of {}, one provenance row each, in {whole:.2} s",
            thousands(self.requests),
            self.source,
            self.points.len(),
            self.window,
        )?;
        writeln!(
            out,
            "  {} requests/s with the take-over, {} rows/s while somebody led",
            rate(whole),
            rate(working)
        )?;

        writeln!(out, "\n{}", heading("Who led"))?;
        for (index, term) in self.terms.iter().enumerate() {
            let killed = index == 0 && self.story.killed.as_ref().is_some_and(|kill| kill.node == term.node);
            writeln!(
                out,
                "  {}  token {}  {:6.2} s to {:6.2} s  {:3} windows  {:>7} requests{}",
                term.node,
                term.token,
                term.from,
                term.to,
                term.windows,
                thousands(term.requests),
                if killed { paint.tint(Tone::Bad, "  then kill -9") } else { String::new() },
            )?;
        }
        if let Some(takeover) = self.story.killed.as_ref().and_then(|kill| kill.takeover.as_ref()) {
            writeln!(
                out,
                "  take-over: {} from the kill to the first rows of {}",
                millis(takeover.after),
                takeover.node
            )?;
        }

        writeln!(out, "\n{}", heading("Drift per window: |sum(V2) - sum(V1)| / sum(V1)"))?;
        out.push_str(&plot(&self.points, paint));

        writeln!(out, "\n{}", heading("Breaker and alert"))?;
        if let Some(trip) = &self.story.trip {
            writeln!(
                out,
                "  incident {}, opened by the third window in a row above {THRESHOLD}",
                trip.incident_id
            )?;
            if let Some(alert) = &trip.alert {
                writeln!(
                    out,
                    "  trip to alert: {} until Alertmanager listed it as active",
                    millis(alert.after)
                )?;
            }
        }
        writeln!(
            out,
            "  enabled again with the right prices (drift {:.3} at most): off Alertmanager's list after {}, \"resolved\" told after {}",
            self.recovery.worst_drift,
            millis(self.recovery.unlisted_after),
            millis(self.recovery.resolved_after),
        )?;
        writeln!(out, "  outbox at the end: {}", self.queue)?;

        let bill = &self.bill;
        writeln!(out, "\n{}", heading("Bill"))?;
        writeln!(out, "  {} requests, {} cents", thousands(bill.records), bill.cents)?;
        writeln!(out, "  refused: {}", bill.reason)?;
        writeln!(out, "  {} ({}): {}", bill.spike.severity, bill.spike.cause, bill.spike.message)?;
        writeln!(
            out,
            "  loop to alert: {} until Alertmanager listed it as active",
            millis(bill.alert_after)
        )?;

        let Signals { runs, pattern, forecast, order } = &self.signals;
        writeln!(out, "\n{}", heading("Signals"))?;
        writeln!(out, "  {runs} runs of three workers; what fails: {}", pattern.template)?;
        writeln!(
            out,
            "  {} will fail in {:.0} to {:.0} % of its runs; that it is a third or more has the probability {:.2}",
            forecast.workers.join(", "),
            100.0 * forecast.lower,
            100.0 * forecast.upper,
            forecast.confidence
        )?;
        writeln!(out, "  under the kill switch: {}", order.while_killed)?;
        writeln!(out, "  a change of the record: {} {}", order.refusal.0, order.refusal.1)?;

        writeln!(out, "\n{}", heading("Checks"))?;
        for check in &self.checks {
            let mark =
                if check.holds { paint.tint(Tone::Good, "  ok  ") } else { paint.tint(Tone::Bad, "FAILED") };
            writeln!(out, "  {mark}  {}", check.text)?;
        }

        writeln!(out, "\n{}", heading("Where to look next"))?;
        for (what, how) in [
            ("who leads", "SELECT * FROM costsim_leader(7001)"),
            ("what happened", "SELECT * FROM costsim_incidents(include_resolved => true)"),
            ("the breaker", "SELECT * FROM costsim_cb_explain()"),
            ("every step of it", "TABLE costsim_cb_events"),
            ("how far V2 is off", "SELECT * FROM costsim_drift_stats(variant_slug => 'v2')"),
            ("the alert", "SELECT labels, starts_at, resolved_at, sent_at FROM costsim_alerts"),
            (
                "what it costs",
                "SELECT * FROM costsim_cost_by_user('demo', now() - interval '15 days', now())",
            ),
            ("what was odd", "SELECT * FROM costsim_query_anomalies('demo', include_resolved => true)"),
            ("what fails", "SELECT * FROM costsim_query_feedback('demo')"),
            ("who decided what", "SELECT * FROM costsim_query_audit('demo')"),
            ("the outbox", "SELECT * FROM costsim_alert_queue_stats()"),
            ("the windows", "TABLE demo_windows"),
        ] {
            writeln!(out, "  {what:18} {how};")?;
        }
        writeln!(
            out,
            "  what a client needs: demo/grants.sql and demo/src/replica.rs; why it is so: docs/architecture.md"
        )
    }
}

fn terms(client: &mut Client) -> Result<Vec<Term>> {
    let rows = client.query(
        "SELECT node_id, token, extract(epoch FROM led_since - min(led_since) OVER ())::float8,
                extract(epoch FROM max(priced_at) - min(led_since) OVER ())::float8, count(*), sum(requests)
           FROM demo_windows
          GROUP BY node_id, token, led_since
          ORDER BY min(first_seq)",
        &[],
    )?;
    let term = |row: &postgres::Row| Term {
        node: row.get(0),
        token: row.get(1),
        from: row.get(2),
        to: row.get(3),
        windows: row.get(4),
        requests: row.get(5),
    };
    Ok(rows.iter().map(term).collect())
}

fn points(client: &mut Client) -> Result<Vec<Point>> {
    let rows = client.query(
        "SELECT answered_by, drift, incident_id IS NOT NULL FROM demo_windows ORDER BY first_seq",
        &[],
    )?;
    Ok(rows
        .iter()
        .map(|row| Point { answered_by: row.get(0), drift: row.get(1), tripped: row.get(2) })
        .collect())
}

/// The depth of the outbox, and that nothing is left in it.
fn queue(client: &mut Client) -> Result<(String, Check)> {
    let row = client
        .query_one("SELECT pending, sent, failed, firing, unsent FROM costsim_alert_queue_stats()", &[])?;
    let [pending, sent, failed, firing, unsent]: [i64; 5] = std::array::from_fn(|column| row.get(column));
    let text = format!(
        "{pending} pending, {sent} sent, {failed} failed payloads; {firing} alerts firing, {unsent} unsent"
    );
    let holds = pending == 0 && failed == 0 && firing == 0 && unsent == 0;
    Ok((text, Check { holds, text: "nothing is left in the outbox, and nothing fires".into() }))
}

fn one_row_per_request(client: &mut Client) -> Result<Check> {
    let row = client.query_one(
        "SELECT (SELECT count(*) FROM demo_requests),
                (SELECT count(*) FROM costsim_provenance),
                (SELECT count(*)
                   FROM (SELECT run_id FROM costsim_provenance GROUP BY run_id HAVING count(*) = 1) once
                   JOIN demo_requests r ON once.run_id = 'request-' || r.seq)",
        &[],
    )?;
    let (requests, rows, once): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let text = format!(
        "exactly one provenance row per request: {} requests, {} rows, {} requests with one",
        thousands(requests),
        thousands(rows),
        thousands(once)
    );
    Ok(Check { holds: requests == rows && requests == once, text })
}

fn drift_stats(client: &mut Client) -> Result<Check> {
    let ours = client.query_one(
        "SELECT total, avg_delta, min_delta, max_delta, stddev_delta FROM costsim_drift_stats()",
        &[],
    )?;
    let plain = client.query_one(
        "SELECT count(*), avg(cost_delta), min(cost_delta), max(cost_delta), stddev_samp(cost_delta) FROM costsim_provenance",
        &[],
    )?;
    let mut holds = ours.get::<_, i64>(0) == plain.get::<_, i64>(0);
    for column in 1..5 {
        let (ours, plain): (Option<f64>, Option<f64>) = (ours.get(column), plain.get(column));
        holds &= ours.zip(plain).is_some_and(|(ours, plain)| is_close(ours, plain));
    }
    let value = |column| ours.get::<_, Option<f64>>(column).unwrap_or(f64::NAN);
    let text = format!(
        "costsim_drift_stats equals plain SQL: mean {:.4}, min {:.4}, max {:.4}, stddev {:.4} cents",
        value(1),
        value(2),
        value(3),
        value(4)
    );
    Ok(Check { holds, text })
}

fn is_close(one: f64, other: f64) -> bool {
    (one - other).abs() <= ROUNDING * other.abs().max(1.0)
}

fn tokens_grow(terms: &[Term]) -> Check {
    let nodes_differ = terms.iter().any(|term| term.node != terms[0].node);
    let holds = nodes_differ && terms.windows(2).all(|pair| pair[0].token < pair[1].token);
    Check { holds, text: format!("{} terms, by both replicas, each with a greater token", terms.len()) }
}

fn one_incident(client: &mut Client) -> Result<Check> {
    let row = client.query_one(
        "SELECT count(*), count(*) FILTER (WHERE resolved), costsim_is_open()
           FROM costsim_incidents(include_resolved => true, \"limit\" => NULL)",
        &[],
    )?;
    let (incidents, resolved, open): (i64, i64, bool) = (row.get(0), row.get(1), row.get(2));
    let text = format!("one incident, and it is resolved: {incidents} opened, {resolved} resolved");
    Ok(Check { holds: incidents == 1 && resolved == 1 && !open, text })
}

fn same_fingerprint(client: &mut Client, story: &Story) -> Result<Check> {
    let ours: Vec<String> = client
        .query(
            "SELECT fingerprint FROM costsim_alerts WHERE labels ->> 'alertname' = 'CostSimV2Disabled'",
            &[],
        )?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let seen =
        story.trip.as_ref().and_then(|trip| trip.alert.as_ref()).map(|alert| alert.fingerprint.as_str());
    let holds = ours.len() == 1 && ours.first().map(String::as_str) == seen;
    let text = format!(
        "one alert of the breaker, known to both sides by the fingerprint {}",
        seen.unwrap_or("(none)")
    );
    Ok(Check { holds, text })
}

fn canary(trial: &Trial) -> Check {
    let holds = trial.wrong.status == "fail" && trial.corrected.status == "pass";
    Check { holds, text: "the canary fails with the wrong prices and passes with the corrected ones".into() }
}

fn sums(bill: &Bill) -> Check {
    Check {
        holds: bill.is_exact,
        text: format!("the roll-ups say what the records do: {} cents, to the last digit", bill.cents),
    }
}

fn limit(bill: &Bill) -> Check {
    let holds = bill.recorded == 1 && bill.refused > 0;
    let sessions = bill.recorded + bill.refused;
    let text =
        format!("a hard limit with room for one: of {sessions} sessions at once {} may spend", bill.recorded);
    Check { holds, text }
}

fn spike(bill: &Bill) -> Check {
    let holds = bill.spike.severity == "HIGH" && bill.spike.cause == "RETRY_LOOP";
    Check {
        holds,
        text: "a loop that runs away is an anomaly of today, HIGH, and found to be a loop of retries".into(),
    }
}

fn pattern(signals: &Signals) -> Check {
    let pattern = &signals.pattern;
    let holds = pattern.found == 1
        && pattern.workers == 3
        && pattern.occurrences > 10
        && pattern.texts == pattern.occurrences;
    Check { holds, text: format!("{} failures with no two texts alike are one pattern", pattern.occurrences) }
}

fn forecast(signals: &Signals) -> Check {
    let forecast = &signals.forecast;
    let holds =
        forecast.workers == ["mailer"] && forecast.lower < forecast.rate && forecast.rate < forecast.upper;
    Check { holds, text: "the worker whose failures rise is likely to fail, and no other".into() }
}

fn order(signals: &Signals) -> Check {
    let order = &signals.order;
    let holds = order.preempted == ["save"]
        && order.reverted == 1
        && order.while_killed == "REJECTED: the kill switch is active";
    Check { holds, text: "reliability preempts cost, and nothing is applied under the kill switch".into() }
}

fn stays(signals: &Signals) -> Check {
    let order = &signals.order;
    let holds = order.refusal.0 == "55000" && order.records == order.transitions && order.changed == 0;
    Check {
        holds,
        text: format!(
            "each of {} transitions of envelopes has a record, which nobody can change",
            order.transitions
        ),
    }
}

/// A bar per window, or per few windows when there are many; then the worst of them counts.
fn plot(points: &[Point], paint: Paint) -> String {
    let per_line = points.len().div_ceil(PLOT_LINES).max(1);
    let worst = points.iter().map(|point| point.drift).fold(2.0 * THRESHOLD, f64::max);
    let column = |drift: f64| ((drift / worst * PLOT_COLUMNS as f64).round() as usize).min(PLOT_COLUMNS);
    let threshold = column(THRESHOLD);

    let mut out = format!("{:16}0{:>width$}\n", "", THRESHOLD, width = threshold);
    for (index, group) in points.chunks(per_line).enumerate() {
        let drift = group.iter().map(|point| point.drift).fold(0.0, f64::max);
        let length = column(drift);
        let bar: String = (1..=PLOT_COLUMNS)
            .map(|at| match (at <= length, at == threshold) {
                (_, true) => '|',
                (true, false) => '#',
                (false, false) => ' ',
            })
            .collect();
        let tone = if drift > THRESHOLD { Tone::Bad } else { Tone::Good };
        let who = if group.iter().any(|point| point.answered_by == "v1") { "V1" } else { "V2" };
        let mark = if group.iter().any(|point| point.tripped) { "  trips" } else { "" };
        let number = index * per_line + 1;
        let line = format!("{number:5} {who} {drift:6.3} {}{mark}", paint.tint(tone, bar.trim_end()));
        out.push_str(&format!("{}\n", line.trim_end()));
    }
    out.push_str("  window, whose answer counted, drift; | is the threshold");
    if per_line > 1 {
        out.push_str(&format!("; a line is the worst of {per_line} windows"));
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(drifts: impl IntoIterator<Item = f64>) -> Vec<Point> {
        drifts.into_iter().map(|drift| Point { answered_by: "v2".into(), drift, tripped: false }).collect()
    }

    #[test]
    fn plot_marks_the_threshold_and_the_trip() {
        let mut points = points([0.05, 1.0]);
        points[1].tripped = true;
        points[1].answered_by = "v1".into();
        let text = plot(&points, Paint::none());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "                0       0.2");
        assert_eq!(lines[1], "    1 V2  0.050 ###      |");
        assert_eq!(lines[2], format!("    2 V1  1.000 {}|{}  trips", "#".repeat(9), "#".repeat(40)));
    }

    #[test]
    fn plot_keeps_to_forty_lines() {
        for count in [1, 39, 40, 41, 80, 500, 5000] {
            let text = plot(&points((0..count).map(|_| 0.1)), Paint::none());
            assert!(text.lines().count() <= PLOT_LINES + 2, "{count} windows");
        }
    }

    #[test]
    fn plot_line_of_many_windows_shows_the_worst() {
        let mut drifts = vec![0.01; 80];
        drifts[3] = 0.9;
        let text = plot(&points(drifts), Paint::none());
        assert!(text.lines().nth(2).unwrap().starts_with("    3 V2  0.900 #"), "{text}");
        assert!(text.contains("the worst of 2 windows"));
    }

    #[test]
    fn sums_in_another_order_are_close() {
        assert!(is_close(0.1 + 0.2, 0.3));
        assert!(!is_close(0.3001, 0.3));
        assert!(!is_close(f64::NAN, 0.3));
    }
}
