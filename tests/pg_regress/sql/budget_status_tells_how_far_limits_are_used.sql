-- One row for each limit of each active budget: what was spent from the beginning of the period to as_of.
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SELECT count(*) FROM (VALUES
    ('acme', 'tenant', NULL, 100, 1000, 80, true), ('acme', 'user', 'ada', 10, NULL, 50, true), ('acme', 'user', 'anonymous', NULL, 90, 80, true),
    ('acme', 'model', 'm', 0, 0, 80, true), ('acme', 'feature', 'off.now', 1, 1, 80, false), ('acme', 'user', 'none', NULL, NULL, 80, true),
    ('tonga', 'tenant', NULL, 5, 7, 80, true)) b (t, y, e, d, m, w, a),
    costsim_set_budget(t, y, e, d, m, w, is_active => a);
SELECT costsim_set_cost_time_zone('tonga', 'Pacific/Tongatapu');
SELECT count(*) FROM (VALUES
    ('acme', 'ada', 5, '2026-03-10 00:00+00'), ('acme', 'ada', 4.999999, '2026-03-10 11:59:59+00'), ('acme', 'ada', 70, '2026-03-10 12:00+00'),
    ('acme', NULL, 72, '2026-03-01 00:00+00'), ('acme', NULL, 10, '2026-02-28 23:59+00'), ('acme', NULL, 0.000001, '2026-03-10 11:59+00'),
    ('tonga', NULL, 5, '2026-03-10 11:00+00'), ('tonga', NULL, 2, '2026-03-10 10:59+00')) r (t, u, c, at),
    costsim_record_cost(t, 'm', c, user_id => u, created_at => at::timestamptz);
SELECT tenant_id, budget_type, entity_id, period, period_start, period_end, limit_cents, spent_cents, used_pct, remaining_cents, status
  FROM costsim_budget_status('acme', '2026-03-10 12:00+00');
-- The day that begins at 11:00 UTC. Every tenant, without one named.
SELECT tenant_id, period, period_start, spent_cents, used_pct, status FROM costsim_budget_status(as_of => '2026-03-10 12:00+00') WHERE tenant_id = 'tonga';
SELECT tenant_id, period, period_start, spent_cents, used_pct, status FROM costsim_budget_status('tonga', '2026-03-10 11:00+00');
-- The warning begins at its threshold, and 100 percent is exceeded.
SELECT as_of, used_pct, status FROM unnest(ARRAY['2026-03-10 00:00+00', '2026-03-10 00:00:01+00', '2026-03-10 12:00:01+00']::timestamptz[]) as_of,
    costsim_budget_status('acme', as_of) WHERE entity_id = 'ada';
-- Spend of anybody, with a budget or without.
SELECT * FROM costsim_current_spend('acme', as_of => '2026-03-10 12:00+00');
SELECT * FROM costsim_current_spend('acme', 'user', 'anonymous', '2026-03-10 12:00+00');
SELECT * FROM costsim_current_spend('acme', 'user', 'nobody', '2026-03-10 12:00+00');
SELECT count(*) FROM (VALUES ('acme', 'user', NULL), ('acme', 'tenant', 'x'), ('acme', 'planet', 'x'), (NULL, 'tenant', NULL)) v (t, y, e), costsim_current_spend(t, y, e);
ROLLBACK;
