//! Random walks: whatever happens in whatever order, the claims hold, and every arrow of the drawing is walked.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::breaker::*;
use proptest::prelude::*;

use crate::claims::{Claimed, claim, ends, is_untouched_by_a_look, keeps_its_outlook, step_checked};
use crate::{INSTANT, disable, enable, hours, minutes, schema_errors, start};

/// What may happen to a breaker next.
#[derive(Debug, Clone)]
enum Move {
    /// Time passes.
    Wait(TimeDelta),
    /// Time passes until the very moment of the next change, or the last instant before it.
    WaitForChange { to_the_moment: bool },
    /// Somebody changes its settings.
    Configure(Config),
    /// A hand outside opens it, without an incident: for so long, and probed that long before the end.
    OpenOutside { lasting: Option<TimeDelta>, probing: Option<TimeDelta> },
    /// A hand outside closes it.
    CloseOutside,
    /// A hand outside resolves its incident, and leaves it open.
    ResolveOutside,
    /// An event, and the number drawn for it. A term that ends counts from the epoch, which stands for now.
    Happens(Event, f64),
}

/// A breaker, its settings and its time.
struct Walk {
    state: State,
    config: Config,
    now: DateTime<Utc>,
    /// The permits given in this period of probing, and the most that its settings have allowed.
    given: i32,
    most: i32,
    seen: HashSet<Transition>,
}

impl Walk {
    fn new(config: Config) -> Self {
        Self { state: State::QUIET, config, now: start(), given: 0, most: 0, seen: HashSet::new() }
    }

    fn take(&mut self, next: &Move) -> Claimed {
        match next {
            Move::Wait(span) => self.now += *span,
            Move::WaitForChange { to_the_moment } => {
                let before = if *to_the_moment { TimeDelta::zero() } else { INSTANT };
                // Not to the end of the calendar.
                let moment = next_change(&self.state, &self.config)
                    .map(|next| next - before)
                    .filter(|moment| *moment > self.now && *moment - self.now < TimeDelta::days(3650));
                self.now = moment.unwrap_or(self.now);
            }
            Move::Configure(config) => {
                self.config = *config;
                self.most = self.most.max(config.probe_permits);
            }
            Move::OpenOutside { lasting, probing } => self.open_outside(*lasting, *probing),
            Move::CloseOutside => self.state.phase = Phase::Closed,
            Move::ResolveOutside => {
                if let Phase::Open(outage) | Phase::HalfOpen(outage, _) = &mut self.state.phase {
                    outage.incident = None;
                }
            }
            Move::Happens(event, jitter) => return self.happens(event, *jitter),
        }
        Ok(())
    }

    fn open_outside(&mut self, lasting: Option<TimeDelta>, probing: Option<TimeDelta>) {
        if self.state.phase != Phase::Closed {
            return;
        }
        let until = lasting.map(|span| self.now + span);
        let half_open = until.zip(probing).map(|(until, probing)| HalfOpening {
            at: until - probing,
            reopenings: 0,
            jitter: 0.0,
        });
        let outage = Outage { since: self.now, until, half_open, incident: None, intent: None };
        self.state.phase = Phase::Open(outage);
    }

    fn happens(&mut self, event: &Event, jitter: f64) -> Claimed {
        let event = self.as_of_now(event);
        let Self { state, config, now, seen, .. } = self;
        let Some((next, effects)) = step_checked(state, config, &event, *now, jitter, seen)? else {
            return Ok(());
        };
        for effect in &effects {
            match effect {
                Effect::BeginProbing { .. } => (self.given, self.most) = (0, self.config.probe_permits),
                Effect::Permit { .. } => self.given += 1,
                _ => {}
            }
        }
        self.state = next;
        claim(self.given <= self.most, "a period of probing gave more permits than it was ever allowed")
    }

    fn as_of_now(&self, event: &Event) -> Event {
        match event.clone() {
            Event::Disable { reason, by, term: Term::Until(until) } => {
                Event::Disable { reason, by, term: Term::Until(self.now + (until - DateTime::UNIX_EPOCH)) }
            }
            other => other,
        }
    }

