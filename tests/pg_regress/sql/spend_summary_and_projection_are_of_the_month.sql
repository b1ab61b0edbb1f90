-- How the spend stands to the budget: what is left of the month over the mean of whole days [B-72], cents with cents [B-74], and the line through the days.
BEGIN;
SET LOCAL timezone = 'UTC';
SELECT count(*) FROM generate_series(1, 10) day,
    costsim_record_cost('acme', 'm', 100 + 10 * day, 4, 1, created_at => ('2026-03-' || day || ' 13:00+00')::timestamptz);
SELECT status FROM costsim_record_cost('acme', 'm', 50, created_at => '2026-03-11 01:00+00');
-- No budget: no limit, and nothing that could be exhausted.
SELECT * FROM costsim_cost_summary('acme', '2026-03-08', '2026-03-11 12:00', '2026-03-11 12:00+00') \gx
SELECT id IS NOT NULL FROM costsim_set_budget('acme', daily_limit_cents => 200, monthly_limit_cents => 3000);
-- 3,000 less 1,600, and 170 a day from the 4th to the 10th.
SELECT * FROM costsim_cost_summary('acme', '2026-03-08', '2026-03-11 12:00', '2026-03-11 12:00+00') \gx
SELECT spend_cents, budget_cents, days_until_exhausted FROM costsim_cost_summary('acme', NULL, '2026-03-02', '2026-03-01 12:00+00');
SELECT * FROM costsim_cost_projection('acme', as_of => '2026-03-11 12:00+00') \gx
-- A day without spend counts 0, once there is a first.
SELECT days_used, daily_mean_cents, trend FROM costsim_cost_projection('acme', as_of => '2026-03-15 00:00+00');
SELECT days_used, daily_mean_cents, slope_cents_per_day, trend FROM costsim_cost_projection('acme', 4, as_of => '2026-03-11 00:00+00');
SELECT days_used, trend, projected_cents, lower_cents FROM costsim_cost_projection('acme', as_of => '2026-03-03 00:00+00');
SELECT * FROM costsim_cost_projection('nobody', as_of => '2026-03-03 00:00+00') \gx
-- A limit that is passed is exhausted now.
SELECT monthly_limit_cents FROM costsim_set_budget('acme', monthly_limit_cents => 10);
SELECT days_until_exhausted, days_until_exhausted_upper FROM costsim_cost_projection('acme', as_of => '2026-03-11 12:00+00');
-- What was usual, and today beside yesterday up to the same time.
SELECT * FROM costsim_cost_baseline('acme', as_of => '2026-03-11 12:00+00');
SELECT * FROM costsim_cost_baseline('acme', 'model', '2026-03-11 12:00+00');
SELECT count(*) FROM (VALUES ('acme', 'planet'), (NULL, 'tenant')) v (t, d), costsim_cost_baseline(t, d, '2026-03-11 12:00+00');
SELECT * FROM costsim_cost_comparison('acme', as_of => '2026-03-10 13:00:01+00') \gx
SELECT requests_today, requests_yesterday FROM costsim_cost_comparison('acme', as_of => '2026-03-11 12:00+00');
ROLLBACK;
