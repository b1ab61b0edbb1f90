-- The purge's statement passes the trigger that keeps events, and no other: not one of somebody's trigger in the middle of it, nor one after it.
SET client_min_messages = warning;
BEGIN;
INSERT INTO costsim_cb_events (circuit_breaker_name, happened_at, from_state, to_state, cause, configuration)
SELECT 'p', now() - i * interval '100 days', 'closed', 'closed', 'near_threshold', '{}' FROM generate_series(0, 4) i;
CREATE FUNCTION take_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM public.costsim_cb_events WHERE circuit_breaker_name = 'p';
    RETURN NULL;
END $$;
-- After the first statement has passed.
CREATE TRIGGER zz_take_more AFTER DELETE ON costsim_cb_events FOR EACH STATEMENT EXECUTE FUNCTION take_more();
SAVEPOINT s;
SELECT costsim_purge_breaker_events();
ROLLBACK TO s;
DROP TRIGGER zz_take_more ON costsim_cb_events;
-- Before it: the stranger's statement passes, the purge's does not, and nothing of either stays.
CREATE TRIGGER aa_take_more BEFORE DELETE ON costsim_cb_events FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION take_more();
SAVEPOINT s;
SELECT costsim_purge_breaker_events();
ROLLBACK TO s;
DROP TRIGGER aa_take_more ON costsim_cb_events;
SELECT count(*) FROM costsim_cb_events WHERE circuit_breaker_name = 'p';
SELECT costsim_purge_breaker_events('150 days');
SELECT count(*) FROM costsim_cb_events WHERE circuit_breaker_name = 'p';
-- After a purge, and after one that failed, the way is closed.
SAVEPOINT s;
DELETE FROM costsim_cb_events;
ROLLBACK TO s;
SELECT costsim_purge_breaker_events('-1 day');
ROLLBACK TO s;
UPDATE costsim_cb_events SET actor = 'me';
ROLLBACK TO s;
TRUNCATE costsim_cb_events;
ROLLBACK;
