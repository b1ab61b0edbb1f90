//! Claims about when a job is due.

#![allow(clippy::unwrap_used)]

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use costsim_core::schedule::{Decision, Patience, Plan, Record, Schedule, Then, after_run, decide, zone};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn next(text: &str, zone_name: &str, after: &str) -> String {
    let next = Schedule::parse(text).unwrap().next(at(after), zone(zone_name).unwrap()).unwrap();
    next.with_timezone(&zone(zone_name).unwrap()).format("%F %H:%M %z").to_string()
}

/// The local dates and times of all runs of a stretch.
fn all(text: &str, zone_name: &str, from: &str, to: &str) -> Vec<String> {
    let (schedule, zone) = (Schedule::parse(text).unwrap(), zone(zone_name).unwrap());
    let mut runs = Vec::new();
    let mut moment = at(from);
    while let Some(next) = schedule.next(moment, zone).filter(|next| *next < at(to)) {
        runs.push(next.with_timezone(&zone).format("%d %H:%M %z").to_string());
        moment = next;
    }
    runs
}

#[test]
fn cron_text_is_read() {
    for (text, expected) in [
        ("* * * * *", "2026-03-05 10:31 +0000"),
        ("*/15 * * * *", "2026-03-05 10:45 +0000"),
        ("0 3 * * *", "2026-03-06 03:00 +0000"),
        ("30 2,14 * * *", "2026-03-05 14:30 +0000"),
        ("0 9-17/4 * * *", "2026-03-05 13:00 +0000"),
        ("0 3 * * mon-fri", "2026-03-06 03:00 +0000"),
        ("0 3 * * 7", "2026-03-08 03:00 +0000"),
        ("0 3 1 JUL *", "2026-07-01 03:00 +0000"),
        ("0 3 29 2 *", "2028-02-29 03:00 +0000"),
        ("0 3 13 * FRI", "2026-03-06 03:00 +0000"),
        ("0 3 L * *", "2026-03-31 03:00 +0000"),
        ("0 3 * * MON#2", "2026-03-09 03:00 +0000"),
        (" 0  3\t* * * ", "2026-03-06 03:00 +0000"),
        ("@daily", "2026-03-06 00:00 +0000"),
        ("@Hourly", "2026-03-05 11:00 +0000"),
        ("@weekly", "2026-03-08 00:00 +0000"),
        ("@monthly", "2026-04-01 00:00 +0000"),
        ("@yearly", "2027-01-01 00:00 +0000"),
    ] {
        assert_eq!(next(text, "UTC", "2026-03-05T10:30:00Z"), expected, "{text}");
    }
}

#[test]
fn nonsense_is_refused_and_the_field_is_named() {
    for (text, word) in [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("0 0 3 * * *", "6 fields"),
        ("60 * * * *", "minute \"60\""),
        ("x * * * *", "minute \"x\""),
        ("JAN * * * *", "minute \"JAN\""),
        ("0 24 * * *", "hour \"24\""),
        ("0 3-1 * * *", "hour \"3-1\""),
        ("0 3 0 * *", "day of month \"0\""),
        ("0 3 32 * *", "day of month \"32\""),
        ("0 3 * 13 *", "month \"13\""),
        ("0 3 * MONTUE *", "month \"MONTUE\""),
        ("0 3 * MON *", "month \"MON\""),
        ("0 3 * 1JAN *", "month \"1JAN\""),
        ("0 3 * * 8", "day of week \"8\""),
        ("0 3 * * MONDAY", "day of week \"MONDAY\""),
        ("*/0 * * * *", "minute \"*/0\""),
        ("-1 * * * *", "minute \"-1\""),
        ("1,,2 * * * *", "minute \"1,,2\""),
        ("0 3 30 2 *", "day of month \"30\""),
        ("0 3 31 4,6,9,11 *", "day of month \"31\""),
        ("@reboot", "@reboot"),
        ("@", "@"),
        ("never", "1 fields"),
        ("0 3 * * ü", "day of week \"ü\""),
    ] {
        let why = Schedule::parse(text).expect_err(text);
        assert!(why.contains(word), "{text}: {why}");
    }
    assert!(Schedule::parse(&"1,".repeat(10_000)).is_err());
    for name in ["", "Europe/Berln", "europe/berlin ;", "+01:00", &"x".repeat(10_000)] {
        let why = zone(name).expect_err(name);
        assert!(why.contains("IANA") && why.len() < 200, "{why}");
    }
    assert!(Plan::read(" ", "nonsense").unwrap().is_none(), "off is off");
}

