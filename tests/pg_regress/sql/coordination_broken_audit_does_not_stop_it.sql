-- Where the audit cannot be written, decisions stand all the same: the caller is told, and what was not written waits as dead letters.
SET client_min_messages = error;
-- A rejection is as durable as what is applied.
BEGIN;
SET LOCAL synchronous_commit = off;
SELECT decision FROM costsim_coordinate('a', NULL, 's', 'p');
SHOW synchronous_commit;
ROLLBACK;
BEGIN;
SELECT decision FROM costsim_coordinate('a', 'COST', 's', 'p');
CREATE FUNCTION pg_temp.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no audit today'; END $$;
CREATE TRIGGER broken BEFORE INSERT ON costsim_audit_records FOR EACH ROW EXECUTE FUNCTION pg_temp.broken();
SELECT decision, preempted, audit_id, is_audited FROM costsim_coordinate('b', 'RELIABILITY', 's', 'q');
SELECT decision, reason, audit_id, is_audited FROM costsim_coordinate('c', 'COST', 's', 'q');
SELECT decision, audit_id, is_audited FROM costsim_coordinate('b', 'RELIABILITY', 's', 'q');
SELECT decision, is_audited FROM costsim_coordinate('d', 'COST', 's', 'r');
SELECT costsim_release_envelope('d', released_by => 'ann'), costsim_set_kill_switch(true, 'ann', 'outage');
SELECT envelope_id, status FROM costsim_envelopes ORDER BY id;
SELECT count(*) AS records FROM costsim_audit_records;
SELECT record ->> 'envelope_id' AS envelope_id, record ->> 'decision' AS decision, sqlstate, message, replayed_at FROM costsim_audit_failures ORDER BY id;
-- Once the audit can be written again, what is missing is.
DROP TRIGGER broken ON costsim_audit_records;
SELECT costsim_replay_audit_failures();
SELECT envelope_id, decision, reason, preempting_envelope_id FROM costsim_audit_records ORDER BY decision_timestamp, decision COLLATE "C" DESC;
ROLLBACK;
