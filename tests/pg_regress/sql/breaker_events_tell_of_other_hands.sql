-- What another hand does to the table, the application's ORM say, is told as it is: outside, by the session's user. Changes of anything else are not.
\pset null '<null>'
BEGIN;
CREATE TEMP VIEW told AS
SELECT circuit_breaker_name AS name, from_state, to_state, cause, actor = session_user AS by_us, reason
  FROM costsim_cb_events WHERE circuit_breaker_name IN ('theirs', 'born_open', 'copied') ORDER BY id;
INSERT INTO costsim_cb_state (name) VALUES ('theirs');
UPDATE costsim_cb_state SET consecutive_failures = 2, last_failure_at = now(), updated_at = now() WHERE name = 'theirs';
SELECT * FROM told;
UPDATE costsim_cb_state SET disabled = true, disabled_by = 'ops', disabled_reason = 'price list is wrong', disabled_until = now() + interval '1 hour' WHERE name = 'theirs';
UPDATE costsim_cb_state SET disabled_until = now() + interval '2 hours' WHERE name = 'theirs';
UPDATE costsim_cb_state SET disabled = false, disabled_by = NULL, disabled_reason = NULL, disabled_until = NULL WHERE name = 'theirs';
SELECT * FROM told;
-- born open is how a restored dump comes in, and that brings its events along; gone while open is told
INSERT INTO costsim_cb_state (name, disabled, disabled_by, disabled_reason) VALUES ('born_open', true, 'ops', 'from the start');
SELECT costsim_is_open('born_open');
SELECT * FROM told WHERE name = 'born_open';
DELETE FROM costsim_cb_state WHERE name = 'born_open';
SELECT * FROM told WHERE name = 'born_open';
-- what we do ourselves is not outside
SELECT changed FROM costsim_disable_v2('a', 'ann', name => 'theirs');
SELECT costsim_enable_v2('ann', name => 'theirs');
SELECT * FROM told WHERE name = 'theirs';
-- and is told of next to them, in one transaction too
SELECT changed FROM costsim_disable_v2('b', 'ann', name => 'theirs');
UPDATE costsim_cb_state SET disabled = false WHERE name = 'theirs';
SELECT costsim_enable_v2('ann', name => 'theirs') AS was_open;
SELECT from_state, to_state, cause FROM costsim_cb_events WHERE circuit_breaker_name = 'theirs' ORDER BY id DESC LIMIT 2;
-- what replication applies is not: it brings its events along
SELECT max(id) AS mark FROM costsim_cb_events \gset
SET session_replication_role = replica;
UPDATE costsim_cb_state SET disabled = true WHERE name = 'theirs';
UPDATE costsim_cb_state SET disabled = false WHERE name = 'theirs';
RESET session_replication_role;
SELECT count(*) AS events FROM costsim_cb_events WHERE id > :mark;
-- by its session's user, whatever role it has taken on
CREATE ROLE costsim_regress_orm;
GRANT UPDATE, SELECT ON costsim_cb_state TO costsim_regress_orm;
SET ROLE costsim_regress_orm;
UPDATE costsim_cb_state SET disabled = true WHERE name = 'theirs';
RESET ROLE;
SELECT cause, actor = session_user AS by_the_sessions_user FROM costsim_cb_events WHERE circuit_breaker_name = 'theirs' ORDER BY id DESC LIMIT 1;
ROLLBACK;
