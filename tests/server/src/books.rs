//! What is true of terms and their history whatever happened, once nobody is changing a term.

use anyhow::{Result, ensure};
use postgres::Client;

/// Each complaint about the terms of the session's database, in words.
const COMPLAINTS: &str = "
    WITH terms AS (
        SELECT lock_id, id, token,
               row_number() OVER history AS nth, lag(token) OVER history AS before, lead(id) OVER history AS next
          FROM costsim_leader_events WHERE event = 'acquired'
        WINDOW history AS (PARTITION BY lock_id ORDER BY id)
    ), ends AS (
        SELECT t.lock_id, t.token, t.next, count(e.id) AS ends,
               string_agg(concat_ws(' ', e.event, e.at::time, e.reason), ', ' ORDER BY e.id) AS story,
               count(e.id) FILTER (WHERE e.id < t.id OR e.id > t.next) AS out_of_time
          FROM terms t
          LEFT JOIN costsim_leader_events e
            ON e.lock_id = t.lock_id AND e.token = t.token
           AND e.event IN ('released', 'expired', 'preempted', 'resigned')
         GROUP BY t.lock_id, t.token, t.next
    ), counts AS (SELECT lock_id, count(*) AS terms, max(token) AS token FROM terms GROUP BY lock_id)
    SELECT format('lock %s: epoch %s in token %s', lock_id, epoch, token)
      FROM costsim_leaders WHERE epoch <> token & 4294967295
    UNION ALL
    SELECT format('lock %s: row of token %s after %s terms up to token %s', r.lock_id, r.token, c.terms, c.token)
      FROM costsim_leaders r FULL JOIN counts c USING (lock_id)
     WHERE r.token IS DISTINCT FROM c.token OR r.epoch IS DISTINCT FROM c.terms
    UNION ALL
    SELECT format('lock %s: term %s has token %s after token %s', lock_id, nth, token, before)
      FROM terms WHERE token <= before OR token & 4294967295 <> nth
    UNION ALL
    SELECT format('lock %s: the term of token %s has %s ends (%s)', lock_id, token, ends, story)
      FROM ends WHERE ends > 1 OR ends = 0 AND next IS NOT NULL
    UNION ALL
    SELECT format('lock %s: the term of token %s ended before it began, or after the next one', lock_id, token)
      FROM ends WHERE out_of_time > 0
    UNION ALL
    SELECT format('lock %s: an end of token %s, which nobody had', e.lock_id, e.token)
      FROM costsim_leader_events e
     WHERE e.event IN ('released', 'expired', 'preempted', 'resigned')
       AND NOT EXISTS (SELECT FROM terms t WHERE t.lock_id = e.lock_id AND t.token = e.token)
    UNION ALL
    SELECT format('lock %s: token %s, released at %s, with %s ends', r.lock_id, r.token, r.released_at, e.ends)
      FROM costsim_leaders r JOIN ends e USING (lock_id, token)
     WHERE (r.released_at IS NOT NULL) <> (e.ends > 0)";

/// Rows and events of all terms tell the same story: each epoch once, tokens that grow, every term ended before the next.
pub fn check_the_books(client: &mut Client) -> Result<()> {
    let complaints: Vec<String> = client.query(COMPLAINTS, &[])?.iter().map(|row| row.get(0)).collect();
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}
