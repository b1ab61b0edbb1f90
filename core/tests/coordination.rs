//! Claims about who controls a parameter.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use costsim_core::audit::{Class, Decision};
use costsim_core::coordination::{
    Active, Entry, KILL_SWITCH, Request, Ruling, Scope, coordinate, release, switch,
};
use proptest::prelude::*;

fn active(id: i64, envelope_id: &str, class: Class, parameter: &str) -> Active {
    Active {
        id,
        envelope_id: envelope_id.into(),
        subsystem: "scheduler".into(),
        parameter: parameter.into(),
        class,
        has_that_value: true,
    }
}

fn asks<'a>(envelope_id: &'a str, class: &'a str, parameter: &'a str) -> Request<'a> {
    Request { envelope_id, class: Some(class), subsystem: "scheduler", parameter, reason: None }
}

fn ruled(held: &[Active], request: &Request<'_>) -> Ruling {
    coordinate(&Scope { is_killed: false, active: held.to_vec() }, request)
}

fn is_rejected_by(ruling: &Ruling, by: Option<&str>) -> bool {
    matches!(ruling, Ruling::Rejected { conflicting, .. } if conflicting.as_deref() == by)
}

fn displaced(ruling: &Ruling) -> Vec<&str> {
    match ruling {
        Ruling::Applied { displaced, .. } => displaced.iter().map(|each| each.envelope_id.as_str()).collect(),
        Ruling::Stands | Ruling::Rejected { .. } => vec!["not applied"],
    }
}

const CLASSES: [Class; 4] = [Class::Safety, Class::Reliability, Class::Cost, Class::Performance];

#[test]
fn coordination_a_higher_class_takes_the_parameter_and_an_equal_or_lower_one_does_not() {
    for (rank, held) in CLASSES.into_iter().enumerate() {
        for (other, class) in CLASSES.into_iter().enumerate() {
            let ruling = ruled(&[active(1, "a", held, "p")], &asks("b", class.name(), "p"));
            if other < rank {
                assert_eq!(displaced(&ruling), ["a"], "{class:?} against {held:?}");
            } else {
                assert!(is_rejected_by(&ruling, Some("a")), "{class:?} against {held:?}");
            }
        }
    }
}

#[test]
fn coordination_the_whole_subsystem_gives_way_to_a_higher_class() {
    let held = [
        active(9, "late", Class::Performance, "p1"),
        active(2, "early", Class::Cost, "p2"),
        active(3, "equal", Class::Reliability, "p3"),
        active(4, "higher", Class::Safety, "p4"),
    ];
    let ruling = ruled(&held, &asks("b", "reliability", "p5"));
    assert_eq!(displaced(&ruling), ["early", "late"]);
    let entries = ruling.entries(&asks("b", "reliability", "p5"));
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0].preempting.as_deref(), Some("b"));
    assert_eq!(entries[0].decision, Decision::Preempted);
    assert_eq!(entries[0].reason, "gives way to RELIABILITY envelope \"b\" on scheduler.p5");
    assert_eq!(entries[2].reason, "takes control of scheduler.p5 and preempts 2 envelopes");
}

#[test]
fn coordination_the_same_again_stands_and_anything_else_of_it_is_rejected_by_itself() {
    let held = [active(1, "a", Class::Cost, "p")];
    let again = ruled(&held, &asks("a", " cOsT ", "p"));
    assert_eq!(again, Ruling::Stands);
    assert_eq!(again.decision(), Decision::Applied);
    assert!(again.entries(&asks("a", "cost", "p")).is_empty());
    // A higher class, another parameter, another subsystem, another value.
    assert!(is_rejected_by(&ruled(&held, &asks("a", "safety", "p")), Some("a")));
    assert!(is_rejected_by(&ruled(&held, &asks("a", "cost", "q")), Some("a")));
    let elsewhere = Request { subsystem: "router", ..asks("a", "cost", "p") };
    assert!(is_rejected_by(&ruled(&held, &elsewhere), Some("a")));
    let otherwise = [Active { has_that_value: false, ..held[0].clone() }];
    let ruling = ruled(&otherwise, &asks("a", "cost", "p"));
    assert!(is_rejected_by(&ruling, Some("a")));
    assert_eq!(ruling.reason(), "the envelope is active already on scheduler.p with another value");
}