#[test]
fn blanks_around_a_setting_are_no_part_of_it_and_those_of_unicode_are_refused() {
    let blanks = " \t\n\u{b}\u{c}\r";
    let read = |schedule: &str, zone: &str| Plan::read(schedule, zone);
    let plan = read(&format!("{blanks}0 3 * * *{blanks}"), &format!("{blanks}UTC{blanks}")).unwrap().unwrap();
    assert_eq!((plan.schedule.as_str(), plan.time_zone.as_str()), ("0 3 * * *", "UTC"));
    assert!(read(blanks, "UTC").unwrap().is_none());
    for other in ["\u{a0}", "\u{85}", "\u{2003}", "\u{3000}", "\u{1f}"] {
        for (schedule, zone) in [
            (other.to_owned(), "UTC".to_owned()),
            (format!("{other}0 3 * * *"), "UTC".into()),
            (format!("0 3 * * *{other}"), "UTC".into()),
            ("0 3 * * *".into(), format!("UTC{other}")),
        ] {
            assert!(read(&schedule, &zone).is_err(), "{schedule:?} in {zone:?}");
        }
    }
}

#[test]
fn once_a_day_stays_once_a_day_when_clocks_change() {
    // Forward on 29 March at 02:00 and back on 25 October at 03:00.
    let spring = all("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z");
    assert_eq!(spring, ["28 02:30 +0100", "29 03:00 +0200", "30 02:30 +0200"]);
    let autumn = all("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", "2026-10-27T00:00:00Z");
    assert_eq!(autumn, ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"]);
    // Twice a day, too.
    let twice = all("30 2,14 * * *", "Europe/Berlin", "2026-10-24T23:00:00Z", "2026-10-25T22:00:00Z");
    assert_eq!(twice, ["25 02:30 +0200", "25 14:30 +0100"]);
    // Several that fall into one gap are one.
    let gap = all("15,45 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(gap, ["29 03:00 +0200"]);
    // Clocks that go forward at midnight, and a zone that left out a whole day.
    let midnight = all("@daily", "America/Asuncion", "2023-09-30T12:00:00Z", "2023-10-02T12:00:00Z");
    assert_eq!(midnight, ["01 01:00 -0300", "02 00:00 -0300"]);
    let samoa = all("0 3 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", "2012-01-01T12:00:00Z");
    assert_eq!(
        samoa,
        ["29 03:00 -1000", "31 00:00 +1400", "31 03:00 +1400", "01 03:00 +1400", "02 00:00 +1400"][..4]
    );
}

#[test]
fn every_quarter_of_an_hour_follows_the_clock_on_the_wall() {
    let spring = all("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z");
    assert_eq!(spring, ["29 01:30 +0100", "29 03:00 +0200", "29 03:30 +0200"]);
    let autumn = all("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:01:00Z");
    assert_eq!(
        autumn,
        ["25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100", "25 03:00 +0100"],
        "every half hour, as time goes by"
    );
}

const ZONES: [Tz; 4] = [Tz::UTC, Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata];

/// Every minute of a year and a bit, with the local time that the clocks show.
type Minutes = Vec<(DateTime<Utc>, NaiveDateTime)>;

/// Of each zone.
static MINUTES: LazyLock<[Minutes; 4]> = LazyLock::new(|| {
    ZONES.map(|zone| {
        let start = at("2027-01-01T00:00:00Z");
        (0..366 * 24 * 60)
            .map(|minute| start + TimeDelta::minutes(minute))
            .map(|moment| (moment, zone.from_utc_datetime(&moment.naive_utc()).naive_local()))
            .collect()
    })
});

/// Five fields: their text, and what they allow.
#[derive(Clone, Debug)]
struct Fields([(String, BTreeSet<u32>); 5]);

impl Fields {
    fn text(&self) -> String {
        self.0.each_ref().map(|(text, _)| text.as_str()).join(" ")
    }

    fn allows(&self, wall: NaiveDateTime) -> bool {
        let [minute, hour, day, month, weekday] = &self.0;
        let is_day = day.1.contains(&wall.day());
        let is_weekday = weekday.1.contains(&wall.weekday().num_days_from_sunday());
        minute.1.contains(&wall.minute())
            && hour.1.contains(&wall.hour())
            && month.1.contains(&wall.month())
            && if day.0 == "*" || weekday.0 == "*" { is_day && is_weekday } else { is_day || is_weekday }
    }

    /// By looking at every minute.
    fn runs(&self, minutes: &[(DateTime<Utc>, NaiveDateTime)]) -> Vec<DateTime<Utc>> {
        let follows_the_wall = self.0[..2].iter().any(|(text, _)| text.contains('*'));
        let mut latest = minutes[0].1 - TimeDelta::minutes(1);
        let mut runs = Vec::new();
        for &(moment, wall) in minutes {
            let skipped = (wall - latest).num_minutes();
            let is_due = if follows_the_wall {
                self.allows(wall)
            } else {
                // Nothing where the clocks repeat themselves; what they have left out, too, where they have.
                (0..skipped).any(|back| self.allows(wall - TimeDelta::minutes(back)))
            };
            if is_due {
                runs.push(moment);
            }
            latest = latest.max(wall);
        }
        runs
    }
}

/// A list of values and ranges, or, with this weight against two, any.
fn field(least: u32, most: u32, any_weight: u32) -> impl Strategy<Value = (String, BTreeSet<u32>)> {
    let part = prop_oneof![
        4 => (least..=most).prop_map(|value| (value.to_string(), BTreeSet::from([value]))),
        1 => (least..=most, least..=most).prop_map(|(one, other)| {
            let (from, to) = (one.min(other), one.max(other));
            (format!("{from}-{to}"), (from..=to).collect())
        }),
        1 => (least..=most, least..=most, 1..=7_usize).prop_map(|(one, other, step)| {
            let (from, to) = (one.min(other), one.max(other));
            (format!("{from}-{to}/{step}"), (from..=to).step_by(step).collect())
        }),
    ];
    let list = prop::collection::vec(part, 1..4).prop_map(|parts| {
        let text: Vec<String> = parts.iter().map(|(text, _)| text.clone()).collect();
        (text.join(","), parts.into_iter().flat_map(|(_, values)| values).collect())
    });
    let any = Just(("*".to_owned(), (least..=most).collect::<BTreeSet<u32>>()));
    prop_oneof![any_weight => any, 2 => list]
}

fn fields() -> impl Strategy<Value = Fields> {
    let steps = (2..=30_usize).prop_map(|step| (format!("*/{step}"), (0..60).step_by(step).collect()));
    (
        prop_oneof![3 => field(0, 59, 1), 1 => steps],
        prop_oneof![2 => field(0, 23, 1), 2 => field(1, 3, 0)],
        field(1, 31, 3),
        field(1, 12, 3),
        field(0, 6, 3),
    )
        .prop_map(|(minute, hour, day, month, weekday)| Fields([minute, hour, day, month, weekday]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn what_is_due_is_what_a_look_at_every_minute_finds(fields in fields(), place in 0..4_usize) {
        let minutes = &MINUTES[place];
        let expected = fields.runs(minutes);
        let Ok(schedule) = Schedule::parse(&fields.text()) else {
            prop_assert!(expected.is_empty(), "{} was refused", fields.text());
            return Ok(());
        };
        let end = minutes.last().unwrap().0;
        let mut moment = minutes[0].0 - TimeDelta::minutes(1);
        // A year of every minute would take as long to count as to compare.
        for run in expected.iter().take(1_000) {
            prop_assert_eq!(schedule.next(moment, ZONES[place]), Some(*run), "{} after {}", fields.text(), moment);
            moment = *run;
        }
        if expected.len() < 1_000 {
            prop_assert!(schedule.next(moment, ZONES[place]).is_none_or(|next| next > end));
        }
    }

    #[test]
    fn next_lies_behind_and_is_monotone(
        fields in fields(), place in 0..4_usize, seconds in 0..366 * 86_400_i64, further in 0..100_000_i64, micros in 0..1_000_000_i64,
    ) {
        let Ok(schedule) = Schedule::parse(&fields.text()) else { return Ok(()) };
        let one = at("2026-01-01T00:00:00Z") + TimeDelta::seconds(seconds) + TimeDelta::microseconds(micros);
        let other = one + TimeDelta::seconds(further);
        let (first, second) = (schedule.next(one, ZONES[place]).unwrap(), schedule.next(other, ZONES[place]).unwrap());
        prop_assert!(first > one && second > other && second >= first);
        prop_assert_eq!((first.second(), first.nanosecond()), (0, 0));
        // Nothing lies between.
        prop_assert!(other >= first || second == first);
    }

    #[test]
    fn text_of_any_kind_is_read_or_refused(text in "\\PC{0,40}", cron in "[-0-9*/,#LW?+@A-Z ]{0,30}") {
        for text in [text, cron] {
            if let Ok(schedule) = Schedule::parse(&text) {
                prop_assert!(schedule.next(at("2026-01-01T00:00:00Z"), Tz::UTC).is_some(), "{text}");
            }
        }
    }
}

fn cases() -> u32 {
    std::env::var("COSTSIM_SCHEDULE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

// ---------------------------------------------------------------------------------------------------------------------
// What follows

const NOW: &str = "2026-03-05T10:30:00Z";

fn plan() -> Plan {
    Plan::read("0 3 * * *", "UTC").unwrap().unwrap()
}

fn record(next_run_at: &str) -> Record {
    let (schedule, time_zone) = ("0 3 * * *".into(), "UTC".into());
    Record { schedule, time_zone, next_run_at: Some(at(next_run_at)), ..Record::default() }
}

fn wait(until: &str) -> Then {
    Then::Wait(at(until))
}

fn then(record: &Record, now: &str) -> Then {
    decide(Some(&plan()), record, at(now)).then
}

#[test]
fn first_run_is_the_next_one_and_none_is_made_up_for() {
    assert_eq!(then(&Record::default(), NOW), wait("2026-03-06T03:00:00Z"));
    assert_eq!(then(&record("2026-03-06T03:00:00Z"), NOW), wait("2026-03-06T03:00:00Z"));
}

#[test]
fn missed_runs_are_caught_up_once() {
    let run = Then::Run { due_at: at("2026-03-01T03:00:00Z"), attempt: 1 };
    assert_eq!(then(&record("2026-03-01T03:00:00Z"), NOW), run);
    assert_eq!(after_run(&plan(), at("2026-03-01T03:00:00Z"), at(NOW)), Some(at("2026-03-06T03:00:00Z")));
}

#[test]
fn changed_setting_counts_from_now_and_an_empty_one_is_off() {
    let mut old = record("2026-03-01T03:00:00Z");
    old.time_zone = "Asia/Kolkata".into();
    assert_eq!(then(&old, NOW), wait("2026-03-06T03:00:00Z"));
    assert_eq!(decide(None, &old, at(NOW)), Decision { was_cut_off: false, is_left: false, then: Then::Off });
}

#[test]
fn run_that_was_cut_off_is_repeated_once() {
    let due_at = at("2026-03-05T03:00:00Z");
    let mut cut_off =
        Record { is_running: true, attempts: 1, last_due_at: Some(due_at), ..record("2026-03-05T03:00:00Z") };
    assert_eq!(
        decide(Some(&plan()), &cut_off, at(NOW)),
        Decision { was_cut_off: true, is_left: false, then: Then::Run { due_at, attempt: 2 } }
    );
    assert_eq!(
        decide(None, &cut_off, at(NOW)),
        Decision { was_cut_off: true, is_left: false, then: Then::Off }
    );
    cut_off.attempts = 2;
    assert_eq!(
        decide(Some(&plan()), &cut_off, at(NOW)),
        Decision { was_cut_off: true, is_left: false, then: wait("2026-03-06T03:00:00Z") }
    );
    cut_off.attempts = 1;
    cut_off.schedule = "0 4 * * *".into();
    assert_eq!(then(&cut_off, NOW), wait("2026-03-06T03:00:00Z"), "nobody asks for that one any more");
}

#[test]
fn clock_that_is_set_back_runs_nothing_twice_and_one_that_was_wrong_by_far_is_forgotten() {
    let done = Record {
        attempts: 1,
        last_due_at: Some(at("2026-03-05T03:00:00Z")),
        ..record("2026-03-06T03:00:00Z")
    };
    assert_eq!(then(&done, "2026-03-05T02:00:00Z"), wait("2026-03-06T03:00:00Z"));
    let mut changed = done.clone();
    changed.time_zone = "Europe/London".into();
    assert_eq!(then(&changed, "2026-03-05T02:00:00Z"), wait("2026-03-06T03:00:00Z"));
    assert_eq!(
        after_run(&plan(), at("2026-03-05T03:00:00Z"), at("2026-03-05T02:00:00Z")),
        Some(at("2026-03-06T03:00:00Z"))
    );
    // Years ahead, then right.
    let wrong = Record { last_due_at: Some(at("2031-03-05T03:00:00Z")), ..record("2031-03-06T03:00:00Z") };
    assert_eq!(then(&wrong, NOW), wait("2026-03-06T03:00:00Z"));
    let due = Record { next_run_at: Some(at("2026-03-05T03:00:00Z")), ..wrong };
    assert_eq!(then(&due, NOW), Then::Run { due_at: at("2026-03-05T03:00:00Z"), attempt: 1 });
}

fn patience(since: &str, put_off: i32, next_run_at: &str) -> Patience {
    Patience { since: at(since), put_off, next_run_at: Some(at(next_run_at)) }
}

#[test]
fn run_that_was_put_off_is_begun_again_after_a_minute_for_an_hour() {
    let again = |since, put_off, next, now| patience(since, put_off, next).again_at(at(now));
    let (since, tomorrow) = ("2026-03-05T10:30:00Z", "2026-03-06T03:00:00Z");
    assert_eq!(again(since, 0, tomorrow, "2026-03-05T10:30:02Z"), Some(at("2026-03-05T10:31:02Z")));
    assert_eq!(again(since, 58, tomorrow, "2026-03-05T11:29:00Z"), Some(at("2026-03-05T11:30:00Z")));
    assert_eq!(again(since, 58, tomorrow, "2026-03-05T11:29:01Z"), None, "the hour is over");
    assert_eq!(
        again(since, 60, tomorrow, "2026-03-05T10:31:00Z"),
        None,
        "a clock that is set back again and again"
    );
    assert_eq!(again(since, 0, "2026-03-05T10:31:00Z", since), None, "the next one is as good");
    let endless = Patience { next_run_at: None, ..patience(since, 0, tomorrow) };
    assert_eq!(endless.again_at(at(since)), Some(at("2026-03-05T10:31:00Z")));
}

#[test]
fn run_that_was_put_off_keeps_its_due_time_until_the_next_is_due() {
    let due_at = at("2026-03-05T03:00:00Z");
    let put_off = Record {
        attempts: 3,
        put_off: 3,
        tried_since: Some(at("2026-03-05T10:00:00Z")),
        again_at: Some(at("2026-03-05T10:30:30Z")),
        last_due_at: Some(due_at),
        ..record("2026-03-06T03:00:00Z")
    };
    let decided = |record: &Record, now| {
        let Decision { is_left, then, was_cut_off } = decide(Some(&plan()), record, at(now));
        assert!(!was_cut_off || record.is_running);
        (is_left, then)
    };
    let again = Then::Run { due_at, attempt: 4 };
    assert_eq!(decided(&put_off, NOW), (false, Then::Again(at("2026-03-05T10:30:30Z"))));
    assert_eq!(decided(&put_off, "2026-03-05T10:30:30Z"), (false, again.clone()));
    assert_eq!(decided(&put_off, "2026-03-05T22:00:00Z"), (false, again.clone()), "the worker was away");
    assert_eq!(decided(&put_off, "2026-03-05T10:00:00Z"), (false, again.clone()), "the clock was set back");
    let next = Then::Run { due_at: at("2026-03-06T03:00:00Z"), attempt: 1 };
    assert_eq!(decided(&put_off, "2026-03-06T03:00:00Z"), (true, next));
    let changed = Record { schedule: "0 4 * * *".into(), ..put_off.clone() };
    assert_eq!(decided(&changed, NOW), (true, wait("2026-03-06T03:00:00Z")));
    assert_eq!(
        decide(None, &put_off, at(NOW)),
        Decision { was_cut_off: false, is_left: true, then: Then::Off }
    );
    // What was put off does not count among what was cut off.
    let mut cut_off = Record { is_running: true, again_at: None, attempts: 4, ..put_off };
    assert_eq!(decided(&cut_off, NOW), (false, Then::Run { due_at, attempt: 5 }));
    cut_off.attempts = 5;
    assert_eq!(decided(&cut_off, NOW), (false, wait("2026-03-06T03:00:00Z")));
}

/// What a run meets, a step of the clock after the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    Answer,
    Lock,
    Death,
}

/// What the worker does with a record, and what it reports: of which due time, and whether that was an answer.
struct Life {
    plan: Plan,
    record: Record,
    reports: Vec<(DateTime<Utc>, Met)>,
    /// Due time, beginning, and number of each attempt.
    begun: Vec<(DateTime<Utc>, DateTime<Utc>, i32)>,
}

impl Life {
    fn report(&mut self, met: Met) {
        let due_at = self.record.last_due_at.unwrap();
        self.reports.push((due_at, met));
        (self.record.is_running, self.record.again_at) = (false, None);
    }

    fn look(&mut self, now: DateTime<Utc>, met: Met) {
        let decision = decide(Some(&self.plan), &self.record, now);
        assert!(!(decision.was_cut_off && decision.is_left));
        if decision.was_cut_off {
            self.report(Met::Death);
        } else if decision.is_left {
            self.report(Met::Lock);
        }
        match decision.then {
            Then::Run { due_at, attempt } => {
                let last = self.record.last_due_at.unwrap_or(due_at).max(due_at);
                self.record.next_run_at = after_run(&self.plan, last, now);
                if attempt == 1 {
                    (self.record.put_off, self.record.tried_since) = (0, Some(now));
                }
                (self.record.attempts, self.record.last_due_at) = (attempt, Some(due_at));
                (self.record.again_at, self.record.is_running) = (None, true);
                self.begun.push((due_at, now, attempt));
                let patience = Patience {
                    since: self.record.tried_since.unwrap(),
                    put_off: self.record.put_off,
                    next_run_at: self.record.next_run_at,
                };
                match (met, patience.again_at(now)) {
                    (Met::Death, _) => {}
                    (Met::Lock, Some(again_at)) => {
                        (self.record.again_at, self.record.is_running) = (Some(again_at), false);
                        self.record.put_off += 1;
                    }
                    (met, _) => self.report(met),
                }
            }
            Then::Wait(at) => {
                (self.record.schedule, self.record.time_zone) =
                    (self.plan.schedule.clone(), self.plan.time_zone.clone());
                self.record.next_run_at = Some(at);
            }
            Then::Again(at) => assert!(at > now),
            Then::Off => unreachable!("there is a schedule"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn every_due_time_has_one_answer_or_one_report_of_why_not(
        text in prop::sample::select(vec!["0 3 * * *", "*/7 * * * *", "30 * * * *", "* * * * *"]),
        steps in prop::collection::vec(
            (1..200_i64, prop_oneof![1 => Just(Met::Answer), 6 => Just(Met::Lock), 1 => Just(Met::Death)]),
            1..400,
        ),
        outage in 0..2_000_i64,
    ) {
        let plan = Plan::read(text, "UTC").unwrap().unwrap();
        let mut life = Life { plan, record: Record::default(), reports: Vec::new(), begun: Vec::new() };
        let mut now = at("2026-03-05T01:30:00Z");
        for (index, (seconds, met)) in steps.iter().enumerate() {
            now += if index == steps.len() / 2 { TimeDelta::minutes(outage) } else { TimeDelta::seconds(*seconds) };
            life.look(now, *met);
        }
        // One report for each due time, but for one that was cut off once and then again, or had its answer.
        let under_way = life.record.is_running || life.record.again_at.is_some();
        let due_times: BTreeSet<_> = life.begun.iter().map(|(due_at, ..)| *due_at).collect();
        for due_at in due_times {
            let reports: Vec<_> = life.reports.iter().filter(|(of, _)| *of == due_at).map(|(_, met)| *met).collect();
            let deaths = reports.iter().filter(|met| **met == Met::Death).count();
            let is_open = under_way && life.record.last_due_at == Some(due_at);
            prop_assert!(deaths <= 2 && reports.len() - deaths <= 1 && reports.len() <= 2, "{reports:?}");
            prop_assert!(is_open || !reports.is_empty(), "nothing is said of {due_at}");
            prop_assert!(deaths != 1 || is_open || reports.len() == 2, "it was cut off and not repeated: {reports:?}");
            let attempts: Vec<_> = life.begun.iter().filter(|(of, ..)| *of == due_at).collect();
            for (index, (_, begun_at, attempt)) in attempts.iter().enumerate() {
                prop_assert_eq!(*attempt as usize, index + 1);
                prop_assert!(*begun_at >= due_at);
            }
            prop_assert!(attempts.len() <= 63, "{} attempts", attempts.len());
        }
        // Due times follow each other.
        prop_assert!(life.begun.is_sorted_by(|(one, ..), (other, ..)| one <= other));
    }

    #[test]
    fn patience_ends_within_an_hour_whatever_the_clock_does(steps in prop::collection::vec(-7_200..7_200_i64, 100)) {
        let since = at(NOW);
        let (mut now, mut put_off) = (since, 0);
        for seconds in steps {
            let Some(again_at) = (Patience { since, put_off, next_run_at: None }).again_at(now) else { break };
            prop_assert_eq!(again_at, now + TimeDelta::minutes(1));
            prop_assert!(again_at <= since + TimeDelta::hours(1));
            put_off += 1;
            now = again_at + TimeDelta::seconds(seconds);
        }
        prop_assert!(put_off <= 60);
    }
}
