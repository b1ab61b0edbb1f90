-- Without a class nothing is applied, and the audit says so under UNKNOWN. [B-60]
BEGIN;
SELECT left(c.class, 8) AS class, a.decision, a.reason, a.conflicting_envelope_id, a.active_envelopes_count, a.audit_id IS NOT NULL AS recorded, a.is_audited
  FROM unnest(ARRAY[NULL, '', '  ', 'UNKNOWN', 'urgent', 'SAFETY!', repeat('x', 120)]) WITH ORDINALITY c (class, n),
       costsim_coordinate('e', c.class, 's', 'p') a ORDER BY n;
SELECT count(*) FROM costsim_envelopes;
SELECT envelope_class, decision, count(*) FROM costsim_audit_records GROUP BY 1, 2;
ROLLBACK;
