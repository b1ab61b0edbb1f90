//! What a record of cost may hold.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::cost::{cost_fault, is_feature_tag, moment_fault, text_fault, time_fault, tokens_fault};

#[test]
fn cost_is_a_finite_decimal_that_is_not_negative() {
    for fine in ["0", "0.0004", "0.000000000000000000001", "9999999999999.999999", "12"] {
        assert_eq!(cost_fault(fine), None, "{fine}");
    }
    for bad in ["NaN", "Infinity", "-Infinity", "-0.0000001", "-1", "10000000000000", "10000000000000.5"] {
        assert!(cost_fault(bad).is_some(), "{bad}");
    }
}

#[test]
fn tokens_have_bounds() {
    for (tokens, is_fine) in
        [(0, true), (1_000_000_000, true), (-1, false), (1_000_000_000_001, false), (i64::MAX, false)]
    {
        assert_eq!(tokens_fault(tokens).is_none(), is_fine, "{tokens}");
    }
}

#[test]
fn identifier_has_between_1_and_512_bytes() {
    for (length, is_fine) in [(0, false), (1, true), (512, true), (513, false)] {
        assert_eq!(text_fault(&vec![b'x'; length]).is_none(), is_fine, "{length}");
    }
}

#[test]
fn moment_is_rfc_3339_and_not_more_than_a_day_ahead() {
    let now: DateTime<Utc> = "2025-03-01T12:00:00Z".parse().unwrap();
    for fine in ["2025-03-01T12:00:00Z", "2000-01-01T05:45:00.123456789+05:45", "2025-03-02T12:00:00Z"] {
        assert_eq!(moment_fault(fine, now), None, "{fine}");
    }
    for bad in [
        "2025-03-02T12:00:00.002Z",
        "2025-03-01T12:00:00",
        "2025-03-01",
        "now",
        "",
        "infinity",
        "0000-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2000-01-01T05:44:59+05:45",
        "2025-03-01 12:00:00Z",
        "2025-03-01T12:00:00\u{2212}05:00",
        "2025-03-01T12:00:00+16:00",
        "2025-02-30T12:00:00Z",
    ] {
        assert!(moment_fault(bad, now).is_some(), "{bad}");
    }
    assert!(time_fault(now + TimeDelta::days(2), now).is_some());
    assert!(time_fault(now - TimeDelta::days(2_000_000), now).is_some());
}

#[test]
fn feature_tag_is_a_namespace_and_an_action() {
    for fine in ["support.summarise", "a.b.c", "A-1.b_2"] {
        assert!(is_feature_tag(fine), "{fine}");
    }
    for bad in ["", ".", "a", "a.", ".a", "a..b", "a b.c", "ä.b", "a.b\n", "unclassified"] {
        assert!(!is_feature_tag(bad), "{bad}");
    }
    assert!(!is_feature_tag(&format!("a.{}", "b".repeat(511))));
}
