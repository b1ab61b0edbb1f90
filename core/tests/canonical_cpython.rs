//! The reference form against CPython itself: the same bytes and the same hash, of numbers and documents nobody wrote.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used, clippy::panic)]

mod canonical_texts;

use canonical_texts::{Documents, answers, numbers};
use costsim_core::canonical::{Limits, reference};
use costsim_core::digest::input_digest;
use fastrand::Rng;

/// A canonical form and its SHA-256 for each line.
const PROGRAM: &str = r#"
import hashlib, json, sys
getattr(sys, "set_int_max_str_digits", lambda most: None)(0)
for line in sys.stdin.buffer:
    form = json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode()
    sys.stdout.write(form.decode() + " " + hashlib.sha256(form).hexdigest() + "\n")
"#;

fn agree(texts: &[String]) {
    for (text, answer) in texts.iter().zip(answers("/usr/bin/python3", &["-I", "-c", PROGRAM], texts)) {
        let (form, digest) = answer.rsplit_once(' ').unwrap();
        let ours = String::from_utf8(reference(text, &Limits::default()).unwrap()).unwrap();
        if ours != form {
            let numbers = text.split(',').zip(ours.split(',').zip(form.split(',')));
            let differing = numbers.into_iter().find(|(_, (ours, theirs))| ours != theirs);
            panic!("seen first: {differing:?}\nin {text}");
        }
        assert_eq!(input_digest(text).as_deref(), Ok(digest), "{text}");
    }
}

#[test]
fn a_million_doubles_print_as_cpython_prints_them() {
    agree(&numbers(&mut Rng::with_seed(1), 1000));
}

#[test]
fn a_hundred_thousand_documents_have_cpythons_form_and_hash() {
    let mut documents = Documents { rng: Rng::with_seed(2), loose: true };
    let texts: Vec<String> = (0..100_000).map(|_| documents.document()).collect();
    agree(&texts);
}
