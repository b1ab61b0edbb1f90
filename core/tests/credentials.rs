//! Claims about the file of credentials.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used)]

use costsim_core::alertmanager::{BadCredentials, Credentials, Fault};
use proptest::prelude::*;

fn headers(text: &str) -> Vec<(String, String)> {
    let read = Credentials::parse(text).unwrap();
    read.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn fault(text: &str) -> Option<Fault> {
    match Credentials::parse(text) {
        Err(BadCredentials::Line { fault, .. }) => Some(fault),
        _ => None,
    }
}

#[test]
fn a_user_and_password_are_sent_encoded() {
    // RFC 7617, 2, and 2.1 for UTF-8.
    assert_eq!(
        headers("basic Aladdin:open sesame"),
        [header("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")]
    );
    assert_eq!(headers("basic test:123£"), [header("authorization", "Basic dGVzdDoxMjPCow==")]);
}

#[test]
fn a_password_may_hold_colons_and_a_key_may_be_the_user() {
    assert_eq!(headers("basic u:a:b"), [header("authorization", "Basic dTphOmI=")]);
    assert_eq!(headers("basic key:"), [header("authorization", "Basic a2V5Og==")]);
    assert_eq!(Credentials::parse("basic key:").unwrap().secrets(), ["key", "a2V5Og"]);
    assert_eq!(headers("basic :key"), [header("authorization", "Basic OmtleQ==")]);
}

#[test]
fn a_token_is_sent_as_it_stands() {
    assert_eq!(headers("bearer abc.def-_~+/="), [header("authorization", "Bearer abc.def-_~+/=")]);
}

#[test]
fn comments_blanks_and_line_ends_of_any_kind_do_not_matter() {
    assert_eq!(
        fault("header X-Scope-OrgID : a"),
        Some(Fault::HeaderName),
        "a blank before the colon is none"
    );
    let text = "# of the team\r\n\r\n  Bearer \t abc \r\n\t# more\nHEADER  X-Scope-OrgID: a b \n";
    assert_eq!(headers(text), [header("authorization", "Bearer abc"), header("x-scope-orgid", "a b")]);
}

#[test]
fn an_authorization_of_another_kind_is_a_header() {
    let read = Credentials::parse("header Authorization: Splunk s3cr3t").unwrap();
    assert_eq!(read.headers().collect::<Vec<_>>(), [("authorization", "Splunk s3cr3t")]);
    assert_eq!(read.secrets(), ["Splunk s3cr3t", "s3cr3t"]);
}

#[test]
fn every_way_to_be_wrong_is_named() {
    let cases = [
        ("token abc", Fault::Keyword),
        ("abc", Fault::Keyword),
        ("user:password", Fault::Keyword),
        ("\u{feff}bearer abc", Fault::Keyword),
        ("bearer", Fault::Blank),
        ("bearer  ", Fault::Blank),
        ("basic :", Fault::Blank),
        ("bearer a\u{0}b", Fault::Control),
        ("bearer a\rb", Fault::Control),
        ("header X: a\tb", Fault::Control),
        ("basic u:p\u{7f}", Fault::Control),
        ("basic u:p\u{85}x", Fault::Control),
        ("bearer ä", Fault::NotAscii),
        ("header X: ä", Fault::NotAscii),
        ("bearer a b", Fault::TokenWords),
        ("basic user", Fault::NoColon),
        ("header X", Fault::HeaderValue),
        ("header X:", Fault::HeaderValue),
        ("header : x", Fault::HeaderName),
        ("header X Y: x", Fault::HeaderName),
        ("header Ä: x", Fault::HeaderName),
        ("header Host: elsewhere", Fault::NotOurs),
        ("header content-LENGTH: 0", Fault::NotOurs),
        ("header Content-Type: text/plain", Fault::NotOurs),
        ("header Transfer-Encoding: chunked", Fault::NotOurs),
        ("header Accept-Encoding: gzip", Fault::NotOurs),
        ("header Proxy-Authorization: Basic x", Fault::NotOurs),
    ];
    for (text, expected) in cases {
        assert_eq!(fault(text), Some(expected), "{text:?}");
    }
}

#[test]
fn there_is_one_authorization_and_each_header_once() {
    let lines = ["basic u:p", "bearer t", "header Authorization: x y"];
    for first in lines {
        for second in lines {
            let error = Credentials::parse(&format!("{first}\n{second}")).unwrap_err();
            assert_eq!(error, BadCredentials::Line { number: 2, fault: Fault::SecondAuthorization });
        }
    }
    let error = Credentials::parse("header X-A: 1\n\nheader x-a: 2").unwrap_err();
    assert_eq!(error, BadCredentials::Line { number: 3, fault: Fault::SecondHeader });
}

#[test]
fn a_file_without_credentials_is_refused() {
    for text in ["", "\n\n", "# bearer abc"] {
        assert_eq!(Credentials::parse(text), Err(BadCredentials::Empty), "{text:?}");
    }
}

#[test]
fn an_error_says_the_line_and_the_rule() {
    let error = Credentials::parse("# a\nbearer s3cr3t s3cr3t").unwrap_err();
    assert_eq!(error.to_string(), "line 2: a token has no blanks");
}

#[test]
fn whoever_prints_credentials_sees_none() {
    assert_eq!(format!("{:?}", Credentials::parse("bearer s3cr3t").unwrap()), "Credentials(1 headers)");
}

#[test]
fn an_echoed_header_is_masked_in_every_spelling() {
    let read = Credentials::parse("basic ann:s3cr3t\nheader X-Key: k3yk3y\nheader X-Shard: 1").unwrap();
    let echo = "x-key=k3yk3y, X-Shard: 1, auth {YW5uOnMzY3IzdA==} is ann:s3cr3t";
    assert_eq!(read.scrub(echo, false), "x-key=***, X-Shard: 1, auth {***==} is ann:***");
}

#[test]
fn the_beginning_of_a_secret_where_a_body_broke_off_is_cut() {
    let read = Credentials::parse("bearer abcabd").unwrap();
    assert_eq!(read.scrub("token=abcab", true), "token=");
    assert_eq!(read.scrub("token=abcabc", true), "token=abc");
    assert_eq!(read.scrub("token=abcabd", true), "token=***");
    assert_eq!(read.scrub("token=abcab", false), "token=abcab", "a whole body is not suspected");
    assert_eq!(Credentials::default().scrub("as it is", true), "as it is");
}

proptest! {
    #[test]
    fn no_error_repeats_a_part_of_the_file(
        word in "basic|bearer|header|bea|", canary in "[Q-Z]{6}", noise in "[ :\t\u{1}ä,]{0,3}", tail in "[Q-Z]{6}",
    ) {
        if let Err(error) = Credentials::parse(&format!("{word} {canary}{noise}{tail}")) {
            prop_assert!(!error.to_string().contains(&canary) && !error.to_string().contains(&tail), "{}", error);
        }
    }

    #[test]
    fn what_is_read_can_be_sent(text in "(basic|bearer|header X-[a-z]{1,3}:) [ -~äé]{1,20}") {
        if let Ok(read) = Credentials::parse(&text) {
            for (name, value) in read.headers() {
                prop_assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
                prop_assert!(!value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                prop_assert_eq!(value.trim(), value);
            }
        }
    }

    #[test]
    fn no_cut_shows_a_secret(user in "[a-z]{1,5}", password in "[Q-Z]{4,9}", kept in 0_usize..40) {
        let read = Credentials::parse(&format!("basic {user}:{password}")).unwrap();
        let (_, value) = read.headers().next().unwrap();
        let echo = format!("{value} {password}");
        let seen = read.scrub(&echo[..kept.min(echo.len())], true);
        prop_assert!(!seen.contains(['Q', 'X']) || !seen.contains(&password[..2]), "{}", seen);
    }
}
