-- A burst of one hour does not stand for a week.
BEGIN;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) SELECT 'burst', 1, 2, now() - n * interval '1 second' FROM generate_series(1, 5000) AS n;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) SELECT 'day ' || n, 1, 3, now() - n * interval '24 hours' + interval '1 hour' FROM generate_series(1, 7) AS n;
SELECT total_samples FROM costsim_run_canary(sample_count => 14);
SELECT p.run_id, count(*) FROM costsim_canary_samples AS s JOIN costsim_provenance AS p ON p.id = s.provenance_id GROUP BY 1 ORDER BY 1;
-- As many as there are, none twice, none that is no sample.
INSERT INTO costsim_provenance (run_id, v1_cost, created_at) SELECT 'half', 1, now() FROM generate_series(1, 100) AS n;
SELECT total_samples FROM costsim_run_canary(sample_count => 100000);
SELECT count(*), count(DISTINCT provenance_id) FROM costsim_canary_samples WHERE report_id = (SELECT max(id) FROM costsim_canary_reports);
ROLLBACK;
-- A plan is priced anew, whatever its row says; costs without a plan count as they are.
BEGIN;
INSERT INTO costsim_provenance (tenant_id, input_hash, v1_cost, v2_cost, payload) VALUES
    ('a', 'h1', 1, 1, '{"plan": [{"skill": "llm_invoke", "params": {"prompt_tokens": 5000}}, {"skill": "llm_invoke", "params": {"prompt_tokens": 5000}}], "budget_cents": 20}'),
    ('b', 'h2', 10, 25, '{"comparison": {"feasibility_match": false}}'),
    (NULL, NULL, 7, 7, NULL);
SELECT total_samples, compared_samples, feasibility_mismatches FROM costsim_run_canary();
SELECT tenant_id, input_hash, is_replayed, v1_cost_cents, v2_cost_cents, feasibility_match, drift_score, symmetric_drift_score, verdict FROM costsim_canary_samples ORDER BY tenant_id;
ROLLBACK;
-- None twice and none left out, also where clocks were changed three days ago.
BEGIN;
SELECT to_char(now() AT TIME ZONE 'UTC' - interval '72 hours', 'DDD')::int AS day \gset
SELECT set_config('TimeZone', format('AAA0BBB,J%s/12,J%s', least(:day, 365), CASE WHEN :day > 300 THEN 30 ELSE :day + 60 END), true) <> 'UTC' AS elsewhere;
SELECT count(DISTINCT extract(timezone FROM now() - n * interval '24 hours')) AS offsets FROM generate_series(0, 7) AS n;
INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) SELECT 1, 2, now() - n * interval '10 minutes' FROM generate_series(0, 1006) AS n;
SELECT total_samples FROM costsim_run_canary(sample_count => 1008);
SELECT count(*), count(DISTINCT provenance_id) FROM costsim_canary_samples;
SELECT total_samples FROM costsim_run_canary(sample_count => 100, run_id => 'fewer');
SELECT count(*), count(DISTINCT provenance_id), max(gap) < interval '2 hours' AS even
  FROM (SELECT provenance_id, p.created_at - lag(p.created_at) OVER (ORDER BY p.created_at) AS gap
          FROM costsim_canary_samples AS s JOIN costsim_canary_reports AS r ON r.id = s.report_id JOIN costsim_provenance AS p ON p.id = s.provenance_id
         WHERE r.run_id = 'fewer') AS gaps;
ROLLBACK;
-- A list of the application's own, beside costs of its own, is no plan of ours: the costs count.
BEGIN;
INSERT INTO costsim_provenance (v1_cost, v2_cost, payload) SELECT 10, 11, '{"plan": ["fetch", "sum"]}' FROM generate_series(1, 10);
SELECT status, compared_samples, unreadable_samples FROM costsim_run_canary();
SELECT DISTINCT is_replayed, v1_cost_cents, v2_cost_cents FROM costsim_canary_samples;
ROLLBACK;
