//! Claims about alerts, payloads, endpoints, answers and error texts.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used)]

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use costsim_core::alertmanager::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn labels(value: Value) -> LabelSet {
    LabelSet::from_json(&value).unwrap()
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2025, 1, 2, 12, 0, 0).unwrap()
}

mod label {
    use super::*;

    #[test]
    fn the_fingerprint_is_prometheus_own() {
        // The pair that Prometheus' common library pins in its own tests.
        let known = labels(json!({"name": "garland, briggs", "fear": "love is not enough"}));
        assert_eq!(known.fingerprint(), Fingerprint(5799056148416392346));
        assert_eq!(known.fingerprint().to_string(), "507a62d79ee76c9a");
    }

    #[test]
    fn a_fingerprint_keeps_its_leading_zeros() {
        assert_eq!(Fingerprint(0xab).to_string(), "00000000000000ab");
    }

    #[test]
    fn an_empty_label_is_a_missing_label() {
        let with = labels(json!({"alertname": "A", "team": ""}));
        assert_eq!(with, labels(json!({"alertname": "A"})));
        assert_eq!(LabelSet::from_json(&json!({"team": ""})), Err(BadLabels::Empty));
        assert_eq!(LabelSet::from_json(&json!({})), Err(BadLabels::Empty));
    }

    #[test]
    fn an_error_names_the_label() {
        for name in ["", "1a", "a-b", "a.b", "é", "a b", "a:b"] {
            let error = LabelSet::from_json(&json!({name: "x"})).unwrap_err();
            assert_eq!(error, BadLabels::Name { name: name.to_owned() });
        }
        let error = LabelSet::from_json(&json!({"retries": 3, "a": "x"})).unwrap_err();
        assert_eq!(error.to_string(), "value of \"retries\" must be a string, not a number");
        let error = LabelSet::from_json(&json!(["a"])).unwrap_err();
        assert_eq!(error.to_string(), "must be an object of strings, not an array");
    }

    #[test]
    fn annotations_may_be_empty_but_their_names_follow_the_rule() {
        assert!(Annotations::from_json(&json!({})).is_ok());
        assert_eq!(
            Annotations::from_json(&json!({"summary": ""})).unwrap().to_json(),
            json!({"summary": ""})
        );
        assert!(Annotations::from_json(&json!({"run-book": "x"})).is_err());
    }

    proptest! {
        #[test]
        fn the_fingerprint_does_not_depend_on_order(
            pairs in prop::collection::btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,8}", ".{1,8}", 1..8),
        ) {
            let text = |pairs: Vec<(&String, &String)>| {
                let members: Vec<_> = pairs.iter().map(|(k, v)| format!("{}:{}", json!(k), json!(v))).collect();
                labels(serde_json::from_str(&format!("{{{}}}", members.join(","))).unwrap()).fingerprint()
            };
            prop_assert_eq!(text(pairs.iter().collect()), text(pairs.iter().rev().collect()));
        }

        #[test]
        fn a_value_that_moves_to_another_label_changes_the_fingerprint(a in "[a-z]{1,4}", b in "[a-z]{1,4}") {
            let one = labels(json!({"x": a, "y": b})).fingerprint();
            prop_assert_eq!(one == labels(json!({"x": b, "y": a})).fingerprint(), a == b);
        }
    }
}

mod alert {
    use super::*;

    #[test]
    fn an_alert_is_spelled_as_the_api_wants_it() {
        let mut alert = Alert {
            labels: labels(json!({"alertname": "A"})),
            annotations: Annotations::default(),
            starts_at: noon() + TimeDelta::microseconds(1500),
            ends_at: None,
            generator_url: None,
        };
        let starts_at = "2025-01-02T12:00:00.001500Z";
        let bare = json!({"labels": {"alertname": "A"}, "annotations": {}, "startsAt": starts_at});
        assert_eq!(alert.to_json(), bare);
        alert.ends_at = Some(noon() + TimeDelta::minutes(4));
        alert.generator_url = Some("http://db/".to_owned());
        assert_eq!(alert.to_json()["endsAt"], "2025-01-02T12:04:00.000000Z");
        assert_eq!(alert.to_json()["generatorURL"], "http://db/");
        assert_eq!(validate_payload(&json!([alert.to_json()])), Ok(()));
    }

