//! Whether what happened to a set of locks can be true of fenced leaders. Pure: structs in, violations out.
//!
//! Three witnesses speak. The *events* tell when terms began and ended; the *promises* are ends of leases that a holder
//! was told; the *writes* carry the token they were made under and the moment their transaction committed. A term begins
//! once its leader has every lock of it, and a commit's moment is taken while it still holds its own, so all moments are
//! of one clock, the server's, and comparing them proves something.
//!
//! What is checked, lock by lock:
//!
//! 1. in the order in which terms begin, tokens grow;
//! 2. terms never overlap: each has an end on record that lies between its own begin and the next one's. Nobody follows a
//!    lease that was not given back, and nobody evicts a session, before the end that was promised to its holder;
//! 3. no write commits after a term with a greater token began: a *stale commit*;
//! 4. the token of every write is that of a term on record;
//! 5. no write commits before its own term began;
//! 6. in the order of commits, tokens never fall: what a resource sees that remembers the greatest token so far.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// Microseconds of the server's clock.
pub type Moment = i64;

/// What a term rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The lock of a session.
    Session,
    /// The row alone, until its lease is over.
    Lease,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Session, Self::Lease];

    /// As in the column `mode`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Lease => "lease",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What became of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Acquired,
    Released,
    Resigned,
    Preempted,
    Expired,
}

impl Step {
    const ALL: [Self; 5] = [Self::Acquired, Self::Released, Self::Resigned, Self::Preempted, Self::Expired];

    /// As in the column `event`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acquired => "acquired",
            Self::Released => "released",
            Self::Resigned => "resigned",
            Self::Preempted => "preempted",
            Self::Expired => "expired",
        }
    }

    /// None also for what befell a term and changed nothing.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub lock: i64,
    pub token: i64,
    pub kind: Kind,
    pub step: Step,
    pub at: Moment,
}

/// The holder of a term renewed its lease, in a transaction that committed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    pub lock: i64,
    pub token: i64,
    pub until: Moment,
    pub committed_at: Moment,
}

/// A transaction that wrote under a token, and committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    pub lock: i64,
    pub token: i64,
    pub committed_at: Moment,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The lease every term begins with, in microseconds.
    pub lease: Moment,
    pub events: Vec<Event>,
    pub promises: Vec<Promise>,
    pub writes: Vec<Write>,
}

/// What cannot be true of fenced leaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// `later` began after `earlier`, and its token is not greater.
    TokenNotGrown { earlier: Event, later: Event },
    /// `next` began, and nothing says that `term` had ended.
    Overlap { term: Event, next: Event },
    /// `by` came before the end that the holder of `term` had been promised.
    BrokenPromise { term: Event, until: Moment, by: Event },
    /// `write` committed after `deposed_by` had begun.
    StaleCommit { write: Write, deposed_by: Event },
    /// No term has the token of this write.
    UnknownToken { write: Write },
    /// `write` committed before its own term began.
    EarlyCommit { write: Write, term: Event },
    /// `later` committed after `earlier` under a smaller token.
    TokenFell { earlier: Write, later: Write },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenNotGrown { earlier, later } => write!(
                f,
                "lock {}: token {} began at {}, after token {} at {}",
                later.lock, later.token, later.at, earlier.token, earlier.at
            ),
            Self::Overlap { term, next } => write!(
                f,
                "lock {}: token {} began at {}, and token {} of {} had not ended",
                next.lock, next.token, next.at, term.token, term.at
            ),
            Self::BrokenPromise { term, until, by } => write!(
                f,
                "lock {}: token {} was promised the time until {until}, and token {} was {:?} at {}",
                by.lock, term.token, by.token, by.step, by.at
            ),
            Self::StaleCommit { write, deposed_by } => write!(
                f,
                "lock {}: a write under token {} committed at {}, after token {} began at {}",
                write.lock, write.token, write.committed_at, deposed_by.token, deposed_by.at
            ),
            Self::UnknownToken { write } => write!(
                f,
                "lock {}: a write committed at {} under token {}, which no term has",
                write.lock, write.committed_at, write.token
            ),
            Self::EarlyCommit { write, term } => write!(
                f,
                "lock {}: a write under token {} committed at {}, before its term began at {}",
                write.lock, write.token, write.committed_at, term.at
            ),
            Self::TokenFell { earlier, later } => write!(
                f,
                "lock {}: a write under token {} committed at {}, after one under token {} at {}",
                later.lock, later.token, later.committed_at, earlier.token, earlier.committed_at
            ),
        }
    }
}

