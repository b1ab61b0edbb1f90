//! What a call writes: bytes of the log, and rows.

use anyhow::Result;
use postgres::Client;
use serde::Serialize;

/// Blocks of calls whose log is measured. The server itself writes to the log now and then, which only ever adds, so the
/// block with the fewest bytes tells of the calls alone.
const BLOCKS: i64 = 5;
const CALLS: i64 = 200;

/// Per call, over all tables of the database but the server's own.
#[derive(Serialize)]
pub struct Written {
    pub wal_bytes: f64,
    pub rows_inserted: f64,
    pub rows_updated: f64,
    /// Of those updated, the rows whose new version stayed on its page, without a new index entry.
    pub rows_updated_hot: f64,
}

/// Runs `call` in blocks and answers with what one call wrote.
pub fn by(client: &mut Client, mut call: impl FnMut(&mut Client) -> Result<()>) -> Result<Written> {
    let before = rows(client)?;
    let mut wal_bytes = i64::MAX;
    for _ in 0..BLOCKS {
        let start = wal_position(client)?;
        for _ in 0..CALLS {
            call(client)?;
        }
        wal_bytes = wal_bytes.min(wal_position(client)? - start);
    }
    let after = rows(client)?;
    let per_call = |at: usize| (after[at] - before[at]) as f64 / (BLOCKS * CALLS) as f64;
    Ok(Written {
        wal_bytes: wal_bytes as f64 / CALLS as f64,
        rows_inserted: per_call(0),
        rows_updated: per_call(1),
        rows_updated_hot: per_call(2),
    })
}

fn wal_position(client: &mut Client) -> Result<i64> {
    Ok(client.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[])?.get(0))
}

/// Rows inserted, updated, updated in place, up to now.
fn rows(client: &mut Client) -> Result<[i64; 3]> {
    // A session tells what it counted once a second at most, unless it is asked to.
    client.execute("SELECT pg_stat_force_next_flush()", &[])?;
    let row = client.query_one(
        "SELECT sum(n_tup_ins)::bigint, sum(n_tup_upd)::bigint, sum(n_tup_hot_upd)::bigint FROM pg_stat_user_tables",
        &[],
    )?;
    Ok([row.get(0), row.get(1), row.get(2)])
}