    #[test]
    fn a_firing_alert_survives_three_lost_posts() {
        let minute = TimeDelta::minutes(1);
        let third_next = (0..3).fold(noon(), |now, _| next_send(Liveness::Firing, now, minute).unwrap());
        assert!(ends_at(noon(), minute) > third_next);
        assert_eq!(ends_at(noon(), minute), noon() + TimeDelta::minutes(4));
    }

    #[test]
    fn a_resolved_alert_is_sent_again_for_fifteen_minutes() {
        let resolved = Liveness::Resolved { at: noon() };
        let minute = TimeDelta::minutes(1);
        let sends = std::iter::successors(Some(noon()), |now| next_send(resolved, *now, minute));
        assert_eq!(sends.last(), Some(noon() + RESOLVED_RESEND_FOR));
    }

    #[test]
    fn the_ends_of_time_are_no_panic() {
        assert_eq!(ends_at(noon(), TimeDelta::MAX), DateTime::<Utc>::MAX_UTC);
        assert_eq!(ends_at(noon(), TimeDelta::MIN), noon());
        assert_eq!(next_send(Liveness::Firing, DateTime::<Utc>::MAX_UTC, TimeDelta::hours(1)), None);
    }
}

mod payload {
    use super::*;

    fn error(payload: Value) -> String {
        validate_payload(&payload).unwrap_err().to_string()
    }

    fn alert(field: &str, value: Value) -> Value {
        let mut alert = json!({"labels": {"alertname": "A"}});
        alert[field] = value;
        json!([alert])
    }

    #[test]
    fn the_reference_payload_passes() {
        let payload = json!([{
            "labels": {"alertname": "CostSimV2Disabled", "severity": "p1"},
            "annotations": {"summary": "s", "description": "a\nb"},
            "startsAt": "2025-01-02T03:04:05.678901+00:00"
        }]);
        assert_eq!(validate_payload(&payload), Ok(()));
    }

    #[test]
    fn an_error_says_which_element_and_which_field() {
        let good = json!({"labels": {"alertname": "A"}});
        let cases = [
            (json!({}), "alert payload must be an array of alerts, not an object"),
            (json!([]), "alert payload holds no alert"),
            (json!([good, 7]), "alert payload, element 1: must be an object, not a number"),
            (json!([good, {"labels": null}]), "alert payload, element 1: labels are missing"),
            (
                json!([{"labels": {"a": 1}}]),
                "alert payload, element 0: labels: value of \"a\" must be a string, not a number",
            ),
            (
                alert("annotations", json!([])),
                "alert payload, element 0: annotations: must be an object of strings, not an array",
            ),
            (
                alert("startsAt", json!("yesterday")),
                "alert payload, element 0: startsAt must be a string that holds an RFC 3339 time",
            ),
            (
                alert("generatorURL", json!(1)),
                "alert payload, element 0: generatorURL must be a string that holds a URL",
            ),
        ];
        for (payload, text) in cases {
            assert_eq!(error(payload), text);
        }
        let many: Vec<_> = std::iter::repeat_n(good, MAX_ALERTS_PER_POST + 1).collect();
        assert_eq!(error(json!(many)), "alert payload holds 257 alerts, more than the 256 of one request");
    }

    #[test]
    fn times_are_taken_as_the_receiver_takes_them() {
        let good =
            ["2025-01-02T03:04:05Z", "2025-01-02T03:04:05.1-08:00", "2025-01-02T03:04:05.123456789+05:30"];
        let bad = [
            "2025-01-02",
            "2025-01-02 03:04:05Z",
            "2025-01-02t03:04:05Z",
            "2025-01-02T03:04:05z",
            "2025-01-02T03:04:05",
            "2025-01-02T03:04:60Z",
            "2025-13-02T03:04:05Z",
            "",
        ];
        good.iter()
            .for_each(|time| assert_eq!(validate_payload(&alert("endsAt", json!(time))), Ok(()), "{time}"));
        bad.iter()
            .for_each(|time| assert!(validate_payload(&alert("endsAt", json!(time))).is_err(), "{time}"));
        let backwards = json!([{
            "labels": {"a": "b"}, "startsAt": "2025-01-02T03:04:05Z", "endsAt": "2025-01-02T05:04:05+02:01"
        }]);
        assert_eq!(error(backwards), "alert payload, element 0: endsAt must not come before startsAt");
    }