#[test]
fn coordination_without_a_class_nothing_is_applied() {
    for class in [None, Some(""), Some(" \t"), Some("IMPORTANT"), Some("SAFETY2")] {
        let request = Request { class, ..asks("a", "", "p") };
        let ruling = ruled(&[], &request);
        assert!(is_rejected_by(&ruling, None), "{class:?}");
        let entries = ruling.entries(&request);
        assert_eq!((entries.len(), entries[0].class), (1, None));
    }
    let long = "é".repeat(5000);
    assert!(ruled(&[], &asks("a", &long, "p")).reason().len() < 300);
}

#[test]
fn coordination_the_kill_switch_comes_before_everything() {
    let held = [active(1, "a", Class::Cost, "p")];
    let scope = Scope { is_killed: true, active: held.to_vec() };
    for request in [asks("a", "cost", "p"), asks("b", "safety", "p"), asks("b", "none", "q")] {
        let ruling = coordinate(&scope, &request);
        assert!(is_rejected_by(&ruling, None));
        assert_eq!(ruling.reason(), "the kill switch is active");
    }
}

#[test]
fn coordination_the_switch_reverts_once_and_brings_nothing_back() {
    let held = [active(1, "a", Class::Safety, "p"), active(2, "b", Class::Cost, "q")];
    let entries = switch(false, true, &held, "ann", "outage").unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].preempting.as_deref(), Some(KILL_SWITCH));
    assert_eq!(entries[0].reason, "the kill switch is activated by ann: outage");
    assert_eq!(switch(true, true, &held, "ann", "outage"), None);
    assert_eq!(switch(false, false, &held, "ann", "outage"), None);
    assert_eq!(switch(true, false, &[], "ann", "over"), Some(Vec::new()));
}

/// A call in a random sequence.
#[derive(Debug, Clone)]
enum Step {
    Coordinate { tenant: u8, envelope: u8, class: u8, subsystem: u8, parameter: u8, value: u8 },
    Release { tenant: u8, envelope: u8 },
    Switch(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let coordinate = (0..2_u8, 0..6_u8, 0..6_u8, 0..2_u8, 0..3_u8, 0..2_u8).prop_map(
        |(tenant, envelope, class, subsystem, parameter, value)| Step::Coordinate {
            tenant,
            envelope,
            class,
            subsystem,
            parameter,
            value,
        },
    );
    let release = (0..2_u8, 0..6_u8).prop_map(|(tenant, envelope)| Step::Release { tenant, envelope });
    prop::collection::vec(
        prop_oneof![20 => coordinate, 4 => release, 1 => any::<bool>().prop_map(Step::Switch)],
        0..120,
    )
}

/// An envelope in the world of a test: what is stored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    tenant: u8,
    envelope: Active,
    value: u8,
    /// What ended it.
    ending: Option<Decision>,
}

/// What the tables hold, changed by rulings alone.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct World {
    rows: Vec<Stored>,
    audit: Vec<(u8, Entry)>,
    is_killed: bool,
}

impl World {
    /// Takes a step; the rows are read in the order that `is_reversed` says, which must not matter.
    fn take(&mut self, step: &Step, is_reversed: bool) {
        match *step {
            Step::Coordinate { tenant, envelope, class, subsystem, parameter, value } => {
                let names = (format!("e{envelope}"), format!("s{subsystem}"), format!("p{parameter}"));
                let class =
                    [Some("safety"), Some("RELIABILITY"), Some("Cost"), Some("performance"), None, Some("?")]
                        [usize::from(class)];
                let request = Request {
                    envelope_id: &names.0,
                    class,
                    subsystem: &names.1,
                    parameter: &names.2,
                    reason: None,
                };
                let mut active: Vec<Active> = self
                    .active(tenant)
                    .filter(|row| row.envelope.subsystem == names.1 || row.envelope.envelope_id == names.0)
                    .map(|row| Active { has_that_value: row.value == value, ..row.envelope.clone() })
                    .collect();
                if is_reversed {
                    active.reverse();
                }
                let ruling = coordinate(&Scope { is_killed: self.is_killed, active }, &request);
                self.audit.extend(ruling.entries(&request).into_iter().map(|entry| (tenant, entry)));
                if let Ruling::Applied { class, displaced, .. } = ruling {
                    for gone in &displaced {
                        assert!(gone.class < class, "{gone:?} gave way to {class:?}");
                        self.end(gone.id, Decision::Preempted);
                    }
                    let id = self.rows.len() as i64;
                    let envelope = Active {
                        id,
                        envelope_id: names.0,
                        subsystem: names.1,
                        parameter: names.2,
                        class,
                        has_that_value: true,
                    };
                    self.rows.push(Stored { tenant, envelope, value, ending: None });
                }
            }
            Step::Release { tenant, envelope } => {
                let name = format!("e{envelope}");
                let found = self.active(tenant).find(|row| row.envelope.envelope_id == name).cloned();
                if let Some(row) = found {
                    self.audit.push((tenant, release(&row.envelope, "ann", None)));
                    self.end(row.envelope.id, Decision::Reverted);
                }
            }
            Step::Switch(is_active) => {
                let rows: Vec<Stored> =
                    self.rows.iter().filter(|row| row.ending.is_none()).cloned().collect();
                let envelopes: Vec<Active> = rows.iter().map(|row| row.envelope.clone()).collect();
                if let Some(entries) = switch(self.is_killed, is_active, &envelopes, "ann", "why") {
                    self.is_killed = is_active;
                    self.audit.extend(rows.iter().map(|row| row.tenant).zip(entries));
                    if is_active {
                        rows.iter().for_each(|row| self.end(row.envelope.id, Decision::Reverted));
                    }
                }
            }
        }
    }

