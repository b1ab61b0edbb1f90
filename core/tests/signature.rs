//! What is the same error, and what is not.

use std::collections::HashMap;

use costsim_core::signature::{LONGEST_TEXT, Method, Signature, signature, template, template_by};
use proptest::prelude::*;

fn standard(text: &str) -> String {
    signature(text, Method::Standard).to_string()
}

fn reference(text: &str) -> String {
    signature(text, Method::Reference).to_string()
}

#[test]
fn reference_vectors_come_out() {
    for (text, expected) in [
        ("Timeout after 30 seconds", "e795036f42cc317a"),
        ("Timeout after 45 seconds", "e795036f42cc317a"),
        ("Run 550e8400-e29b-41d4-a716-446655440000 failed", "828f4bd00f17dde0"),
        ("Failed at 2025-01-02 03:04:05.123", "5245be6671752e5c"),
        ("Failed at 2025-01-02T03:04:05Z", "192789d44331af81"),
        ("HTTP 500: /v1/users/123/items/abc123", "ab73dff585a63dd9"),
        ("", "empty_error"),
    ] {
        assert_eq!(reference(text), expected, "{text}");
    }
}

#[test]
fn repaired_vectors() {
    for (text, expected) in [
        ("Timeout after 30 seconds", "timeout after <n>"),
        ("Run 550e8400-e29b-41d4-a716-446655440000 failed", "run <uuid> failed"),
        ("Failed at 2025-01-02 03:04:05.123", "failed at <timestamp>"),
        ("Failed at 2025-01-02T03:04:05Z", "failed at <timestamp>"),
        ("HTTP 500: /v1/users/123/items/abc123", "http 500: /v1/users/<id>/items/<id>"),
        ("", ""),
        (" \t\n\u{3000}", ""),
    ] {
        assert_eq!(template(text), expected, "{text}");
    }
    assert_eq!(
        standard("Failed at 2025-01-02T03:04:05Z"),
        standard("failed AT 2031-12-30 13:14:15.5 +02:00")
    );
    assert_eq!(standard(" "), "empty_error");
    assert_eq!(standard("Timeout after 30 seconds"), standard("timeout after 1m"));
}