    #[test]
    fn absent_null_and_empty_optional_fields_pass() {
        for field in ["annotations", "startsAt", "endsAt", "generatorURL"] {
            assert_eq!(validate_payload(&alert(field, Value::Null)), Ok(()), "{field}");
        }
        for url in ["", "http://db:8080/x%20?y=50%&z#a", "/relative/path"] {
            assert_eq!(validate_payload(&alert("generatorURL", json!(url))), Ok(()), "{url}");
        }
        for url in ["relative", "http://h/%zz", "http://h/\n", " http://h", "/a#%z", "http://h:x/", "http://"]
        {
            assert!(validate_payload(&alert("generatorURL", json!(url))).is_err(), "{url}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            Just("labels".to_owned()),
            Just("annotations".to_owned()),
            Just("startsAt".to_owned()),
            Just("endsAt".to_owned()),
            Just("generatorURL".to_owned()),
            any::<String>(),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[0-9TZ:.+é-]{0,30}".prop_map(Value::from),
            "(http://|/)?[a-z%é:@/?\n]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let array = prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from);
            let object = prop::collection::hash_map(key.clone(), inner, 0..5)
                .prop_map(|members| members.into_iter().collect());
            prop_oneof![array, object]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_the_check_panic(payload in any_json(), label in any_json()) {
            _ = validate_payload(&payload);
            _ = validate_payload(&json!([payload]));
            _ = validate_payload(&json!([{"labels": {"a": "b"}, "annotations": label, "startsAt": payload}]));
            _ = LabelSet::from_json(&label).map_err(|error| error.to_string());
        }
    }
}

mod endpoints {
    use super::*;

    #[test]
    fn base_and_full_path_are_the_same_endpoint() {
        for base in [
            "http://h:9093",
            "http://h:9093/",
            " http://h:9093// ",
            "http://h:9093/api/v2",
            "http://h:9093/api/v2/alerts",
            "http://h:9093/api/v2/alerts/",
            "HTTP://H:9093",
        ] {
            assert_eq!(endpoint(base).as_deref(), Ok("http://h:9093/api/v2/alerts"), "{base}");
        }
        assert_eq!(endpoint("https://h/am/").as_deref(), Ok("https://h/am/api/v2/alerts"));
        assert_eq!(endpoint("https://h/am/api/v2/alerts").as_deref(), Ok("https://h/am/api/v2/alerts"));
        assert_eq!(endpoint("http://[::1]:9093").as_deref(), Ok("http://[::1]:9093/api/v2/alerts"));
    }

    #[test]
    fn what_is_no_endpoint_is_refused_for_its_reason() {
        let cases = [
            ("  ", BadEndpoint::Blank),
            ("h:9093", BadEndpoint::Scheme),
            ("localhost", BadEndpoint::Scheme),
            ("ftp://h", BadEndpoint::Scheme),
            ("file:///etc/passwd", BadEndpoint::Scheme),
            ("http:h", BadEndpoint::Scheme),
            ("http://", BadEndpoint::NotAUrl),
            ("http://h:99999", BadEndpoint::NotAUrl),
            ("http://h\n:9093", BadEndpoint::NotAUrl),
            ("http://u:p w@h", BadEndpoint::NotAUrl),
            ("http://h\\x", BadEndpoint::NotAUrl),
            ("http://u@h", BadEndpoint::Credentials),
            ("http://u:p@h", BadEndpoint::Credentials),
            ("http://:p@h", BadEndpoint::Credentials),
            ("http://h/?token=x", BadEndpoint::Query),
            ("http://h/#x", BadEndpoint::Query),
            ("http://h/api/v1/alerts", BadEndpoint::OldApi),
        ];
        for (base, why) in cases {
            assert_eq!(endpoint(base), Err(why), "{base}");
        }
    }

    #[test]
    fn a_list_keeps_order_and_drops_repetition() {
        let a = "http://a/api/v2/alerts".to_owned();
        let b = "http://b:9093/api/v2/alerts".to_owned();
        assert_eq!(endpoints("http://b:9093, http://a ,http://b:9093/api/v2/alerts"), Ok(vec![b, a]));
        assert_eq!(endpoints("  "), Ok(vec![]));
        let why = BadEndpoint::Blank;
        assert_eq!(endpoints("http://a,,http://b"), Err(BadEndpoints { position: 2, why }));
    }

    proptest! {
        #[test]
        fn an_endpoint_of_an_endpoint_is_itself(path in "(/[a-z0-9~._-]{1,5}){0,3}/?") {
            let once = endpoint(&format!("http://h:9093{path}")).unwrap();
            prop_assert!(once.ends_with("/api/v2/alerts"));
            prop_assert_eq!(endpoint(&once), Ok(once));
        }

        #[test]
        fn no_error_repeats_a_password(scheme in "(http|https|ftp)", password in "[a-zA-Z0-9]{12}", tail in "[ -~]{0,9}") {
            let error = endpoints(&format!("{scheme}://user:{password}@h{tail}")).unwrap_err();
            let told = format!("{error} {error:?}");
            prop_assert!(!told.contains(&password));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), rest in "[ -~]{0,20}") {
            _ = endpoints(&text);
            _ = endpoint(&format!("http://{rest}"));
        }
    }
}

mod delivery {
    use super::*;