    fn active(&self, tenant: u8) -> impl Iterator<Item = &Stored> {
        self.rows.iter().filter(move |row| row.tenant == tenant && row.ending.is_none())
    }

    fn end(&mut self, id: i64, by: Decision) {
        let row = self.rows.iter_mut().find(|row| row.envelope.id == id).unwrap();
        assert_eq!(row.ending.replace(by), None, "{row:?} ended twice");
    }

    /// Every envelope has its entry of being applied and one for its end, and there is no other entry but rejections.
    fn check_audit(&self) {
        let mut told: BTreeMap<(u8, &str, &str), usize> = BTreeMap::new();
        for (tenant, entry) in &self.audit {
            let decision = match entry.decision {
                Decision::Applied => "applied",
                Decision::Preempted => "preempted",
                Decision::Reverted => "reverted",
                Decision::Rejected => continue,
            };
            *told.entry((*tenant, &entry.envelope_id, decision)).or_default() += 1;
        }
        let mut done: BTreeMap<(u8, &str, &str), usize> = BTreeMap::new();
        for row in &self.rows {
            let ending = match row.ending {
                None => None,
                Some(Decision::Preempted) => Some("preempted"),
                Some(_) => Some("reverted"),
            };
            for what in ["applied"].into_iter().chain(ending) {
                *done.entry((row.tenant, &row.envelope.envelope_id, what)).or_default() += 1;
            }
        }
        assert_eq!(told, done);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Whatever is called in whatever order.
    #[test]
    fn coordination_rules_hold_over_every_sequence(steps in steps()) {
        let mut world = World::default();
        for step in &steps {
            let before = world.clone();
            world.take(step, false);
            // The same state and the same call decide the same, in whatever order the rows are read.
            let mut again = before.clone();
            again.take(step, true);
            prop_assert_eq!(&world, &again);

            let mut parameters = BTreeSet::new();
            let mut names = BTreeSet::new();
            for row in world.rows.iter().filter(|row| row.ending.is_none()) {
                let Active { envelope_id, subsystem, parameter, .. } = &row.envelope;
                prop_assert!(parameters.insert((row.tenant, subsystem, parameter)), "two on {parameter}");
                prop_assert!(names.insert((row.tenant, envelope_id)), "{envelope_id} twice");
                prop_assert!(!world.is_killed, "{envelope_id} is active under the kill switch");
            }
            world.check_audit();
            // What is refused, or stands, changes no row; a tenant's call changes no row of another's.
            if let Step::Coordinate { tenant, .. } | Step::Release { tenant, .. } = step {
                for (was, is) in before.rows.iter().zip(&world.rows) {
                    prop_assert!(was == is || is.tenant == *tenant);
                }
                prop_assert_eq!(before.is_killed, world.is_killed);
                if before.is_killed {
                    prop_assert_eq!(&before.rows, &world.rows);
                }
            }
        }
    }

    /// What is asked for is what decides: whoever comes second with the higher class wins, whoever with an equal or lower one loses.
    #[test]
    fn coordination_the_winner_of_two_is_the_higher_class_or_the_first(first in 0..4_usize, second in 0..4_usize) {
        let (first, second) = (CLASSES[first], CLASSES[second]);
        let held = [active(1, "a", first, "p")];
        let ruling = ruled(&held, &asks("b", second.name(), "p"));
        prop_assert_eq!(ruling.decision() == Decision::Applied, second > first);
    }
}
