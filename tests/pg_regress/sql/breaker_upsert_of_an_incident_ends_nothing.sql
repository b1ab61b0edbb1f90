-- An insert that will insert nothing leaves the open incident and its alert alone.
SELECT changed FROM costsim_disable_v2('by hand', 'ann');
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity)
SELECT id, circuit_breaker_name, reason, severity FROM costsim_incidents() ON CONFLICT DO NOTHING;
SELECT resolved, resolved_by FROM costsim_incidents(true);
SELECT resolved_at IS NULL AS fires FROM costsim_alerts;
SELECT costsim_enable_v2('ann');
TRUNCATE costsim_cb_state, costsim_cb_incidents, costsim_alerts;
-- The trigger's function does nothing on anybody else's table, and says so.
CREATE TABLE mine (id text, circuit_breaker_name text);
CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION _costsim_supersede_incident();
INSERT INTO mine VALUES ('x', 'costsim_v2');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE mine;
