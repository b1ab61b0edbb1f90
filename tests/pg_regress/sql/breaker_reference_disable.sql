-- The rules of the reference's disable_v2 and of its trip; what differs on purpose carries its number.
\pset null '<null>'
BEGIN;
INSERT INTO costsim_cb_state (name) VALUES ('a'), ('b'), ('c'), ('d');
-- severity P2, score 0, no samples, a detail that tells it was by hand; by whoever did it, for a day
SELECT changed FROM costsim_disable_v2('prices look wrong', 'ann', name => 'a');
SELECT severity, drift_score, sample_count, details_json, reason, resolved FROM costsim_incidents(name => 'a');
SELECT disabled, disabled_by, disabled_reason, disabled_until - opened_at AS disabled_for, s.incident_id = i.id AS is_linked
  FROM costsim_cb_state s, costsim_incidents(name => 'a') i WHERE name = 'a';
-- the same reason and the same end: nothing changes; there a second call without an end was another one [B-25]
SELECT changed FROM costsim_disable_v2('prices look wrong', 'ann', name => 'a');
-- another reason or end changes the outage; there it made a second incident and forgot the first [B-24]
SELECT changed FROM costsim_disable_v2('prices are wrong', 'ann', name => 'a');
SELECT changed FROM costsim_disable_v2('prices are wrong', 'ann', '2100-01-01 UTC', name => 'a');
SELECT count(*) AS incidents, count(*) FILTER (WHERE NOT resolved) AS unresolved FROM costsim_incidents(true, name => 'a');
-- an end of one's own
SELECT changed FROM costsim_disable_v2('until the release', 'ann', '2100-01-01 UTC', name => 'b');
SELECT disabled_until AT TIME ZONE 'UTC' AS until FROM costsim_cb_get_state('b');
SELECT changed FROM costsim_disable_v2('until the release', 'ann', '2100-01-01 UTC', name => 'b');
-- no end at all is asked for by name, not by a setting of everybody's [B-25]
SELECT changed FROM costsim_disable_v2('for good', 'ann', permanent => true, name => 'c');
SELECT is_open, disabled_until FROM costsim_cb_get_state('c');
-- a TTL of none means the same for whoever names no end
SELECT disable_ttl FROM costsim_configure_breaker('d', disable_ttl => '0');
SELECT changed FROM costsim_disable_v2('a', 'ann', name => 'd');
SELECT is_open, disabled_until FROM costsim_cb_get_state('d');
-- an alert goes with each incident
SELECT labels ->> 'circuit_breaker' AS breaker, labels ->> 'severity' AS severity, count(*) FROM costsim_alerts GROUP BY 1, 2 ORDER BY 1, 2;
SELECT DISTINCT from_state, to_state, cause FROM costsim_cb_events WHERE circuit_breaker_name IN ('b', 'c');
ROLLBACK;
