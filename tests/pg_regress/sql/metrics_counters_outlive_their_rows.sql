-- Whoever deletes, a counter stays; with the statement that is rolled back what was kept goes too.
BEGIN;
DELETE FROM costsim_metrics_kept;
SELECT 1 FROM costsim_configure_breaker('m');
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity, resolved) SELECT 'i' || n, 'm', 'r', 'P' || 1 + n % 2, true FROM generate_series(1, 5) n;
CREATE TEMP VIEW incidents AS SELECT labels ->> 'severity' AS severity, value FROM _costsim_metrics_breaker() WHERE name = 'costsim_cb_incidents_total' AND labels ->> 'name' = 'm';
TABLE incidents ORDER BY 1;
SAVEPOINT a;
DELETE FROM costsim_cb_incidents WHERE circuit_breaker_name = 'm';
TABLE incidents ORDER BY 1;
SELECT name, labels, value FROM costsim_metrics_kept ORDER BY id;
ROLLBACK TO a;
SELECT count(*) AS kept FROM costsim_metrics_kept;
-- Under another name it is another breaker's.
UPDATE costsim_cb_incidents SET circuit_breaker_name = 'n' WHERE circuit_breaker_name = 'm' AND severity = 'P1';
TABLE incidents ORDER BY 1;
DELETE FROM costsim_cb_incidents WHERE circuit_breaker_name = 'm';
TABLE incidents ORDER BY 1;
-- A statement that finds nothing keeps nothing.
DELETE FROM costsim_cb_incidents WHERE false;
SELECT count(*) FILTER (WHERE labels ->> 'name' = 'm') AS kept FROM costsim_metrics_kept;
-- However many rows a statement changes or deletes, it keeps one for each label set.
DELETE FROM costsim_metrics_kept;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost) SELECT 'many', 1, 2 FROM generate_series(1, 5000);
UPDATE costsim_provenance SET v2_cost = NULL WHERE run_id = 'many';
UPDATE costsim_provenance SET v2_cost = 3, runtime_ms = 1 WHERE run_id = 'many';
UPDATE costsim_provenance SET runtime_ms = 2 WHERE run_id = 'many';
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity, resolved) SELECT 'k' || n, 'm', 'r', 'P' || 2 + n % 2, true FROM generate_series(1, 1000) n;
UPDATE costsim_cb_incidents SET severity = 'P' || substr(severity, 2)::integer - 1 WHERE id LIKE 'k%';
SELECT name, labels, value FROM costsim_metrics_kept ORDER BY name COLLATE "C", labels;
-- What an operator takes out of the history of breakers.
SELECT changed FROM costsim_disable_v2('by hand', 'ann', name => 'm');
ALTER TABLE costsim_cb_events DISABLE TRIGGER costsim_cb_events_stay;
DELETE FROM costsim_cb_events WHERE circuit_breaker_name = 'm';
SELECT labels ->> 'reason' AS reason, value FROM _costsim_metrics_breaker() WHERE name = 'costsim_cb_disabled_total' AND labels ->> 'name' = 'm' AND value > 0;
-- What upkeep has done.
DELETE FROM costsim_maintenance;
INSERT INTO costsim_maintenance (task, last_rows, total_rows) VALUES ('purge_runs', 1, 12), ('purge_costs', 0, 0);
DELETE FROM costsim_maintenance;
SELECT labels, value FROM _costsim_metrics_worker() WHERE name = 'costsim_task_rows_total' AND labels ->> 'task' = 'purge_runs';
-- Many rows become few, and say the same.
INSERT INTO costsim_alert_targets (url) VALUES ('http://many');
CREATE FUNCTION pg_temp.fail(times integer) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    FOR n IN 1 .. times LOOP UPDATE costsim_alert_targets SET failures = failures + 1 WHERE url = 'http://many'; END LOOP; END $$;
SELECT pg_temp.fail(2000);
SELECT count(*) < 500 AS are_few, sum(value) FROM costsim_metrics_kept WHERE name = 'costsim_cb_alert_send_failures_total' AND labels ->> 'target' = 'http://many';
ROLLBACK;
-- Under a snapshot of its own a transaction keeps, and leaves folding to others.
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO costsim_alert_targets (url) VALUES ('http://many');
CREATE FUNCTION pg_temp.fail(times integer) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    FOR n IN 1 .. times LOOP UPDATE costsim_alert_targets SET failures = failures + 1 WHERE url = 'http://many'; END LOOP; END $$;
SELECT pg_temp.fail(200);
SELECT count(*), sum(value) FROM costsim_metrics_kept WHERE name = 'costsim_cb_alert_send_failures_total' AND labels ->> 'target' = 'http://many';
ROLLBACK;
-- The trigger function is for these tables alone.
CREATE TEMP TABLE other (failures integer);
CREATE TRIGGER t AFTER DELETE ON other REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION _costsim_metrics_keep();
\set VERBOSITY sqlstate
DELETE FROM other;
DROP TABLE other;
