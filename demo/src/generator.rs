//! A made-up trace of LLM requests, the same for the same seed.
//!
//! Its shape follows recorded conversation traffic: token counts are log-normal (median 1,000 in and 130 out), arrivals come
//! a fifth of a second apart on average, and for some thousand requests at a time people want longer answers, or shorter. The random numbers are made here, so that a seed means the same trace whatever
//! version of whatever library is installed.

use std::f64::consts::TAU;
use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, TimeDelta};

use crate::trace::Request;

/// 2024-01-08 09:00 UTC, a Monday morning.
const FIRST_REQUEST: i64 = 1_704_704_400;

/// The length of answers wanders: over so many requests it comes back, and it strays by a quarter to either side. That moves a
/// window's drift by a few percent, as recorded traffic does.
const MOOD_LASTS: f64 = 1_000.0;
const MOOD_SWING: f64 = 0.012;

/// `count` requests in order of time.
pub fn requests(seed: u64, count: usize) -> Vec<Request> {
    let mut random = Random(seed);
    let mut mood = 0.0;
    let mut at = DateTime::from_timestamp(FIRST_REQUEST, 0).unwrap_or_default();
    (0..count)
        .map(|_| {
            at += TimeDelta::microseconds((random.exponential() * 200_000.0) as i64);
            mood += MOOD_SWING * random.normal() - mood / MOOD_LASTS;
            Request {
                requested_at: at,
                context_tokens: random.log_normal(1000.0, 0.9, 2, 14_000),
                generated_tokens: random.log_normal(130.0 * mood.exp(), 0.9, 1, 1_000),
            }
        })
        .collect()
}

/// The same trace as a file that `--trace` reads.
pub fn write_csv(trace: &[Request], mut out: impl Write) -> io::Result<()> {
    writeln!(out, "timestamp,context_tokens,generated_tokens")?;
    for request in trace {
        let at = request.requested_at.to_rfc3339_opts(SecondsFormat::Micros, true);
        writeln!(out, "{at},{},{}", request.context_tokens, request.generated_tokens)?;
    }
    out.flush()
}

/// SplitMix64: small, and good enough to look like traffic.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Evenly in (0, 1]: never 0, whose logarithm is infinite.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// With mean 1.
    fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    /// Box and Muller's transform of two even numbers into a normal one.
    fn normal(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (TAU * self.unit()).cos()
    }

    fn log_normal(&mut self, median: f64, spread: f64, least: i32, most: i32) -> i32 {
        let value = median * (spread * self.normal()).exp();
        (value.round() as i32).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{self, OnMalformed};

    #[test]
    fn generator_same_seed_same_trace() {
        assert_eq!(requests(42, 500), requests(42, 500));
        assert_ne!(requests(42, 500), requests(43, 500));
    }

    #[test]
    fn generator_longer_trace_begins_like_the_shorter() {
        assert_eq!(requests(42, 500)[..100], requests(42, 100));
    }

    #[test]
    fn generator_random_numbers_are_splitmix64() {
        // The first outputs of the published algorithm for seed 0.
        let mut random = Random(0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn generator_looks_like_conversations() {
        let trace = requests(7, 20_000);
        assert!(trace.windows(2).all(|pair| pair[0].requested_at <= pair[1].requested_at));
        let mean = |field: fn(&Request) -> i32| {
            trace.iter().map(|r| f64::from(field(r))).sum::<f64>() / trace.len() as f64
        };
        assert!((1_300.0..1_600.0).contains(&mean(|r| r.context_tokens)));
        assert!((160.0..220.0).contains(&mean(|r| r.generated_tokens)));
    }

    #[test]
    fn generator_file_is_read_back_unchanged() {
        let trace = requests(3, 50);
        let mut file = Vec::new();
        write_csv(&trace, &mut file).unwrap();
        assert_eq!(trace::parse(&file, OnMalformed::Refuse).unwrap().requests, trace);
    }
}