    const NONE: TimeDelta = TimeDelta::zero();

    #[test]
    fn every_status_has_its_verdict() {
        for status in 100..=599 {
            let expected = match status {
                200..=299 => Verdict::Delivered,
                400 | 413 | 422 => Verdict::Permanent,
                100..=199 | 300..=399 | 401..=499 | 500..=599 => Verdict::Retryable,
                _ => unreachable!(),
            };
            assert_eq!(verdict(status), expected, "{status}");
        }
        for healing in
            [301, 302, 307, 401, 403, 404, 405, 407, 408, 410, 425, 429, 500, 502, 503, 504, 0, 999]
        {
            assert_eq!(verdict(healing), Verdict::Retryable, "{healing}");
        }
    }

    #[test]
    fn success_counts_its_attempt_too() {
        let sent = settle(&RetryPolicy::default(), Verdict::Delivered, 2, NONE, 0.0);
        assert_eq!(sent, Settlement::Sent { attempts: 3 });
    }

    #[test]
    fn a_permanent_answer_ends_it_at_once() {
        let dead = settle(&RetryPolicy::default(), Verdict::Permanent, 0, NONE, 0.0);
        assert_eq!(dead, Settlement::Dead { attempts: 1, why: Death::Refused });
    }

    #[test]
    fn a_window_of_zero_is_the_references_rule() {
        let policy = RetryPolicy { retry_window: NONE, ..RetryPolicy::default() };
        let mut waited = NONE;
        let mut attempts = 0;
        while let Settlement::Retry { attempts: now, after } =
            settle(&policy, Verdict::Retryable, attempts, waited, 0.0)
        {
            (attempts, waited) = (now, waited + after);
        }
        assert_eq!((attempts, waited), (9, TimeDelta::seconds(810)));
        let backwards = settle(&policy, Verdict::Retryable, 9, -TimeDelta::hours(1), 0.0);
        assert_eq!(backwards, Settlement::Dead { attempts: 10, why: Death::Exhausted });
    }

    #[test]
    fn attempts_alone_do_not_kill_within_the_window() {
        let policy = RetryPolicy::default();
        let day = TimeDelta::hours(24);
        let almost = settle(&policy, Verdict::Retryable, 500, day - TimeDelta::microseconds(1), 0.0);
        assert_eq!(almost, Settlement::Retry { attempts: 501, after: TimeDelta::seconds(300) });
        let over = settle(&policy, Verdict::Retryable, 500, day, 0.0);
        assert_eq!(over, Settlement::Dead { attempts: 501, why: Death::Exhausted });
        let few = settle(&policy, Verdict::Retryable, 8, day * 2, 0.0);
        assert!(matches!(few, Settlement::Retry { attempts: 9, .. }));
    }

    #[test]
    fn a_counter_at_its_end_stays_there() {
        let settled = settle(&RetryPolicy::default(), Verdict::Retryable, i32::MAX, NONE, 0.0);
        assert!(matches!(settled, Settlement::Retry { attempts: i32::MAX, .. }));
    }
}

mod error_texts {
    use super::*;

    #[test]
    fn an_answer_is_cut_and_cleaned() {
        assert_eq!(error_text(400, "bad\r\n\tlabel\u{0}", &[]), "HTTP 400: bad   label");
        let long = error_text(500, &"é".repeat(1000), &[]);
        assert_eq!(long.chars().count(), "HTTP 500: ".len() + MAX_BODY_CHARS);
        assert_eq!(scrub(&"é".repeat(1000), &[]).chars().count(), MAX_ERROR_CHARS);
    }