#[test]
fn every_rule_has_an_example() {
    for (text, expected) in [
        // Ids.
        ("run {550E8400-E29B-41D4-A716-446655440000}", "run <uuid>"),
        ("run 550e8400e29b41d4a716446655440000", "run <uuid>"),
        ("run_550e8400-e29b-41d4-a716-446655440000 died", "run_<uuid> died"),
        ("at 0x7ffd1c2a, 0X1F", "at <hex>, <hex>"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit <id>"),
        ("mac 00:1B:44:11:3a:b7 gone", "mac <hex> gone"),
        ("no item abc123, \"req_8fk2\" or err42x", "no item <id>, \"<id>\" or <id>"),
        ("pod web-7d9f8b6c5d-x2k4j evicted", "pod web-<hex> evicted"),
        ("pod web-7d9f8b6c5d-xkvjz evicted", "pod web-<hex> evicted"),
        ("shard_12 and column_2", "shard_<n> and column_<n>"),
        ("worker-3 lost", "worker-<n> lost"),
        // Times.
        ("on Thu, 02 Jan 2025 03:04:05 GMT", "on <timestamp>"),
        ("Jan  2 03:04:05 host", "<timestamp> host"),
        ("[02/Jan/2025:03:04:05 +0000] x", "[<timestamp>] x"),
        ("by 2025-01-02", "by <timestamp>"),
        ("by 01/02/2025 3:04 PM", "by <timestamp>"),
        ("at 03:04:05.678", "at <timestamp>"),
        ("at 20250102T030405Z", "at <timestamp>"),
        // Numbers.
        ("took -3.5e-3 of 1,234.5 (99.9%)", "took <n> of <n> (<n>%)"),
        ("(3ms), (4KB), (1m30.5s), (1 day, 03:04:05)", "(<n>), (<n>), (<n>), (<timestamp>)"),
        ("version 1.2.3, v2.1", "version <n>, v<n>"),
        ("10-20 of 1_000_000", "<n>-<n> of <n>"),
        ("3/4 done", "<n>/<n> done"),
        // Addresses.
        ("dial tcp 10.0.0.1:5432: refused", "dial tcp <ip>:<n>: refused"),
        ("dial tcp [fe80::1]:80", "dial tcp [<ip>]:<n>"),
        ("peer 2001:db8::8a2e:370:7334 gone", "peer <ip> gone"),
        ("mail to jane.doe+1@example.com.", "mail to <email>."),
        (
            "GET https://api.example.com:8443/v1/users?id=3&t=a failed",
            "get https://api.example.com:<n>/v1/users?<query> failed",
        ),
        // Paths.
        ("open /var/lib/job42/out.csv", "open /var/lib/<id>/out.csv"),
        ("open /var/lib/report-2025-01-02.csv", "open /var/lib/<id>.csv"),
        ("C:\\Users\\bob1\\x.txt", "c:\\users\\<id>\\x.txt"),
        ("File \"/app/run.py\", line 42", "file \"/app/run.py\", line <n>"),
        // Codes.
        ("HTTP/1.1 404 Not Found", "http/1.1 404 not found"),
        ("status code: 503", "status code: 503"),
        ("status=500 in 30 s", "status=500 in <n>"),
        ("{\"code\":404,\"took\":3}", "{\"code\":404,\"took\":<n>}"),
        ("[Errno 111] refused", "[errno 111] refused"),
        ("exit code -9, signal 15", "exit code -9, signal 15"),
        ("exit status 123456", "exit status <n>"),
        ("SQLSTATE[42P01]: no table", "sqlstate[42p01]: no table"),
        ("error code 0x80070005", "error code 0x80070005"),
        ("E1001 ORA-00942 HTTP404 ts2304", "e1001 ora-00942 http404 ts2304"),
        ("PAY1001: card refused", "PAY1001: card refused"),
        ("[AUTH-4001] no session", "[AUTH-4001] no session"),
        ("card refused for invoice INV-20417", "card refused for invoice inv-<n>"),
        ("gpt-4o-2024-05-13 and TLS 1.2", "gpt-4o-2024-05-13 and tls 1.2"),
        ("404 Not Found, 404 items", "404 not found, <n> items"),
        ("USER ABC123 NOT FOUND", "user <id> not found"),
        ("no UTF8 in sha256", "no utf8 in sha256"),
        // Letters and space.
        ("  Größe\u{a0}\t STRASSE  straße ", "grösse strasse strasse"),
        ("ΟΔΟΣ ٣٠", "οδοσ <n>"),
    ] {
        assert_eq!(template(text), expected, "{text}");
        assert_eq!(template(expected), expected);
    }
}

#[test]
fn codes_tell_errors_apart() {
    for (one, two) in [
        ("HTTP 500", "HTTP 404"),
        ("exit code 1", "exit code 137"),
        ("signal 9", "signal 11"),
        ("SQLSTATE 23505", "SQLSTATE 40001"),
        ("E1001: no", "E1002: no"),
        ("ora-00942", "ora-01017"),
        ("GET /users/5 failed", "GET /orders/5 failed"),
        ("[Errno 111]", "[Errno 13]"),
    ] {
        assert_ne!(standard(one), standard(two), "{one} / {two}");
    }
    assert_eq!(standard("timeout after 30 s"), standard("TIMEOUT  after 45 s"));
}

#[test]
fn folding_is_done_once_for_every_character() {
    let is_known = |c: &char| c.is_alphanumeric() || c.is_whitespace() || c.is_control() || *c < '\u{3000}';
    for c in (0..=0x2_0000).filter_map(char::from_u32).filter(is_known) {
        let once = template(&format!("a{c}b 5{c}6 code{c}404 e1001{c}"));
        assert_eq!(template(&once), once, "{c:?}");
    }
}

#[test]
fn keys_are_signatures() {
    for text in ["", "x", "HTTP 500"] {
        let signature = signature(text, Method::Standard);
        assert_eq!(Signature::from_key(signature.key()), signature);
    }
    assert_eq!(signature("", Method::Standard).key(), 0);
}

#[test]
fn no_more_than_the_beginning_is_looked_at() {
    let long = "é ".repeat(LONGEST_TEXT);
    assert_eq!(template(&format!("{long}a")), template(&format!("{long}b")));
    assert!(template(&"1 ".repeat(LONGEST_TEXT)).len() <= LONGEST_TEXT);
    assert!(template_by(&long, Method::Reference).len() > LONGEST_TEXT);
}

/// What varies: what stands in a template for it, and many of its kind.
fn variant(kind: &str, rng: &mut fastrand::Rng) -> String {
    let mut source = rng.fork();
    let mut hex = |length: usize| -> String {
        (0..length).map(|_| char::from(b"0123456789abcdef"[source.usize(..16)])).collect()
    };
    match kind {
        "{uuid}" => {
            let uuid = format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12));
            match rng.u8(..3) {
                0 => uuid.to_uppercase(),
                1 => uuid,
                _ => uuid.replace('-', ""),
            }
        }
        // A letter and a digit at least: what has none of either cannot be told from a word, or a number.
        "{hex}" => format!("{}a7{}", hex(10), hex(8)),
        "{id}" => {
            let letters = "bcdfghjklmnpqrstxyz".as_bytes();
            let mut id: String = (0..rng.usize(2..5)).map(|_| char::from(letters[rng.usize(..19)])).collect();
            id.push_str(&rng.u32(1..99).to_string());
            id.push(char::from(letters[rng.usize(..19)]));
            id.push('q');
            id
        }
        "{n}" => match rng.u8(..4) {
            0 => rng.u32(..1_000_000).to_string(),
            1 => format!("{}.{}", rng.u32(..1000), rng.u32(..100)),
            2 => format!("{},{:03}", rng.u32(1..999), rng.u32(..1000)),
            _ => format!("-{}", rng.u32(1..100)),
        },
        "{int}" => rng.u32(1..1_000_000).to_string(),
        "{s}" => match rng.u8(..3) {
            0 => format!("{}s", rng.u32(..100)),
            1 => format!("{}.{}s", rng.u32(..100), rng.u32(..100)),
            _ => format!("{}m{}s", rng.u32(1..9), rng.u32(..60)),
        },
        "{time}" => {
            let (y, mo, d) = (rng.u32(2000..2035), rng.u32(1..13), rng.u32(1..29));
            let (h, mi, s) = (rng.u32(..24), rng.u32(..60), rng.u32(..60));
            match rng.u8(..5) {
                0 => format!("{y}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z"),
                1 => format!("{y}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}.{:03}", rng.u32(..1000)),
                2 => format!("{y}-{mo:02}-{d:02}t{h:02}:{mi:02}:{s:02}+02:00"),
                3 => format!("{y}/{mo:02}/{d:02} {h:02}:{mi:02}:{s:02} UTC"),
                _ => format!(
                    "{d:02}/{}/{y}:{h:02}:{mi:02}:{s:02} +0000",
                    ["Jan", "Feb", "Jun", "Dec"][rng.usize(..4)]
                ),
            }
        }
        "{ip}" => format!("{}.{}.{}.{}", rng.u8(..), rng.u8(..), rng.u8(..), rng.u8(..)),
        "{mail}" => format!("user{}@example.org", rng.u16(..)),
        "{query}" => format!("?page={}&token={}", rng.u16(..), hex(6)),
        _ => unreachable!("{kind}"),
    }
}

