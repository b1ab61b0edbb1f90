//! What is true of breakers, their events, incidents and alerts whatever happened, in every snapshot.

use anyhow::{Result, ensure};
use postgres::Client;

/// Each complaint about the breakers of the session's database, in words. One statement, so one snapshot.
///
/// Events are written under the lock of the breaker's row, so whoever sees one sees all before it. A hand outside changes the row
/// alone: until the next step of the machine an incident may be left over then, or missing. What it inserts is no step.
const COMPLAINTS: &str = "
    WITH legal (\"from\", cause, \"to\") AS (VALUES
        ('closed', 'drift', 'open'), ('closed', 'schema_errors', 'open'), ('closed', 'manual', 'open'),
        ('closed', 'near_threshold', 'closed'), ('closed', 'would_trip', 'closed'), ('closed', 'configured', 'closed'),
        ('open', 'ttl_passed', 'half_open'), ('open', 'ttl_passed', 'closed'), ('open', 'manual', 'closed'),
        ('open', 'manual', 'open'), ('open', 'escalated', 'open'), ('open', 'adopted', 'open'), ('open', 'configured', 'open'),
        ('half_open', 'probes_passed', 'closed'), ('half_open', 'ttl_passed', 'closed'), ('half_open', 'manual', 'closed'),
        ('half_open', 'manual', 'open'), ('half_open', 'probe_failed', 'open'), ('half_open', 'probe_expired', 'open'),
        ('half_open', 'escalated', 'half_open'), ('half_open', 'adopted', 'half_open'), ('half_open', 'configured', 'half_open'),
        ('closed', 'outside', 'open'), ('closed', 'outside', 'half_open'), ('open', 'outside', 'closed'),
        ('open', 'outside', 'half_open'), ('half_open', 'outside', 'closed'), ('half_open', 'outside', 'open')
    ), events AS (
        SELECT id, circuit_breaker_name AS name, from_state, cause, to_state, incident_id,
               lag(to_state) OVER history AS before, lead(id) OVER history IS NULL AS is_last
          FROM costsim_cb_events
        WINDOW history AS (PARTITION BY circuit_breaker_name ORDER BY id)
    ), steps AS (
        SELECT DISTINCT ON (name) name, cause FROM events WHERE from_state <> to_state ORDER BY name, id DESC
    ), breakers AS (
        SELECT s.name, s.disabled, s.incident_id, e.to_state AS told,
               CASE WHEN NOT s.disabled THEN 'closed'
                    -- Of an outage that is over, if another hand has begun this one.
                    WHEN s.half_open_since IS NULL OR s.half_open_at IS NULL OR s.disabled_until IS NULL
                         OR s.opened_incident_id IS NULL OR s.opened_incident_id IS DISTINCT FROM s.incident_id THEN 'open'
                    ELSE 'half_open' END AS state,
               coalesce(l.cause = 'outside', false) AS is_moved_outside
          FROM costsim_cb_state s
          LEFT JOIN events e ON e.name = s.name AND e.is_last
          LEFT JOIN steps l ON l.name = s.name
    ), outages AS (
        SELECT incident_id AS id,
               count(*) FILTER (WHERE cause = 'adopted' OR from_state = 'closed' AND to_state <> 'closed' AND cause <> 'outside') AS begins,
               count(*) FILTER (WHERE from_state <> 'closed' AND to_state = 'closed') AS ends
          FROM events GROUP BY incident_id
    ), incidents AS (
        SELECT i.id, i.circuit_breaker_name AS name, i.resolved, i.resolved_by, lower(i.severity) AS severity,
               coalesce(o.begins, 0) AS begins, coalesce(o.ends, 0) AS ends
          FROM costsim_cb_incidents i LEFT JOIN outages o USING (id)
    )
    SELECT format('%s: event %s goes from %s after %s', name, id, from_state, before)
      FROM events WHERE from_state <> before
    UNION ALL
    SELECT format('%s: event %s goes from %s to %s by %s', name, id, from_state, to_state, cause)
      FROM events WHERE (from_state, cause, to_state) NOT IN (SELECT \"from\", cause, \"to\" FROM legal)
    UNION ALL
    SELECT format('%s: the row is %s, the last event says %s', name, state, told) FROM breakers WHERE state <> told
    UNION ALL
    SELECT format('%s: %s unresolved incidents', name, count(*)) FROM incidents WHERE NOT resolved GROUP BY name HAVING count(*) > 1
    UNION ALL
    SELECT format('%s: the row is %s with incident %s, unresolved is %s', b.name, b.state, b.incident_id, i.id)
      FROM breakers b
      LEFT JOIN incidents i ON i.name = b.name AND NOT i.resolved
     WHERE NOT b.is_moved_outside AND (b.incident_id IS DISTINCT FROM i.id OR b.disabled <> (i.id IS NOT NULL))
    UNION ALL
    SELECT format('%s: incident %s begins %s times and ends %s times, resolved %s by %s', name, id, begins, ends, resolved, resolved_by)
      FROM incidents
     WHERE begins <> 1 OR ends <> (resolved AND resolved_by <> 'system-superseded')::int
    UNION ALL
    SELECT format('%s: resolved incident %s, and alert %s still fires', i.name, i.id, a.fingerprint)
      FROM incidents i
      JOIN costsim_alerts a ON a.incident_id = i.id AND a.resolved_at IS NULL
     WHERE i.resolved
    UNION ALL
    SELECT format('%s: unresolved incident %s of %s, and the alerts that fire are %s', i.name, i.id, i.severity, f.alerts)
      FROM incidents i,
           LATERAL (SELECT count(*) AS count, string_agg(a.labels::text, ', ') AS alerts,
                           bool_and(a.labels @> jsonb_build_object(
                               'alertname', 'CostSimV2Disabled', 'circuit_breaker', i.name, 'incident_id', i.id,
                               'severity', i.severity)) AS are_right
                      FROM costsim_alerts a WHERE a.incident_id = i.id AND a.resolved_at IS NULL) f
     WHERE NOT i.resolved AND (f.count <> 1 OR NOT f.are_right)
    UNION ALL
    SELECT format('alert %s fires for incident %s, which is not there', fingerprint, incident_id)
      FROM costsim_alerts a
     WHERE resolved_at IS NULL AND incident_id IS NOT NULL AND NOT EXISTS (SELECT FROM incidents i WHERE i.id = a.incident_id)";

/// Rows, events, incidents and alerts of all breakers tell the same story: a gapless chain of legal steps that ends where the row
/// stands, one incident per outage, and an alert that fires exactly as long.
pub fn check_the_breakers(client: &mut Client) -> Result<()> {
    let complaints: Vec<String> = client.query(COMPLAINTS, &[])?.iter().map(|row| row.get(0)).collect();
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// Asks twice: the first answer may have been read just then, the second is from the session's memory.
#[track_caller]
pub fn says(client: &mut Client, is_open: bool) -> Result<()> {
    for time in ["the first time", "from memory"] {
        let row = client.query_one("SELECT costsim_is_open(), costsim_is_closed()", &[])?;
        assert_eq!((row.try_get(0)?, row.try_get(1)?), (is_open, !is_open), "{time}");
    }
    Ok(())
}
