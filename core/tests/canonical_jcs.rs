//! The form of RFC 8785: what the RFC prints, what it refuses, and two other implementations of it.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used, clippy::panic)]

mod canonical_texts;

use canonical_texts::{Documents, answers, double, numbers};
use costsim_core::canonical::{Limits, Malformed, jcs};
use fastrand::Rng;
use serde_json::Value;
use serde_json_canonicalizer as other;

fn form(text: &str) -> String {
    String::from_utf8(jcs(text, &Limits::default(), false).unwrap()).unwrap()
}

/// Where and why a text is refused.
fn refusal(text: &str, strict_numbers: bool) -> (usize, &'static str) {
    match jcs(text, &Limits::default(), strict_numbers) {
        Err(Malformed::NoForm { offset, what }) => (offset, what),
        other => panic!("{text:?} gave {other:?}"),
    }
}

#[test]
fn the_example_of_the_rfc_has_its_bytes() {
    let text = r#"{
  "numbers": [333333333.33333329, 1E30, 4.50,
              2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}"#;
    let published = "7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c 22
        6e 75 6d 62 65 72 73 22 3a 5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31 65 2b 33 30 2c 34 2e
        35 2c 30 2e 30 30 32 2c 31 65 2d 32 37 5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30 30 66 5c
        6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d";
    let published: Vec<u8> =
        published.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    assert_eq!(jcs(text, &Limits::default(), false).unwrap(), published);
}

#[test]
fn names_sort_by_utf_16_however_they_are_spelled() {
    let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
        "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    let sorted = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
        \"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\
        \"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
    assert_eq!(form(text), sorted);
    assert_eq!(form(sorted), sorted);
    // The same order with every mixture of spellings, at the start and behind eight bytes that are the same.
    for before in ["", "sameness", "samenesses€"] {
        for (first, second) in
            [("😀", "\u{fb33}"), ("\u{e000}", "\u{ffff}"), ("\u{d7ff}", "😀"), ("a", "a\u{1}")]
        {
            let escaped =
                |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            let sorted = form(&format!(
                "[{{\"{before}{}\":1}},{{\"{before}{}\":2}}]",
                escaped(first),
                escaped(second)
            ));
            let sorted = sorted.replace("},{", ",").replace(['[', ']'], "");
            let spellings = |key: &str| [key.replace('\u{1}', "\\u0001"), escaped(key)];
            for (first, second) in spellings(first)
                .iter()
                .flat_map(|first| spellings(second).map(|second| (first.clone(), second)))
            {
                assert_eq!(form(&format!("{{\"{before}{first}\":1,\"{before}{second}\":2}}")), sorted);
                assert_eq!(form(&format!("{{\"{before}{second}\":2,\"{before}{first}\":1}}")), sorted);
            }
        }
    }
}

#[test]
fn the_numbers_of_appendix_b_print_as_published() {
    let published: [(u64, &str); 24] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];
    for (bits, text) in published {
        assert_eq!(form(&format!("{:e}", f64::from_bits(bits))), text);
        assert_eq!(form(text), text);
    }
}

#[test]
fn what_i_json_forbids_is_refused_where_it_stands() {
    let cases = [
        (r#"{"a":1,"b":2,"\u0061":3}"#, 13, "duplicate name in an object"),
        (r#"[{"x":{"k":0,"k":0}},{"k":1,"k":2}]"#, 13, "duplicate name in an object"),
        (r#"["a\ud83dx"]"#, 3, "lone surrogate"),
        (r#"["\ud83d\u0041"]"#, 2, "lone surrogate"),
        (r#"["\ud83d\n"]"#, 2, "lone surrogate"),
        (r#"["\ud83d\ud83d\ude00"]"#, 2, "lone surrogate"),
        (r#"{"\ude00":1}"#, 2, "lone surrogate"),
        ("[1,1e400]", 3, "number beyond the range of a double"),
        ("[-1.8e308]", 1, "number beyond the range of a double"),
    ];
    for (text, offset, what) in cases {
        for strict in [false, true] {
            assert_eq!(refusal(text, strict), (offset, what), "{text}");
        }
    }
    assert_eq!(refusal(&format!("1{}", "0".repeat(309)), false).0, 0);
    assert!(matches!(
        jcs(r#"["\ud83d\u12"]"#, &Limits::default(), false),
        Err(Malformed::Syntax { offset: 12, .. })
    ));
    assert_eq!(form(r#"{"a":{"k":1},"b":{"k":1}}"#), r#"{"a":{"k":1},"b":{"k":1}}"#);
}

#[test]
fn strict_numbers_refuses_what_would_be_printed_as_another() {
    let zeros = "0".repeat(100_000);
    let same = [
        "0",
        "-0",
        "0e7",
        "-0.000E-9",
        "0.1",
        "0.10",
        "1e-1",
        "10e-2",
        "9007199254740992",
        "9007199254740994",
        "1e21",
        "1e23",
        "5e-324",
        "1.7976931348623157e308",
        "333333333.33333325",
        "100",
        "123456789012345",
        "0.000001",
        "0.0000001",
    ];
    for text in same {
        assert!(jcs(text, &Limits::default(), true).is_ok(), "{text}");
    }
    assert!(jcs(&format!("0.{zeros}1e100001"), &Limits::default(), true).is_ok());
    let another = [
        "9007199254740993",
        "0.10000000000000001",
        "1e-400",
        "-1e-400",
        "4.9e-324",
        "1.7976931348623158e308",
        "333333333.33333329",
        "295147905179352825856",
        "0.1000000000000000055511151231257827",
    ];
    for text in another {
        assert_eq!(
            refusal(&format!("[{text}]"), true),
            (1, "number that would be printed as another"),
            "{text}"
        );
        assert!(jcs(text, &Limits::default(), false).is_ok());
    }
    let long = format!("0.{zeros}10000000000000000000001e100001");
    assert_eq!(refusal(&long, true).0, 0);
}

#[test]
fn a_million_numbers_print_as_ryu_js_prints_them() {
    let mut rng = Rng::with_seed(3);
    for _ in 0..1_000_000 {
        let value = double(&mut rng);
        assert_eq!(form(&format!("{value:e}")), other::to_string(&value).unwrap(), "{value:e}");
    }
}

#[test]
fn documents_have_the_form_that_another_implementation_gives_them() {
    let mut documents = Documents { rng: Rng::with_seed(4), loose: false };
    for _ in 0..100_000 {
        let text = documents.document();
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(form(&text), other::to_string(&value).unwrap(), "{text}");
    }
}

/// The engine that RFC 8785 was written from, where it is asked for: it has no part in the build.
#[test]
fn numbers_print_as_an_ecmascript_engine_prints_them() {
    const PROGRAM: &str = "require('readline').createInterface({ input: process.stdin })
        .on('line', line => console.log(JSON.stringify(JSON.parse(line))))";
    let asked_for = std::env::var_os("COSTSIM_NODE").is_some();
    let texts = numbers(&mut Rng::with_seed(5), if asked_for { 1000 } else { 20 });
    let theirs: Vec<String> = if asked_for {
        answers("node", &["-e", PROGRAM], &texts)
    } else {
        let parsed = texts.iter().map(|text| serde_json::from_str::<Vec<f64>>(text).unwrap());
        parsed.map(|numbers| other::to_string(&numbers).unwrap()).collect()
    };
    for (text, theirs) in texts.iter().zip(theirs) {
        let ours = form(text);
        let differing =
            text.split(',').zip(ours.split(',').zip(theirs.split(','))).find(|(_, (a, b))| a != b);
        assert_eq!(differing, None);
        assert_eq!(ours, theirs);
    }
}
