//! Claims about fencing tokens and terms.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::lease::{
    Asked, Ending, Exhausted, LONGEST, Mode, Now, Standing, Term, ask, epoch, is_current, is_sensible,
    next_token, standing, timeline, token,
};
use proptest::prelude::*;

const TOKEN: i64 = (1 << 32) + 7;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn now(second: i64) -> Now {
    Now { time: at(second), timeline: 1 }
}

fn term(mode: Mode, lease_until: Option<i64>) -> Term {
    Term {
        mode,
        token: TOKEN,
        node_id: Some("a".into()),
        lease_until: lease_until.map(at),
        is_released: false,
    }
}

#[test]
fn a_lease_is_over_at_its_very_end() {
    let lease = term(Mode::Lease, Some(100));
    assert_eq!(standing(&lease, false, now(99)), Standing::Leads);
    assert_eq!(standing(&lease, false, now(100)), Standing::Over(Ending::Expired));
    let session = term(Mode::Session, Some(100));
    assert_eq!(standing(&session, true, now(99)), Standing::Leads);
    assert_eq!(standing(&session, true, now(100)), Standing::Overdue);
}

#[test]
fn a_session_without_a_lease_leads_as_long_as_it_lives() {
    let forever = term(Mode::Session, None);
    assert_eq!(standing(&forever, true, now(i64::from(i32::MAX))), Standing::Leads);
    assert_eq!(standing(&forever, false, now(0)), Standing::Over(Ending::SessionGone));
}

#[test]
fn a_lease_without_an_end_leads_nobody() {
    assert_eq!(standing(&term(Mode::Lease, None), true, now(0)), Standing::Over(Ending::Expired));
}

#[test]
fn what_was_given_back_is_over_whatever_else_holds() {
    let released = Term { is_released: true, ..term(Mode::Session, Some(100)) };
    assert_eq!(standing(&released, true, now(0)), Standing::Over(Ending::Released));
    assert!(!is_current(Some(&released), TOKEN, true, now(0)));
}

#[test]
fn an_overdue_session_leads_on_until_it_is_evicted() {
    let overdue = term(Mode::Session, Some(100));
    assert!(is_current(Some(&overdue), TOKEN, true, now(200)));
    assert_eq!(ask(Some(&overdue), Some("b"), true, now(200)), Asked::Refused);
}

/// The standby may not have seen that the term was given back, and the next one begun: its token must not come to life again.
#[test]
fn a_term_does_not_outlive_its_server() {
    let promoted = Now { time: at(50), timeline: 2 };
    let lease = term(Mode::Lease, Some(100));
    assert_eq!(standing(&lease, false, promoted), Standing::Over(Ending::ServerReplaced));
    assert_eq!(ask(Some(&lease), Some("a"), false, promoted), Asked::Begin(Some(Ending::ServerReplaced)));
    // A dump restored on a younger cluster is no reason to doubt.
    let restored = Now { timeline: 0, ..now(50) };
    assert!(is_current(Some(&lease), TOKEN, false, restored));
}

#[test]
fn only_the_node_of_a_living_lease_continues_it() {
    let lease = term(Mode::Lease, Some(100));
    assert_eq!(ask(Some(&lease), Some("a"), false, now(50)), Asked::Renew(TOKEN));
    assert_eq!(ask(Some(&lease), Some("b"), false, now(50)), Asked::Refused);
    assert_eq!(ask(Some(&lease), None, false, now(50)), Asked::Refused, "a session never continues a lease");
    assert_eq!(
        ask(Some(&lease), Some("a"), false, now(100)),
        Asked::Begin(Some(Ending::Expired)),
        "too late"
    );
    assert_eq!(ask(None, Some("a"), false, now(0)), Asked::Begin(None));
}

#[test]
fn the_node_of_a_session_is_given_no_lease_of_it() {
    assert_eq!(ask(Some(&term(Mode::Session, Some(100))), Some("a"), true, now(50)), Asked::Refused);
}

#[test]
fn another_token_is_never_current() {
    let lease = term(Mode::Lease, Some(100));
    assert!(is_current(Some(&lease), TOKEN, false, now(50)));
    assert!(
        !is_current(Some(&lease), TOKEN - 1, false, now(50))
            && !is_current(Some(&lease), TOKEN + 1, false, now(50))
    );
    assert!(!is_current(None, TOKEN, true, now(50)));
}

#[test]
fn a_lease_has_a_length_somebody_can_mean() {
    assert!(!is_sensible(TimeDelta::zero()) && !is_sensible(TimeDelta::seconds(-1)));
    assert!(is_sensible(TimeDelta::microseconds(1)) && is_sensible(LONGEST));
    assert!(!is_sensible(LONGEST + TimeDelta::microseconds(1)));
}

#[test]
fn the_first_term_has_epoch_one() {
    assert_eq!(next_token(None, 1), Ok((1 << 32) + 1));
    assert_eq!(next_token(Some((1 << 32) + 1), 1), Ok((1 << 32) + 2));
}

