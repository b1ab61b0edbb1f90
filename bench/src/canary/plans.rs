//! Plans as agents make them.

use fastrand::Rng;
use serde_json::{Value, json};

const WORDS: [&str; 8] = ["summarise", "the", "incident", "of", "customer", "4711", "and", "why"];

fn prompt(rng: &mut Rng, length: usize) -> String {
    let mut prompt = String::new();
    while prompt.len() < length {
        prompt.push_str(WORDS[rng.usize(..WORDS.len())]);
        prompt.push(' ');
    }
    prompt
}

fn step(rng: &mut Rng) -> Value {
    match rng.u8(..8) {
        0..3 => {
            let length = rng.usize(100..2_500);
            json!({ "skill": "llm_invoke", "params": { "model": "large", "prompt": prompt(rng, length), "temperature": 0.2 } })
        }
        3..5 => {
            let url = format!("https://api.example.com/v1/items/{}", rng.u32(..100_000));
            json!({ "skill": "http_call", "params": { "url": url, "method": "GET", "timeout": 30 } })
        }
        5 => json!({ "skill": "json_transform", "params": { "expression": ".items[] | {id, price}" } }),
        6 => {
            json!({ "skill": "kv_get", "params": { "key": format!("item-{}", rng.u32(..1_000)) }, "iterations": rng.u32(1..5) })
        }
        _ => json!({ "skill": "shell_lite", "params": { "command": "jq -r .id < items.json | sort -u" } }),
    }
}

/// So many plans of one to five steps, as JSON text.
pub fn mixed(count: usize) -> Vec<String> {
    let mut rng = Rng::with_seed(4);
    let plan = |_| {
        let steps = rng.usize(1..6);
        (0..steps).map(|_| step(&mut rng)).collect::<Value>().to_string()
    };
    (0..count).map(plan).collect()
}

/// Plans of which both models say the same.
pub fn agreed(count: usize) -> Vec<String> {
    let mut rng = Rng::with_seed(5);
    let plan = |_| {
        let length = rng.usize(350..550);
        let url = format!("https://api.example.com/v1/items/{}", rng.u32(..100_000));
        json!([
            { "skill": "http_call", "params": { "url": url, "method": "GET", "timeout": 30 } },
            { "skill": "llm_invoke", "params": { "model": "large", "prompt": prompt(&mut rng, length), "temperature": 0.2 } },
            { "skill": "kv_get", "params": { "key": "item" } },
        ])
        .to_string()
    };
    (0..count).map(plan).collect()
}
