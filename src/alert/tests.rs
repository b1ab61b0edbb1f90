//! Tests of the room inside a server: a delivery from its reading to its settlement, without a network.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::collections::HashSet;

    use chrono::TimeDelta;
    use costsim_core::alertmanager::Verdict;
    use pgrx::prelude::*;

    use crate::alert::outbox::{self, Attempt, Item, Key, Label, Order, Outcome};
    use crate::alert::store::owed;
    use crate::alert::store::upkeep::{self, Debts};
    use crate::alert::take_wake;
    use crate::clock;

    /// The targets of these tests.
    const FIRST: i32 = 1;
    const SECOND: i32 = 2;

    fn run(sql: &str) {
        Spi::run(sql).unwrap();
    }

    /// The rows as the server prints them, columns parted by commas, NULL as nothing.
    fn seen(sql: &str) -> String {
        Spi::get_one(&format!("SELECT coalesce(string_agg(r::text, ' '), '') FROM ({sql}) r"))
            .unwrap()
            .unwrap()
    }

    fn enqueue(name: &str) {
        run(&format!("SELECT costsim_enqueue_alert('[{{\"labels\": {{\"alertname\": \"{name}\"}}}}]', 'x')"));
    }

    fn fire(summary: &str) {
        run(&format!(
            "SELECT costsim_fire_alert('{{\"alertname\": \"F\"}}', '{{\"summary\": \"{summary}\"}}')"
        ));
    }

    /// What a target would be sent next.
    fn read_but(target: i32, size: usize, but: &HashSet<Key>, held: &HashSet<Label>) -> Vec<Item> {
        let order = Order { target, may_be_owed: true, size, turn: 0, but, behind: &[], held };
        outbox::read(&order, clock::now()).unwrap().items
    }

    fn read(target: i32, size: usize) -> Vec<Item> {
        read_but(target, size, &HashSet::new(), &HashSet::new())
    }

    fn body(items: &[Item]) -> String {
        String::from_utf8(outbox::body(items)).unwrap()
    }

    fn outcome(target: i32, items: Vec<Item>, verdict: Verdict, code: u16, error: Option<&str>) -> Outcome {
        let attempt = Attempt { verdict, code: Some(code), error: error.map(Into::into), asked: None };
        let next_at = clock::now() + TimeDelta::minutes(1);
        let others = Vec::new();
        Outcome { target, others, items, attempt, next_at, failures: 1, not_before: Some(next_at) }
    }

    /// What a target's request brought, where there are others.
    fn among(others: &[i32], outcome: Outcome) -> Outcome {
        Outcome { others: others.to_vec(), ..outcome }
    }

    /// Settles where there is one target, and where there are two.
    fn settle(items: Vec<Item>, verdict: Verdict, code: u16, error: Option<&str>) {
        outcome(FIRST, items, verdict, code, error).settle(clock::now(), false).unwrap();
    }

    fn taken_by(target: i32, items: Vec<Item>) {
        let others = if target == FIRST { [SECOND] } else { [FIRST] };
        among(&others, outcome(target, items, Verdict::Delivered, 200, None))
            .settle(clock::now(), false)
            .unwrap();
    }

    #[pg_test]
    fn alert_reading_takes_what_is_due_oldest_first_up_to_the_limit() {
        run("INSERT INTO costsim_alert_queue (payload, next_attempt_at)
             SELECT jsonb_build_array(n), now() + due::interval
               FROM (VALUES (1, '-1 hour'), (2, '-3 hours'), (3, '1 hour'), (4, '-2 hours')) v(n, due)");
        run(
            "INSERT INTO costsim_alert_queue (payload, status) VALUES ('[5]', 'sent'), ('[6]', 'failed'), ('[7]', 'cancelled')",
        );
        assert_eq!(body(&read(FIRST, 2)), "[1,2]");
        assert_eq!(body(&read(FIRST, 9)), "[1,2,4]");
        let first: HashSet<Key> = read(FIRST, 1).iter().map(|item| item.key).collect();
        assert_eq!(
            body(&read_but(FIRST, 9, &first, &HashSet::new())),
            "[2,4]",
            "what is under way is not read"
        );
        run(
            "UPDATE costsim_alert_queue SET claimed_until = clock_timestamp() + interval '1 minute' WHERE payload = '[4]'",
        );
        assert_eq!(body(&read(FIRST, 9)), "[1,2]", "nor what somebody else has claimed");
        run("UPDATE costsim_alert_queue SET claimed_until = clock_timestamp() WHERE payload = '[4]'");
        assert_eq!(body(&read(FIRST, 9)), "[1,2,4]", "unless the lease is over");
    }

    #[pg_test]
    fn alert_reading_ahead_goes_on_behind_what_is_in_flight() {
        for name in ["A", "B", "C"] {
            enqueue(name);
        }
        let flight = read(FIRST, 1);
        let (but, held) = (HashSet::new(), HashSet::new());
        let order = Order {
            target: FIRST,
            may_be_owed: true,
            size: 1,
            turn: 1,
            but: &but,
            behind: &flight,
            held: &held,
        };
        let ahead = outbox::read(&order, clock::now()).unwrap();
        assert_eq!(body(&ahead.items), r#"[{"labels": {"alertname": "B"}}]"#);
    }

    #[pg_test]
    fn alert_that_pages_goes_first_and_one_that_fires_before_the_queue() {
        enqueue("Q");
        fire("now");
        run(r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "P", "severity": "P1"}}]', 'x')"#);
        let names: Vec<String> = read(FIRST, 9).iter().map(|item| body(std::slice::from_ref(item))).collect();
        let place = |name: &str| names.iter().position(|text| text.contains(&format!("\"{name}\"")));
        assert_eq!((place("P"), place("F"), place("Q")), (Some(0), Some(1), Some(2)), "{names:?}");
    }

    #[pg_test]
    fn alert_payload_is_posted_digit_for_digit() {
        run(
            r#"INSERT INTO costsim_alert_queue (payload) VALUES ('[{"labels": {"a": "😀"}, "x": 12345678901234567890.10}, {"labels": {"b": ""}}]')"#,
        );
        enqueue("Q");
        assert_eq!(
            body(&read(FIRST, 9)),
            r#"[{"x": 12345678901234567890.10, "labels": {"a": "😀"}},{"labels": {"b": ""}},{"labels": {"alertname": "Q"}}]"#
        );
    }

    #[pg_test]
    fn alert_batch_counts_alerts_and_not_rows() {
        run(r#"INSERT INTO costsim_alert_queue (payload) VALUES ('[1,2,3]'), ('[4,5]'), ('[6]')"#);
        assert_eq!(body(&read(FIRST, 3)), "[1, 2, 3]".replace(' ', ""));
        assert_eq!(body(&read(FIRST, 5)), "[1,2,3,4,5]");
        assert_eq!(body(&read(FIRST, 2)), "[1,2,3]", "a row goes whole");
    }

    #[pg_test]
    fn alert_that_cannot_be_spelled_says_so_and_spoils_no_other() {
        run("INSERT INTO costsim_alert_queue (payload) VALUES ('{}'), ('[]'), ('\"a\"')");
        enqueue("Q");
        let items = read(FIRST, 9);
        assert_eq!(items.iter().filter(|item| item.fault().is_some()).count(), 3);
        assert_eq!(body(&items), r#"[{"labels": {"alertname": "Q"}}]"#);
    }

    #[pg_test]
    fn alert_of_the_same_labels_does_not_overtake_one_that_waits() {
        run(
            r#"INSERT INTO costsim_alert_queue (payload) VALUES ('[{"labels": {"a": "1"}, "annotations": {"n": "first"}}]')"#,
        );
        let first = read(FIRST, 1);
        let held: HashSet<Label> = first.iter().flat_map(Item::labels).collect();
        assert_eq!(held.len(), 1);
        let but: HashSet<Key> = first.iter().map(|item| item.key).collect();
        run(
            r#"INSERT INTO costsim_alert_queue (payload) VALUES ('[{"labels": {"a": "1"}}, {"labels": {"a": "2"}}]'), ('[{"labels": {"a": "2"}}]'),
               ('[{"labels": {"a": "3"}}]'), ('[7]')"#,
        );
        assert_eq!(body(&read_but(FIRST, 9, &but, &held)), r#"[{"labels": {"a": "3"}},7]"#);
        assert_eq!(
            body(&read_but(FIRST, 1, &but, &held)),
            r#"[{"labels": {"a": "3"}}]"#,
            "which is found behind what waits"
        );
    }

    #[pg_test]
    fn alert_that_was_taken_is_sent() {
        enqueue("Q");
        settle(read(FIRST, 9), Verdict::Delivered, 200, None);
        assert_eq!(
            seen(
                "SELECT status, attempts, response_code, sent_at IS NOT NULL, finished_at IS NOT NULL, owed_to FROM costsim_alert_queue"
            ),
            "(sent,1,200,t,t,)"
        );
    }

    #[pg_test]
    fn alert_that_one_target_has_is_owed_to_the_other() {
        enqueue("Q");
        fire("now");
        let second = read(SECOND, 9);
        taken_by(FIRST, read(FIRST, 9));
        assert_eq!(seen("SELECT status, owed_to FROM costsim_alert_queue"), "(sent,{2})");
        assert_eq!(
            seen("SELECT sent_revision, owed_to, next_send_at > clock_timestamp() FROM costsim_alerts"),
            "(1,{2},t)"
        );
        assert_eq!(read(FIRST, 9).len(), 0);
        assert_eq!(read(SECOND, 9).len(), 2, "it is owed");
        // What was read while nobody had it is settled when one has.
        taken_by(SECOND, second);
        assert_eq!(seen("SELECT status, attempts, owed_to FROM costsim_alert_queue"), "(sent,1,)");
        assert_eq!(seen("SELECT sent_revision, owed_to FROM costsim_alerts"), "(1,)");
        assert_eq!(read(SECOND, 9).len(), 0);
    }

    #[pg_test]
    fn alert_target_that_took_what_it_was_is_still_owed_what_it_is() {
        fire("first");
        let slow = read(SECOND, 9);
        taken_by(FIRST, read(FIRST, 9));
        run("SELECT costsim_resolve_alert('{\"alertname\": \"F\"}')");
        taken_by(FIRST, read(FIRST, 9));
        taken_by(SECOND, slow);
        assert_eq!(seen("SELECT sent_revision, owed_to FROM costsim_alerts"), "(2,{2})");
        assert_eq!(read(SECOND, 9).len(), 1);
    }

    #[pg_test]
    fn alert_that_one_target_refuses_is_left_to_the_other() {
        enqueue("Q");
        let refuse = |target, others: &[i32]| {
            among(others, outcome(target, read(target, 9), Verdict::Permanent, 400, Some("HTTP 400: ")))
                .settle(clock::now(), false)
                .unwrap();
            seen("SELECT status, attempts, last_error, owed_to FROM costsim_alert_queue")
        };
        assert_eq!(refuse(FIRST, &[SECOND]), "(pending,1,\"HTTP 400: \",{2})");
        assert_eq!(read(FIRST, 9).len(), 0);
        run("UPDATE costsim_alert_queue SET created_at = now() - interval '25 hours'");
        assert_eq!(read(SECOND, 9).len(), 1, "however old it is: nobody has it");
        assert_eq!(refuse(SECOND, &[FIRST]), "(failed,2,\"HTTP 400: \",)");
    }

    #[pg_test]
    fn alert_that_was_refused_by_one_and_owed_to_a_target_that_is_gone_is_due_to_all() {
        enqueue("Q");
        among(&[SECOND], outcome(FIRST, read(FIRST, 9), Verdict::Permanent, 400, None))
            .settle(clock::now(), false)
            .unwrap();
        assert_eq!(upkeep::settle_debts(&[FIRST, 3], false, 9).unwrap(), Debts::More);
        assert_eq!(seen("SELECT status, owed_to, finished_at FROM costsim_alert_queue"), "(pending,,)");
        assert_eq!(read(3, 9).len(), 1);
    }

    #[pg_test]
    fn alert_in_flight_is_not_read_again_when_another_target_has_taken_it() {
        enqueue("A");
        enqueue("B");
        let flight = read(SECOND, 1);
        taken_by(FIRST, read(FIRST, 1));
        let (but, held) = (HashSet::new(), HashSet::new());
        let order = Order {
            target: SECOND,
            may_be_owed: true,
            size: 9,
            turn: 1,
            but: &but,
            behind: &flight,
            held: &held,
        };
        assert_eq!(
            body(&outbox::read(&order, clock::now()).unwrap().items),
            r#"[{"labels": {"alertname": "B"}}]"#
        );
    }

    #[pg_test]
    fn alert_row_that_is_gone_is_not_taken_for_a_locked_one() {
        enqueue("Q");
        fire("now");
        let items = read(FIRST, 9);
        run("DELETE FROM costsim_alert_queue; DELETE FROM costsim_alerts");
        let left = among(&[], outcome(FIRST, items, Verdict::Delivered, 200, None))
            .settle(clock::now(), true)
            .unwrap();
        assert!(left.is_empty());
    }

    #[pg_test]
    fn alert_that_can_never_be_sent_is_over_for_who_is_owed_it() {
        enqueue("Q");
        taken_by(FIRST, read(FIRST, 9));
        run("UPDATE costsim_alert_queue SET payload = '7'");
        let attempt =
            Attempt { verdict: Verdict::Permanent, code: None, error: Some("unfit".into()), asked: None };
        let mut unfit = outcome(SECOND, read(SECOND, 9), Verdict::Permanent, 400, None);
        unfit.attempt = attempt;
        among(&[FIRST], unfit).settle(clock::now(), false).unwrap();
        assert_eq!(seen("SELECT status, owed_to FROM costsim_alert_queue"), "(sent,)");
    }

    #[pg_test]
    fn alert_large_payload_waits_like_any_other() {
        let large = "x".repeat(3_000);
        let insert = |note: &str| {
            run(&format!(
                "INSERT INTO costsim_alert_queue (payload) VALUES ('[{{\"labels\": {{\"a\": \"1\"}}, \"annotations\": {{\"n\": \"{note}\", \"x\": \"{large}\"}}}}]')"
            ));
        };
        insert("first");
        let first = read(FIRST, 1);
        let held: HashSet<Label> = first.iter().flat_map(Item::labels).collect();
        assert_eq!(held.len(), 1);
        let but: HashSet<Key> = first.iter().map(|item| item.key).collect();
        insert("second");
        enqueue("Q");
        assert_eq!(body(&read_but(FIRST, 9, &but, &held)), r#"[{"labels": {"alertname": "Q"}}]"#);
    }

    #[pg_test]
    fn alert_that_fires_with_much_to_say_is_sent_whole() {
        fire(&"x".repeat(30_000));
        assert!(body(&read(FIRST, 9)).len() > 30_000);
    }

    #[pg_test]
    fn alert_debts_end_with_their_target() {
        enqueue("Q");
        fire("now");
        taken_by(FIRST, read(FIRST, 9));
        assert_eq!(upkeep::settle_debts(&[FIRST, SECOND], false, 9).unwrap(), Debts::None);
        assert_eq!(upkeep::settle_debts(&[FIRST], false, 9).unwrap(), Debts::More);
        assert_eq!(seen("SELECT status, owed_to FROM costsim_alert_queue"), "(sent,)");
        assert_eq!(seen("SELECT owed_to FROM costsim_alerts"), "()");
    }

    #[pg_test]
    fn alert_miss_of_one_target_is_nothing_to_a_row_that_another_has_taken() {
        enqueue("Q");
        let second = read(SECOND, 9);
        taken_by(FIRST, read(FIRST, 9));
        among(&[FIRST], outcome(SECOND, second, Verdict::Retryable, 503, Some("HTTP 503: ")))
            .settle(clock::now(), false)
            .unwrap();
        assert_eq!(
            seen("SELECT status, attempts, last_error, owed_to FROM costsim_alert_queue"),
            "(sent,1,,{2})"
        );
        among(&[FIRST], outcome(SECOND, read(SECOND, 9), Verdict::Permanent, 400, Some("HTTP 400: ")))
            .settle(clock::now(), false)
            .unwrap();
        assert_eq!(
            seen("SELECT status, attempts, last_error, owed_to FROM costsim_alert_queue"),
            "(sent,1,,)"
        );
    }

    #[pg_test]
    fn alert_that_was_cancelled_stays_so() {
        enqueue("Q");
        let items = read(FIRST, 9);
        run("SELECT costsim_cancel_alert(id) FROM costsim_alert_queue");
        settle(items, Verdict::Delivered, 200, None);
        assert_eq!(seen("SELECT status, attempts FROM costsim_alert_queue"), "(cancelled,0)");
    }

    #[pg_test]
    fn alert_that_was_refused_is_failed_at_once() {
        enqueue("Q");
        settle(read(FIRST, 9), Verdict::Permanent, 400, Some("HTTP 400: bad"));
        assert_eq!(
            seen(
                "SELECT status, attempts, response_code, sent_at, finished_at IS NOT NULL, last_error FROM costsim_alert_queue"
            ),
            r#"(failed,1,400,,t,"HTTP 400: bad")"#
        );
    }

    /// Attempts alone give nothing up: an outage may last longer than they do.
    #[pg_test]
    fn alert_is_tried_until_attempts_and_window_are_both_used_up() {
        enqueue("Q");
        let attempt = || {
            run("UPDATE costsim_alert_queue SET next_attempt_at = now()");
            settle(read(FIRST, 9), Verdict::Retryable, 503, Some("HTTP 503: "));
            seen(
                "SELECT status, attempts, next_attempt_at > now(), next_attempt_at <= clock_timestamp() + interval '5 minutes', finished_at FROM costsim_alert_queue",
            )
        };
        assert_eq!(attempt(), "(pending,1,t,t,)");
        run("UPDATE costsim_alert_queue SET attempts = 20");
        assert_eq!(attempt(), "(pending,21,t,t,)");
        run("UPDATE costsim_alert_queue SET created_at = now() - interval '25 hours', attempts = 1");
        assert_eq!(attempt(), "(pending,2,t,t,)");
        run("UPDATE costsim_alert_queue SET attempts = 9");
        assert!(attempt().starts_with("(failed,10,"));
    }

    #[pg_test]
    fn alert_row_that_fails_alone_is_left_alone_for_as_long_as_the_receiver_asked() {
        enqueue("Q");
        let attempt = Attempt {
            verdict: Verdict::Retryable,
            code: Some(429),
            error: None,
            asked: Some(TimeDelta::minutes(59)),
        };
        assert!(read(FIRST, 9).first().unwrap().own_pause(&attempt, 0) >= TimeDelta::minutes(59));
    }

    #[pg_test]
    fn alert_news_during_a_request_are_sent_after_it() {
        fire("first");
        let items = read(FIRST, 9);
        run("SELECT costsim_resolve_alert('{\"alertname\": \"F\"}')");
        settle(items, Verdict::Delivered, 200, None);
        assert_eq!(
            seen(
                "SELECT revision, sent_revision, resolved_at IS NOT NULL, next_send_at <= clock_timestamp(), owed_to FROM costsim_alerts"
            ),
            "(2,1,t,t,)"
        );
        assert_eq!(read(FIRST, 9).len(), 1);
    }

    #[pg_test]
    fn alert_that_fires_is_sent_again_and_its_end_is_told_for_a_while() {
        fire("first");
        let send = || {
            let items = read(FIRST, 9);
            let body = body(&items);
            settle(items, Verdict::Delivered, 200, None);
            body
        };
        assert!(send().contains("\"summary\":\"first\""));
        assert_eq!(
            seen(
                "SELECT sent_revision, attempts, next_send_at > clock_timestamp(), next_send_at <= clock_timestamp() + interval '1 minute' FROM costsim_alerts"
            ),
            "(1,0,t,t)"
        );
        run("SELECT costsim_resolve_alert('{\"alertname\": \"F\"}')");
        assert_ne!(send(), "[]");
        assert_eq!(
            seen("SELECT sent_revision, next_send_at > clock_timestamp() FROM costsim_alerts"),
            "(2,t)"
        );
        run("UPDATE costsim_alerts SET next_send_at = now(), resolved_at = now() - interval '16 minutes'");
        assert_ne!(send(), "[]");
        assert_eq!(
            seen("SELECT next_send_at IS NULL FROM costsim_alerts"),
            "(t)",
            "the end has been told often enough"
        );
        assert_eq!(send(), "[]");
    }

    /// However many attempts fail: silence about what still fires would be wrong.
    #[pg_test]
    fn alert_that_fires_is_never_given_up_for_its_attempts() {
        fire("first");
        run("UPDATE costsim_alerts SET attempts = 1000, starts_at = now() - interval '1 year'");
        settle(read(FIRST, 9), Verdict::Retryable, 503, Some("HTTP 503: "));
        assert_eq!(
            seen(
                "SELECT attempts, sent_revision, last_error, next_send_at <= clock_timestamp() + interval '5 minutes' FROM costsim_alerts"
            ),
            r#"(1001,0,"HTTP 503: ",t)"#
        );
    }

    #[pg_test]
    fn alert_next_due_is_the_earliest_that_is_not_due_yet() {
        let next_due = || owed::next_due(clock::now()).unwrap();
        assert_eq!(next_due(), None);
        run(
            "INSERT INTO costsim_alert_queue (payload, next_attempt_at) VALUES ('[1]', '2130-01-02 UTC'), ('[2]', 'infinity'), ('[3]', '-infinity')",
        );
        assert_eq!(next_due(), Some("2130-01-02T00:00:00Z".parse().unwrap()));
        run(
            "INSERT INTO costsim_alerts (fingerprint, labels, starts_at, next_send_at) VALUES ('1', '{}', now(), '2129-01-01 UTC'), ('2', '{}', now(), NULL)",
        );
        assert_eq!(next_due(), Some("2129-01-01T00:00:00Z".parse().unwrap()));
        run("UPDATE costsim_alert_queue SET claimed_until = '2128-01-01 UTC' WHERE payload = '[3]'");
        assert_eq!(next_due(), Some("2128-01-01T00:00:00Z".parse().unwrap()), "or the end of a claim");
    }

    #[pg_test]
    fn alert_worker_is_woken_by_news_only() {
        take_wake();
        enqueue("Q");
        assert!(take_wake());
        assert!(!take_wake(), "asking forgets");
        run("INSERT INTO costsim_alert_queue (payload) VALUES ('[]')");
        assert!(take_wake(), "a row by another hand is news too");
        fire("first");
        assert!(take_wake());
        fire("first");
        assert!(!take_wake(), "the same again is none");
        run("SELECT costsim_resolve_alert('{\"alertname\": \"G\"}')");
        assert!(!take_wake(), "nor the end of what never began");
        run("SELECT costsim_resolve_alert('{\"alertname\": \"F\"}')");
        assert!(take_wake());
        run("UPDATE costsim_alert_queue SET status = 'failed'; SELECT costsim_retry_failed_alerts()");
        assert!(take_wake(), "what is brought back is news again");
    }

    #[pg_test]
    fn alert_of_an_incident_tells_whose_it_was_only_when_sent() {
        run(
            "SELECT costsim_enqueue_alert('[{\"labels\": {\"alertname\": \"Q\"}}]', 'x', incident_id => 'i-1')",
        );
        let of = |verdict, code| outcome(FIRST, read(FIRST, 9), verdict, code, None).incidents();
        assert!(of(Verdict::Retryable, 503).is_empty());
        assert!(of(Verdict::Permanent, 400).is_empty());
        assert_eq!(of(Verdict::Delivered, 200), ["i-1"]);
    }
}
