//! The binary form against bytes that no summary has written. COSTSIM_DRIFT_MUTATIONS says how many are tried.

#![allow(clippy::unwrap_used)]

use costsim_core::drift::{Fault, Quantity, Summary};

/// Summaries of every kind: none, few and many pairs, either sign, every magnitude.
fn summaries() -> Vec<Summary> {
    let mut wild = (0_u64..).map(|i| f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & !(1 << 62)));
    let lists: [Vec<(f64, f64)>; 6] = [
        vec![],
        vec![(1.0, 2.5), (0.0, -3.0), (f64::NAN, 1.0)],
        (0..128).map(|i| (f64::from(i), f64::from(i * i))).collect(),
        (0..129).map(|_| (7.0, 7.0)).collect(),
        (0..400).map(|i| (f64::from(i % 40) - 5.0, f64::from(i % 31) * 1.5)).collect(),
        (0..300).map(|_| (wild.next().unwrap(), wild.next().unwrap())).collect(),
    ];
    lists
        .iter()
        .map(|list| {
            let mut summary = Summary::default();
            list.iter().for_each(|(v1, v2)| summary.add(*v1, *v2).unwrap());
            summary
        })
        .collect()
}

/// Asks everything; whether any answer is no number.
fn has_senseless_answer(summary: &Summary) -> bool {
    let mut answers = vec![
        summary.mean(),
        summary.min(),
        summary.max(),
        summary.stddev(),
        summary.rel_mean(),
        summary.rel_max(),
        summary.kl(),
        summary.js(),
    ];
    for quantity in [Quantity::Delta, Quantity::AbsDelta, Quantity::RelDelta] {
        for fraction in [0.0, 0.37, 0.5, 0.99, 1.0] {
            answers.push(summary.percentile(fraction, quantity));
            answers.push(summary.index_percentile(fraction, quantity));
        }
    }
    answers.into_iter().any(|answer| answer.unwrap().is_some_and(f64::is_nan))
}

fn is_malformed(bytes: &[u8]) -> bool {
    matches!(Summary::from_bytes(bytes), Err(Fault::Malformed(_)))
}

#[test]
fn every_beginning_and_every_longer_form_is_refused() {
    for summary in summaries() {
        let bytes = summary.to_bytes().unwrap();
        for length in 0..bytes.len() {
            assert!(is_malformed(&bytes[..length]), "the first {length} of {}", bytes.len());
        }
        assert!(is_malformed(&[&bytes[..], &[0]].concat()));
    }
}

#[test]
fn changed_bytes_are_refused_or_are_another_summary() {
    let count: usize = std::env::var("COSTSIM_DRIFT_MUTATIONS").map_or(6_000, |count| count.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(0xd81f7);
    let forms: Vec<_> = summaries().iter().map(|summary| summary.to_bytes().unwrap()).collect();
    let mut taken = 0;
    for round in 0..count {
        let mut bytes = forms[round % forms.len()].clone();
        for _ in 0..=random.u32(..3) {
            let place = random.usize(..bytes.len());
            match random.u32(..5) {
                0 => bytes[place] = random.u8(..),
                1 => bytes[place] ^= 1 << (random.u32(..8)),
                2 => bytes.insert(place, random.u8(..)),
                3 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][random.usize(..5)],
                _ => drop(bytes.remove(place)),
            }
            if bytes.is_empty() {
                bytes.push(1);
            }
        }
        match Summary::from_bytes(&bytes) {
            Ok(mut summary) => {
                taken += 1;
                assert_eq!(summary.to_bytes().unwrap(), bytes, "a summary has one form");
                assert!(!has_senseless_answer(&summary), "{bytes:02x?}");
                let other = summary.clone();
                summary.merge(&other).unwrap();
                assert!(!has_senseless_answer(&summary), "{bytes:02x?}");
            }
            Err(fault) => assert!(matches!(fault, Fault::Malformed(_)), "{fault}"),
        }
    }
    // A changed pair is another pair; a changed digest is hardly ever one.
    assert!(taken > count / 100 && taken < count / 2, "{taken} of {count} were taken");
}

#[test]
fn what_claims_to_be_huge_costs_nothing() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for kind in [0, 1] {
        assert!(is_malformed(&[&[1, kind][..], &huge].concat()));
        assert!(is_malformed(&[&[1, kind, 0][..], &huge].concat()));
        assert!(is_malformed(&[&[1, kind, 0, 0x80, 1][..], &[0xff; 200]].concat()));
    }
    assert!(is_malformed(&[]));
    assert!(is_malformed(&[2, 0, 0, 0]), "another version");
    assert!(is_malformed(&[1, 2, 0, 0]), "another kind");
    assert!(is_malformed(&[1, 0, 0x80, 0, 0]), "a zero in two bytes");
}

#[test]
fn the_empty_summary_has_four_bytes() {
    assert_eq!(Summary::default().to_bytes(), Ok(vec![1, 0, 0, 0]));
}
