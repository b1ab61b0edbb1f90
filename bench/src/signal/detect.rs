//! Patterns among failed runs: our detection, and one pass of `regexp_replace` over the same rows.

use anyhow::{Result, ensure};
use postgres::Client;

use super::{Load, Race, Stage, as_of, counting, of_one_and_of_many};

pub const NAMES: [&str; 2] = ["signal_patterns_of_one_tenant", "signal_patterns_of_many_tenants"];

/// Failed runs of one day. Their errors are of forty kinds, as services write them, with ids, times, numbers, addresses and paths of their own.
const FILL: &str = r#"
    INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at, finished_at)
    SELECT i::text, 'tenant-' || (h >> 8) % $3::bigint, 'worker-' || (h >> 20) % 500, CASE i % 10 WHEN 0 THEN 'crashed' ELSE 'failed' END,
           format((ARRAY[
               'HTTP 503 from https://api.example.com/v1/users/%1$s/orders: upstream connect error after %2$s ms',
               'HTTP 404 from https://api.example.com/v1/users/%1$s/orders: no such user',
               'HTTP 429 from https://api.example.com/v1/users/%1$s/orders: retry after %3$s s',
               'Request %4$s failed: deadline exceeded after %2$s ms',
               'Request %4$s failed: permission denied for project %1$s',
               'connection to 10.%5$s.%6$s.%5$s:5432 refused',
               'connection to 10.%5$s.%6$s.%5$s:6379 reset by peer while reading %2$s bytes',
               '%7$s ERROR worker[%1$s]: out of memory: requested %2$s bytes, %3$s free',
               '%7$s ERROR worker[%1$s]: assertion failed: queue length %3$s exceeds %5$s',
               'Traceback: File "/srv/app/releases/%1$s/jobs/mail.py", line %5$s: KeyError ''customer_%3$s''',
               'Traceback: File "/srv/app/releases/%1$s/jobs/report.py", line %5$s: ValueError: invalid literal ''%2$s''',
               'could not open /tmp/upload-%4$s/part-%3$s.csv: No such file or directory',
               'could not write /var/spool/export/%1$s.json: No space left on device (%2$s bytes needed)',
               'duplicate key value violates unique constraint "orders_pkey": Key (id)=(%1$s) already exists.',
               'deadlock detected: process %1$s waits for ShareLock on transaction %2$s; blocked by process %3$s',
               'canceling statement due to statement timeout after %2$s ms (query id %8$s)',
               'SQLSTATE 40001: could not serialize access due to concurrent update, attempt %5$s',
               'SQLSTATE 57014: canceled by user, session %4$s',
               'rate limit reached for model gpt-large in organization org-%8$s: limit %2$s, used %3$s',
               'context length exceeded: %2$s tokens requested, %3$s allowed',
               'tool call %8$s returned invalid JSON at line %5$s column %6$s',
               'tool call %8$s timed out after %3$s.%5$ss',
               'S3 PutObject %4$s: AccessDenied (request id %8$s)',
               'S3 GetObject %4$s: NoSuchKey (request id %8$s)',
               'message %4$s rejected by mx%5$s.example.net: 550 5.1.1 user%1$s@example.com unknown',
               'message %4$s deferred by mx%5$s.example.net: 451 4.7.1 try again at %7$s',
               'certificate of node-%5$s expired at %7$s',
               'lease on shard %3$s lost at %7$s, new owner node-%5$s',
               'exit code 137: container %8$s killed, memory limit %2$s kB',
               'exit code 1: container %8$s: migration %1$s failed',
               'payment %4$s declined: insufficient funds, %2$s.%5$s EUR requested',
               'payment %4$s declined: card expired',
               'webhook to https://hooks.example.org/%8$s?attempt=%5$s answered 500 after %2$s ms',
               'webhook to https://hooks.example.org/%8$s?attempt=%5$s answered 410',
               'image %8$s: unsupported format, %3$sx%5$s at offset 0x%8$s',
               'cannot parse invoice %1$s of %7$s: expected %3$s lines, found %5$s',
               'user %4$s is locked until %7$s',
               'thread %1$s panicked at src/main.rs:%5$s:%6$s: index out of bounds: the len is %3$s but the index is %2$s',
               'checksum mismatch in segment %8$s: expected %8$s, computed %2$s',
               'gateway timeout']::text[])[1 + (h >> 32) % 40],
               h % 10000000, (h >> 10) % 100000, (h >> 16) % 1000, md5(i::text)::uuid, (h >> 24) % 256, (h >> 40) % 256,
               to_char(TIMESTAMP '2025-06-30 00:00' + (h % 86400) * INTERVAL '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), lpad(to_hex(h % 4294967296), 8, '0')),
           TIMESTAMPTZ '@' - (i % 86399) * INTERVAL '1 second', TIMESTAMPTZ '@'
      FROM generate_series($1::bigint, $2::bigint - 1) i, LATERAL (SELECT hashint8extended(i, 9) & 9007199254740991 AS h) r"#;

/// What one writes who has no more than SQL. It takes for variable what is a UUID, a time, or digits. Counted as whole
/// rows, since nothing is computed of columns that nobody asks for.
const BY_HAND: &str = r"
    SELECT count(p) FROM (
        SELECT tenant_id,
               regexp_replace(regexp_replace(regexp_replace(lower(error),
                   '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', '<uuid>', 'g'),
                   '\d{4}-\d{2}-\d{2}[t ]\d{2}:\d{2}:\d{2}(\.\d+)?(z|[+-]\d{2}:?\d{2})?', '<timestamp>', 'g'),
                   '\d+', '<n>', 'g') AS template,
               count(*) AS occurrences, min(created_at) AS first_seen, max(created_at) AS last_seen
          FROM costsim_worker_runs
         WHERE status IN ('failed', 'crashed') AND created_at > TIMESTAMPTZ '@' - INTERVAL '24 hours' AND created_at <= '@'
         GROUP BY 1, 2
        HAVING count(*) >= 3) p";

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    of_one_and_of_many(stage, load, only, NAMES, among)
}

fn among(stage: &Stage, name: &'static str, tenants: usize, load: &Load) -> Result<Race> {
    let mut client = stage.create_database(name)?;
    let as_of = as_of(&mut client)?;
    fill(&mut client, load.signal_runs, tenants, &as_of)?;
    let runners = vec![
        counting(
            stage.connect_to(name)?,
            "detection, which writes all it finds",
            None,
            Some("TRUNCATE costsim_pattern_feedback"),
            format!("SELECT count(*) FROM costsim_detect_patterns(NULL, as_of => '{as_of}')"),
            load.signal_runs,
        )?,
        counting(
            stage.connect_to(name)?,
            "nested regexp_replace and GROUP BY",
            Some(3.0),
            None,
            BY_HAND.replace('@', &as_of),
            load.signal_runs,
        )?,
    ];
    let race = Race::run(name, "runs/s", load.signal_turns, runners)?;
    println!("    {:.0} ns per run, of {} of {tenants} tenants", 1e9 / race.ours(), load.signal_runs);
    Ok(race)
}

fn fill(client: &mut Client, runs: usize, tenants: usize, as_of: &str) -> Result<()> {
    let statement = client.prepare(&FILL.replace("TIMESTAMPTZ '@'", &format!("TIMESTAMPTZ '{as_of}'")))?;
    let (runs, tenants) = (i64::try_from(runs)?, i64::try_from(tenants)?);
    for first in (0..runs).step_by(100_000) {
        client.execute(&statement, &[&first, &runs.min(first + 100_000), &tenants])?;
    }
    let kinds: i64 = client
        .query_one("SELECT count(DISTINCT left(error, 8)) FROM (SELECT error FROM costsim_worker_runs LIMIT 10000) r", &[])?
        .get(0);
    ensure!(kinds > 20, "only {kinds} kinds of errors");
    client.batch_execute("VACUUM ANALYZE")?;
    Ok(client.batch_execute("CHECKPOINT")?)
}
