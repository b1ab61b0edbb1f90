-- However the application closes its breaker, the incident and its alert end with it; and what our own columns tell of the outage is over.
\pset null '<null>'
SELECT name FROM costsim_configure_breaker('switched', failure_threshold => 1, half_open => true);
CREATE VIEW seen AS
    SELECT (SELECT count(*) FROM costsim_cb_incidents WHERE NOT resolved) AS unresolved,
           (SELECT count(*) FROM costsim_alerts WHERE resolved_at IS NULL) AS firing;
-- the row first, as its enable does
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
TABLE seen;
UPDATE costsim_cb_state SET disabled = false, disabled_by = NULL, disabled_reason = NULL, disabled_until = NULL, incident_id = NULL WHERE name = 'switched';
TABLE seen;
UPDATE costsim_cb_incidents SET resolved = true, resolved_at = now(), resolved_by = 'ops', resolution_notes = 'Manual reset';
SELECT resolved_by, resolution_notes FROM costsim_cb_incidents;
ROLLBACK;
-- the incident first
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
UPDATE costsim_cb_incidents SET resolved = true, resolved_at = now(), resolved_by = 'ops';
TABLE seen;
UPDATE costsim_cb_state SET disabled = false, incident_id = NULL WHERE name = 'switched';
TABLE seen;
ROLLBACK;
-- nothing but the switch, and back: another outage, of which nobody knows more
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'switched';
UPDATE costsim_cb_state SET disabled = false WHERE name = 'switched';
TABLE seen;
SELECT resolved_by = session_user AS by_who_did, resolution_notes FROM costsim_cb_incidents;
UPDATE costsim_cb_state SET disabled = true, disabled_until = now() + interval '1 day' WHERE name = 'switched';
SELECT state, costsim_cb_allow('switched'), disabled_until - now() AS disabled_for, incident_id FROM costsim_cb_get_state('switched');
ROLLBACK;
-- removed, one by one or all at once
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
DELETE FROM costsim_cb_state WHERE name = 'switched';
TABLE seen;
SELECT from_state, to_state, cause FROM costsim_cb_events ORDER BY id DESC LIMIT 1;
ROLLBACK;
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
TRUNCATE costsim_cb_state;
TABLE seen;
ROLLBACK;
-- under another name it is another breaker
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
UPDATE costsim_cb_state SET name = 'renamed' WHERE name = 'switched';
TABLE seen;
SELECT costsim_is_open('renamed');
SELECT circuit_breaker_name, from_state, to_state, cause, incident_id IS NOT NULL AS of_an_incident FROM costsim_cb_events ORDER BY id DESC LIMIT 2;
SELECT costsim_enable_v2('ann', name => 'renamed');
TABLE seen;
ROLLBACK;
-- an incident that is removed takes its alert along
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
DELETE FROM costsim_cb_incidents;
TABLE seen;
ROLLBACK;
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
TRUNCATE costsim_cb_incidents;
TABLE seen;
ROLLBACK;
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
UPDATE costsim_cb_incidents SET id = 'another';
TABLE seen;
ROLLBACK;
-- ours end it even where triggers do not fire
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'switched');
SET LOCAL session_replication_role = replica;
SELECT costsim_enable_v2('ann', name => 'switched');
TABLE seen;
ROLLBACK;
DROP VIEW seen;
DELETE FROM costsim_cb_state;
