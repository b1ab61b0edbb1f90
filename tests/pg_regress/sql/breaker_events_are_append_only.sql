-- What happened stays: events cannot be changed, deleted or truncated, by their owner either; they outlive their breaker.
\set ON_ERROR_ROLLBACK on
SELECT name FROM costsim_configure_breaker('gone', failure_threshold => 2);
BEGIN;
UPDATE costsim_cb_events SET actor = 'nobody' WHERE circuit_breaker_name = 'gone';
\echo :LAST_ERROR_SQLSTATE
DELETE FROM costsim_cb_events WHERE circuit_breaker_name = 'gone';
\echo :LAST_ERROR_SQLSTATE
TRUNCATE costsim_cb_events;
\echo :LAST_ERROR_SQLSTATE
TRUNCATE costsim_cb_state, costsim_cb_events CASCADE;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_cb_events SELECT * FROM costsim_cb_events WHERE circuit_breaker_name = 'gone' ON CONFLICT (id) DO UPDATE SET actor = 'nobody';
\echo :LAST_ERROR_SQLSTATE
COMMIT;
DELETE FROM costsim_cb_state WHERE name = 'gone';
SELECT cause FROM costsim_cb_events WHERE circuit_breaker_name = 'gone';
