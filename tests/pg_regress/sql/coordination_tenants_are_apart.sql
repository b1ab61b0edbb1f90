-- What one tenant controls stands in no other's way, and is told to none; NULL is a scope of its own.
BEGIN;
SELECT n, tenant, decision, conflicting_envelope_id, preempted, active_envelopes_count
  FROM (VALUES (1, 'acme', 'e', 'COST'), (2, 'other', 'e', 'PERFORMANCE'), (3, NULL, 'e', 'PERFORMANCE'), (4, 'other', 'f', 'PERFORMANCE'), (5, 'acme', 'g', 'SAFETY')) v (n, tenant, e, c),
       costsim_coordinate(e, c, 's', 'p', '1', tenant_id => tenant) ORDER BY n;
SELECT costsim_release_envelope('g'), costsim_release_envelope('g', 'other');
SELECT t AS tenant, envelope_id, envelope_class FROM unnest(ARRAY['acme', 'other', 'nobody', NULL]) t, costsim_active_envelopes(t) ORDER BY 1;
SELECT tenant_id, envelope_id, decision FROM costsim_audit_records ORDER BY decision_timestamp, decision COLLATE "C" DESC;
-- The list is paged by key, the newest first.
SELECT count(decision) FROM generate_series(1, 5) i, costsim_coordinate('n' || i, 'COST', 'many', 'p' || i, tenant_id => 'acme');
SELECT envelope_id, subsystem FROM costsim_active_envelopes('acme', "limit" => 2);
SELECT n.envelope_id FROM (SELECT applied_at, id FROM costsim_active_envelopes('acme', "limit" => 2) OFFSET 1) l,
    costsim_active_envelopes('acme', 'many', NULL, l.applied_at, l.id) n;
SELECT count(*) FROM costsim_active_envelopes('acme', 's');
SELECT count(*) FROM costsim_active_envelopes('acme', "limit" => 0);
ROLLBACK;
