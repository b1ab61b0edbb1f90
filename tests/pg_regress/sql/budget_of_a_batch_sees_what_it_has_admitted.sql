-- A batch is admitted record by record, in its order; duplicates cost nothing; what a savepoint takes back is not spent.
BEGIN;
SELECT id IS NOT NULL FROM costsim_set_budget('acme', daily_limit_cents => 10, hard_limit_enabled => true);
SELECT id IS NOT NULL FROM costsim_set_budget('other', 'user', 'u', monthly_limit_cents => 5, hard_limit_enabled => true);
SELECT ordinal, status, reason FROM costsim_record_costs('[
    {"tenant_id": "acme", "model": "m", "cost_cents": 6, "request_id": "a", "created_at": "2026-03-01T10:00:00Z"},
    {"tenant_id": "acme", "model": "m", "cost_cents": 6, "request_id": "b", "created_at": "2026-03-01T10:00:00Z"},
    {"tenant_id": "acme", "model": "m", "cost_cents": 6, "request_id": "a", "created_at": "2026-03-01T10:00:00Z"},
    {"tenant_id": "acme", "model": "m", "cost_cents": 6, "request_id": "c", "created_at": "2026-03-02T10:00:00Z"},
    {"tenant_id": "other", "model": "m", "cost_cents": 4, "user_id": "u", "created_at": "2026-03-02T10:00:00Z"},
    {"tenant_id": "other", "model": "m", "cost_cents": 4, "user_id": "u", "created_at": "2026-03-09T10:00:00Z"},
    {"tenant_id": "other", "model": "m", "cost_cents": 4, "user_id": "u", "created_at": "2026-04-09T10:00:00Z"},
    {"tenant_id": "other", "model": "m", "cost_cents": 4, "created_at": "2026-03-09T10:00:00Z"},
    {"tenant_id": "acme", "model": "m", "cost_cents": 4, "request_id": "d", "created_at": "2026-03-01T10:00:00Z"}]', enforce => true);
SAVEPOINT s;
SELECT status FROM costsim_record_cost('acme', 'm', 10, created_at => '2026-03-05 00:00+00', enforce => true);
SELECT status FROM costsim_record_cost('acme', 'm', 1, created_at => '2026-03-05 00:00+00', enforce => true);
ROLLBACK TO s;
SELECT status FROM costsim_record_cost('acme', 'm', 10, created_at => '2026-03-05 00:00+00', enforce => true);
-- Rolled up or pending, it is spent; deleted, it is not.
SELECT costsim_refresh_costs() > 0 AS is_folded;
SELECT status FROM costsim_record_cost('acme', 'm', 1, created_at => '2026-03-05 00:00+00', enforce => true);
DELETE FROM costsim_cost_records WHERE tenant_id = 'acme' AND created_at = '2026-03-05 00:00+00';
SELECT status FROM costsim_record_cost('acme', 'm', 1, created_at => '2026-03-05 00:00+00', enforce => true);
-- Days and months begin in the tenant's zone: 11:00 UTC is the next day in Tonga, and the next month.
SELECT costsim_set_cost_time_zone('tonga', 'Pacific/Tongatapu'), id IS NOT NULL FROM costsim_set_budget('tonga', daily_limit_cents => 5, monthly_limit_cents => 7, hard_limit_enabled => true);
SELECT at, status, reason FROM (VALUES (1, '2026-03-31 10:59+00'), (2, '2026-03-31 10:58+00'), (3, '2026-03-31 11:00+00'), (4, '2026-04-01 11:00+00')) v (n, at),
    costsim_record_cost('tonga', 'm', 4, created_at => at::timestamptz, enforce => true) ORDER BY n;
ROLLBACK;
