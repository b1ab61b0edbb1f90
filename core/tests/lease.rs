//! Claims about fencing tokens.

use costsim_core::lease::{Exhausted, epoch, next_token, timeline, token};
use proptest::prelude::*;

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

proptest! {
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
