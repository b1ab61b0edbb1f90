-- Buckets of [from_ts, to_ts): what lies on the first edge is in, what lies on the second is not; empty ones come when they are asked for. [B-77, B-88]
BEGIN;
SELECT count(*) FROM (VALUES
    (1, '2026-03-08 05:00+00', 'w'), (2, '2026-03-09 03:59:59.999999+00', NULL), (4, '2026-03-09 04:00+00', NULL), (8, '2026-03-11 12:34:56+00', 'w'),
    (16, '2026-04-01 00:00+00', NULL)) r (c, at, w),
    costsim_record_cost('acme', 'm', c, 10, 5, created_at => at::timestamptz, workflow_id => w, is_retry => w IS NULL, cached_tokens => 3, reasoning_tokens => 2);
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SELECT bucket_start, spend_cents, requests FROM costsim_cost_spend('acme', '2026-03-08 05:00+00', '2026-03-11 12:34:56+00');
SELECT bucket_start, spend_cents FROM costsim_cost_spend('acme', '2026-03-08 05:00:00.000001+00', '2026-03-11 12:34:56.000001+00');
-- The day of New York that has 23 hours, from 5:00 UTC to 4:00 UTC.
SELECT bucket_start, spend_cents FROM costsim_cost_spend('acme', NULL, NULL, time_zone => 'America/New_York', fill_empty => true) LIMIT 5;
SELECT bucket_start, spend_cents FROM costsim_cost_spend('acme', NULL, NULL, 'month', fill_empty => true);
SELECT bucket_start, spend_cents FROM costsim_cost_spend('acme', '2026-03-01', '2026-04-05', 'week', fill_empty => true);
SELECT bucket_start, spend_cents FROM costsim_cost_spend('acme', '2026-03-11 11:10+00', '2026-03-11 14:00+00', 'hour', 'Asia/Kathmandu', fill_empty => true);
-- Hours of Lord Howe on the day on which half an hour is left out.
SELECT bucket_start FROM costsim_cost_spend('acme', '2026-10-03 14:00+00', '2026-10-03 17:00+00', 'hour', 'Australia/Lord_Howe', true);
-- The other series.
SELECT bucket_start, requests, tokens FROM costsim_cost_metrics('acme', '2026-03-08', '2026-03-12');
SELECT * FROM costsim_llm_usage('acme', '2026-03-09', '2026-03-10');
SELECT * FROM costsim_worker_execution('acme', '2026-03-08', '2026-03-12');
SELECT * FROM costsim_worker_execution('acme', '2026-03-08', '2026-03-12', fill_empty => true);
-- Nothing: no tenant, no spend, a window that ends before it begins.
SELECT count(*) FROM costsim_cost_spend(NULL, NULL, NULL);
SELECT count(*) FROM costsim_cost_spend('nobody', NULL, NULL, fill_empty => true);
SELECT count(*) FROM costsim_cost_spend('acme', '2026-03-12', '2026-03-08', fill_empty => true);
SELECT count(*) FROM costsim_cost_spend('acme', '-infinity', 'infinity', NULL, NULL, NULL);
-- What was taken back leaves no bucket.
DELETE FROM costsim_cost_records WHERE cost_cents = 8;
SELECT bucket_start FROM costsim_cost_spend('acme', '2026-03-09', '2026-03-20');
ROLLBACK;
