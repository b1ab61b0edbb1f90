-- The rules of the reference's enable_v2, reset and resolve; what differs on purpose carries its number.
\pset null '<null>'
BEGIN;
INSERT INTO costsim_cb_state (name) VALUES ('a'), ('b');
-- [B-28] there true when there was nothing to enable
SELECT costsim_enable_v2('bob', name => 'a') AS was_open, costsim_reset_v2('why not', 'bob', 'a') AS was_open_for_reset;
SELECT count(*) AS tripped FROM generate_series(1, 3) nth, LATERAL (VALUES ('a'), ('b')) v (name), costsim_report_drift(0.5, nth, NULL, v.name);
SELECT id AS incident FROM costsim_incidents(name => 'a') \gset
SELECT costsim_enable_v2('bob', name => 'a') AS was_open;
-- all that told of the outage is gone, the counter too; last_failure_at is history
SELECT disabled, disabled_by, disabled_reason, disabled_until, incident_id, consecutive_failures, last_failure_at IS NOT NULL AS keeps_history
  FROM costsim_cb_state WHERE name = 'a';
-- [B-03] in the same transaction: its incident is resolved in that name, with a word for who gave none, and its alert ends
SELECT resolved, resolved_by, resolution_notes, resolved_at >= "timestamp" AS after_it_began FROM costsim_incidents(true, name => 'a');
SELECT labels ->> 'circuit_breaker' AS breaker, resolved_at IS NULL AS fires FROM costsim_alerts ORDER BY 1;
-- [B-56] the other breaker's incident is its own, and what is resolved stays as it was resolved
SELECT resolved FROM costsim_incidents(name => 'b');
SELECT changed FROM costsim_disable_v2('again', 'ann', name => 'a');
SELECT costsim_reset_v2('prices corrected', 'carl', 'a') AS was_open;
SELECT resolved_by, resolution_notes, id = :'incident' AS is_the_first FROM costsim_incidents(true, name => 'a') ORDER BY "timestamp";
SELECT from_state, to_state, cause, actor, reason FROM costsim_cb_events WHERE circuit_breaker_name = 'a' AND to_state = 'closed' ORDER BY id;
ROLLBACK;
