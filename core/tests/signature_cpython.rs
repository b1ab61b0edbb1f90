//! The reference's signatures are those that Python makes, over whatever text.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use costsim_core::signature::{Method, signature};

/// Pieces in which the two could differ: what becomes what in small letters, what is a digit, a word, a space.
const PIECES: [&str; 52] = [
    "İ",
    "ß",
    "ẞ",
    "Σ",
    "ΑΣ",
    "ΑΣ ",
    "Σ.",
    "ΑΣΑ",
    "Α\u{301}Σ",
    "ǅ",
    "ﬁ",
    "K",
    "Å",
    "ı",
    "I",
    "٣",
    "१२",
    "𝟗",
    "½",
    "²",
    "Ⅷ",
    "①",
    "一",
    "é",
    "e\u{301}",
    "\u{200d}",
    "Ⓐ",
    "_",
    "\u{1c}",
    "\u{1f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{3000}",
    "\u{200b}",
    "\u{feff}",
    "\t",
    "\n",
    "\r\n",
    " ",
    "42",
    "7",
    "a1",
    "1a",
    "550e8400-e29b-41d4-a716-446655440000",
    "550E8400-E29B-41D4-A716-446655440000",
    "2025-01-02 03:04:05",
    "2025-01-02T03:04:05",
    "२०२५-०१-०२ ०३:०४:०५",
    "<n>",
    "-",
    "/",
];

/// Texts of such pieces and of any character, as many as may be.
fn texts(count: usize) -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(14);
    let mut texts: Vec<String> = PIECES.map(str::to_owned).into();
    texts.push(String::new());
    // Every character, between digits and letters.
    texts.extend(
        (1..0x3_0000)
            .filter_map(char::from_u32)
            .filter(|c| c.is_alphanumeric() || (*c as u32) < 0x1_0000)
            .map(|c| format!("{c}A{c}1{c} 5{c}")),
    );
    for _ in 0..count {
        let pieces = rng.usize(1..12);
        texts.push(
            (0..pieces)
                .map(|_| match rng.u8(..4) {
                    0 => rng.char('\0'..='\u{ffff}').to_string(),
                    1 => rng.alphanumeric().to_string(),
                    _ => PIECES[rng.usize(..PIECES.len())].to_owned(),
                })
                .collect(),
        );
    }
    texts
}

#[test]
fn reference_signatures_are_pythons() -> Result<(), Box<dyn std::error::Error>> {
    let rounds =
        std::env::var("COSTSIM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20_000);
    let texts = texts(rounds);
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signature_reference.py");
    let mut python = Command::new("/usr/bin/python3")
        .args(["-I", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = python.stdin.take().ok_or("no input")?;
    let output = thread::scope(|scope| {
        let texts = &texts;
        scope.spawn(move || {
            texts.iter().try_for_each(|text| writeln!(input, "{}", serde_json::Value::from(text.as_str())))
        });
        python.wait_with_output()
    })?;
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout)?;
    let answers: Vec<_> = answers.lines().collect();
    assert_eq!(answers.len(), texts.len());
    let mut known = 0;
    let mut differing = Vec::new();
    for (text, answer) in texts.iter().zip(answers) {
        if answer != "unknown" {
            known += 1;
            if signature(text, Method::Reference).to_string() != answer {
                differing.push(text);
            }
        }
    }
    assert!(known > texts.len() / 3, "{known} of {}", texts.len());
    assert!(
        differing.is_empty(),
        "{} of {known}: {:?}",
        differing.len(),
        &differing[..differing.len().min(20)]
    );
    Ok(())
}
