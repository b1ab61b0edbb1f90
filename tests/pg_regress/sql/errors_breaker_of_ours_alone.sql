-- The trigger functions of the breaker's tables are for those tables: on another one they refuse, and say so.
SELECT p.proname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
 WHERE t.tgrelid IN ('costsim_cb_state'::regclass, 'costsim_cb_events'::regclass, 'costsim_cb_incidents'::regclass) GROUP BY 1 ORDER BY 1;
SELECT coalesce(max(id), 0) AS mark FROM costsim_cb_events \gset
CREATE TABLE mine (name text, disabled boolean);
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON mine FOR EACH ROW EXECUTE FUNCTION _costsim_breaker_changed();
INSERT INTO mine VALUES ('costsim_v2', true);
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER t ON mine;
CREATE TRIGGER t BEFORE UPDATE ON mine FOR EACH STATEMENT EXECUTE FUNCTION _costsim_cb_events_stay();
UPDATE mine SET disabled = true;
\echo :LAST_ERROR_SQLSTATE
DROP TABLE mine;
SELECT count(*) AS events FROM costsim_cb_events WHERE id > :mark;