#[test]
fn a_promotion_raises_the_timeline_and_keeps_the_epoch_going() {
    let before = token(3, 41).unwrap();
    assert_eq!(next_token(Some(before), 4), token(4, 42));
    // A dump restored on a younger cluster: the timeline that was seen stays.
    assert_eq!(next_token(Some(before), 1), token(3, 42));
}

#[test]
fn what_does_not_fit_is_refused() {
    assert_eq!(next_token(Some(token(1, u32::MAX).unwrap()), 2), Err(Exhausted::Epoch));
    assert_eq!(next_token(None, 1 << 31), Err(Exhausted::Timeline));
    assert_eq!(token(u32::MAX, 0), Err(Exhausted::Timeline));
    assert_eq!(token((1 << 31) - 1, u32::MAX), Ok(i64::MAX));
}

fn any_term() -> impl Strategy<Value = Term> {
    let mode = prop_oneof![Just(Mode::Session), Just(Mode::Lease)];
    (mode, prop::option::of("[ab]"), prop::option::of(0..200_i64), any::<bool>()).prop_map(
        |(mode, node_id, lease_until, is_released)| Term {
            mode,
            token: TOKEN,
            node_id,
            lease_until: lease_until.map(at),
            is_released,
        },
    )
}

/// One call of one of three nodes.
#[derive(Debug, Clone, Copy)]
enum Call {
    Ask,
    Renew,
    Release,
}

proptest! {
    /// The two questions have one answer: nobody begins a term while another is current, and somebody always may when none is.
    #[test]
    fn a_term_is_begun_exactly_when_none_is_current(
        term in any_term(), has_session in any::<bool>(), second in 0..200_i64, node in prop::option::of("[abc]"),
    ) {
        let begins = matches!(ask(Some(&term), node.as_deref(), has_session, now(second)), Asked::Begin(_));
        prop_assert_eq!(begins, !is_current(Some(&term), term.token, has_session, now(second)));
    }

    /// Whatever three nodes do in whatever order, each believing its lease until the end it was told: no two ever believe at once.
    #[test]
    fn leases_told_to_nodes_never_overlap(
        calls in prop::collection::vec(
            (0..3_usize, prop_oneof![4 => Just(Call::Ask), 2 => Just(Call::Renew), 1 => Just(Call::Release)], 0..8_i64, 1..10_i64),
            1..300,
        ),
    ) {
        let (mut latest, mut time): (Option<Term>, i64) = (None, 0);
        // Token and end, as the node was told.
        let mut told: [Option<(i64, i64)>; 3] = [None; 3];
        let names = ["a", "b", "c"];
        for (node, call, pause, length) in calls {
            time += pause;
            match call {
                Call::Ask => match ask(latest.as_ref(), Some(names[node]), false, now(time)) {
                    Asked::Begin(_) => {
                        let token = next_token(latest.as_ref().map(|term| term.token), 1).unwrap();
                        prop_assert!(latest.as_ref().is_none_or(|term| token > term.token));
                        latest = Some(Term {
                            token, node_id: Some(names[node].into()), ..term(Mode::Lease, Some(time + length))
                        });
                        told[node] = Some((token, time + length));
                    }
                    Asked::Renew(token) => {
                        latest = latest.map(|term| Term { lease_until: Some(at(time + length)), ..term });
                        told[node] = Some((token, time + length));
                    }
                    Asked::Refused => {}
                },
                Call::Renew | Call::Release => {
                    let Some((token, _)) = told[node] else { continue };
                    if !is_current(latest.as_ref(), token, false, now(time)) {
                        continue;
                    }
                    let is_released = matches!(call, Call::Release);
                    latest = latest.map(|term| Term { lease_until: Some(at(time + length)), is_released, ..term });
                    told[node] = (!is_released).then_some((token, time + length));
                }
            }
            prop_assert!(told.iter().flatten().filter(|(_, end)| *end > time).count() <= 1, "{told:?} at {time}");
        }
    }

    #[test]
    fn the_next_token_is_greater_positive_and_carries_its_parts(
        previous in prop::option::of(any::<i64>()), server in any::<u32>(),
    ) {
        if let Ok(next) = next_token(previous, server) {
            prop_assert!(next > 0);
            prop_assert!(previous.is_none_or(|previous| next > previous));
            prop_assert!(timeline(next) >= server);
            prop_assert_eq!(token(timeline(next), epoch(next)), Ok(next));
        }
    }

    #[test]
    fn no_walk_over_servers_ever_repeats_a_token(servers in prop::collection::vec(0..5_u32, 1..200)) {
        let mut previous = None;
        for server in servers {
            let next = next_token(previous, server).unwrap();
            prop_assert!(previous.is_none_or(|previous| next > previous));
            previous = Some(next);
        }
    }
}
