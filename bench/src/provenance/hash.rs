//! Hashes of stored JSON, by the document and by the megabyte.

use std::cell::RefCell;
use std::time::Instant;

use anyhow::{Result, ensure};
use fastrand::Rng;
use postgres::Client;

use super::python::{self, DUMP, PARSE};
use super::{Load, Race, Runner, Stage, documents, is_chosen};

/// Bytes of a document and how many there are: a pass takes long enough not to count a round trip.
const SIZES: [(&str, usize, usize); 4] = [
    ("provenance_hash_100B", 100, 100_000),
    ("provenance_hash_1kB", 1_000, 20_000),
    ("provenance_hash_100kB", 100_000, 200),
    ("provenance_hash_10MB", 10_000_000, 3),
];

const SEED: u64 = 8785;

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    let mut races = Vec::new();
    for (name, bytes, count) in SIZES {
        if is_chosen(name, only) {
            races.push(of_size(stage, load, name, bytes, count)?);
        }
    }
    Ok(races)
}

fn of_size(stage: &Stage, load: &Load, name: &str, bytes: usize, count: usize) -> Result<Race> {
    let mut rng = Rng::with_seed(SEED);
    let texts: Vec<String> = (0..count).map(|_| documents::plan(&mut rng, bytes)).collect();
    let total: usize = texts.iter().map(String::len).sum();
    let mut client = stage.connect()?;
    fill(&mut client, &texts)?;
    let python = RefCell::new(python::start(&texts)?);
    // The same hashes, or the race would be worth nothing.
    let first: Vec<String> = client
        .query("SELECT costsim_input_hash(payload) FROM documents ORDER BY n LIMIT 5", &[])?
        .iter()
        .map(|row| row.get(0))
        .collect();
    ensure!(first.join(" ") == python.borrow().answer, "python and the server disagree");
    drop(client);

    let in_server = |label, goal, expression: &str| -> Result<Runner<'_>> {
        let mut client = stage.connect()?;
        let query = format!("SELECT count({expression}) FROM documents");
        let statement = client.prepare(&query)?;
        let run = move || {
            let start = Instant::now();
            let hashed: i64 = client.query_one(&statement, &[])?.get(0);
            ensure!(usize::try_from(hashed)? == count, "{hashed} of {count} documents were hashed");
            Ok(count as f64 / start.elapsed().as_secs_f64())
        };
        Ok(Runner { label, says: query, goal, run: Box::new(run) })
    };
    let at_1_kb = |goal| (bytes == 1_000).then_some(goal);
    let runners = vec![
        in_server("costsim_input_hash", None, "costsim_input_hash(payload)")?,
        in_server("costsim_jcs_digest", None, "costsim_jcs_digest(payload)")?,
        in_server(
            "sha256 of the stored text, by convert_to",
            None,
            "sha256(convert_to(payload::text, 'UTF8'))",
        )?,
        in_server("the same, by the cast text::bytea", at_1_kb(0.5), "sha256(payload::text::bytea)")?,
        Runner {
            label: "CPython: loads, dumps, hashlib",
            says: PARSE.to_owned(),
            goal: at_1_kb(5.0),
            run: Box::new(|| python.borrow_mut().pass("parse")),
        },
        Runner {
            label: "CPython: dumps, hashlib, parsed before",
            says: DUMP.to_owned(),
            goal: None,
            run: Box::new(|| python.borrow_mut().pass("dump")),
        },
    ];
    let race = Race::run(name, "documents/s", load.turns, runners)?;
    let megabytes = total as f64 / count as f64 / 1e6;
    println!("    {:<56}{:>16.1}", "costsim_input_hash, MB/s", race.ours() * megabytes);
    Ok(race)
}

fn fill(client: &mut Client, texts: &[String]) -> Result<()> {
    client.batch_execute(
        "DROP TABLE IF EXISTS documents; CREATE TABLE documents (n integer PRIMARY KEY, payload json NOT NULL)",
    )?;
    let insert = client.prepare("INSERT INTO documents VALUES ($1, $2::text::json)")?;
    let mut transaction = client.transaction()?;
    for (n, text) in texts.iter().enumerate() {
        transaction.execute(&insert, &[&i32::try_from(n)?, text])?;
    }
    transaction.commit()?;
    client.batch_execute("VACUUM ANALYZE documents")?;
    Ok(())
}
