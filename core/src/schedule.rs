//! When a nightly job is due: cron text in a time zone, and what follows from it and from what is on record.
//!
//! Promises: the next moment lies strictly behind the one asked about, and a schedule that names hours and minutes without a `*` runs as often
//! on the days on which clocks change as on any other: a local time that does not exist is its first moment after the gap, and of one that
//! exists twice the first counts. Where hours or minutes hold a `*` it is the clock on the wall that counts: what does not exist is left out,
//! what exists twice happens twice. One due time has one answer: a run that was cut off is repeated once, and one that somebody's lock kept from
//! an answer is begun again after a minute, for an hour at most and until the next is due.
//!
//! Does not: read a clock, nor know more of time zones than the database that is compiled in.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// A run that was cut off is begun so often in all.
const MOST_ATTEMPTS: i32 = 2;

/// A run that was put off is begun again after this ..
const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(1);

/// .. for so long since it was first begun, ..
const PUT_OFF_FOR: TimeDelta = TimeDelta::hours(1);

/// .. and so often, whatever the clock does.
const MOST_PUT_OFF: i32 = 60;

/// A due time further ahead than this was written down by a clock that went wrong, and is not waited for.
const CREDIBLE: TimeDelta = TimeDelta::days(1);

/// No gap in a zone's time is longer: whole days were left out where a zone changed sides of the date line.
const LONGEST_GAP: i64 = 2 * 24 * 60;

/// What may stand around a setting: what SQL can take away in a database of any encoding.
const BLANKS: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

/// The longest text that is looked at.
const LONGEST: usize = 1_000;

/// The five fields: name, and the words that may stand in it.
const FIELDS: [(&str, &[&str]); 5] = [
    ("minute", &[]),
    ("hour", &[]),
    ("day of month", &["L", "W", "LW"]),
    ("month", &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]),
    ("day of week", &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "L"]),
];

/// What may stand for all five fields.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Cron text, understood.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    /// Whether hours or minutes are any.
    follows_the_wall: bool,
}

impl Schedule {
    /// Five fields (minute, hour, day of month, month, day of week) or a nickname such as `@daily`; or what is wrong with which field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = trimmed(text);
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        if text.starts_with('@') {
            let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            let names = NICKNAMES.map(|(name, _)| name).join(", ");
            let (_, fields) = known.ok_or_else(|| format!("\"{text}\" is none of {names}"))?;
            return Self::parse(fields);
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if fields.len() != FIELDS.len() {
            let names = FIELDS.map(|(name, _)| name).join(", ");
            return Err(format!("it has {} fields in place of five: {names}", fields.len()));
        }
        for (at, (field, (name, words))) in fields.iter().zip(FIELDS).enumerate() {
            let alone: Vec<&str> = (0..5).map(|other| if other == at { *field } else { "*" }).collect();
            check_words(field, words)
                .and_then(|()| read(&alone.join(" ")).map(drop))
                .map_err(|why| format!("{name} \"{field}\": {why}"))?;
        }
        let cron = read(&fields.join(" "))?;
        let schedule = Self { cron, follows_the_wall: fields[..2].iter().any(|field| field.contains('*')) };
        match schedule.local_after(NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default().into()) {
            Some(_) => Ok(schedule),
            None => Err(format!(
                "day of month \"{}\": no day of month \"{}\" and day of week \"{}\" fits it",
                fields[2], fields[3], fields[4]
            )),
        }
    }

    /// The first moment after that one.
    pub fn next(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let local = after.with_timezone(&zone);
        if self.follows_the_wall {
            return self.cron.find_next_occurrence(&local, false).ok().map(|at| at.to_utc());
        }
        // Neither gap nor repetition changes the order, so the first that lies behind is the next. Of an hour that exists twice all
        // candidates may lie before.
        let mut wall = local.naive_local();
        loop {
            wall = self.local_after(wall)?;
            let at = first_moment(wall, zone)?;
            if at > after {
                return Some(at);
            }
        }
    }

    fn local_after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&wall, false).ok()
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

/// A time zone by its name in the IANA database.
pub fn zone(name: &str) -> Result<Tz, String> {
    let name = trimmed(name);
    let cut: String = name.chars().take(100).collect();
    Tz::from_str(name).map_err(|_| format!("\"{cut}\" is no time zone of the IANA database"))
}

fn read(fields: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(fields).map_err(|error| error.to_string().trim_end_matches('.').to_owned())
}

/// The reader of cron text replaces names wherever they stand, within words and in the wrong field too.
fn check_words(field: &str, known: &[&str]) -> Result<(), String> {
    if !field.chars().all(|char| char.is_ascii_graphic()) {
        return Err("a character in it does not belong there".to_owned());
    }
    let field = field.to_ascii_uppercase();
    if field.split(',').any(str::is_empty) {
        return Err("a value is missing at a comma".to_owned());
    }
    for part in field.split(|char: char| !char.is_alphanumeric()) {
        let word = part.trim_start_matches(|char: char| char.is_ascii_digit());
        // A modifier follows a number, a name does not.
        if !word.is_empty() && !(known.contains(&word) && (word.len() == part.len() || word.len() == 1)) {
            return Err(format!("\"{part}\" does not belong there"));
        }
    }
    Ok(())
}

/// When the clocks of a zone first show that time, or, where they never do, the first moment after they should have.
fn first_moment(wall: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    (0..LONGEST_GAP)
        .find_map(|minutes| zone.from_local_datetime(&(wall + TimeDelta::minutes(minutes))).earliest())
        .map(|at| at.to_utc())
}

