-- Released it is over, once, and the audit says by whom; the parameter is free for anybody.
BEGIN;
SELECT decision FROM unnest('{a,b}'::text[]) e, costsim_coordinate(e, 'COST', 's', e);
SELECT costsim_release_envelope('a', released_by => 'ann', reason => 'the month is over'), costsim_release_envelope('a'),
       costsim_release_envelope('nobody'), costsim_release_envelope('b', 'acme');
SELECT costsim_release_envelope('b', reason => '  ');
SELECT envelope_id, status, ended_by = ANY (ARRAY['ann', session_user]) AS by, replace(ended_reason, session_user, '(session_user)') AS reason FROM costsim_envelopes ORDER BY id;
SELECT envelope_id, envelope_class, decision, replace(reason, session_user, '(session_user)') AS reason, conflicting_envelope_id, preempting_envelope_id, active_envelopes_count
  FROM costsim_audit_records WHERE decision <> 'APPLIED' ORDER BY decision_timestamp;
SELECT decision, active_envelopes_count FROM costsim_coordinate('c', 'PERFORMANCE', 's', 'a');
ROLLBACK;
