//! Claims about the canonical form: the reference's vectors, and properties over texts nobody wrote.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use costsim_core::canonical::{Limits, Malformed, reference};
use costsim_core::digest::{input_digest, input_hash};
use proptest::prelude::*;

fn canonical(text: &str) -> String {
    String::from_utf8(reference(text, &Limits::default()).unwrap()).unwrap()
}

/// Beside the project unless `COSTSIM_SHARED` says otherwise.
fn shared(file: &str) -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    std::env::var_os("COSTSIM_SHARED").map_or_else(beside, PathBuf::from).join(file)
}

#[test]
fn every_stored_vector_hashes_as_the_reference_does() {
    let path = shared("vectors/input_hash.csv");
    let mut file = csv::Reader::from_path(&path)
        .unwrap_or_else(|e| panic!("the vectors must be at {}; set COSTSIM_SHARED: {e}", path.display()));
    let mut count = 0;
    for row in file.records() {
        let row = row.unwrap();
        let (payload, hash, digest) = (&row[0], &row[1], &row[2]);
        assert_eq!(input_hash(payload).as_deref(), Ok(hash), "row {count}: {payload}");
        assert_eq!(input_digest(payload).as_deref(), Ok(digest), "row {count}: {payload}");
        count += 1;
    }
    assert_eq!(count, 1500, "{} is not the file it was", path.display());
}

