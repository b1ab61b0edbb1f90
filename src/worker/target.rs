//! One Alertmanager: what is under way to it, how it fares, when it is looked after again.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use costsim_core::alertmanager::{Health, Verdict};

use crate::alert::outbox::{Attempt, Item, Key, Label};
use crate::guc;

/// What was read ahead is the state of a moment, and goes out while that is fresh.
const FRESH: Duration = Duration::from_millis(100);

/// The log hears of a target's change, but of no more than one in this time.
const QUIET: Duration = Duration::from_secs(60);

/// So many requests in a row carry what was read ahead, at most.
const LOOK_BACK_EVERY: usize = 16;

/// More rows that each fail alone than this are a target's trouble, not theirs.
const MOST_ASIDE: usize = 1_000;

/// A target of alerts.
pub struct Target {
    pub id: i32,
    pub url: String,
    pub health: Health,
    /// What the request in flight carries.
    flight: Option<Vec<Item>>,
    /// Parts of a refused batch, the next one last.
    parts: Vec<Vec<Item>>,
    /// Read ahead, while a request is in flight.
    ahead: Option<(Instant, Vec<Item>)>,
    /// Rows that failed alone, with the labels that must not overtake them.
    aside: HashMap<Key, Aside>,
    /// How often a row has failed alone, until it does no more.
    stumbles: HashMap<Key, u32>,
    /// Whether others may have what this one has not.
    pub may_be_owed: bool,
    /// Whether the latest reading left something behind.
    pub has_more: bool,
    /// Nothing is to be found before that; `None`: look at once.
    pub look_at: Option<DateTime<Utc>>,
    /// Requests so far.
    pub turn: usize,
    /// Why the latest request failed.
    pub trouble: Option<String>,
    /// The receiver itself asked to be left alone until then.
    asked_until: Option<DateTime<Utc>>,
    said: Option<(Instant, bool)>,
}

struct Aside {
    until: DateTime<Utc>,
    labels: Vec<Label>,
}

impl Target {
    pub fn new(id: i32, url: String) -> Self {
        Self {
            id,
            url,
            health: Health::default(),
            flight: None,
            parts: Vec::new(),
            ahead: None,
            aside: HashMap::new(),
            stumbles: HashMap::new(),
            may_be_owed: true,
            has_more: false,
            look_at: None,
            turn: 0,
            trouble: None,
            asked_until: None,
            said: None,
        }
    }

    /// Host and port, for messages.
    pub fn name(&self) -> &str {
        let rest = self.url.split_once("//").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Whether a request may begin and there may be something to carry.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.flight.is_none()
            && self.health.may_be_asked(now)
            && (!self.parts.is_empty() || self.look_at.is_none_or(|at| at <= now))
    }

    /// When it is to be looked after again, if nobody wakes the worker.
    pub fn next_look(&self) -> Option<DateTime<Utc>> {
        match (self.health.not_before, self.look_at) {
            (Some(may), Some(look)) => Some(may.max(look)),
            (may, look) => may.or(look),
        }
    }

    /// What is ready to go without being read: the rest of a refused batch, or what was read ahead and is still fresh.
    pub fn take_ready(&mut self) -> Option<Vec<Item>> {
        self.parts.pop().or_else(|| {
            let (read_at, items) = self.ahead.take()?;
            (read_at.elapsed() < FRESH).then_some(items)
        })
    }

    /// Whether the next batch should be read while this one is in flight.
    pub fn wants_to_read_ahead(&self) -> bool {
        // Now and then nothing is: a row may have been committed whose number is lower than those that are passed by.
        let looks_back = self.turn.is_multiple_of(LOOK_BACK_EVERY);
        let is_free = self.flight.is_some() && self.ahead.is_none() && self.parts.is_empty();
        is_free && self.has_more && !looks_back && self.health.is_well()
    }

    pub fn keep_ahead(&mut self, items: Vec<Item>) {
        self.ahead = (!items.is_empty()).then(|| (Instant::now(), items));
    }

    /// Notes that a request with these is in flight.
    pub fn fly(&mut self, items: Vec<Item>) {
        self.turn = self.turn.wrapping_add(1);
        self.flight = Some(items);
    }