impl History {
    /// Everything in it that cannot be true of fenced leaders.
    pub fn violations(&self) -> Vec<Violation> {
        let locks: BTreeSet<i64> = self
            .events
            .iter()
            .map(|event| event.lock)
            .chain(self.writes.iter().map(|write| write.lock))
            .collect();
        locks.into_iter().flat_map(|lock| OfOneLock::new(self, lock).violations()).collect()
    }

    /// How many events of this kind there are.
    pub fn count(&self, step: Step) -> usize {
        self.events.iter().filter(|event| event.step == step).count()
    }

    /// How many terms began.
    pub fn terms(&self) -> usize {
        self.count(Step::Acquired)
    }
}

/// What happened to one lock, in the order in which it happened.
struct OfOneLock {
    lease: Moment,
    terms: Vec<Event>,
    /// Everything but begins, by token.
    ends: HashMap<i64, Vec<Event>>,
    /// By token.
    promises: HashMap<i64, Vec<Promise>>,
    writes: Vec<Write>,
}

impl OfOneLock {
    fn new(history: &History, lock: i64) -> Self {
        let events = || history.events.iter().filter(|event| event.lock == lock);
        let mut terms: Vec<Event> = events().filter(|event| event.step == Step::Acquired).copied().collect();
        terms.sort_by_key(|term| (term.at, term.token));
        let mut ends: HashMap<i64, Vec<Event>> = HashMap::new();
        for event in events().filter(|event| event.step != Step::Acquired) {
            ends.entry(event.token).or_default().push(*event);
        }
        let mut promises: HashMap<i64, Vec<Promise>> = HashMap::new();
        for promise in history.promises.iter().filter(|promise| promise.lock == lock) {
            promises.entry(promise.token).or_default().push(*promise);
        }
        promises.values_mut().for_each(|promises| promises.sort_by_key(|promise| promise.committed_at));
        let mut writes: Vec<Write> =
            history.writes.iter().filter(|write| write.lock == lock).copied().collect();
        // Of two that committed in the same microsecond nobody knows the order: the possible one is assumed.
        writes.sort_by_key(|write| (write.committed_at, write.token));
        Self { lease: history.lease, terms, ends, promises, writes }
    }

    fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check_tokens_of_terms(&mut found);
        self.check_ends(&mut found);
        self.check_promises(&mut found);
        self.check_writes(&mut found);
        self.check_order_of_commits(&mut found);
        found
    }

    fn ends_of(&self, token: i64) -> &[Event] {
        self.ends.get(&token).map_or(&[], Vec::as_slice)
    }

    fn check_tokens_of_terms(&self, found: &mut Vec<Violation>) {
        let grown = |pair: &&[Event]| pair[0].token < pair[1].token;
        found.extend(
            self.terms
                .windows(2)
                .filter(|pair| !grown(pair))
                .map(|pair| Violation::TokenNotGrown { earlier: pair[0], later: pair[1] }),
        );
    }

    fn check_ends(&self, found: &mut Vec<Violation>) {
        for pair in self.terms.windows(2) {
            let (term, next) = (pair[0], pair[1]);
            if !self.ends_of(term.token).iter().any(|end| (term.at..=next.at).contains(&end.at)) {
                found.push(Violation::Overlap { term, next });
            }
        }
    }

    fn check_promises(&self, found: &mut Vec<Violation>) {
        for (index, &term) in self.terms.iter().enumerate() {
            let ends = self.ends_of(term.token);
            let is_given_back = ends.iter().any(|end| matches!(end.step, Step::Released | Step::Resigned));
            let by = match term.kind {
                // It may end by itself at any time.
                Kind::Session => ends.iter().find(|end| end.step == Step::Preempted),
                Kind::Lease if is_given_back => None,
                Kind::Lease => self.terms.get(index + 1),
            };
            let until = self.promised_end(&term);
            if let Some(&by) = by
                && by.at < until
            {
                found.push(Violation::BrokenPromise { term, until, by });
            }
        }
    }

    fn promised_end(&self, term: &Event) -> Moment {
        let promises = self.promises.get(&term.token).map_or(&[][..], Vec::as_slice);
        let mut until = term.at + self.lease;
        for promise in promises {
            // A session that renews what is overdue may be on its way out already: the renewal of a transaction that did
            // not end in time promises nothing.
            if term.kind == Kind::Session && promise.committed_at > until {
                break;
            }
            until = until.max(promise.until);
        }
        until
    }

    fn check_writes(&self, found: &mut Vec<Violation>) {
        let begins: HashMap<i64, Event> = self.terms.iter().map(|term| (term.token, *term)).collect();
        let mut begun = self.terms.iter().peekable();
        let mut greatest: Option<Event> = None;
        for &write in &self.writes {
            // Of the same microsecond nobody knows which came first.
            while let Some(term) = begun.next_if(|term| term.at < write.committed_at) {
                greatest = greatest.filter(|known| known.token > term.token).or(Some(*term));
            }
            match begins.get(&write.token) {
                None => found.push(Violation::UnknownToken { write }),
                Some(&term) if write.committed_at < term.at => {
                    found.push(Violation::EarlyCommit { write, term })
                }
                Some(_) => {}
            }
            if let Some(deposed_by) = greatest.filter(|term| term.token > write.token) {
                found.push(Violation::StaleCommit { write, deposed_by });
            }
        }
    }

    fn check_order_of_commits(&self, found: &mut Vec<Violation>) {
        let mut greatest: Option<Write> = None;
        for &write in &self.writes {
            match greatest {
                Some(earlier) if earlier.token > write.token => {
                    found.push(Violation::TokenFell { earlier, later: write });
                }
                _ => greatest = Some(write),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Moment = 80;

    fn event(token: i64, kind: Kind, step: Step, at: Moment) -> Event {
        Event { lock: 1, token, kind, step, at }
    }

    fn write(token: i64, committed_at: Moment) -> Write {
        Write { lock: 1, token, committed_at }
    }

    /// Made half a lease before its end.
    fn promise(token: i64, until: Moment) -> Promise {
        Promise { lock: 1, token, until, committed_at: until - LEASE / 2 }
    }

    /// A lease that ran out, one given back, a session that was evicted, one that just ended, and a lease that runs.
    fn clean() -> History {
        use Kind::{Lease, Session};
        use Step::{Acquired, Expired, Preempted, Released};
        History {
            lease: LEASE,
            events: vec![
                event(1, Lease, Acquired, 100),
                event(1, Lease, Expired, 200),
                event(2, Lease, Acquired, 200),
                event(2, Lease, Released, 250),
                event(3, Session, Acquired, 260),
                event(3, Session, Preempted, 390),
                event(4, Session, Acquired, 400),
                event(4, Session, Expired, 450),
                event(7, Lease, Acquired, 451),
            ],
            promises: vec![
                promise(1, 190),
                promise(1, 200),
                promise(2, 300),
                promise(3, 380),
                promise(4, 500),
                promise(7, 560),
                promise(7, 600),
            ],
            writes: vec![
                write(1, 100),
                write(1, 200),
                write(2, 210),
                write(2, 260),
                write(3, 300),
                write(4, 401),
                write(7, 700),
            ],
        }
    }

    fn found(change: impl FnOnce(&mut History)) -> Vec<Violation> {
        let mut history = clean();
        change(&mut history);
        history.violations()
    }

    #[test]
    fn clean_history_has_no_violation_in_whatever_order_it_is_told() {
        assert_eq!(found(|_| ()), []);
        assert_eq!(clean().terms(), 5);
        let reversed = found(|history| {
            history.events.reverse();
            history.promises.reverse();
            history.writes.reverse();
        });
        assert_eq!(reversed, []);
        assert_eq!(History::default().violations(), []);
    }

    #[test]
    fn token_that_does_not_grow_is_found() {
        let used_again = found(|history| {
            history.events.extend([
                event(7, Kind::Lease, Step::Expired, 700),
                event(7, Kind::Lease, Step::Acquired, 700),
            ]);
        });
        assert!(matches!(used_again[..], [Violation::TokenNotGrown { .. }]), "{used_again:?}");
        let smaller = found(|history| {
            history.events.extend([
                event(7, Kind::Lease, Step::Expired, 700),
                event(6, Kind::Lease, Step::Acquired, 701),
            ]);
        });
        assert!(
            matches!(smaller[..], [Violation::TokenNotGrown { earlier: Event { token: 7, .. }, later }] if later.token == 6),
            "{smaller:?}"
        );
    }

    #[test]
    fn term_that_begins_while_another_runs_is_found() {
        let no_end = found(|history| history.events.retain(|event| event.step != Step::Released));
        // Without its end nothing excuses the promise that was not kept either.
        assert!(
            matches!(no_end[..], [Violation::Overlap { .. }, Violation::BrokenPromise { .. }]),
            "{no_end:?}"
        );
        let late_end = found(|history| history.events[3].at = 261);
        assert!(matches!(late_end[..], [Violation::Overlap { .. }]), "{late_end:?}");
        let end_before_the_begin = found(|history| history.events[7].at = 399);
        assert!(matches!(end_before_the_begin[..], [Violation::Overlap { .. }]), "{end_before_the_begin:?}");
    }

    #[test]
    fn last_term_needs_no_end() {
        let mut history = clean();
        history.events.truncate(1);
        history.writes.truncate(1);
        assert_eq!(history.violations(), []);
    }

    #[test]
    fn lease_that_is_taken_before_its_promised_end_is_found() {
        let renewed = found(|history| history.promises.push(promise(1, 201)));
        let term = event(1, Kind::Lease, Step::Acquired, 100);
        let by = event(2, Kind::Lease, Step::Acquired, 200);
        assert_eq!(renewed, [Violation::BrokenPromise { term, until: 201, by }]);
        let never_renewed = found(|history| {
            history.promises.retain(|promise| promise.token != 1);
            history.events[1].at = 179;
            history.events[2].at = 179;
            history.writes.retain(|write| write.token != 1);
        });
        assert!(
            matches!(never_renewed[..], [Violation::BrokenPromise { until: 180, .. }]),
            "{never_renewed:?}"
        );
    }

    #[test]
    fn session_that_is_evicted_before_its_promised_end_is_found() {
        let evicted = found(|history| history.promises.push(promise(3, 391)));
        assert!(
            matches!(evicted[..], [Violation::BrokenPromise { until: 391, by, .. }] if by.step == Step::Preempted),
            "{evicted:?}"
        );
    }

    #[test]
    fn session_that_renews_too_late_is_promised_nothing() {
        let late = Promise { committed_at: 381, ..promise(3, 450) };
        assert_eq!(found(|history| history.promises.push(late)), []);
        let in_time = Promise { committed_at: 380, ..late };
        assert!(!found(|history| history.promises.push(in_time)).is_empty());
    }

    #[test]
    fn stale_commit_is_found_under_the_very_next_term_and_under_a_later_one() {
        let next = found(|history| history.writes[1].committed_at = 201);
        let expected = Violation::StaleCommit {
            write: write(1, 201),
            deposed_by: event(2, Kind::Lease, Step::Acquired, 200),
        };
        assert_eq!(next, [expected]);
        // Nobody else has written meanwhile, so a resource that remembers tokens would not have noticed.
        let later = found(|history| {
            history.writes.retain(|write| write.token < 3);
            history.writes[3].committed_at = 900;
        });
        assert!(
            matches!(later[..], [Violation::StaleCommit { deposed_by, .. }] if deposed_by.token == 7),
            "{later:?}"
        );
    }

    #[test]
    fn token_that_falls_in_the_order_of_commits_is_found() {
        let fell = found(|history| history.writes.push(write(1, 230)));
        assert!(
            matches!(
                fell[..],
                [Violation::StaleCommit { .. }, Violation::TokenFell { earlier: Write { token: 2, .. }, .. }]
            ),
            "{fell:?}"
        );
    }

    #[test]
    fn commits_of_the_same_moment_prove_nothing() {
        let same = found(|history| history.writes.extend([write(2, 200), write(1, 200), write(2, 200)]));
        assert_eq!(same, []);
    }

    #[test]
    fn write_under_a_token_of_no_term_is_found() {
        let unknown = found(|history| history.writes.push(write(5, 451)));
        assert_eq!(unknown, [Violation::UnknownToken { write: write(5, 451) }]);
        let of_another_lock = found(|history| history.writes.push(Write { lock: 2, ..write(1, 150) }));
        assert!(
            matches!(of_another_lock[..], [Violation::UnknownToken { write }] if write.lock == 2),
            "{of_another_lock:?}"
        );
    }

    #[test]
    fn write_that_commits_before_its_term_begins_is_found() {
        let early = found(|history| history.writes[4].committed_at = 259);
        assert!(
            matches!(early[..], [Violation::EarlyCommit { .. }, Violation::TokenFell { .. }]),
            "and the term before it still writes at 260: {early:?}"
        );
    }

    #[test]
    fn locks_do_not_meddle_with_each_other() {
        let history = found(|history| {
            let other =
                |event: &Event| Event { lock: 2, token: event.token + 10, at: event.at + 7, ..*event };
            let others: Vec<Event> = history.events.iter().map(other).collect();
            history.events.extend(others);
            history.writes.push(Write { lock: 2, token: 11, committed_at: 110 });
        });
        assert_eq!(history, []);
    }
}
