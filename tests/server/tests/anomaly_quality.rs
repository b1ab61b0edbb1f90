//! What detection is worth, on made-up series of which is known what is odd about them, replayed day by day; and another implementation of
//! the rules, in Python, that has to find the same at every moment.
//!
//! `COSTSIM_ANOMALY_ROUNDS` is how often tenants of every habit are made anew by other seeds; without it there are tenants of three habits, once.
//! `COSTSIM_ANOMALY_EVIDENCE` names a folder for the figures.

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use costsim_harness::Cluster;
use fastrand::Rng;
use postgres::Client;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

const DAYS: i64 = 120;

/// Nothing is asked before: four weeks are the longest history of a rule.
const WARM_UP: i64 = 28;

const DAY: i64 = 1_440;

/// When it is looked, in UTC: at noon, in the last minute of those who are ahead, and in the last minute.
const LOOKS: [i64; 3] = [720, DAY - 331, DAY - 1];

/// What is below is no anomaly whatever its shape: the setting's default.
const FLOOR_CENTS: i64 = 100;

/// When requests are made, in minutes of the tenant's day, and which part of a day's spend.
const HOURS: [(i64, f64); 4] = [(500, 0.2), (670, 0.3), (880, 0.3), (1_145, 0.2)];

/// How a tenant spends when nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Habit {
    /// The same every day, to 2 %.
    Steady,
    /// With noise of 8 %.
    Quiet,
    /// With noise of 25 %.
    Noisy,
    /// Two fifths at the weekend.
    Seasonal,
    /// Nothing at the weekend.
    Weekdays,
    /// Half a percent more every day.
    Growing,
    /// As the seasonal one, five and a half hours ahead of UTC.
    Ahead,
}

impl Habit {
    const ALL: [Self; 7] =
        [Self::Steady, Self::Quiet, Self::Noisy, Self::Seasonal, Self::Weekdays, Self::Growing, Self::Ahead];

    /// The deviation of the logarithm of a user's day.
    fn noise(self) -> f64 {
        match self {
            Self::Steady => 0.02,
            Self::Growing => 0.05,
            Self::Noisy => 0.25,
            Self::Quiet | Self::Seasonal | Self::Weekdays | Self::Ahead => 0.08,
        }
    }

    /// What a day is expected to be, as a multiple. Day 0 is a Monday.
    fn level(self, day: i64) -> f64 {
        let is_weekend = day % 7 > 4;
        match self {
            Self::Seasonal | Self::Ahead if is_weekend => 0.4,
            Self::Weekdays if is_weekend => 0.0,
            Self::Growing => 1.005_f64.powi(day as i32),
            _ => 1.0,
        }
    }

    /// Minutes ahead of UTC.
    fn offset(self) -> i64 {
        if self == Self::Ahead { 330 } else { 0 }
    }
}

/// What happens to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// One day three times as dear; five times; ten times.
    Burst3,
    Burst5,
    Burst10,
    /// The same of one user in six, five times.
    OneUser,
    /// Two days one and a half times as dear; five days twice.
    Days2,
    Days5,
    /// Somebody new, who spends a third of what all others do, and stays.
    NewSpender,
    /// One and a half percent more every day, for thirty days; then it stays.
    Drift,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Burst3 => "one day x3",
            Self::Burst5 => "one day x5",
            Self::Burst10 => "one day x10",
            Self::OneUser => "one day x5, one user of six",
            Self::Days2 => "two days x1.5",
            Self::Days5 => "five days x2",
            Self::NewSpender => "new spender, a third of the rest",
            Self::Drift => "drift of 1.5 % a day for 30 days",
        }
    }

    fn length(self) -> i64 {
        match self {
            Self::Burst3 | Self::Burst5 | Self::Burst10 | Self::OneUser => 1,
            Self::Days2 => 2,
            Self::Days5 => 5,
            Self::NewSpender => 4,
            Self::Drift => 30,
        }
    }

    /// For how many days after it begins a finding is of this event: until it is past, and until a week and its three weeks before have seen
    /// the last of it.
    fn shows_for(self, rule: &str) -> i64 {
        match (self, rule) {
            (Self::NewSpender | Self::Drift, _) => self.length() + 28,
            (_, "SUSTAINED_DRIFT") => self.length() + 7,
            _ => self.length(),
        }
    }
}

