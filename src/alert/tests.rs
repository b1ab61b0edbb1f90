//! Tests of the room inside a server: a delivery from its claim to its settlement, without a network.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use chrono::TimeDelta;
    use costsim_core::alertmanager::Verdict;
    use pgrx::prelude::*;

    use crate::alert::outbox::{self, Attempt, Claim, Settled};
    use crate::alert::{store, take_wake};
    use crate::clock;

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

    fn claim_by(claimant: &str, limit: i64) -> Claim {
        outbox::claim(claimant, limit, TimeDelta::minutes(1), clock::now()).unwrap()
    }

    fn claim(limit: i64) -> Claim {
        claim_by("me", limit)
    }

    fn body(claim: &Claim) -> String {
        String::from_utf8(outbox::body(&claim.items.iter().collect::<Vec<_>>())).unwrap()
    }

    fn judged(claim: &Claim, verdict: Verdict, code: u16, error: Option<&str>) -> Vec<Settled> {
        let attempt = Attempt { verdict, code: Some(code), error: error.map(Into::into), not_before: None };
        claim.items.iter().map(|item| item.judge(&attempt, clock::now())).collect()
    }

    #[pg_test]
    fn alert_claim_takes_what_is_due_oldest_first_up_to_the_limit() {
        run("INSERT INTO costsim_alert_queue (payload, next_attempt_at)
             SELECT jsonb_build_array(n), now() + due::interval
               FROM (VALUES (1, '-1 hour'), (2, '-3 hours'), (3, '1 hour'), (4, '-2 hours')) v(n, due)");
        run("INSERT INTO costsim_alert_queue (payload, status) VALUES ('[5]', 'sent'), ('[6]', 'failed')");
        assert_eq!(claim(2).items.len(), 2);
        assert_eq!(
            seen(
                "SELECT payload ->> 0, claimed_by, claimed_until > clock_timestamp() FROM costsim_alert_queue WHERE claim_token IS NOT NULL ORDER BY 1"
            ),
            "(2,me,t) (4,me,t)"
        );
        assert_eq!(body(&claim_by("another", 9)), "[1]");
        assert_eq!(claim_by("a third", 9).items.len(), 0, "what is claimed is not claimed again");
        run("UPDATE costsim_alert_queue SET claimed_until = clock_timestamp() WHERE payload = '[4]'");
        assert_eq!(body(&claim_by("a third", 9)), "[4]", "unless the lease is over");
    }

    #[pg_test]
    fn alert_that_fires_goes_before_the_queue() {
        enqueue("Q");
        fire("now");
        assert!(body(&claim(1)).contains("\"alertname\":\"F\""));
        assert_eq!(body(&claim_by("another", 1)), r#"[{"labels": {"alertname": "Q"}}]"#);
    }

    #[pg_test]
    fn alert_payload_is_posted_digit_for_digit() {
        run(
            r#"INSERT INTO costsim_alert_queue (payload) VALUES ('[{"labels": {"a": "😀"}, "x": 12345678901234567890.10}, {"labels": {"b": ""}}]')"#,
        );
        enqueue("Q");
        assert_eq!(
            body(&claim(9)),
            r#"[{"x": 12345678901234567890.10, "labels": {"a": "😀"}},{"labels": {"b": ""}},{"labels": {"alertname": "Q"}}]"#
        );
    }

    #[pg_test]
    fn alert_that_cannot_be_spelled_says_so_and_spoils_no_other() {
        run("INSERT INTO costsim_alert_queue (payload) VALUES ('{}'), ('[]'), ('\"a\"')");
        enqueue("Q");
        let claim = claim(9);
        assert_eq!(claim.items.iter().filter(|item| item.fault().is_some()).count(), 3);
        assert_eq!(body(&claim), r#"[{"labels": {"alertname": "Q"}}]"#);
    }

    #[pg_test]
    fn alert_that_was_taken_is_sent() {
        enqueue("Q");
        let claim = claim(9);
        store::settle(claim.token, &judged(&claim, Verdict::Delivered, 200, None)).unwrap();
        assert_eq!(
            seen(
                "SELECT status, attempts, response_code, sent_at IS NOT NULL, finished_at IS NOT NULL, claim_token, claimed_by, claimed_until FROM costsim_alert_queue"
            ),
            "(sent,1,200,t,t,,,)"
        );
    }

    #[pg_test]
    fn alert_that_was_refused_is_failed_at_once() {
        enqueue("Q");
        let claim = claim(9);
        store::settle(claim.token, &judged(&claim, Verdict::Permanent, 400, Some("HTTP 400: bad"))).unwrap();
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
            let claim = claim(9);
            store::settle(claim.token, &judged(&claim, Verdict::Retryable, 503, Some("HTTP 503: "))).unwrap();
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
    fn alert_receiver_may_ask_for_more_time() {
        enqueue("Q");
        let claim = claim(9);
        let now = clock::now();
        let attempt = Attempt {
            verdict: Verdict::Retryable,
            code: Some(429),
            error: None,
            not_before: Some(TimeDelta::hours(1)),
        };
        let settled = claim.items.first().unwrap().judge(&attempt, now);
        assert!(settled.next_at.unwrap() >= now + TimeDelta::hours(1));
    }

    #[pg_test]
    fn alert_claim_that_was_lost_settles_nothing() {
        enqueue("Q");
        fire("now");
        let lost = claim(9);
        run(
            "UPDATE costsim_alert_queue SET claimed_until = clock_timestamp(); UPDATE costsim_alerts SET claimed_until = clock_timestamp()",
        );
        let mine = claim(9);
        assert_eq!(mine.items.len(), 2);
        store::settle(lost.token, &judged(&lost, Verdict::Delivered, 200, None)).unwrap();
        assert_eq!(seen("SELECT status, attempts, claimed_by FROM costsim_alert_queue"), "(pending,0,me)");
        assert_eq!(seen("SELECT sent_revision, claimed_by FROM costsim_alerts"), "(0,me)");
    }

    #[pg_test]
    fn alert_news_during_a_request_are_sent_after_it() {
        fire("first");
        let claim = claim(9);
        run("SELECT costsim_resolve_alert('{\"alertname\": \"F\"}')");
        store::settle(claim.token, &judged(&claim, Verdict::Delivered, 200, None)).unwrap();
        assert_eq!(
            seen(
                "SELECT revision, sent_revision, resolved_at IS NOT NULL, next_send_at <= clock_timestamp(), claimed_by FROM costsim_alerts"
            ),
            "(2,1,t,t,)"
        );
    }

    #[pg_test]
    fn alert_that_fires_is_sent_again_and_its_end_is_told_for_a_while() {
        fire("first");
        let send = || {
            let claim = claim(9);
            store::settle(claim.token, &judged(&claim, Verdict::Delivered, 200, None)).unwrap();
            body(&claim)
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
        let claim = claim(9);
        store::settle(claim.token, &judged(&claim, Verdict::Retryable, 503, Some("HTTP 503: "))).unwrap();
        assert_eq!(
            seen(
                "SELECT attempts, sent_revision, last_error, next_send_at <= clock_timestamp() + interval '5 minutes' FROM costsim_alerts"
            ),
            r#"(1001,0,"HTTP 503: ",t)"#
        );
    }

    #[pg_test]
    fn alert_claims_keep_others_out_and_not_their_claimant() {
        enqueue("Q");
        fire("first");
        let claim_by =
            |claimant| outbox::claim(claimant, 9, TimeDelta::minutes(1), clock::now()).unwrap().items.len();
        assert_eq!(claim_by("me"), 2);
        assert_eq!(claim_by("somebody else"), 0);
        assert_eq!(claim_by("me"), 2, "what it asks for again it has given up");
    }

    #[pg_test]
    fn alert_next_due_is_the_earliest_of_all_and_minds_claims() {
        assert_eq!(store::next_due().unwrap(), None);
        run(
            "INSERT INTO costsim_alert_queue (payload, next_attempt_at, claimed_until) VALUES ('[1]', '2030-01-02 UTC', NULL), ('[2]', '2030-01-01 UTC', '2030-01-05 UTC')",
        );
        assert_eq!(store::next_due().unwrap(), Some("2030-01-02T00:00:00Z".parse().unwrap()));
        run(
            "INSERT INTO costsim_alerts (fingerprint, labels, starts_at, next_send_at) VALUES ('1', '{}', now(), '2029-01-01 UTC'), ('2', '{}', now(), NULL)",
        );
        assert_eq!(store::next_due().unwrap(), Some("2029-01-01T00:00:00Z".parse().unwrap()));
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
    }

    #[pg_test]
    fn alert_of_an_incident_tells_whose_it_was_only_when_sent() {
        run(
            "SELECT costsim_enqueue_alert('[{\"labels\": {\"alertname\": \"Q\"}}]', 'x', incident_id => 'i-1')",
        );
        let claim = claim(9);
        let of = |verdict, code| judged(&claim, verdict, code, None).first().unwrap().incident_id.clone();
        assert_eq!(of(Verdict::Retryable, 503), None);
        assert_eq!(of(Verdict::Permanent, 400), None);
        assert_eq!(of(Verdict::Delivered, 200).as_deref(), Some("i-1"));
    }
}