    #[test]
    fn each_spelling_of_a_leak_is_masked() {
        let cases = [
            ("url (http://u:p@h:9093/x): refused", "url (http://***@h:9093/x): refused"),
            ("see https://u@h/", "see https://***@h/"),
            ("http://u:p@ss/w@rd@h/x", "http://***@h/x"),
            ("\"http://a:b@h\",\"http://c:d@i\"", "\"http://***@i\""),
            ("GET http://h/x?token=abc#y: 404", "GET http://h/x?***: 404"),
            ("(http://h/x?token=abc).", "(http://h/x?***)."),
            ("GET /x?token=abc failed", "GET /x?*** failed"),
            ("what? no", "what? no"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
            ("authorization:basic  dTpw x", "authorization:basic  *** x"),
            ("Bearer\nabc", "Bearer ***"),
            ("key s3cr3t end", "key *** end"),
            ("s3cr3ts3cr3t", "******"),
        ];
        for (text, masked) in cases {
            assert_eq!(scrub(text, &["s3cr3t", ""]), masked);
        }
    }

    #[test]
    fn a_secret_across_the_cut_is_gone_before_the_cut() {
        for padding in 150..MAX_BODY_CHARS {
            let body = format!("{} http://user:hunter22@host/", "x".repeat(padding));
            assert!(!error_text(502, &body, &[]).contains("hunt"));
        }
    }

    proptest! {
        #[test]
        fn a_password_never_survives(
            before in ".{0,30}", user in "[!-~]{0,8}", password in "[!-~]{0,3}[A-Z]{6}[!-~]{0,3}", after in ".{0,30}",
        ) {
            // A blank ends a URL, so that what stands before cannot be taken for its beginning.
            let text = format!("{before} http://{user}:{password}@host/{after}");
            let core: String = password.chars().filter(char::is_ascii_uppercase).collect();
            prop_assume!(!before.contains(&core) && !after.contains(&core));
            prop_assert!(!scrub(&text, &[]).contains(&core));
            prop_assert!(!error_text(500, &text, &[]).contains(&core));
        }

        #[test]
        fn a_query_never_survives(before in ".{0,30}", name in "[a-z]{1,5}", value in "[A-Z]{6}[!-~]{0,9}") {
            let core = &value[..6];
            prop_assume!(!before.contains(core));
            let masked = scrub(&format!("{before} https://host/p?{name}={value} tail"), &[]);
            prop_assert!(!masked.contains(core), "{}", masked);
        }

        #[test]
        fn a_named_secret_never_survives(
            before in any::<String>(), after in any::<String>(), secret in "[a-zA-Z0-9+/=:]{4,20}", other in "[a-z]{1,4}",
        ) {
            let text = format!("{before}{secret}{after}{secret}");
            prop_assert!(!scrub(&text, &[&other, &secret]).contains(&secret));
        }

        #[test]
        fn any_text_becomes_one_bounded_line(text in any::<String>(), secrets in prop::collection::vec(any::<String>(), 0..3)) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let masked = scrub(&text.repeat(40), &secrets);
            prop_assert!(masked.chars().count() <= MAX_ERROR_CHARS);
            prop_assert!(!masked.contains(char::is_control));
        }
    }
}

#[test]
fn asked_pause_only_lengthens_and_never_beyond_an_hour() {
    let (second, hour) = (TimeDelta::seconds(1), TimeDelta::hours(1));
    assert_eq!(with_asked_pause(second, None), second);
    assert_eq!(with_asked_pause(second, Some(TimeDelta::zero())), second);
    assert_eq!(with_asked_pause(second, Some(TimeDelta::seconds(30))), TimeDelta::seconds(30));
    assert_eq!(with_asked_pause(second, Some(TimeDelta::MAX)), hour);
    assert_eq!(
        with_asked_pause(TimeDelta::hours(2), Some(TimeDelta::MAX)),
        TimeDelta::hours(2),
        "its own pause stands"
    );
}

mod health {
    use super::*;

    const CAP: TimeDelta = TimeDelta::seconds(300);

    /// So many failures in a row, all answered or none.
    fn failed(times: u32, was_answered: bool) -> Health {
        (0..times)
            .fold(Health::default(), |health, _| health.after_failure(noon(), was_answered, None, CAP, 0.0))
    }