    /// The claims that take a longer look.
    fn look(&self, fractions: [f64; 3]) -> Claimed {
        let Self { state, config, now, .. } = self;
        ends(state, config, *now)?;
        keeps_its_outlook(state, config, *now, &fractions)?;
        let horizon =
            next_change(state, config).map_or(hours(1), |next| (next - *now).max(hours(1)).min(hours(9999)));
        let at = |fraction: f64| {
            *now + TimeDelta::microseconds((horizon.num_microseconds().unwrap() as f64 * fraction) as i64)
        };
        let [first, second, third] = fractions.map(at);
        is_untouched_by_a_look(state, config, first.min(second), first.max(second))?;
        is_untouched_by_a_look(state, config, third, third + horizon * 3)?;
        let next = next_change(state, config).unwrap_or(third);
        is_untouched_by_a_look(state, config, next.min(third), next.max(third))
    }
}

/// SplitMix64: a walk is the same on every machine, for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of 0 .. n.
    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    fn is_one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// In [0, 1).
    fn fraction(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn among<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    fn count(&mut self, from: i32, to: i32) -> i32 {
        from + i32::try_from(self.below(u64::from((to - from + 1).unsigned_abs()))).unwrap()
    }

    fn seconds(&mut self, most: u64) -> TimeDelta {
        TimeDelta::seconds(1 + i64::try_from(self.below(most)).unwrap())
    }

    fn span(&mut self) -> TimeDelta {
        match self.below(64) {
            0 => TimeDelta::MAX,
            1 => TimeDelta::microseconds(2),
            n => self.seconds(if n < 32 { 600 } else { 200_000 }),
        }
    }

    fn config(&mut self) -> Config {
        let disable_ttl = if self.is_one_in(8) { None } else { Some(self.span()) };
        let longest = self.span();
        let auto_recover = !self.is_one_in(8);
        let probe_permits = self.count(1, 5);
        let warning_threshold = self.fraction() * 0.3;
        let above = warning_threshold + self.fraction() * 0.3;
        Config {
            drift_threshold: self.among(&[warning_threshold, warning_threshold / 2.0, above, above, above]),
            warning_threshold,
            failure_threshold: self.count(1, 4),
            schema_error_threshold: self.count(1, 6),
            disable_ttl,
            auto_recover,
            auto_disable: !self.is_one_in(6),
            half_open: auto_recover && disable_ttl.is_some() && !self.is_one_in(4),
            probe_permits,
            probe_successes: self.count(1, probe_permits),
            probe_timeout: self.span(),
            half_open_timeout: self.span(),
            max_disable_ttl: if self.is_one_in(4) {
                longest
            } else {
                longest.max(disable_ttl.unwrap_or(longest))
            },
        }
    }

    /// One setting of a breaker changed, if that makes sense.
    fn another(&mut self, config: &Config) -> Config {
        let new = self.config();
        let changed = match self.below(8) {
            0 => Config { half_open: !config.half_open, ..*config },
            1 => Config { probe_permits: new.probe_permits, ..*config },
            2 => Config { probe_successes: new.probe_successes, ..*config },
            3 => Config { disable_ttl: new.disable_ttl, half_open: new.half_open, ..*config },
            4 => Config { auto_recover: new.auto_recover, half_open: new.half_open, ..*config },
            5 => Config { auto_disable: new.auto_disable, ..*config },
            6 => Config { probe_timeout: new.probe_timeout, ..*config },
            _ => new,
        };
        if changed.validate().is_ok() { changed } else { new }
    }

    fn score(&mut self, config: &Config) -> f64 {
        let between =
            config.warning_threshold + (config.drift_threshold - config.warning_threshold) * self.fraction();
        match self.below(100) {
            0 => self.among(&[f64::NAN, f64::INFINITY, -1.0, f64::MAX, f64::MIN_POSITIVE]),
            1..10 => config.drift_threshold,
            10..20 => config.warning_threshold,
            20..30 => between,
            30..50 => config.drift_threshold + self.fraction(),
            _ => config.warning_threshold * self.fraction(),
        }
    }

    fn event(&mut self, walk: &Walk) -> Event {
        let is_probed = walk.state.phase.standing() == Standing::HalfOpen;
        match self.below(100) {
            0..6 => Event::Judgement {
                is_good: self.is_one_in(3),
                score: self.score(&walk.config),
                sample_count: self.count(-1, 40),
                reason: if self.is_one_in(20) { " " } else { "eight of ten differ" }.to_owned(),
            },
            6..40 => Event::Drift {
                score: self.score(&walk.config),
                sample_count: self.count(-1, 40).max(self.count(-1, 9)),
            },
            40..48 => schema_errors(self.count(-1, 8)),
            48..56 => {
                let term = match self.below(16) {
                    0..2 => Term::Permanent,
                    2 => Term::Until(DateTime::UNIX_EPOCH),
                    3..8 => {
                        Term::Until(DateTime::UNIX_EPOCH + self.seconds(100_000) - TimeDelta::seconds(10))
                    }
                    _ => Term::Default,
                };
                let by = self.among(&["ann", "ann", "ann", "ann", "ann", "ann", "ann", "\t"]).to_owned();
                let reason = self.among(&["a", "a", "b", "b", "c", "c", "c", " "]).to_owned();
                Event::Disable { reason, by, term }
            }
            56..61 => enable(),
            61 => {
                Event::Enable { reason: Some("mended".to_owned()), by: self.among(&["", "ben"]).to_owned() }
            }
            62..70 => Event::Tick,
            _ if is_probed || self.is_one_in(4) => Event::Allow,
            _ => Event::Drift { score: 0.0, sample_count: 1 },
        }
    }

    /// An open breaker waits for its next change, a half-open one is busy.
    fn wait(&mut self, walk: &Walk) -> Move {
        let patience = match walk.state.phase.standing() {
            Standing::Closed => 24,
            Standing::Open => 16,
            Standing::HalfOpen => 50,
        };
        match self.below(patience) {
            0..4 => Move::WaitForChange { to_the_moment: true },
            4 => Move::WaitForChange { to_the_moment: false },
            5..8 | 12..16 => Move::Wait(self.seconds(10)),
            8..10 => Move::Wait(self.seconds(1_000)),
            10 => Move::Wait(self.seconds(100_000)),
            11 if self.is_one_in(4) => Move::Wait(self.seconds(2_000_000)),
            11 => Move::Wait(INSTANT),
            _ => Move::Wait(TimeDelta::zero()),
        }
    }

    fn rarity(&mut self, walk: &Walk) -> Move {
        match self.below(8) {
            0..4 => Move::Configure(self.another(&walk.config)),
            4 => Move::CloseOutside,
            5 => Move::ResolveOutside,
            _ => Move::OpenOutside {
                lasting: if self.is_one_in(8) { None } else { Some(self.seconds(10_000)) },
                probing: if self.is_one_in(2) {
                    None
                } else {
                    Some(self.seconds(5_000) - TimeDelta::seconds(1_000))
                },
            },
        }
    }
}