struct Event {
    kind: Kind,
    /// Its first day.
    day: i64,
}

struct Tenant {
    name: String,
    habit: Habit,
    events: Vec<Event>,
}

struct Record {
    tenant: String,
    user: String,
    feature: String,
    model: String,
    /// Since the first midnight in UTC.
    minute: i64,
    micros: i64,
    is_retry: bool,
    tokens: i64,
}

const USERS: u64 = 6;

/// Whose day five of the burst of one user is, and who is new.
const ONE: u64 = 2;
const NEW: u64 = 6;

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Of every habit one without events, two to whom things happen, and one that drifts.
fn tenants(round: usize, habits: &[Habit], rng: &mut Rng) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    for &habit in habits {
        let name = |what: &str| format!("{habit:?}-{what}-{round}").to_lowercase();
        tenants.push(Tenant { name: name("calm"), habit, events: Vec::new() });
        // Three weeks between two, so that one is out of the other's baseline; on any day of the week but one that is not worked on.
        let mut kinds = vec![
            Kind::Burst3,
            Kind::Burst5,
            Kind::Burst10,
            Kind::OneUser,
            Kind::Days2,
            Kind::Days5,
            Kind::NewSpender,
        ];
        rng.shuffle(&mut kinds);
        for (half, kinds) in [&kinds[..4], &kinds[4..]].into_iter().enumerate() {
            let place = |(nth, kind): (usize, &Kind)| {
                let day = WARM_UP + 2 + 21 * nth as i64 + rng.i64(0..7);
                let day = if habit == Habit::Weekdays && day % 7 > 3 { day - day % 7 } else { day };
                Event { kind: *kind, day }
            };
            let events = kinds.iter().enumerate().map(place).collect();
            tenants.push(Tenant { name: name(&format!("events{half}")), habit, events });
        }
        let events = vec![Event { kind: Kind::Drift, day: 50 }];
        tenants.push(Tenant { name: name("drifts"), habit, events });
    }
    tenants
}

impl Tenant {
    fn touches(event: &Event, entity_type: &str, entity: &str) -> bool {
        let one = match event.kind {
            Kind::OneUser => ONE,
            Kind::NewSpender => NEW,
            _ => return true,
        };
        match entity_type {
            "user" => entity == user(one),
            "feature" => entity == feature(one),
            "model" => entity == model(one),
            _ => true,
        }
    }

    /// How many times as dear a day of a user is for what happens.
    fn factor(&self, who: u64, day: i64) -> f64 {
        let mut factor = 1.0;
        for event in &self.events {
            let since = day - event.day;
            let is_during = (0..event.kind.length()).contains(&since);
            factor *= match event.kind {
                Kind::Burst3 if is_during => 3.0,
                Kind::Burst5 if is_during => 5.0,
                Kind::Burst10 if is_during => 10.0,
                Kind::OneUser if is_during && who == ONE => 5.0,
                Kind::Days2 if is_during => 1.5,
                Kind::Days5 if is_during => 2.0,
                Kind::Drift if since >= 0 => 1.015_f64.powi(since.min(30) as i32),
                _ => 1.0,
            };
        }
        factor
    }

