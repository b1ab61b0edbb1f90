//! Numbers and documents that implementations of a canonical form may disagree on, and a second implementation to ask.

// Each test file uses its share.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;

use fastrand::Rng;

/// What another program answers to each line.
pub fn answers(program: &str, arguments: &[&str], lines: &[String]) -> Vec<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} must be there: {error}"));
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let answers: Vec<String> = thread::scope(|scope| {
        scope.spawn(move || {
            for line in lines {
                input.write_all(line.as_bytes()).unwrap();
                input.write_all(b"\n").unwrap();
            }
        });
        BufReader::new(output).lines().map(Result::unwrap).collect()
    });
    assert!(child.wait().unwrap().success(), "{program} failed");
    assert_eq!(answers.len(), lines.len(), "{program} ended early");
    answers
}

/// Doubles from all over, and with them those where printing is hardest.
pub fn double(rng: &mut Rng) -> f64 {
    let neighbour =
        |rng: &mut Rng, value: f64| f64::from_bits((value.to_bits() + rng.u64(0..5)).saturating_sub(2));
    let value = match rng.u8(0..9) {
        0..=2 => f64::from_bits(rng.u64(..)),
        // Exactly between two spellings of 16 or 17 digits.
        3 => {
            let places = rng.i32(1..=26);
            let digits = 10_f64.powi(rng.i32(15..18)) * rng.f64().mul_add(9.0, 1.0);
            let odd = (digits / 5_f64.powi(places)) as u64 | 1;
            odd as f64 / 2_f64.powi(places)
        }
        4 => {
            let power = format!("1e{}", rng.i32(-330..309)).parse().unwrap();
            neighbour(rng, power)
        }
        5 => {
            let power = 2_f64.powi(rng.i32(-1074..1024));
            neighbour(rng, power)
        }
        6 => ((1_u64 << rng.u32(50..64)) as f64 + rng.f64() * 64.0 - 32.0).round(),
        // Subnormals.
        7 => f64::from_bits(rng.u64(0..1 << 52) >> rng.u32(0..52)),
        _ => rng.i64(-1_000_000_000..1_000_000_000) as f64 / 10_f64.powi(rng.i32(0..12)),
    };
    if !value.is_finite() {
        return double(rng);
    }
    if rng.bool() { -value } else { value }
}

/// A double as people and programs spell it; never beyond the range of doubles.
pub fn spelled(rng: &mut Rng, value: f64) -> String {
    let text = match rng.u8(0..6) {
        0 => format!("{value:e}"),
        1 => format!("{value:?}"),
        2 => format!("{value:.17e}"),
        3 if (1e-9..1e25).contains(&value.abs()) => format!("{value}"),
        4 if (1e-9..1e25).contains(&value.abs()) => format!("{value:.*}", rng.usize(1..30)),
        _ => format!("{value:.*E}", rng.usize(0..25)),
    };
    if text.parse::<f64>().unwrap().is_finite() { text } else { format!("{value:e}") }
}

/// A thousand numbers a line.
pub fn numbers(rng: &mut Rng, lines: usize) -> Vec<String> {
    let mut line = |_| {
        let numbers: Vec<String> = (0..1000)
            .map(|_| {
                let value = double(rng);
                spelled(rng, value)
            })
            .collect();
        format!("[{}]", numbers.join(","))
    };
    (0..lines).map(&mut line).collect()
}

/// Documents of a line each. What is `loose` may have what I-JSON forbids.
pub struct Documents {
    pub rng: Rng,
    pub loose: bool,
}

impl Documents {
    pub fn document(&mut self) -> String {
        let mut text = String::new();
        let depth = self.rng.usize(0..6);
        self.value(depth, &mut text);
        text
    }

    fn blank(&mut self, text: &mut String) {
        match self.rng.u8(0..12) {
            0 => text.push(' '),
            1 => text.push_str("\t \r"),
            _ => {}
        }
    }

    fn value(&mut self, depth: usize, text: &mut String) {
        self.blank(text);
        match self.rng.u8(0..10) {
            0..=2 if depth > 0 => {
                text.push('[');
                for index in 0..self.rng.usize(0..6) {
                    if index > 0 {
                        text.push(',');
                    }
                    self.value(depth - 1, text);
                }
                text.push(']');
            }
            0..=6 if depth > 0 => self.object(depth, text),
            0..=4 => self.string(text),
            5..=8 => self.number(text),
            _ => text.push_str(["true", "false", "null"][self.rng.usize(0..3)]),
        }
        self.blank(text);
    }

    fn object(&mut self, depth: usize, text: &mut String) {
        text.push('{');
        let count = if self.rng.u8(0..40) == 0 { self.rng.usize(0..100) } else { self.rng.usize(0..7) };
        for index in 0..count {
            if index > 0 {
                text.push(',');
            }
            self.blank(text);
            if self.loose {
                self.string(text);
            } else {
                // Unique whatever follows.
                let mut key = String::new();
                self.string(&mut key);
                key.insert_str(key.len() - 1, &format!("~{index}"));
                text.push_str(&key);
            }
            self.blank(text);
            text.push(':');
            self.value(depth - 1, text);
        }
        text.push('}');
    }

    fn string(&mut self, text: &mut String) {
        text.push('"');
        let longest = if self.rng.u8(0..20) == 0 { 60 } else { 5 };
        for _ in 0..self.rng.usize(0..longest) {
            match self.rng.u8(0..16) {
                0..=6 => text.push(self.rng.char('a'..='d')),
                7..=8 => text.push_str(["~", "\u{7f}", "'", "/", " ", "!", "#", "Z"][self.rng.usize(0..8)]),
                9 => text.push(self.rng.char('\u{80}'..='\u{7ff}')),
                10 => text.push(self.rng.char('\u{e000}'..='\u{ffff}')),
                11 => text.push(self.rng.char('\u{1_0000}'..='\u{10_ffff}')),
                12 => text.push_str(
                    ["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"][self.rng.usize(0..8)],
                ),
                13 => {
                    let unit = match self.rng.u16(..) {
                        surrogate @ 0xd800..=0xdfff => surrogate - 0xd800,
                        unit => unit,
                    };
                    text.push_str(&format!("\\u{unit:04X}"));
                }
                14 => {
                    let mut units = [0; 2];
                    for unit in self.rng.char('\u{1_0000}'..='\u{10_ffff}').encode_utf16(&mut units) {
                        text.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ if self.loose => text.push_str(&format!("\\u{:04x}", self.rng.u16(0xd800..=0xdfff))),
                _ => text.push('\u{d7ff}'),
            }
        }
        text.push('"');
    }

    fn number(&mut self, text: &mut String) {
        match self.rng.u8(0..8) {
            0..=2 => text.push_str(&self.rng.i32(..).to_string()),
            3 => text.push_str(
                ["0", "-0", "-0.0", "0e9", "-0E-3", "1.0", "-1.50", "100e-2"][self.rng.usize(0..8)],
            ),
            4 => {
                text.push(self.rng.char('1'..='9'));
                for _ in 0..self.rng.usize(0..40) {
                    text.push(self.rng.digit(10));
                }
            }
            5 => {
                let exponent = if self.loose { self.rng.i64(-2000..2000) } else { self.rng.i64(-2000..300) };
                text.push_str(&format!("{}.{}e{exponent:+}", self.rng.u8(0..10), self.rng.u32(..)));
            }
            6 if self.loose => text.push_str(&format!("7E{}", self.rng.u128(..))),
            _ => {
                let value = double(&mut self.rng);
                text.push_str(&spelled(&mut self.rng, value));
            }
        }
    }
}
