-- With enforce a record that would pass a hard limit is refused, by data that says the numbers; what reaches it goes in.
BEGIN;
SELECT tag FROM costsim_create_feature_tag('acme', 'a.b');
SELECT count(*) FROM (VALUES
    ('tenant', NULL, NULL, 100), ('user', 'ada', 10, NULL), ('feature', 'unclassified', NULL, 50), ('model', 'big', 20, 30)) b (t, e, d, m),
    costsim_set_budget('acme', t, e, d, m, hard_limit_enabled => true);
CREATE FUNCTION pg_temp.rec(cents numeric, at text, usr text DEFAULT NULL, tag text DEFAULT NULL, model text DEFAULT 'small', enforce boolean DEFAULT true)
    RETURNS text LANGUAGE sql AS $$
    SELECT r.status || coalesce(' by ' || b.budget_type || ': ' || r.reason, '')
      FROM public.costsim_record_cost('acme', model, cents, user_id => usr, feature_tag => tag, created_at => at::timestamptz, enforce => rec.enforce) r
      LEFT JOIN public.costsim_cost_budgets b ON b.id = r.budget_id $$;
-- A user's day: up to the last millionth, and another day anew.
SELECT pg_temp.rec(9.999999, '2026-03-01 23:59:59.999999+00', 'ada', 'a.b');
SELECT pg_temp.rec(0.000002, '2026-03-01 00:00+00', 'ada', 'a.b');
SELECT pg_temp.rec(0.000001, '2026-03-01 00:00+00', 'ada', 'a.b');
SELECT pg_temp.rec(0, '2026-03-01 00:00+00', 'ada', 'a.b');
SELECT pg_temp.rec(5, '2026-03-02 00:00+00', 'ada', 'a.b');
-- Somebody else has no budget of his own, and no feature counts as unclassified.
SELECT pg_temp.rec(30, '2026-03-02 00:00+00', 'bob');
SELECT pg_temp.rec(21, '2026-03-02 00:00+00', 'bob');
SELECT pg_temp.rec(21, '2026-03-02 00:00+00', 'bob', 'a.b');
-- A model has a day and a month; the first limit that would be passed is told.
SELECT pg_temp.rec(21, '2026-03-03 00:00+00', NULL, 'a.b', 'big');
SELECT pg_temp.rec(20, '2026-03-03 00:00+00', NULL, 'a.b', 'big');
SELECT pg_temp.rec(11, '2026-03-04 00:00+00', NULL, 'a.b', 'big');
-- The tenant's month is full at 86 of 100, but for 14.
SELECT pg_temp.rec(14.000001, '2026-03-31 23:59+00', NULL, 'a.b');
-- Records of another month count there, late or not.
SELECT pg_temp.rec(20, '2026-02-28 23:59+00', 'bob');
-- Without enforce everything is recorded, and counts. What costs nothing takes no limit past its amount.
SELECT pg_temp.rec(14.5, '2026-03-31 23:59+00', NULL, 'a.b', enforce => false);
SELECT pg_temp.rec(0, '2026-03-31 23:59+00', NULL, 'a.b');
-- Soft ones and inactive ones do not enforce.
SELECT count(*) FROM costsim_cost_budgets b, costsim_set_budget('acme', b.budget_type, b.entity_id, 0, is_active => b.budget_type <> 'user', hard_limit_enabled => b.budget_type = 'user');
SELECT pg_temp.rec(500, '2026-03-31 23:59+00', 'ada');
-- A limit of nothing refuses whatever costs something.
SELECT id IS NOT NULL FROM costsim_set_budget('acme', 'user', 'ada', 0, hard_limit_enabled => true);
SELECT pg_temp.rec(0.000001, '2026-04-01 00:00+00', 'ada'), pg_temp.rec(0, '2026-04-01 00:00+00', 'ada');
ROLLBACK;