/// Walks so many steps; gives the arrows it went along, and how many long looks were taken at a breaker that was not closed.
fn walked(seed: u64, steps: usize) -> Result<(HashSet<Transition>, usize), String> {
    let mut dice = Dice(seed);
    let mut walk = Walk::new(dice.config());
    let mut looks = 0;
    for n in 0..steps {
        walk.config.validate().map_err(|refused| refused.to_string())?;
        let in_context = |what: String| format!("step {n}: {what}");
        walk.take(&dice.wait(&walk)).map_err(in_context)?;
        if dice.is_one_in(30) {
            walk.take(&dice.rarity(&walk)).map_err(in_context)?;
        }
        let event = dice.event(&walk);
        walk.take(&Move::Happens(event, dice.fraction())).map_err(in_context)?;
        // Every look at a quiet breaker shows the same.
        if n % 8 == 0 && walk.state.phase != Phase::Closed {
            walk.look([dice.fraction(), dice.fraction(), dice.fraction()]).map_err(in_context)?;
            looks += 1;
        }
    }
    Ok((walk.seen, looks))
}

#[test]
fn no_long_walk_breaks_a_claim_and_together_they_go_along_every_arrow() {
    let walks: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> =
            (1..=20).map(|seed| (seed, scope.spawn(move || walked(seed, 20_000)))).collect();
        running.into_iter().map(|(seed, walk)| (seed, walk.join())).collect()
    });
    let mut seen = HashSet::new();
    let mut looks = 0;
    for (seed, walk) in walks {
        match walk {
            Ok(Ok((arrows, looked))) => {
                seen.extend(arrows);
                looks += looked;
            }
            Ok(Err(what)) => panic!("seed {seed}, {what}"),
            Err(_) => panic!("seed {seed} panicked"),
        }
    }
    let missing: Vec<_> = TRANSITIONS.iter().filter(|arrow| !seen.contains(arrow)).collect();
    assert!(missing.is_empty(), "nobody walked along {missing:#?}");
    assert!(looks > 10_000, "{looks} looks at open breakers are too few");
}

