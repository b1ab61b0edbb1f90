-- Every transition of a breaker is one event, with who, why, by which score and in which incident; and none is outside the drawing.
\pset null '<null>'
BEGIN;
SELECT name FROM costsim_configure_breaker('life', half_open => true, disable_ttl => '1 hour', probe_permits => 1, probe_successes => 1);
SELECT count(*) FROM costsim_report_drift(0.18, 11, name => 'life');
SELECT count(*) AS tripped FROM unnest(ARRAY[0.31, 0.32, 0.33]) score, costsim_report_drift(score, 12, NULL, 'life');
-- half-open, and the probe fails
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'life';
SELECT costsim_cb_allow('life');
SELECT count(*) FROM costsim_report_drift(0.41, 13, name => 'life');
-- half-open, and the probe never comes back
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'life';
SELECT costsim_cb_allow('life');
UPDATE costsim_cb_state SET probes = ARRAY[clock_timestamp()] WHERE name = 'life';
SELECT * FROM costsim_auto_recover();
-- half-open, and the probe succeeds
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'life';
SELECT costsim_cb_allow('life');
SELECT count(*) FROM costsim_report_drift(0.01, 14, name => 'life');
-- schema errors, made worse by drift, closed by hand
SELECT count(*) AS tripped FROM costsim_report_schema_error(5, name => 'life');
SELECT count(*) AS tripped FROM unnest(ARRAY[0.51, 0.52, 0.53]) score, costsim_report_drift(score, 15, NULL, 'life');
SELECT costsim_enable_v2('ann', 'model rolled back', 'life');
-- disabled by hand, twice, and over
SELECT changed FROM costsim_disable_v2('price list is wrong', 'bob', name => 'life');
SELECT changed FROM costsim_disable_v2('for the release', 'carl', '2100-01-01 UTC', name => 'life');
UPDATE costsim_cb_state SET half_open_at = NULL, disabled_until = clock_timestamp() WHERE name = 'life';
SELECT costsim_is_v2_disabled('life');
SELECT from_state, to_state, cause, actor, drift_score, sample_count, dense_rank() OVER (ORDER BY first_of_incident) - 1 AS incident,
       regexp_replace(reason, '\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', '<time>') AS reason
  FROM (SELECT *, min(id) OVER (PARTITION BY incident_id) AS first_of_incident FROM costsim_cb_events WHERE circuit_breaker_name = 'life') e ORDER BY id;
-- each begins where the one before it ended, at no earlier moment
SELECT count(*) FILTER (WHERE from_state IS DISTINCT FROM before) AS gaps, count(*) FILTER (WHERE happened_at < since) AS backwards
  FROM (SELECT from_state, lag(to_state, 1, 'closed') OVER (ORDER BY id) AS before, happened_at, lag(happened_at) OVER (ORDER BY id) AS since
          FROM costsim_cb_events WHERE circuit_breaker_name = 'life') e;
SELECT count(DISTINCT incident_id) AS incidents, count(*) FILTER (WHERE i.id IS NULL) AS unknown
  FROM costsim_cb_events e LEFT JOIN costsim_cb_incidents i ON i.id = e.incident_id WHERE e.circuit_breaker_name = 'life' AND e.incident_id IS NOT NULL;
ROLLBACK;