    #[test]
    fn a_receiver_that_failed_is_left_alone_for_as_long_as_the_reference_says() {
        let pauses: Vec<i64> =
            (1..=10).map(|times| (failed(times, false).not_before.unwrap() - noon()).num_seconds()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn one_that_asks_for_more_gets_it_within_reason() {
        let asked = |pause| {
            let health = Health::default().after_failure(noon(), true, Some(pause), CAP, 0.5);
            health.not_before.unwrap() - noon()
        };
        assert_eq!(asked(TimeDelta::seconds(90)), TimeDelta::seconds(90));
        assert_eq!(asked(TimeDelta::days(9)), LONGEST_ASKED_PAUSE);
        assert_eq!(asked(TimeDelta::zero()), TimeDelta::seconds(1));
    }

    #[test]
    fn a_success_makes_it_well_at_once() {
        let health = Health::after_success();
        assert!(health.is_well() && health.may_be_asked(noon()));
        assert_eq!(health.batch(256), 256);
    }

    #[test]
    fn one_that_answers_and_takes_nothing_is_given_less_until_a_row_stands_alone() {
        let batches: Vec<usize> = (0..6).map(|times| failed(times, true).batch(256)).collect();
        assert_eq!(batches, [256, 64, 16, 4, 1, 1]);
        assert_eq!(failed(u32::from(u16::MAX), true).batch(10_000), 1);
        assert_eq!(failed(1, true).batch(1), 1);
    }

    #[test]
    fn one_that_does_not_answer_says_nothing_of_the_rows() {
        assert_eq!(failed(9, false).batch(256), 256);
        let mixed = failed(3, true).after_failure(noon(), false, None, CAP, 0.0);
        assert_eq!((mixed.failures, mixed.batch(256)), (4, 256));
    }

    proptest! {
        #[test]
        fn it_is_asked_again_within_the_cap_and_never_at_once(
            answers in prop::collection::vec(any::<bool>(), 1..40), jitter in 0.0..1.0_f64, cap in 1_i64..86_400,
        ) {
            let cap = TimeDelta::seconds(cap);
            let health = answers.iter().fold(Health::default(), |health, answered| {
                health.after_failure(noon(), *answered, None, cap, jitter)
            });
            let pause = health.not_before.unwrap() - noon();
            prop_assert!(pause > TimeDelta::zero() && pause <= cap);
            prop_assert!(!health.may_be_asked(noon()) && health.may_be_asked(noon() + cap));
            prop_assert_eq!(health.failures as usize, answers.len());
        }
    }
}

mod seating {
    use super::*;

    #[test]
    fn what_pages_goes_first() {
        assert_eq!(seats(256, [10, 20, 300, 300], 0), [10, 20, 226, 0]);
        assert_eq!(seats(256, [300, 300, 300, 300], 0), [256, 0, 0, 0]);
        assert_eq!(seats(256, [0, 0, 0, 0], 7), [0, 0, 0, 0]);
    }

    #[test]
    fn each_line_has_a_quarter_in_its_turn() {
        assert_eq!(seats(256, [300, 300, 300, 300], 1), [192, 64, 0, 0]);
        assert_eq!(seats(256, [300, 300, 300, 300], 2), [192, 0, 64, 0]);
        assert_eq!(seats(256, [300, 300, 300, 300], 3), [192, 0, 0, 64]);
        assert_eq!(seats(256, [300, 0, 0, 5], 1), [251, 0, 0, 5]);
    }

    proptest! {
        #[test]
        fn nobody_sits_who_does_not_wait_and_no_seat_stays_empty_while_one_waits(
            size in 0_usize..1_000, waiting in prop::array::uniform4(0_usize..1_000), turn in any::<usize>(),
        ) {
            let turn = turn % 1_000;
            let given = seats(size, waiting, turn);
            for line in 0..LINES {
                prop_assert!(given[line] <= waiting[line]);
            }
            prop_assert_eq!(given.iter().sum::<usize>(), size.min(waiting.iter().sum()));
        }

        #[test]
        fn within_four_requests_every_line_has_moved(
            size in 1_usize..300, waiting in prop::array::uniform4(0_usize..1_000), first in 0_usize..1_000,
        ) {
            for line in (0..LINES).filter(|&line| waiting[line] > 0) {
                let moved: usize = (first..first + LINES).map(|turn| seats(size, waiting, turn)[line]).sum();
                prop_assert!(moved > 0, "line {line} of {waiting:?}");
            }
        }
    }
}