    fn records(&self, rng: &mut Rng) -> Vec<Record> {
        let mut records = Vec::new();
        let arrival = self.events.iter().find(|event| event.kind == Kind::NewSpender).map(|event| event.day);
        let base: Vec<f64> = (0..USERS).map(|_| 800.0 + 1_200.0 * rng.f64()).collect();
        let rest: f64 = base.iter().sum();
        for day in 0..DAYS {
            for who in 0..=NEW {
                let Some(base) = base
                    .get(who as usize)
                    .copied()
                    .or_else(|| arrival.filter(|arrival| day >= *arrival).map(|_| rest / 3.0))
                else {
                    continue;
                };
                let sigma = self.habit.noise();
                let noise = (sigma * normal(rng) - sigma * sigma / 2.0).exp();
                let factor = self.factor(who, day);
                let cents = base * self.habit.level(day) * noise * factor;
                if cents > 0.0 {
                    self.day(rng, who, day, cents, factor, &mut records);
                }
            }
        }
        records
    }

    /// A day of a user. What is dearer is so by more requests, by retries, or by longer prompts, as the tenant's habits will have it.
    fn day(&self, rng: &mut Rng, who: u64, day: i64, cents: f64, factor: f64, records: &mut Vec<Record>) {
        let way = self.name.len() % 3;
        for (minute, share) in HOURS {
            let minute = day * DAY + minute + rng.i64(0..90) - self.habit.offset();
            let times = if way == 2 { 1 } else { (factor.round() as i64).max(1) };
            for nth in 0..times {
                records.push(Record {
                    tenant: self.name.clone(),
                    user: user(who),
                    feature: feature(who),
                    model: model(who),
                    minute: minute + nth,
                    micros: (cents * share * 1e6 / times as f64).round() as i64,
                    is_retry: way == 1 && nth > 0,
                    tokens: if way == 2 { (1_000.0 * factor) as i64 } else { 1_000 },
                });
            }
        }
    }
}

fn user(who: u64) -> String {
    format!("user-{who}")
}

fn feature(who: u64) -> String {
    format!("feature.{}", who % 3)
}

fn model(who: u64) -> String {
    format!("model-{}", who % 2)
}

/// A Monday.
fn midnight() -> Result<DateTime<Utc>> {
    let day = NaiveDate::from_ymd_opt(2025, 6, 2).context("a day")?;
    Ok(day.and_hms_opt(0, 0, 0).context("midnight")?.and_utc())
}

fn plant(client: &mut Client, tenants: &[Tenant], records: &[Record]) -> Result<()> {
    for tenant in tenants.iter().filter(|tenant| tenant.habit.offset() > 0) {
        client.query_one("SELECT costsim_set_cost_time_zone($1, 'Asia/Kolkata')", &[&tenant.name])?;
    }
    let start = midnight()?;
    let columns = "tenant_id, user_id, feature_tag, model, cost_cents, is_retry, input_tokens, created_at";
    let mut copy = client.copy_in(&format!("COPY costsim_cost_records ({columns}) FROM STDIN"))?;
    for r in records {
        let at = (start + TimeDelta::minutes(r.minute)).to_rfc3339();
        let (cents, micros) = (r.micros / 1_000_000, r.micros % 1_000_000);
        writeln!(
            copy,
            "{}\t{}\t{}\t{}\t{cents}.{micros:06}\t{}\t{}\t{at}",
            r.tenant, r.user, r.feature, r.model, r.is_retry, r.tokens
        )?;
    }
    copy.finish()?;
    client.query_one("SELECT costsim_refresh_costs()", &[])?;
    Ok(client.batch_execute("VACUUM ANALYZE")?)
}

/// What is found at a moment.
#[derive(Clone, Debug)]
struct Finding {
    tenant: String,
    rule: String,
    entity_type: String,
    entity: String,
    severity: String,
    current: f64,
    expected: f64,
    deviation: f64,
    cause: Option<String>,
}

impl Finding {
    /// What it is about: never twice at one moment.
    fn key(&self) -> [String; 4] {
        [&self.tenant, &self.rule, &self.entity_type, &self.entity].map(Clone::clone)
    }

    /// Whether two are of one opinion, to what a table keeps of an amount.
    fn is_as(&self, other: &Self) -> bool {
        let is_near = |one: f64, two: f64| (one - two).abs() <= 1e-6 + 1e-9 * one.abs();
        self.severity == other.severity
            && is_near(self.current, other.current)
            && is_near(self.expected, other.expected)
            && is_near(self.deviation, other.deviation)
            && (self.rule == "SUSTAINED_DRIFT" || self.cause == other.cause)
    }
}

