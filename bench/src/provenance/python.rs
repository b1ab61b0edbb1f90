//! CPython, as a client runs it: a process that has the documents and makes a pass over them when told to.

use anyhow::Result;

use crate::python::Python;

const PROGRAM: &str = r#"
import hashlib, json, sys, time
texts = json.loads(sys.stdin.readline())
parsed = [json.loads(text) for text in texts]
def digest(payload):
    return hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
def parse():
    for text in texts: digest(json.loads(text))
def dump():
    for payload in parsed: digest(payload)
print(" ".join(digest(payload) for payload in parsed[:5]), flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    {"parse": parse, "dump": dump}[line.strip()]()
    print(len(texts) / (time.perf_counter() - start), flush=True)
"#;

/// What is measured of it.
pub const PARSE: &str =
    "json.loads, json.dumps(sort_keys=True, separators=(',', ':')), hashlib.sha256 of each text";
pub const DUMP: &str =
    "json.dumps(sort_keys=True, separators=(',', ':')), hashlib.sha256 of each payload, parsed beforehand";

/// A client of a database: the system before, without its ORM. It checks in one transaction and writes in the next, record by record.
const BACKFILL: &str = r#"
import json, sys, time
import psycopg
from psycopg.types.json import Jsonb
[connection, records] = json.loads(sys.stdin.readline())
conn = psycopg.connect(connection)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    for run, tenant, hash, cost, payload in records:
        with conn.transaction():
            known = conn.execute("SELECT id FROM plain_provenance WHERE input_hash = %s LIMIT 1", (hash,)).fetchone()
        if known is None:
            with conn.transaction():
                conn.execute(
                    "INSERT INTO plain_provenance (run_id, tenant_id, variant_slug, source, input_hash, v1_cost, payload)"
                    " VALUES (%s, %s, 'v1', 'backfill', %s, %s, %s) RETURNING id", (run, tenant, hash, cost, Jsonb(payload))).fetchone()
    print(len(records) / (time.perf_counter() - start), flush=True)
"#;

/// What is measured of it.
pub const CHECK_AND_INSERT: &str = "psycopg: BEGIN; SELECT id .. WHERE input_hash = ..; COMMIT; if there is none BEGIN; INSERT .. RETURNING id; COMMIT";

/// A process that has these texts. Its answer is the hashes of the first of them.
pub fn start(texts: &[String]) -> Result<Python> {
    Python::run(&["-c", PROGRAM], &serde_json::to_string(texts)?)
}

/// A client of the database at `connection`. The records are arrays of run, tenant, hash, cost and payload.
pub fn backfill(connection: &str, records: &[serde_json::Value]) -> Result<Python> {
    Python::run(&["-c", BACKFILL], &serde_json::json!([connection, records]).to_string())
}
