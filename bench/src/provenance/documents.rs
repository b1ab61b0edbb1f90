//! JSON as clients send it: plans, with nested parameters, numbers of both kinds and text. The same for the same seed.

use fastrand::Rng;
use std::fmt::Write as _;

const SKILLS: [&str; 5] = ["http_call", "llm_invoke", "vector_search", "transform_json", "send_email"];
const WORDS: [&str; 12] = [
    "invoice",
    "Zürich",
    "retry",
    "summary",
    "東京",
    "customer",
    "quarterly",
    "draft",
    "please",
    "überfällig",
    "status",
    "of the",
];

/// A document of this many bytes or a few more. Names stand in the order in which somebody wrote them.
pub fn plan(rng: &mut Rng, bytes: usize) -> String {
    let mut text = format!("{{\"tenant\":\"acme-{}\",\"budget_cents\":{}", rng.u8(..), rng.u32(1..100_000));
    if bytes < 200 {
        write!(text, ",\"ratio\":{:.4},\"skill\":\"{}\"", rng.f64(), SKILLS[rng.usize(..5)]).ok();
    } else {
        text.push_str(",\"plan\":[");
        let mut is_first = true;
        // A step has about 250 bytes.
        while is_first || text.len() + 300 < bytes {
            if !is_first {
                text.push(',');
            }
            is_first = false;
            step(rng, &mut text);
        }
        text.push(']');
    }
    text.push_str(",\"note\":\"");
    while text.len() + 2 < bytes {
        text.push_str(WORDS[rng.usize(..WORDS.len())]);
        text.push(' ');
    }
    text + "\"}"
}

fn step(rng: &mut Rng, text: &mut String) {
    write!(
        text,
        "{{\"skill\":\"{}\",\"params\":{{\"url\":\"https://api.example.com/v{}/items/{}\",\"timeout_ms\":{},\"headers\":{{\"accept\":\"application/json\",\
         \"x-trace\":{}}},\"retry\":{}}},\"estimate\":{{\"cost_cents\":{},\"p90\":{:.3e},\"tokens\":[{},{}]}},\"label\":\"{} {}\",\"after\":null}}",
        SKILLS[rng.usize(..5)],
        rng.u8(1..4),
        rng.u64(..),
        rng.u32(100..60_000),
        rng.u64(..),
        rng.bool(),
        f64::from(rng.u32(1..1_000_000)) / 100.0,
        rng.f64() * 1e-3,
        rng.u32(1..8_000),
        rng.u32(1..2_000),
        WORDS[rng.usize(..WORDS.len())],
        WORDS[rng.usize(..WORDS.len())],
    )
    .ok();
}