fn instance(text: &str, rng: &mut fastrand::Rng) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (kind, after) = after.split_once('}').unwrap_or((after, ""));
        written.push_str(before);
        written.push_str(&variant(&format!("{{{kind}}}"), rng));
        rest = after;
    }
    written.push_str(rest);
    let written = written.replace(' ', [" ", "  ", "\t", " \n "][rng.usize(..4)]);
    // Capitals of codes mean something; of everything else none do.
    match rng.u8(..3) {
        0 => written.to_lowercase(),
        _ => written,
    }
}

/// Two hundred errors as they are met: words, codes and routes differ.
fn corpus() -> Vec<String> {
    let mut corpus = Vec::new();
    for code in [400, 401, 403, 404, 409, 422, 429, 500, 502, 503] {
        for route in [
            "/v1/users/{int}",
            "/v2/users/{int}",
            "/v1/users/{id}/orders",
            "/v1/orders/{uuid}",
            "/internal/health",
        ] {
            corpus.push(format!("HTTP {code}: GET {route} failed after {{s}}"));
        }
    }
    for (errno, words) in [
        (111, "Connection refused"),
        (104, "Connection reset by peer"),
        (110, "Connection timed out"),
        (2, "No such file or directory"),
        (13, "Permission denied"),
        (28, "No space left on device"),
        (24, "Too many open files"),
        (32, "Broken pipe"),
    ] {
        for what in [
            "while connecting to {ip}:{int}",
            "in /var/lib/app/job{int}/out.csv",
            "writing {n} bytes to /tmp/{uuid}",
        ] {
            corpus.push(format!("[Errno {errno}] {words} {what}"));
        }
    }
    for (state, words) in [
        ("23505", "duplicate key value violates unique constraint \"uq_users_email\""),
        ("23505", "duplicate key value violates unique constraint \"uq_orders_number\""),
        ("40001", "could not serialize access due to concurrent update"),
        ("40P01", "deadlock detected"),
        ("57014", "canceling statement due to statement timeout"),
        ("42P01", "relation \"jobs\" does not exist"),
        ("42P01", "relation \"tasks\" does not exist"),
        ("53300", "too many connections"),
        ("22001", "value too long for type character varying({int})"),
        ("08006", "server closed the connection unexpectedly"),
    ] {
        corpus.push(format!("{{time}} SQLSTATE {state}: {words}"));
        corpus.push(format!("ERROR: {words} (SQLSTATE {state}) run {{uuid}}"));
    }
    for code in [
        "ORA-00942",
        "ORA-01017",
        "ORA-12541",
        "TNS-12170",
        "E1001",
        "E1002",
        "E2001",
        "HTTP404",
        "HTTP500",
        "TS2304",
    ] {
        corpus.push(format!("{code}: job {{id}} stopped"));
        corpus.push(format!("step {{int}} of {{int}}: {code} at {{time}}"));
    }
    for exit in [1, 2, 126, 127, 137, 139, 143] {
        corpus.push(format!("process {{int}} ended with exit code {exit} after {{s}}"));
        corpus.push(format!("container {{hex}} exited with status {exit}"));
    }
    for signal in [6, 9, 11, 15] {
        corpus.push(format!("worker {{id}} was killed by signal {signal}"));
    }
    for words in [
        "rate limit exceeded",
        "context length exceeded: {n} tokens",
        "model overloaded",
        "invalid api key for {mail}",
        "quota of {n} cents used up",
        "tool call returned no result",
        "response was no JSON",
        "content was filtered",
        "stream ended early",
        "budget exceeded by {n}%",
        "plan has {int} steps, more than {int}",
        "cache miss for {hex}",
        "checksum mismatch: {hex} and {hex}",
        "lease lost to {id}",
        "certificate expired {time}",
        "clock skew of {s}",
        "out of memory: {n} MB",
        "stack overflow at depth {int}",
        "division by zero",
        "index {int} out of range for length {int}",
        "key {id} not found",
        "null value in field total",
        "null value in field amount",
        "unexpected token at line {int}",
        "no route to host {ip}",
        "DNS lookup failed for api.example.com",
        "DNS lookup failed for db.example.com",
        "TLS handshake timeout with {ip}",
        "upload of {n} bytes aborted",
        "feature disabled for tenant {uuid}",
    ] {
        corpus.push(format!("agent failed: {words}"));
        corpus.push(format!("{{time}} [worker-{{int}}] ERROR {words} (request {{uuid}})"));
    }
    for host in ["billing", "search", "mailer", "vision"] {
        corpus.push(format!("POST https://{host}.example.com/v1/run{{query}} returned status 503"));
        corpus.push(format!("POST https://{host}.example.com/v1/run{{query}} returned status 504"));
    }
    corpus
}

