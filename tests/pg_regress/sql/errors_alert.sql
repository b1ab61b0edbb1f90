-- Every misuse of the outbox: its SQLSTATE, what it says, and nothing stored. ON_ERROR_ROLLBACK puts a savepoint before each statement.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Before"}}]', 'x') IS NOT NULL AS queued;
SELECT costsim_fire_alert('{"alertname": "Before"}') IS NOT NULL AS fired;

SELECT costsim_enqueue_alert(NULL, 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', ' ');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x', max_attempts => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x', max_attempts => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('{"labels": {"alertname": "A"}}', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('null', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('["a"]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}, {}]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {}}]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"alertname": 1}}]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"bad-name": "x"}}]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"a": "x"}, "annotations": {"summary": null}}]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"a": "x"}, "startsAt": "yesterday"}]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"a": "x"}, "startsAt": "2025-03-01T12:00:00Z", "endsAt": "2025-03-01T11:59:59Z"}]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"a": "x"}, "generatorURL": "not a url"}]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert((SELECT jsonb_agg('{"labels": {"a": "x"}}'::jsonb) FROM generate_series(1, 257)), 'x');
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_fire_alert(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"a": "x"}', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('[]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('"a"');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"a": ""}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"a": {"b": "c"}}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"a": true}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"1a": "x"}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"": "x"}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"ä": "x"}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"a": "x"}', '{"summary": 1}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"a": "x"}', '[]');
\echo :LAST_ERROR_SQLSTATE
-- a name given as a megabyte does not come back as one
\set VERBOSITY terse
SELECT costsim_fire_alert(jsonb_build_object(repeat('-', 1000000), 'x'));
\set VERBOSITY default

SELECT costsim_resolve_alert(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resolve_alert('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resolve_alert('{"alertname": null}');
\echo :LAST_ERROR_SQLSTATE

SELECT payload, attempts FROM costsim_alert_queue;
SELECT labels, revision, resolved_at FROM costsim_alerts;
-- the most that fits is taken
SELECT costsim_enqueue_alert((SELECT jsonb_agg('{"labels": {"a": "x"}}'::jsonb) FROM generate_series(1, 256)), 'x') IS NOT NULL AS queued;
ROLLBACK;
-- A generator URL that Alertmanager would refuse; a document nested without end.
SELECT costsim_fire_alert('{"alertname": "x"}', '{}', 'not a url');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert((repeat('[', 200) || repeat(']', 200))::jsonb, 'test');
\echo :LAST_ERROR_SQLSTATE