/// What the settings say.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cron text as it is set, without blanks around it.
    pub schedule: String,
    /// The zone's name, likewise.
    pub time_zone: String,
    times: Schedule,
    zone: Tz,
}

impl Plan {
    /// Reads both settings; nothing where there is no schedule.
    pub fn read(schedule: &str, time_zone: &str) -> Result<Option<Self>, String> {
        let (schedule, time_zone) = (trimmed(schedule), trimmed(time_zone));
        if schedule.is_empty() {
            return Ok(None);
        }
        let (times, zone) = (Schedule::parse(schedule)?, zone(time_zone)?);
        Ok(Some(Self { schedule: schedule.to_owned(), time_zone: time_zone.to_owned(), times, zone }))
    }

    /// The first run after that moment.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.times.next(after, self.zone)
    }

    fn is_of(&self, record: &Record) -> bool {
        self.schedule == record.schedule && self.time_zone == record.time_zone
    }

    /// The first run after now that is not, by a clock that was set back, one that was there before.
    fn next_new(&self, now: DateTime<Utc>, last_due_at: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let last = last_due_at.filter(|at| *at <= now + CREDIBLE);
        self.next(last.map_or(now, |at| at.max(now)))
    }
}

/// What is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The settings that [`next_run_at`](Self::next_run_at) was computed from.
    pub schedule: String,
    /// See [`schedule`](Self::schedule).
    pub time_zone: String,
    /// When a run is due.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Whether a run was begun and has not ended.
    pub is_running: bool,
    /// How often the run of [`last_due_at`](Self::last_due_at) has been begun.
    pub attempts: i32,
    /// How many of them were put off.
    pub put_off: i32,
    /// When the run of [`last_due_at`](Self::last_due_at) was begun first.
    pub tried_since: Option<DateTime<Utc>>,
    /// When it is begun again, if it was put off.
    pub again_at: Option<DateTime<Utc>>,
    /// The due time of the last run that was begun.
    pub last_due_at: Option<DateTime<Utc>>,
}

/// How long a run that is under way may be put off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// When it was begun first.
    pub since: DateTime<Utc>,
    /// How often it has been put off.
    pub put_off: i32,
    /// When the next run is due.
    pub next_run_at: Option<DateTime<Utc>>,
}

impl Patience {
    /// When a run that somebody's lock has kept from an answer is begun again; nothing: it is left.
    pub fn again_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = now + AGAIN_AFTER;
        let is_patient = self.put_off < MOST_PUT_OFF && at.signed_duration_since(self.since) <= PUT_OFF_FOR;
        (is_patient && self.next_run_at.is_none_or(|next| at < next)).then_some(at)
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The run on record was cut off, which is to be reported.
    pub was_cut_off: bool,
    /// The run on record was put off and will not be begun again, which is to be reported.
    pub is_left: bool,
    /// And then.
    pub then: Then,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// There is no schedule, or it never comes again.
    Off,
    /// Nothing is due before then.
    Wait(DateTime<Utc>),
    /// The run that was put off is begun again then; the next one stays planned as it is.
    Again(DateTime<Utc>),
    /// A run is due.
    Run {
        /// Since when.
        due_at: DateTime<Utc>,
        /// How often it has been begun, this time included.
        attempt: i32,
    },
}

/// What is to be done now, by whoever alone runs what is due: a run that is on record as begun is nobody's any more.
pub fn decide(plan: Option<&Plan>, record: &Record, now: DateTime<Utc>) -> Decision {
    let again = record.last_due_at.zip(record.again_at).filter(|_| !record.is_running);
    let then = then(plan, record, again, now);
    let goes_on = matches!(then, Then::Again(_) | Then::Run { attempt: 2.., .. });
    Decision { was_cut_off: record.is_running, is_left: again.is_some() && !goes_on, then }
}

/// `again`: a run that was put off, and when it is begun again.
fn then(
    plan: Option<&Plan>,
    record: &Record,
    again: Option<(DateTime<Utc>, DateTime<Utc>)>,
    now: DateTime<Utc>,
) -> Then {
    let Some(plan) = plan else { return Then::Off };
    let wait = |next: Option<DateTime<Utc>>| next.map_or(Then::Off, Then::Wait);
    let planned = record.next_run_at.filter(|_| plan.is_of(record));
    let attempt = record.attempts.saturating_add(1).max(2);
    match (record.last_due_at, planned) {
        (Some(due_at), Some(_))
            if record.is_running && record.attempts.saturating_sub(record.put_off) < MOST_ATTEMPTS =>
        {
            Then::Run { due_at, attempt }
        }
        (last_due_at, Some(_)) if record.is_running => wait(plan.next_new(now, last_due_at)),
        (_, Some(due_at)) if due_at <= now => Then::Run { due_at, attempt: 1 },
        (Some(last), _) if last > now + CREDIBLE => wait(plan.next(now)),
        (_, Some(at)) => match again {
            // A moment further ahead was written down by a clock that went wrong.
            Some((_, again_at)) if now < again_at && again_at <= now + AGAIN_AFTER => {
                Then::Again(again_at.min(at))
            }
            Some((due_at, _)) => Then::Run { due_at, attempt },
            None => Then::Wait(at),
        },
        (last_due_at, None) => wait(plan.next_new(now, last_due_at)),
    }
}

/// When the next run is due after one has ended: those that were missed meanwhile are not made up for.
pub fn after_run(plan: &Plan, due_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    plan.next_new(now, Some(due_at))
}
