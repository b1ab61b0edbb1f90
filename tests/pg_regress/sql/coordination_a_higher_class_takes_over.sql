-- Who controls a parameter: the higher class, or the first; everything lower in the subsystem gives way, and the audit says so.
BEGIN;
CREATE FUNCTION pg_temp.ask(e text, c text, s text, p text, v jsonb DEFAULT NULL, r text DEFAULT NULL,
    OUT told text, OUT conflicting text, OUT preempted text[], OUT active integer, OUT audited boolean, OUT record_says_so boolean) LANGUAGE plpgsql AS $$
DECLARE
    a record;
BEGIN
    SELECT * INTO a FROM public.costsim_coordinate(e, c, s, p, v, r);
    SELECT a.decision || ': ' || a.reason, a.conflicting_envelope_id, a.preempted, a.active_envelopes_count, a.is_audited INTO told, conflicting, preempted, active, audited;
    SELECT (q.envelope_id, q.decision, q.reason, q.active_envelopes_count) = (e, a.decision, a.reason, a.active_envelopes_count)
           AND q.conflicting_envelope_id IS NOT DISTINCT FROM a.conflicting_envelope_id
      INTO record_says_so FROM public.costsim_audit_records q WHERE q.audit_id = a.audit_id;
END $$;
SELECT * FROM pg_temp.ask('slow', 'performance', 'scheduler', 'batch', '10');
SELECT * FROM pg_temp.ask('cheap', 'COST', 'scheduler', 'model', '"small"', 'the month is nearly spent');
-- Neither an equal nor a lower class takes it.
SELECT * FROM pg_temp.ask('cheap2', 'Cost', 'scheduler', 'model');
SELECT * FROM pg_temp.ask('fast', 'pErFoRmAnCe', 'scheduler', 'model');
-- The same parameter of another subsystem, and another parameter of the same, are free.
SELECT * FROM pg_temp.ask('fast', 'performance', 'router', 'model');
SELECT * FROM pg_temp.ask('steady', ' reliability ', 'scheduler', 'retries', '3');
SELECT envelope_id, subsystem, parameter, envelope_class, value, status, ended_by, ended_reason FROM costsim_envelopes ORDER BY id;
-- Safety takes it from its holder, and an equal one stays where it is.
SELECT * FROM pg_temp.ask('stop', 'safety', 'scheduler', 'batch', '0', 'a leak');
SELECT * FROM pg_temp.ask('stop2', 'SAFETY', 'scheduler', 'retries', '0');
SELECT * FROM pg_temp.ask('steady', 'reliability', 'scheduler', 'retries', '3');
SELECT envelope_id, subsystem, parameter, envelope_class, value, status, ended_by, ended_reason, ended_at >= applied_at AS in_order
  FROM costsim_envelopes ORDER BY id;
-- What has ended may come again.
SELECT * FROM pg_temp.ask('cheap', 'COST', 'scheduler', 'model');
SELECT envelope_id, envelope_class, decision, reason, conflicting_envelope_id AS conflicting, preempting_envelope_id AS preempting,
       active_envelopes_count AS active, tenant_id
  FROM costsim_audit_records ORDER BY decision_timestamp, decision COLLATE "C" DESC, envelope_id COLLATE "C";
-- Each transition bears the moment of its record.
SELECT count(*) AS transitions, count(r.audit_id) AS recorded
  FROM costsim_envelopes e
 CROSS JOIN LATERAL (VALUES ('APPLIED', e.applied_at), ('PREEMPTED', e.ended_at)) t (decision, at)
  LEFT JOIN costsim_audit_records r ON r.envelope_id = e.envelope_id AND r.decision = t.decision AND r.decision_timestamp = t.at
 WHERE t.at IS NOT NULL;
ROLLBACK;