/// By the server, at one moment after the other.
fn detected(client: &mut Client, moments: &[i64]) -> Result<Vec<Vec<Finding>>> {
    let statement = client.prepare(
        "SELECT tenant_id, anomaly_type, entity_type, coalesce(entity_id, ''), severity, current_value_cents::float8, expected_value_cents::float8,
                deviation_pct::float8, derived_cause
           FROM costsim_detect_anomalies(NULL, $1)",
    )?;
    let start = midnight()?;
    let mut found = Vec::new();
    for moment in moments {
        let rows = client.query(&statement, &[&(start + TimeDelta::minutes(*moment))])?;
        found.push(
            rows.iter()
                .map(|row| {
                    let entity_type: String = row.get(2);
                    // Whose spend it is, is said by its tenant.
                    let entity = if entity_type == "tenant" { String::new() } else { row.get(3) };
                    Finding {
                        tenant: row.get(0),
                        rule: row.get(1),
                        entity_type,
                        entity,
                        severity: row.get(4),
                        current: row.get(5),
                        expected: row.get(6),
                        deviation: row.get(7),
                        cause: row.get(8),
                    }
                })
                .collect(),
        );
    }
    Ok(found)
}

/// By the other implementation.
fn in_python(tenants: &[Tenant], records: &[Record], moments: &[i64]) -> Result<Vec<Vec<Finding>>> {
    let offsets: BTreeMap<_, _> = tenants.iter().map(|it| (it.name.clone(), it.habit.offset())).collect();
    let told = |r: &Record| {
        json!([r.tenant, r.user, r.feature, r.model, r.minute, r.micros, u8::from(r.is_retry), r.tokens])
    };
    let records: Vec<Value> = records.iter().map(told).collect();
    let asked = json!({ "floor": FLOOR_CENTS, "moments": moments, "tenants": offsets, "records": records });
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/anomaly_rules.py");
    let mut python = Command::new("/usr/bin/python3")
        .args(["-I", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting python3: is 'make setup' done?")?;
    let mut input = python.stdin.take().context("its input")?;
    let writer = thread::spawn(move || writeln!(input, "{asked}"));
    let output = python.wait_with_output()?;
    writer.join().ok().context("the writer")??;
    ensure!(output.status.success(), "python3: {}", output.status);
    let lines = String::from_utf8(output.stdout)?;
    let moment = |line: &str| -> Result<Vec<Finding>> {
        let found: Vec<Vec<Value>> = serde_json::from_str(line)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let cents = |value: &Value| value.as_f64().map(|micros| micros / 1e6).context("an amount");
        let finding = |it: Vec<Value>| {
            let entity_type = text(&it[2]).context("an entity type")?;
            let entity =
                if entity_type == "tenant" { String::new() } else { text(&it[3]).context("an entity")? };
            Ok(Finding {
                tenant: text(&it[0]).context("a tenant")?,
                rule: text(&it[1]).context("a rule")?,
                entity_type,
                entity,
                severity: text(&it[4]).context("a severity")?,
                current: cents(&it[5])?,
                expected: cents(&it[6])?,
                deviation: it[7].as_f64().context("a deviation")?,
                cause: text(&it[8]),
            })
        };
        found.into_iter().map(finding).collect()
    };
    lines.lines().map(moment).collect()
}

/// Both found the same, at every moment.
fn agree(moments: &[i64], ours: &[Vec<Finding>], theirs: &[Vec<Finding>]) -> Result<usize> {
    ensure!(ours.len() == theirs.len() && ours.len() == moments.len(), "{} and {}", ours.len(), theirs.len());
    let mut compared = 0;
    for ((moment, ours), theirs) in moments.iter().zip(ours).zip(theirs) {
        let by_key =
            |found: &[Finding]| -> BTreeMap<_, _> { found.iter().map(|it| (it.key(), it.clone())).collect() };
        let (ours, theirs) = (by_key(ours), by_key(theirs));
        let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for key in keys {
            let (ours, theirs) = (ours.get(key), theirs.get(key));
            let same = ours.zip(theirs).is_some_and(|(ours, theirs)| ours.is_as(theirs));
            ensure!(
                same,
                "day {}, minute {}: {ours:?}, and in python {theirs:?}",
                moment / DAY,
                moment % DAY
            );
            compared += 1;
        }
    }
    Ok(compared)
}

/// What was found of one thing on days in a row: what an operator sees as one anomaly.
struct Alarm {
    rule: String,
    /// The gravest it came to.
    severity: u8,
    is_true: bool,
}

fn grade(severity: &str) -> u8 {
    match severity {
        "HIGH" => 2,
        "MEDIUM" => 1,
        _ => 0,
    }
}

const GRADES: [&str; 3] = ["LOW", "MEDIUM", "HIGH"];

/// What became of an event.
struct Outcome {
    kind: Kind,
    habit: Habit,
    /// Minutes from its first midnight to the first finding, and the gravest one while it lasted.
    found: Option<(i64, u8)>,
    is_high_on_the_first_day: bool,
}

/// The day at a tenant's place.
fn day_of(tenant: &Tenant, moment: i64) -> i64 {
    (moment + tenant.habit.offset()).div_euclid(DAY)
}

fn alarms(tenant: &Tenant, moments: &[i64], found: &[Vec<Finding>]) -> Vec<Alarm> {
    let mut days: BTreeMap<[String; 4], BTreeMap<i64, (u8, bool)>> = BTreeMap::new();
    for (moment, found) in moments.iter().zip(found) {
        let day = day_of(tenant, *moment);
        for it in found.iter().filter(|it| it.tenant == tenant.name) {
            let is_true = tenant.events.iter().any(|event| {
                (event.day..event.day + event.kind.shows_for(&it.rule)).contains(&day)
                    && Tenant::touches(event, &it.entity_type, &it.entity)
            });
            let seen = days.entry(it.key()).or_default().entry(day).or_default();
            *seen = (seen.0.max(grade(&it.severity)), seen.1 | is_true);
        }
    }
    let mut alarms = Vec::new();
    for (key, days) in days {
        let mut last = None;
        for (day, (severity, is_true)) in days {
            if last != Some(day - 1) {
                alarms.push(Alarm { rule: key[1].clone(), severity, is_true });
            } else if let Some(alarm) = alarms.last_mut() {
                alarm.severity = alarm.severity.max(severity);
                alarm.is_true |= is_true;
            }
            last = Some(day);
        }
    }
    alarms
}

fn outcomes(tenant: &Tenant, moments: &[i64], found: &[Vec<Finding>]) -> Vec<Outcome> {
    let outcome = |event: &Event| {
        let (mut first, mut worst, mut is_high) = (None, 0, false);
        // Drift may be found while the weeks still see it; everything else as long as it lasts.
        let lasts = if event.kind == Kind::Drift { event.kind.length() + 7 } else { event.kind.length() };
        for (moment, found) in moments.iter().zip(found) {
            let day = day_of(tenant, *moment);
            if !(event.day..event.day + lasts).contains(&day) {
                continue;
            }
            for it in found.iter().filter(|it| it.tenant == tenant.name) {
                // What else is found while something grows slowly is luck.
                let is_of_it = event.kind != Kind::Drift || it.rule == "SUSTAINED_DRIFT";
                if is_of_it && Tenant::touches(event, &it.entity_type, &it.entity) {
                    first.get_or_insert(moment + tenant.habit.offset() - event.day * DAY);
                    worst = worst.max(grade(&it.severity));
                    is_high |= day == event.day && it.severity == "HIGH";
                }
            }
        }
        let found = first.map(|first| (first, worst));
        Outcome { kind: event.kind, habit: tenant.habit, found, is_high_on_the_first_day: is_high }
    };
    tenant.events.iter().map(outcome).collect()
}

/// The figures, as they are.
fn report(
    tenants: &[Tenant],
    alarms: &[(Habit, bool, Alarm)],
    outcomes: &[Outcome],
    compared: usize,
) -> Result<String> {
    let mut text = String::new();
    let months = |count: usize| count as f64 * (DAYS - WARM_UP) as f64 / 30.0;
    writeln!(
        text,
        "# Anomaly quality\n\nWritten by `make anomaly-quality`. {} tenants of {USERS} users, three features and two models, {DAYS} days, of which the first {WARM_UP} are \
         history. Asked at noon and in the last minute of every day, and at 18:29. An *alarm* is what is found of one tenant, rule and entity on days in a row; it is true if on \
         one of them something happened that touches the entity, or the week of which drift is the mean still has it. An event is *found* if \
         anything it touches is, while it lasts; drift by SUSTAINED_DRIFT, until a week after. Where many alarms are false, some that are counted as true \
         are so by luck.\n\n\
         Another implementation of the rules, in Python, found the same at every moment: {compared} findings, with severity, amounts, deviation and cause.\n",
        tenants.len()
    )?;
    writeln!(
        text,
        "## Events\n\n| Event | Habit | Events | Found | MEDIUM or HIGH | HIGH | HIGH on the first day | Mean delay |\n|---|---|--:|--:|--:|--:|--:|--:|"
    )?;
    let kinds: BTreeSet<_> = outcomes.iter().map(|it| it.kind).collect();
    for kind in kinds {
        for habit in std::iter::once(None).chain(Habit::ALL.map(Some)) {
            let of = |it: &&Outcome| it.kind == kind && habit.is_none_or(|habit| habit == it.habit);
            let of: Vec<_> = outcomes.iter().filter(of).collect();
            let found: Vec<_> = of.iter().filter_map(|it| it.found).collect();
            let at_least = |grade: u8| found.iter().filter(|(_, worst)| *worst >= grade).count();
            let first = of.iter().filter(|it| it.is_high_on_the_first_day).count();
            let delay =
                found.iter().map(|(minutes, _)| *minutes as f64 / 60.0).sum::<f64>() / found.len() as f64;
            let delay = if found.is_empty() { String::new() } else { format!("{delay:.0} h") };
            let (name, habit) = match habit {
                None => (format!("**{}**", kind.name()), "all".to_owned()),
                Some(habit) => (String::new(), format!("{habit:?}").to_lowercase()),
            };
            writeln!(
                text,
                "| {name} | {habit} | {} | {} | {} | {} | {first} | {delay} |",
                of.len(),
                found.len(),
                at_least(1),
                at_least(2)
            )?;
        }
    }
    writeln!(
        text,
        "\nA delay is counted from the midnight with which the event begins; an event's first request comes at about eight in the morning.\n"
    )?;
    writeln!(
        text,
        "## Alarms\n\n| Rule | Severity | Alarms | True | Precision | False per tenant-month |\n|---|---|--:|--:|--:|--:|"
    )?;
    let rules: BTreeSet<_> = alarms.iter().map(|(_, _, it)| it.rule.as_str()).collect();
    for rule in rules.into_iter().map(Some).chain([None]) {
        for grade in GRADES.iter().enumerate().map(Some).chain([None]) {
            let of = |(_, _, it): &&(Habit, bool, Alarm)| {
                rule.is_none_or(|rule| rule == it.rule)
                    && grade.is_none_or(|(grade, _)| usize::from(it.severity) == grade)
            };
            let of: Vec<_> = alarms.iter().filter(of).collect();
            let hits = of.iter().filter(|(_, _, it)| it.is_true).count();
            writeln!(
                text,
                "| {} | {} | {} | {hits} | {} | {:.2} |",
                rule.unwrap_or("all"),
                grade.map_or("all", |(_, name)| name),
                of.len(),
                if of.is_empty() { String::new() } else { format!("{:.2}", hits as f64 / of.len() as f64) },
                (of.len() - hits) as f64 / months(tenants.len())
            )?;
        }
    }
    writeln!(
        text,
        "\n## False alarms of tenants to whom nothing happens\n\n| Habit | Tenant-months | LOW | MEDIUM | HIGH | all, per tenant-month |\n|---|--:|--:|--:|--:|--:|"
    )?;
    for habit in Habit::ALL {
        let calm = tenants.iter().filter(|it| it.habit == habit && it.events.is_empty()).count();
        let of: Vec<_> = alarms.iter().filter(|(of, is_calm, _)| *of == habit && *is_calm).collect();
        let graded = |grade: u8| of.iter().filter(|(_, _, it)| it.severity == grade).count();
        writeln!(
            text,
            "| {} | {:.1} | {} | {} | {} | {:.2} |",
            format!("{habit:?}").to_lowercase(),
            months(calm),
            graded(0),
            graded(1),
            graded(2),
            of.len() as f64 / months(calm)
        )?;
    }
    Ok(text)
}

#[test]
fn rules_find_what_another_implementation_finds_and_what_nobody_may_miss() -> Result<()> {
    let (rounds, habits): (usize, &[Habit]) = match std::env::var("COSTSIM_ANOMALY_ROUNDS") {
        Ok(rounds) => (rounds.parse()?, &Habit::ALL),
        Err(_) => (1, &[Habit::Quiet, Habit::Seasonal, Habit::Ahead]),
    };
    let mut rng = Rng::with_seed(66);
    let tenants: Vec<_> = (0..rounds).flat_map(|round| tenants(round, habits, &mut rng)).collect();
    let records: Vec<_> = tenants.iter().flat_map(|tenant| tenant.records(&mut rng)).collect();
    let moments: Vec<_> = (WARM_UP..DAYS).flat_map(|day| LOOKS.map(|minute| day * DAY + minute)).collect();

    let cluster = Cluster::builder().conf("fsync", "off").start()?;
    let mut client = cluster.create_database_with_extension("anomalies")?;
    plant(&mut client, &tenants, &records)?;
    let found = detected(&mut client, &moments)?;
    let compared = agree(&moments, &found, &in_python(&tenants, &records, &moments)?)?;
    ensure!(compared > 100, "only {compared} findings");

    let mut all = Vec::new();
    let mut met = Vec::new();
    for tenant in &tenants {
        let is_calm = tenant.events.is_empty();
        all.extend(alarms(tenant, &moments, &found).into_iter().map(|alarm| (tenant.habit, is_calm, alarm)));
        met.extend(outcomes(tenant, &moments, &found));
    }
    let report = report(&tenants, &all, &met, compared)?;
    println!("{report}");

    // What depends on no luck of the draw. The rest are figures.
    for it in &met {
        let is_plain = matches!(it.habit, Habit::Steady | Habit::Quiet | Habit::Growing);
        if is_plain && matches!(it.kind, Kind::Burst5 | Kind::Burst10 | Kind::OneUser) {
            assert!(it.is_high_on_the_first_day, "{:?} of {:?} is no HIGH on its day", it.kind, it.habit);
        }
        if is_plain && matches!(it.kind, Kind::Days5 | Kind::NewSpender | Kind::Drift) {
            assert!(it.found.is_some(), "{:?} of {:?} is not found", it.kind, it.habit);
        }
    }
    for (habit, is_calm, alarm) in &all {
        if *is_calm && matches!(habit, Habit::Steady | Habit::Quiet) {
            assert!(alarm.severity < grade("HIGH"), "{} is HIGH for a {habit:?} tenant", alarm.rule);
        }
        assert!(!(*is_calm && *habit == Habit::Steady), "{} for a steady tenant", alarm.rule);
    }
    if let Some(folder) = std::env::var_os("COSTSIM_ANOMALY_EVIDENCE") {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
        std::fs::write(folder.join("anomaly_quality.md"), report)?;
    }
    Ok(())
}
