-- A decision and its records go together, at every isolation level, and with the savepoint they were made in.
CREATE TEMP VIEW stand AS
SELECT (SELECT string_agg(envelope_id || ' ' || status, ', ' ORDER BY id) FROM costsim_envelopes) AS envelopes,
       (SELECT string_agg(envelope_id || ' ' || decision, ', ' ORDER BY decision_timestamp, decision COLLATE "C" DESC) FROM costsim_audit_records) AS records,
       (SELECT is_active FROM costsim_kill_switch) AS killed;
BEGIN;
SELECT decision FROM costsim_coordinate('a', 'COST', 's', 'p');
SAVEPOINT one;
SELECT decision, preempted FROM costsim_coordinate('b', 'SAFETY', 's', 'p');
SELECT * FROM stand;
ROLLBACK TO one;
SELECT * FROM stand;
SELECT costsim_release_envelope('a');
ROLLBACK TO one;
SELECT costsim_set_kill_switch(true, 'ann', 'outage');
SELECT decision FROM costsim_coordinate('c', 'COST', 's', 'q');
ROLLBACK TO one;
SELECT * FROM stand;
SELECT decision FROM costsim_coordinate('a', 'COST', 's', 'p');
ROLLBACK;
SELECT * FROM stand;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM stand;
SELECT decision FROM costsim_coordinate('a', 'COST', 's', 'p');
SELECT decision, preempted FROM costsim_coordinate('b', 'SAFETY', 's', 'p');
SELECT costsim_release_envelope('b'), costsim_set_kill_switch(true, 'ann', 'outage');
SELECT * FROM stand;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT decision FROM costsim_coordinate('a', 'COST', 's', 'p');
SELECT decision, preempted FROM costsim_coordinate('b', 'SAFETY', 's', 'p');
SELECT costsim_set_kill_switch(true, 'ann', 'outage'), costsim_set_kill_switch(false, 'ann', 'over');
SELECT decision FROM costsim_coordinate('c', 'COST', 's', 'p');
SELECT * FROM stand;
ROLLBACK;
SELECT * FROM stand;
DROP VIEW stand;
