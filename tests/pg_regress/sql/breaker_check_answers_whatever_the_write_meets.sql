-- A breaker whose recovery cannot be written is closed all the same, says the check, and keeps no other from its own.
BEGIN;
SELECT changed FROM costsim_disable_v2('a', 'ann');
SELECT name FROM costsim_configure_breaker('fine');
SELECT changed FROM costsim_disable_v2('a', 'ann', name => 'fine');
UPDATE costsim_cb_state SET disabled_until = clock_timestamp();
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON costsim_cb_state FOR EACH ROW WHEN (OLD.name = 'costsim_v2') EXECUTE FUNCTION refuse();
SELECT costsim_is_v2_disabled();
-- told once, and not with every check
SELECT costsim_is_v2_disabled();
SELECT * FROM costsim_auto_recover();
SELECT name, disabled FROM costsim_cb_state ORDER BY name;
SELECT count(*) AS firing FROM costsim_alerts WHERE resolved_at IS NULL;
DROP TRIGGER refuse ON costsim_cb_state;
SELECT * FROM costsim_auto_recover();
SELECT count(*) AS firing FROM costsim_alerts WHERE resolved_at IS NULL;
ROLLBACK;
-- a row that never comes to be is an error, and no endless loop
BEGIN;
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER swallow BEFORE INSERT ON costsim_cb_state FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT costsim_configure_breaker('nothing');
ROLLBACK;
-- numbers by hand
BEGIN;
SELECT name FROM costsim_configure_breaker('odd');
UPDATE costsim_cb_state SET consecutive_failures = -5 WHERE name = 'odd';
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'odd');
SELECT consecutive_failures FROM costsim_cb_get_state('odd');
SELECT changed FROM costsim_disable_v2('a', 'ann', name => 'odd');
UPDATE costsim_cb_incidents SET reports_while_open = 9223372036854775807;
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'odd');
SELECT reports_while_open FROM costsim_incidents(name => 'odd');
INSERT INTO costsim_cb_events (circuit_breaker_name, happened_at, from_state, to_state, cause, configuration)
VALUES ('odd', 'infinity', 'open', 'open', 'outside', '{}');
SELECT count(*) > 0 AS explains FROM costsim_cb_explain('odd');
ROLLBACK;