    /// What the request carried that has just ended.
    pub fn land(&mut self) -> Vec<Item> {
        self.flight.take().unwrap_or_default()
    }

    /// The settings were read anew: what was wrong may have been they. What the receiver asked for stays.
    pub fn try_again(&mut self) {
        self.health.not_before = self.asked_until;
    }

    /// Forgets what is under way.
    pub fn give_up(&mut self) {
        (self.flight, self.ahead, self.look_at) = (None, None, None);
        self.parts.clear();
    }

    /// Halves a batch that was refused for something in it; the older half goes first.
    pub fn split(&mut self, mut items: Vec<Item>) {
        let younger = items.split_off(items.len() / 2);
        self.parts.push(younger);
        self.parts.push(items);
    }

    /// Drops what was prepared: the target takes nothing just now.
    pub fn drop_prepared(&mut self) {
        self.parts.clear();
        self.ahead = None;
    }

    /// Leaves a row that failed alone to itself for a while, longer each time: until when.
    pub fn put_aside(&mut self, item: &Item, attempt: &Attempt, now: DateTime<Utc>) -> DateTime<Utc> {
        let failures = self.stumbles.get(&item.key).copied().unwrap_or(0);
        let until = now.checked_add_signed(item.own_pause(attempt, failures)).unwrap_or(now);
        if self.aside.len() < MOST_ASIDE {
            self.aside.insert(item.key, Aside { until, labels: item.labels() });
            self.stumbles.insert(item.key, failures.saturating_add(1));
        }
        until
    }

    /// Whether a row was put aside.
    pub fn is_aside(&self, key: Key) -> bool {
        self.aside.contains_key(&key)
    }

    /// Notes that these are over with, whatever became of them.
    pub fn done_with(&mut self, items: &[Item]) {
        if !self.stumbles.is_empty() {
            for item in items {
                self.stumbles.remove(&item.key);
            }
        }
    }

    /// Forgets what was put aside until now.
    pub fn fetch_from_aside(&mut self, now: DateTime<Utc>) {
        self.aside.retain(|_, aside| aside.until > now);
        // What has gone some other way would be remembered for ever.
        if self.stumbles.len() > 2 * MOST_ASIDE {
            self.stumbles.clear();
        }
    }

    /// When the first of what was put aside is due.
    pub fn next_from_aside(&self) -> Option<DateTime<Utc>> {
        self.aside.values().map(|aside| aside.until).min()
    }

    /// What is in flight.
    pub fn flight(&self) -> &[Item] {
        self.flight.as_deref().unwrap_or_default()
    }

    /// What is not to be read and would be: it is in flight, and not passed by when what is behind it is read, or it was put aside.
    pub fn busy(&self) -> impl Iterator<Item = Key> + '_ {
        let flying = self.flight().iter().filter(|item| !item.is_passed_by()).map(|item| item.key);
        flying.chain(self.aside.keys().copied())
    }

    /// Labels whose alerts must not overtake an older one.
    pub fn held(&self) -> HashSet<Label> {
        self.aside.values().flat_map(|aside| aside.labels.iter().copied()).collect()
    }

    /// Takes in how a request ended.
    pub fn note(&mut self, attempt: &Attempt, now: DateTime<Utc>) {
        if attempt.verdict == Verdict::Retryable {
            self.health = self.health.after_failure(
                now,
                attempt.code.is_some(),
                attempt.asked,
                guc::alert_max_backoff(),
                fastrand::f64(),
            );
            self.trouble = attempt.error.clone();
            self.asked_until = attempt.asked.and(self.health.not_before);
        } else {
            (self.health, self.trouble, self.asked_until) = (Health::after_success(), None, None);
        }
        self.tell();
    }

    /// Writes a change into the log.
    fn tell(&mut self) {
        let is_well = self.trouble.is_none();
        let is_new =
            self.said.map_or(!is_well, |(at, was_well)| was_well != is_well && at.elapsed() >= QUIET);
        if !is_new {
            return;
        }
        self.said = Some((Instant::now(), is_well));
        match &self.trouble {
            Some(trouble) => {
                pgrx::log!("costsim: alerts do not reach Alertmanager {}: {trouble}", self.name())
            }
            None => pgrx::log!("costsim: alerts reach Alertmanager {} again", self.name()),
        }
    }
}
