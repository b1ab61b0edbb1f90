-- Every misuse of coordination: its SQLSTATE, what it says, and nothing stored. ON_ERROR_ROLLBACK puts a savepoint before each statement.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_coordinate(NULL, 'COST', 's', 'p');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('e', 'COST', NULL, 'p');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('e', 'COST', 's', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('', 'COST', 's', 'p');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('e', 'COST', E' \t', 'p');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('e', 'COST', 's', repeat('x', 513));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('kill_switch', 'COST', 's', 'p');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('e', 'COST', 's', 'p', tenant_id => '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('e', 'COST', 's', 'p', applied_by => repeat('x', 513));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('e', 'COST', 's', 'p', reason => repeat('x', 8193));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_coordinate('e', 'COST', 's', 'p', value => to_jsonb(repeat('x', 1048576)));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_envelope(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_envelope('');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_envelope('kill_switch');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_envelope('e', '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_envelope('e', released_by => '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_envelope('e', reason => repeat('x', 8193));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_kill_switch(NULL, 'ann', 'why');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_kill_switch(true, NULL, 'why');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_kill_switch(true, 'ann', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_kill_switch(true, ' ', 'why');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_kill_switch(true, 'ann', ' ');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_kill_switch(true, 'ann', repeat('x', 8193));
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_active_envelopes("limit" => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT (SELECT count(*) FROM costsim_envelopes), (SELECT count(*) FROM costsim_kill_switch), (SELECT count(*) FROM costsim_audit_records);
-- The longest there are.
SELECT decision, is_audited FROM costsim_coordinate(repeat('e', 512), 'COST', repeat('s', 512), repeat('p', 512), to_jsonb(repeat('x', 1048000)),
    repeat('r', 8192), repeat('t', 512), repeat('a', 512));
SELECT decision, length(reason), is_audited FROM costsim_coordinate(repeat('f', 512), 'SAFETY', repeat('s', 512), repeat('p', 512), tenant_id => repeat('t', 512));
SELECT costsim_release_envelope(repeat('f', 512), repeat('t', 512), repeat('a', 512), repeat('r', 8192)), costsim_set_kill_switch(true, repeat('a', 512), repeat('r', 8192));
-- By hand the tables' own checks hold.
\set VERBOSITY terse
INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class) VALUES ('kill_switch', 's', 'p', 'COST');
INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class) VALUES ('e', 's', 'p', 'UNKNOWN');
INSERT INTO costsim_envelopes (envelope_id, tenant_id, subsystem, parameter, envelope_class) VALUES ('e', '', 's', 'p', 'COST');
INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class, status) VALUES ('e', 's', 'p', 'COST', 'preempted');
ROLLBACK;
BEGIN READ ONLY;
SELECT costsim_coordinate('e', 'COST', 's', 'p');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_envelope('e');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_kill_switch(true, 'ann', 'why');
\echo :LAST_ERROR_SQLSTATE
SELECT (SELECT count(*) FROM costsim_active_envelopes()), is_active FROM costsim_kill_switch_status;
ROLLBACK;
-- Whoever may call the functions needs no right on the tables, and has none.
CREATE ROLE costsim_regress_app;
SET ROLE costsim_regress_app;
SELECT costsim_coordinate('e', 'COST', 's', 'p');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_kill_switch(true, 'ann', 'why');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT EXECUTE ON FUNCTION costsim_coordinate(text, text, text, text, jsonb, text, text, text), costsim_release_envelope(text, text, text, text),
    costsim_set_kill_switch(boolean, text, text), costsim_active_envelopes(text, text, integer, timestamptz, bigint) TO costsim_regress_app;
SET ROLE costsim_regress_app;
BEGIN;
SELECT decision, is_audited, costsim_release_envelope('e'), costsim_set_kill_switch(true, 'ann', 'why') FROM costsim_coordinate('e', 'COST', 's', 'p');
SELECT count(*) FROM costsim_active_envelopes();
\echo :LAST_ERROR_SQLSTATE
DELETE FROM costsim_envelopes;
\echo :LAST_ERROR_SQLSTATE
UPDATE costsim_kill_switch SET is_active = false;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
RESET ROLE;
DROP OWNED BY costsim_regress_app;
DROP ROLE costsim_regress_app;