fn span() -> impl Strategy<Value = TimeDelta> {
    (1..4_000_i64).prop_map(minutes)
}

fn config() -> impl Strategy<Value = Config> {
    let ends = (prop::option::weighted(0.9, span()), span(), span(), span());
    let switches = (prop::bool::weighted(0.9), prop::bool::weighted(0.9), prop::bool::weighted(0.7));
    (ends, switches, 1..5_i32, 1..5_i32, 0..5_i32).prop_map(
        |(ends, switches, failure_threshold, probe_permits, fewer)| {
            let (disable_ttl, max_disable_ttl, probe_timeout, half_open_timeout) = ends;
            let (auto_recover, auto_disable, half_open) = switches;
            Config {
                failure_threshold,
                disable_ttl,
                auto_recover,
                auto_disable,
                half_open: half_open && auto_recover && disable_ttl.is_some(),
                probe_permits,
                probe_successes: (probe_permits - fewer).max(1),
                probe_timeout,
                half_open_timeout,
                max_disable_ttl,
                ..Config::default()
            }
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let term = prop_oneof![
        2 => Just(Term::Default),
        1 => Just(Term::Permanent),
        1 => (-1..2_000_i64).prop_map(|n| Term::Until(DateTime::UNIX_EPOCH + minutes(n))),
    ];
    prop_oneof![
        4 => (prop_oneof![Just(0.0), Just(0.2), 0.0..0.5, Just(f64::NAN)], -1..20)
            .prop_map(|(score, sample_count)| Event::Drift { score, sample_count }),
        1 => (0.0..0.5, any::<bool>()).prop_map(|(score, is_good)| {
            Event::Judgement { is_good, score, sample_count: 5, reason: "measured".to_owned() }
        }),
        1 => (-1..9).prop_map(schema_errors),
        1 => ("[ab]?", term).prop_map(|(reason, term)| disable(&reason, term)),
        1 => Just(enable()),
        1 => Just(Event::Tick),
        2 => Just(Event::Allow),
    ]
}

fn a_move() -> impl Strategy<Value = Move> {
    let outside = (prop::option::weighted(0.9, span()), prop::option::of(span()));
    prop_oneof![
        4 => (0..3_000_i64).prop_map(|n| Move::Wait(minutes(n))),
        4 => any::<bool>().prop_map(|to_the_moment| Move::WaitForChange { to_the_moment }),
        1 => config().prop_map(Move::Configure),
        1 => outside.prop_map(|(lasting, probing)| Move::OpenOutside { lasting, probing }),
        1 => prop_oneof![Just(Move::CloseOutside), Just(Move::ResolveOutside)],
        16 => (event(), 0.0..1.0).prop_map(|(event, jitter)| Move::Happens(event, jitter)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_short_walk_breaks_a_claim(
        config in config(),
        moves in prop::collection::vec(a_move(), 1..60),
        fractions in prop::array::uniform3(0.0..1.0),
    ) {
        prop_assert_eq!(config.validate(), Ok(()));
        let mut walk = Walk::new(config);
        for next in moves {
            walk.take(&next).map_err(TestCaseError::fail)?;
            walk.look(fractions).map_err(TestCaseError::fail)?;
        }
    }
}