#[test]
fn the_documented_vectors_hold() {
    const SAME: &str = "";
    let vectors = [
        ("{}", SAME, "44136fa355b3678a"),
        (r#"{"a":1}"#, SAME, "015abd7f5cc57a2d"),
        (r#"{"b":2,"a":1}"#, r#"{"a":1,"b":2}"#, "43258cff783fe703"),
        (r#"{"a":1.0}"#, SAME, "c29a44abc114a1d7"),
        (r#"{"a":100.0}"#, SAME, "18ffc0a1da53b916"),
        (r#"{"a":1.10}"#, r#"{"a":1.1}"#, "fb313133b088b2b7"),
        (r#"{"a":1e15}"#, r#"{"a":1000000000000000.0}"#, "7a8eca3c52850d27"),
        (r#"{"a":1e16}"#, r#"{"a":1e+16}"#, "a0f92cfd05a74c21"),
        (r#"{"a":1e22}"#, r#"{"a":1e+22}"#, "9b6377d853ea88aa"),
        (r#"{"a":0.0001}"#, SAME, "c7e0f341a63adab6"),
        (r#"{"a":0.00001}"#, r#"{"a":1e-05}"#, "6ae5c89e10c5d899"),
        (r#"{"a":1e-7}"#, r#"{"a":1e-07}"#, "e1403651919bd61f"),
        (r#"{"a":-0.0}"#, SAME, "952b7dc455870c26"),
        (r#"{"a":5e-324}"#, SAME, "7496f25994a875ed"),
        (r#"{"a":1.7976931348623157e308}"#, r#"{"a":1.7976931348623157e+308}"#, "bf1da90ca7a9fda2"),
        (r#"{"a":0.30000000000000004}"#, SAME, "29e5dbf7117c7b85"),
        (r#"{"a":123456789012345678901234567890}"#, SAME, "08d8ea6bf3a5b2cb"),
        (r#"{"k":"é"}"#, r#"{"k":"\u00e9"}"#, "9567d6e8f21bbdcb"),
        (r#"{"k":"日本"}"#, r#"{"k":"\u65e5\u672c"}"#, "700d2476bf4fa07e"),
        (r#"{"k":"😀"}"#, r#"{"k":"\ud83d\ude00"}"#, "ca90fe6f2acf0d49"),
        (r#"{"é":1,"z":2,"Z":3,"a":4}"#, r#"{"Z":3,"a":4,"z":2,"\u00e9":1}"#, "7bfd05b13892330c"),
        ("{\"😀\":2,\"\u{ffff}\":1}", r#"{"\uffff":1,"\ud83d\ude00":2}"#, "7399aff294a6b56f"),
        (r#"{"k":[1,2,{"y":null,"x":true}]}"#, r#"{"k":[1,2,{"x":true,"y":null}]}"#, "f27bfaed4f6151bf"),
        (
            r#"{"plan":[{"skill":"http_call","params":{"url":"https://api.example.com"}}],"budget_cents":100}"#,
            r#"{"budget_cents":100,"plan":[{"params":{"url":"https://api.example.com"},"skill":"http_call"}]}"#,
            "7d2218dea0c346ce",
        ),
        (
            r#"{"a":-0,"b":1.10,"c":1E2,"d":1e400,"a":2}"#,
            r#"{"a":2,"b":1.1,"c":100.0,"d":Infinity}"#,
            "c679768ebdc4d4f6",
        ),
    ];
    for (text, form, hash) in vectors {
        assert_eq!(canonical(text), if form == SAME { text } else { form });
        assert_eq!(input_hash(text).unwrap(), hash, "{text}");
    }
    assert!(input_digest(r#"{"a":1}"#).unwrap().ends_with("f862"));
}

#[test]
fn strings_come_out_as_python_writes_them() {
    let cases = [
        (r#""\ud800""#, r#""\ud800""#),
        (r#""\uD83D\uDE00""#, r#""\ud83d\ude00""#),
        (r#""\ud83d\ud83d\ude00""#, r#""\ud83d\ud83d\ude00""#),
        (r#""\ude00\ud83d""#, r#""\ude00\ud83d""#),
        (r#""\ud83dA\ude00""#, r#""\ud83dA\ude00""#),
        (r#""\u0041\/\u0000\u007f~""#, r#""A/\u0000\u007f~""#),
        (r#""\b\f\n\r\t\"\\""#, r#""\b\f\n\r\t\"\\""#),
        (r#""\u0008\u000C\u000a\u000d\u0009\u0022\u005c""#, r#""\b\f\n\r\t\"\\""#),
    ];
    for (text, form) in cases {
        assert_eq!(canonical(text), form);
    }
}

#[test]
fn keys_sort_by_code_point_however_they_are_spelled() {
    // U+D7FF < a lone surrogate < U+E000 < U+1F600, which UTF-16 order would put before U+E000.
    let text = r#"{"😀":5,"\ue000":4,"\ud800":3,"\ud7ff":2,"":0,"\u0061":1}"#;
    assert_eq!(canonical(text), r#"{"":0,"a":1,"\ud7ff":2,"\ud800":3,"\ue000":4,"\ud83d\ude00":5}"#);
}

#[test]
fn the_last_of_equal_keys_wins_with_everything_below_it() {
    assert_eq!(canonical(r#"{"k":{"a":{}},"z":1,"\u006b":[{"b":2,"a":1}],"y":{"k":0,"k":1}}"#), {
        r#"{"k":[{"a":1,"b":2}],"y":{"k":1},"z":1}"#
    });
    assert_eq!(canonical(r#"{"k":1,"k":2,"k":3}"#), r#"{"k":3}"#);
}

#[test]
fn numbers_at_the_edges_of_the_notations() {
    let cases = [
        ("-0", "0"),
        ("0e5", "0.0"),
        ("-0E-9", "-0.0"),
        ("9999999999999998.0", "9999999999999998.0"),
        ("9999999999999999.0", "1e+16"),
        ("123456789012345680.0", "1.2345678901234568e+17"),
        ("0.00012345", "0.00012345"),
        ("0.000099", "9.9e-05"),
        ("-1.5e300", "-1.5e+300"),
        ("1e100", "1e+100"),
        ("-1e400", "-Infinity"),
        ("1e-400", "0.0"),
        ("2.2250738585072014e-308", "2.2250738585072014e-308"),
        ("1e99999999999999999999", "Infinity"),
        ("12.5", "12.5"),
        ("1234567890.125", "1234567890.125"),
        // Halfway between two spellings of the same length: the even one.
        ("2169758666957829.25", "2169758666957829.2"),
        ("2169758666957829.75", "2169758666957829.8"),
    ];
    for (text, form) in cases {
        assert_eq!(canonical(text), form);
    }
}

#[test]
fn a_huge_exponent_and_a_long_number_may_cancel_out() {
    let zeros = "0".repeat(1_000_000);
    assert_eq!(canonical(&format!("0.{zeros}1e1000001")), "1.0");
    assert_eq!(canonical(&format!("-25{zeros}e-1000001")), "-2.5");
    assert_eq!(canonical(&format!("0.{zeros}E999999999999999999999999999999999999999999")), "0.0");
    assert_eq!(canonical(&format!("-1{zeros}E-999999999999999999999999999999999999999999")), "-0.0");
    assert_eq!(canonical(&format!("1{zeros}e1")), "Infinity");
    assert_eq!(canonical(&format!("1.5{zeros}")), "1.5");
    assert_eq!(canonical(&format!("1{zeros}")), format!("1{zeros}"));
}

#[test]
fn what_is_not_json_is_refused_where_it_stops_being_json() {
    let cases = [
        ("", 0),
        (" ", 1),
        ("NaN", 0),
        ("[Infinity]", 1),
        ("-Infinity", 1),
        ("[1,]", 3),
        ("{\"a\":1,}", 7),
        ("{a:1}", 1),
        ("{\"a\" 1}", 5),
        ("[1 2]", 3),
        ("{\"a\":1 \"b\":2}", 7),
        ("01", 1),
        ("+1", 0),
        ("1.", 2),
        (".5", 0),
        ("1e", 2),
        ("-", 1),
        ("\"a", 2),
        ("\"a\nb\"", 2),
        ("\"\u{0}\"", 1),
        ("\"\\x41\"", 2),
        ("\"\\u12g4\"", 5),
        ("\u{feff}1", 0),
        ("1 1", 2),
        ("[", 1),
        ("]", 0),
        ("[}", 1),
        ("truth", 0),
        ("nulls", 4),
        ("'a'", 0),
        ("1/**/", 1),
        ("\u{0}", 0),
        ("1\u{0}", 1),
    ];
    for (text, at) in cases {
        match reference(text, &Limits::default()) {
            Err(Malformed::Syntax { offset, .. }) => assert_eq!(offset, at, "{text:?}"),
            other => panic!("{text:?} gave {other:?}"),
        }
    }
}

#[test]
fn depth_and_size_are_limited_and_nothing_else_is() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(canonical(&nested(1000)), nested(1000));
    let limit = 1000;
    assert_eq!(input_hash(&nested(1001)), Err(Malformed::TooDeep { offset: 1000, limit }));
    // The stack does not depend on the limit.
    let million = 1_000_000;
    let text = format!("{}1{}", r#"{"a":["#.repeat(million / 2), "]}".repeat(million / 2));
    assert_eq!(reference(&text, &Limits { depth: million, ..Limits::default() }).unwrap(), text.as_bytes());

    let small = Limits { bytes: 4, ..Limits::default() };
    assert!(reference("1234", &small).is_ok());
    assert_eq!(reference("12345", &small), Err(Malformed::TooLarge { bytes: 5, limit: 4 }));
}

#[test]
fn nesting_costs_linear_time() {
    // Every level has to reorder its two members; a writer that copied the level below each time would move 4 GB.
    let levels = 20_000;
    let filler = "x".repeat(200_000);
    let text = format!("{}\"{filler}\"{}", r#"{"b":"#.repeat(levels), r#","a":1}"#.repeat(levels));
    let form = reference(&text, &Limits { depth: levels, ..Limits::default() }).unwrap();
    assert!(form.starts_with(br#"{"a":1,"b":{"a":1,"b":"#));
    assert_eq!(form.len(), text.len());
}

/// JSON texts as people and programs write them: blanks anywhere, any escape, duplicate keys, long numbers.
fn json_text() -> impl Strategy<Value = String> {
    let blank = || prop::sample::select(vec!["", "", "", " ", "\n\t", "\r  "]);
    let number = prop_oneof![
        "-?(0|[1-9][0-9]{0,40})",
        "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,20}",
        "-?[1-9](\\.[0-9]{1,17})?[eE][+-]?[0-2]?[0-9]{1,2}",
        any::<f64>().prop_filter("JSON has no word for it", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
    ];
    let character = prop_oneof![
        4 => "[a-c]",
        1 => "[ -!#-\\[\\]-~]",
        1 => any::<char>().prop_filter("needs an escape", |c| *c >= ' ' && *c != '"' && *c != '\\').prop_map(String::from),
        1 => "\\\\[\"\\\\/bfnrt]",
        1 => "\\\\u[0-9a-fA-F]{4}",
        1 => "\\\\u[dD][89abAB][0-9a-f]{2}\\\\u[dD][c-fC-F][0-9a-f]{2}",
    ];
    let string = prop::collection::vec(character, 0..6).prop_map(|parts| format!("\"{}\"", parts.concat()));
    let literal = prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned);
    let leaf = prop_oneof![number, string.clone(), literal];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let value = (blank(), inner, blank()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let key = (blank(), string.clone(), blank()).prop_map(|(a, key, b)| format!("{a}{key}{b}"));
        let array = prop::collection::vec(value.clone(), 0..6).prop_map(|all| format!("[{}]", all.join(",")));
        let member = (key, value).prop_map(|(key, value)| format!("{key}:{value}"));
        let object = prop::collection::vec(member, 0..6).prop_map(|all| format!("{{{}}}", all.join(",")));
        prop_oneof![array, object]
    })
}

proptest! {
    #[test]
    fn the_form_is_a_fixed_point(text in json_text()) {
        let once = canonical(&text);
        prop_assert!(once.is_ascii());
        if !once.contains("Infinity") {
            prop_assert_eq!(canonical(&once), once);
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter(
        members in prop::collection::btree_map("[a-zé😀]{0,4}", json_text(), 0..8),
        seed in any::<prop::sample::Index>(),
    ) {
        let mut texts: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let sorted = format!("{{{}}}", texts.join(","));
        if !texts.is_empty() {
            let turn = seed.index(texts.len());
            texts.rotate_left(turn);
            texts.reverse();
        }
        prop_assert_eq!(canonical(&sorted), canonical(&format!("{{{}}}", texts.join(","))));
    }

    #[test]
    fn any_text_is_taken_exactly_when_it_is_json(text in prop_oneof![
        any::<String>(),
        "[\\[\\]{},:\"\\\\u0-9eE+. truefalsn-]{0,24}",
    ]) {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(reference(&text, &Limits::default()).is_ok(), is_json);
    }

    #[test]
    fn a_wounded_text_is_taken_exactly_when_it_is_json(
        text in json_text(), at in any::<prop::sample::Index>(), new in prop::sample::select(b"{}[],:\"\\0-.e u".to_vec()),
    ) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = new;
        if let Ok(text) = String::from_utf8(bytes) {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(reference(&text, &Limits::default()).is_ok(), is_json, "{}", text);
        }
    }

    #[test]
    fn doubles_read_back_as_themselves(value in any::<f64>().prop_filter("finite", |x| x.is_finite())) {
        let printed = canonical(&format!("{value:e}"));
        prop_assert_eq!(printed.parse::<f64>().unwrap().to_bits(), value.to_bits());
    }
}
