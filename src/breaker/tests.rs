//! Tests of the room inside a server: the time it decides by, and the moments it stores.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use pgrx::prelude::*;

    use crate::error::Error;
    use crate::{breaker, clock, convert};

    fn stamp(text: &str) -> TimestampWithTimeZone {
        Spi::get_one_with_args("SELECT $1::timestamptz", &[text.into()]).unwrap().unwrap()
    }

    fn moment(sql: &str) -> DateTime<Utc> {
        convert::finite_moment(Spi::get_one(sql).unwrap().unwrap(), "moment").unwrap()
    }

    #[pg_test]
    fn breaker_clock_moves_within_a_transaction() {
        let start = moment("SELECT now()");
        let before = moment("SELECT clock_timestamp()");
        let now = clock::now();
        let after = moment("SELECT clock_timestamp()");
        assert!(start < now, "{start} is the transaction's start, {now} must be later");
        assert!(before <= now && now <= after, "{now} is not between {before} and {after}");
    }

    #[pg_test]
    fn breaker_infinite_moments_are_refused_by_name() {
        for text in ["infinity", "-infinity"] {
            let outcome = convert::finite_moment(stamp(text), "disabled_until");
            assert!(
                matches!(&outcome, Err(Error::Invalid { what, .. }) if what == "disabled_until must be a finite date"),
                "{text}: {outcome:?}"
            );
        }
    }

    #[pg_test]
    fn breaker_moments_keep_every_microsecond_both_ways() {
        for (text, expected) in [
            ("1970-01-01 00:00:00+00", "1970-01-01T00:00:00Z"),
            ("2000-01-01 00:00:00+00", "2000-01-01T00:00:00Z"),
            ("1999-12-31 23:59:59.999999+00", "1999-12-31T23:59:59.999999Z"),
            ("2025-03-01 12:00:00.000001+05:45", "2025-03-01T06:15:00.000001Z"),
            ("0001-01-01 00:00:00+00", "0001-01-01T00:00:00Z"),
            ("262142-12-31 23:59:59.999999+00", "+262142-12-31T23:59:59.999999Z"),
            ("4713-01-01 00:00:00+00 BC", "-4712-01-01T00:00:00Z"),
        ] {
            let moment = convert::finite_moment(stamp(text), "moment").unwrap();
            assert_eq!(moment, expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
            assert_eq!(convert::timestamptz(moment).unwrap(), stamp(text), "{text}");
        }
        assert_eq!(convert::moment(i64::MAX), None);
        assert_eq!(convert::moment(i64::MIN), None);
    }

    #[pg_test]
    fn breaker_spans_count_months_as_thirty_days_and_never_overflow() {
        let span = |text: &str| {
            convert::span(Spi::get_one_with_args("SELECT $1::interval", &[text.into()]).unwrap().unwrap())
        };
        assert_eq!(span("1 day 0.000001 second"), TimeDelta::days(1) + TimeDelta::microseconds(1));
        assert_eq!(span("1 month"), TimeDelta::days(30));
        assert_eq!(span("-1 hour"), TimeDelta::hours(-1));
        assert!(span("178000000 years") >= TimeDelta::days(365 * 200_000));
        for back in [TimeDelta::zero(), TimeDelta::microseconds(-1), TimeDelta::days(40)] {
            assert_eq!(convert::span(convert::interval(back).unwrap()), back);
        }
    }

    #[pg_test]
    fn breaker_incident_is_marked_as_alerted_once() {
        Spi::run("INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity) VALUES ('i', 'b', 'r', 'P1'), ('j', 'c', 'r', 'P1')").unwrap();
        let seen = || -> String {
            Spi::get_one("SELECT string_agg(concat_ws(' ', id, alert_sent, alert_response, alert_sent_at IS NOT NULL), ', ' ORDER BY id) FROM costsim_cb_incidents")
                .unwrap()
                .unwrap()
        };
        breaker::mark_alerted("i", "200").unwrap();
        assert_eq!(seen(), "i t 200 t, j f f");
        breaker::mark_alerted("i", "later").unwrap();
        breaker::mark_alerted("nobody", "200").unwrap();
        assert_eq!(seen(), "i t 200 t, j f f");
    }
}
