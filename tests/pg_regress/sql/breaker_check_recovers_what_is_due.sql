-- costsim_is_v2_disabled writes a passed end down, and into half-open too; costsim_is_open and the state never write. In a read only transaction
-- it only answers.
SELECT name FROM costsim_configure_breaker('over', failure_threshold => 1);
SELECT name FROM costsim_configure_breaker('probing', failure_threshold => 1, half_open => true);
SELECT count(*) AS tripped FROM (VALUES ('over'), ('probing')) v (name), costsim_report_drift(0.5, name => v.name);
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() WHERE name = 'over';
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'probing';
SELECT max(id) AS mark FROM costsim_cb_events \gset
BEGIN READ ONLY;
SELECT costsim_is_v2_disabled('over') AS over, costsim_is_v2_disabled('probing') AS probing;
SELECT state FROM costsim_cb_get_state('over');
SELECT state FROM costsim_cb_get_state('probing');
COMMIT;
BEGIN;
SELECT costsim_is_open('over') AS over, costsim_is_open('probing') AS probing;
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
SELECT costsim_is_v2_disabled('over') AS over, costsim_is_v2_disabled('probing') AS probing;
SELECT circuit_breaker_name, from_state, to_state, cause, actor FROM costsim_cb_events WHERE id > :mark ORDER BY id;
SELECT name, disabled, half_open_since IS NOT NULL AS is_half_open FROM costsim_cb_state ORDER BY name;
-- once
SELECT costsim_is_v2_disabled('over') AS over, costsim_is_v2_disabled('probing') AS probing;
SELECT count(*) AS events FROM costsim_cb_events WHERE id > :mark;
ROLLBACK;
-- what rolled back was not written down, and is due still
SELECT count(*) AS events FROM costsim_cb_events WHERE id > :mark;
SELECT costsim_is_v2_disabled('over');
SELECT resolved, resolved_by FROM costsim_incidents(true, name => 'over');
TRUNCATE costsim_cb_state, costsim_cb_incidents, costsim_alerts;