#[test]
fn two_hundred_errors_neither_collide_nor_split() {
    let corpus = corpus();
    assert!(corpus.len() >= 200, "{}", corpus.len());
    let rounds = std::env::var("COSTSIM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(50);
    let mut rng = fastrand::Rng::with_seed(20_261_122);
    let mut of_signature: HashMap<String, usize> = HashMap::new();
    for (number, error) in corpus.iter().enumerate() {
        let mut of_error = HashMap::new();
        for _ in 0..rounds {
            let text = instance(error, &mut rng);
            of_error.entry(standard(&text)).or_insert(text);
        }
        assert_eq!(
            of_error.len(),
            1,
            "{error}: {:#?}",
            of_error.values().map(|text| (text, template(text))).collect::<Vec<_>>()
        );
        for signature in of_error.into_keys() {
            if let Some(other) = of_signature.insert(signature, number) {
                panic!("{error} and {}: {}", corpus[other], template(error));
            }
        }
    }
}

/// Texts of the kind of an error, and of no kind at all.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z]{1,8}",
        "[0-9]{1,12}",
        "[a-f0-9]{1,40}",
        "[A-Z]{1,9}-?[0-9]{1,6}",
        "[-_./:,?@=#+%<>{}()\\[\\]\"' \\\\\t]{1,3}",
        Just("HTTP/1.1".to_owned()),
        Just("code".to_owned()),
        Just("status: ".to_owned()),
        Just("sqlstate".to_owned()),
        Just("exit -".to_owned()),
        Just("e".to_owned()),
        Just("0x".to_owned()),
        Just("<id>".to_owned()),
        Just("?<query>".to_owned()),
        Just("2025-01-02T03:04:05Z".to_owned()),
        Just("Jan 2 2025".to_owned()),
        Just("550e8400-e29b-41d4-a716-446655440000".to_owned()),
        Just("://".to_owned()),
        Just("::1".to_owned()),
        Just("a@b.cd".to_owned()),
        any::<char>().prop_map(String::from),
        "\\PC{0,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("COSTSIM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2_000)
    ))]

    #[test]
    fn template_of_a_template_is_itself(text in texts()) {
        let once = template(&text);
        prop_assert_eq!(template(&once), once.clone(), "{}", once);
        prop_assert_eq!(signature(&once, Method::Standard), signature(&text, Method::Standard));
    }

    #[test]
    fn long_text_has_a_template_that_is_its_own(text in texts(), pick in 0..100_u8) {
        // Long ones are slow.
        let long = text.repeat(if pick == 0 { 20_000 / text.len().max(1) + 1 } else { 2 });
        let once = template(&long);
        prop_assert!(once.len() <= LONGEST_TEXT);
        prop_assert_eq!(template(&once), once.clone());
    }

    #[test]
    fn case_and_white_space_do_not_count(words in prop::collection::vec("[a-z]{1,9}|[0-9]{1,6}|[a-z]{2}[0-9]{2}[a-z]{2}", 1..12), seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let text = words.join(" ");
        let varied: String = text.chars().map(|c| match c {
            ' ' => ["  ", "\t", "\n", "\u{a0}"][rng.usize(..4)].to_owned(),
            c if rng.bool() => c.to_uppercase().to_string(),
            c => c.to_string(),
        }).collect();
        prop_assert_eq!(template(&text), template(&varied));
    }

    #[test]
    fn any_bytes_are_taken(bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(&bytes);
        let once = template(&text);
        prop_assert_eq!(template(&once), once.clone());
        let _ = template_by(&text, Method::Reference);
    }
}
