//! The record of coordination: its words, and the digest that anybody computes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use costsim_core::audit::{
    Class, Decision, LONGEST_NAME, Purge, Row, digest_of, moment_text, parse_uuid, uuid_text,
};
use costsim_core::canonical::{Limits, jcs};
use proptest::prelude::*;

fn at(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

fn row<'a>(texts: &'a [String; 6], optional: [Option<&'a str>; 3], micros: i64, count: i32) -> Row<'a> {
    let [envelope, class, decision, reason, by, _] = texts.each_ref().map(String::as_str);
    Row {
        audit_id: *b"0123456789abcdef",
        envelope_id: envelope,
        envelope_class: class,
        decision,
        reason,
        decision_timestamp: at(micros),
        created_at: at(1_740_832_496_789_000),
        conflicting_envelope_id: optional[0],
        preempting_envelope_id: optional[1],
        active_envelopes_count: count,
        tenant_id: optional[2],
        recorded_by: by,
    }
}

/// What a person writes who has the columns and the manual.
const PROGRAM: &str = r#"
import hashlib, json, sys
for line in sys.stdin.buffer:
    form = json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    print(hashlib.sha256(form.encode()).hexdigest())
"#;

fn python(lines: &[String]) -> Result<Vec<String>> {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-I", "-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no stdin")?;
    let text = lines.join("\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    ensure!(output.status.success(), "python failed");
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

#[test]
fn digest_is_what_python_computes() -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut text = |most: usize| -> String {
        // Every kind of character, those that JSON escapes among them.
        (0..rng.usize(0..most))
            .map(|_| match rng.u8(0..6) {
                0 => rng.char('\0'..'\u{20}'),
                1 => *rng
                    .choice(&['"', '\\', '/', '\u{7f}', '\u{2028}', '\u{2029}', '\u{e000}', '😀', 'é'])
                    .unwrap_or(&'x'),
                2 => rng.char(..),
                _ => rng.char(' '..'~'),
            })
            .collect()
    };
    let rows: Vec<([String; 6], i64, i32)> = (0..2_000_i64)
        .map(|nth| (std::array::from_fn(|_| text(40)), nth * 1_234_567_890_123, i32::MAX - nth as i32))
        .collect();
    let objects: Vec<String> = rows
        .iter()
        .map(|(texts, micros, count)| {
            // The names in another order than the form's, so that it is Python that sorts.
            serde_json::json!({
                "tenant_id": texts[5], "recorded_by": texts[4], "reason": texts[3], "preempting_envelope_id": null,
                "envelope_id": texts[0], "envelope_class": texts[1], "decision": texts[2],
                "decision_timestamp": at(*micros).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
                "created_at": "2025-03-01T12:34:56.789000Z", "conflicting_envelope_id": texts[3],
                "audit_id": "30313233-3435-3637-3839-616263646566", "active_envelopes_count": count,
            })
            .to_string()
        })
        .collect();
    let expected = python(&objects)?;
    ensure!(expected.len() == rows.len(), "{} answers", expected.len());
    for ((texts, micros, count), expected) in rows.iter().zip(expected) {
        let row = row(texts, [Some(texts[3].as_str()), None, Some(texts[5].as_str())], *micros, *count);
        ensure!(row.digest() == Some(expected), "{:?}", row.form());
    }
    Ok(())
}

proptest! {
    #[test]
    fn form_is_that_of_rfc_8785(texts in proptest::array::uniform6(any::<String>()), some in any::<bool>(), micros in 0_i64..250_000_000_000_000_000, count in any::<i32>()) {
        let optional = some.then_some(texts[5].as_str());
        let form = row(&texts, [optional; 3], micros, count).form();
        prop_assert!(form.is_some());
        let form = form.unwrap_or_default();
        // A lone half of a character, which that form refuses, is in no text of Rust or of the server.
        let again = jcs(&form, &Limits::default(), true).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(String::from_utf8_lossy(&again), form);
    }

    #[test]
    fn uuid_is_read_as_it_is_written(bytes in any::<[u8; 16]>()) {
        let text = uuid_text(&bytes);
        prop_assert_eq!(parse_uuid(&text), Some(bytes));
        prop_assert_eq!(parse_uuid(&format!("{{{}}}", text.to_uppercase().replace('-', ""))), Some(bytes));
    }

    #[test]
    fn any_text_is_a_uuid_or_none(text in "\\PC{0,48}") {
        let digits = text.chars().filter(char::is_ascii_hexdigit).count();
        prop_assert!(parse_uuid(&text).is_none() || digits == 32);
    }
}

#[test]
fn every_column_counts() {
    let texts: [String; 6] = std::array::from_fn(|index| index.to_string());
    let whole = row(&texts, [Some("a"), Some("b"), Some("c")], 1, 1);
    let other = "other";
    let digests: std::collections::HashSet<_> = [
        whole,
        Row { audit_id: [0; 16], ..whole },
        Row { envelope_id: other, ..whole },
        Row { envelope_class: other, ..whole },
        Row { decision: other, ..whole },
        Row { reason: other, ..whole },
        Row { decision_timestamp: at(2), ..whole },
        Row { created_at: at(2), ..whole },
        Row { conflicting_envelope_id: None, ..whole },
        Row { conflicting_envelope_id: Some(""), ..whole },
        Row { preempting_envelope_id: None, ..whole },
        Row { conflicting_envelope_id: Some("b"), preempting_envelope_id: Some("a"), ..whole },
        Row { active_envelopes_count: 2, ..whole },
        Row { tenant_id: None, ..whole },
        Row { recorded_by: other, ..whole },
    ]
    .iter()
    .map(Row::digest)
    .collect();
    assert_eq!(digests.len(), 15);
    assert!(!digests.contains(&None));
}

#[test]
fn years_of_other_than_four_digits_have_no_form() {
    assert_eq!(moment_text(at(253_402_300_799_999_999)).as_deref(), Some("9999-12-31T23:59:59.999999Z"));
    assert_eq!(moment_text(at(253_402_300_800_000_000)), None);
    assert_eq!(moment_text(at(-62_135_596_800_000_000)).as_deref(), Some("0001-01-01T00:00:00.000000Z"));
    assert_eq!(moment_text(at(-62_135_596_800_000_001)), None);
}

#[test]
fn words_are_known_in_whatever_case() {
    for class in Class::ALL {
        assert_eq!(Class::parse(&class.name().to_lowercase()), Some(class));
        assert_eq!(Class::parse(class.name()), Some(class));
    }
    for decision in Decision::ALL {
        assert_eq!(Decision::parse(&decision.to_string().to_lowercase()), Some(decision));
        assert_eq!(Decision::parse(decision.name()), Some(decision));
    }
    for no_class in ["", "UNKNOWN", "SAFE", " SAFETY", "ＳＡＦＥＴＹ", "COSTS"] {
        assert_eq!(Class::parse(no_class), None);
        assert_eq!(Decision::parse(no_class), None);
    }
    assert_eq!(LONGEST_NAME, 512);
}

#[test]
fn safety_comes_before_reliability_before_cost_before_performance() {
    assert!(
        Class::Safety > Class::Reliability
            && Class::Reliability > Class::Cost
            && Class::Cost > Class::Performance
    );
    assert!(Class::ALL.is_sorted_by(|first, second| first > second));
}

#[test]
fn bad_uuids_are_none() {
    for text in [
        "",
        "nope",
        "00000000-0000-0000-0000-00000000000",
        "00000000-0000-0000-0000-0000000000000",
        "-00000000000000000000000000000000",
        "00000000-0000-0000-0000-000000000000-",
        "{00000000-0000-0000-0000-000000000000",
        "00000000--0000-0000-0000-000000000000",
        "000-00000-0000-0000-0000-000000000000",
        "0000000g-0000-0000-0000-000000000000",
    ] {
        assert_eq!(parse_uuid(text), None, "{text}");
    }
}

#[test]
fn digest_of_many_is_over_their_lines() {
    // printf 'a\nb\n' | sha256sum
    assert_eq!(digest_of(["a", "b"]), "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2");
}

/// A purge's own digest covers each of its columns, over the form that Python's JSON gives as well.
#[test]
fn purge_is_sealed_by_all_its_columns() -> Result<()> {
    let purge = Purge {
        purged_at: at(1),
        purged_by: "ann \"the\" first",
        session_user_name: "ünï",
        reason: "rule\n7",
        cut_off: at(2),
        rows: 3,
        first_decision_timestamp: at(4),
        last_decision_timestamp: at(5),
        digest: "d",
    };
    let form = purge.form().unwrap_or_default();
    let again = jcs(&form, &Limits::default(), true)?;
    ensure!(String::from_utf8_lossy(&again) == form, "{form}");
    ensure!(python(std::slice::from_ref(&form))? == [purge.digest().unwrap_or_default()], "{form}");
    let others = [
        Purge { purged_at: at(9), ..purge },
        Purge { purged_by: "x", ..purge },
        Purge { session_user_name: "x", ..purge },
        Purge { reason: "x", ..purge },
        Purge { cut_off: at(9), ..purge },
        Purge { rows: 9, ..purge },
        Purge { first_decision_timestamp: at(9), ..purge },
        Purge { last_decision_timestamp: at(9), ..purge },
        Purge { digest: "x", ..purge },
    ];
    for other in others {
        ensure!(other.digest() != purge.digest(), "{other:?}");
    }
    Ok(())
}
