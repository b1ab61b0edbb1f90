-- A plan at which V2 fails speaks against V2; one that V1 cannot price either is none. Both are counted and kept.
BEGIN;
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v2', '2.0.0', 'vast', 1e308);
CREATE FUNCTION pg_temp.given(good integer, vast integer, bad integer) RETURNS TABLE (status text, total integer, compared integer, failed integer, unreadable integer, reasons text)
LANGUAGE sql AS $$
    SELECT r.status, r.total_samples, r.compared_samples, r.failed_samples, r.unreadable_samples, r.failure_reasons_json
      FROM costsim_run_canary(plans => (
           SELECT jsonb_agg(CASE WHEN n <= good THEN '[{"skill": "email_send"}]'::jsonb
                                 WHEN n <= good + vast THEN '{"plan": [{"skill": "vast", "iterations": 10}], "budget_cents": 5}'
                                 ELSE '[{"iterations": 7}]' END)
             FROM generate_series(1, good + vast + bad) AS n)) AS r
$$;
SELECT * FROM pg_temp.given(90, 10, 0);
SELECT * FROM pg_temp.given(89, 11, 0);
SELECT * FROM pg_temp.given(0, 12, 0);
SELECT * FROM pg_temp.given(90, 0, 10);
SELECT * FROM pg_temp.given(80, 0, 20);
SELECT * FROM pg_temp.given(9, 0, 0);
SELECT consecutive_failures, is_open FROM costsim_cb_get_state();
SELECT s.position, is_replayed, v1_cost_cents, v2_cost_cents, verdict, error
  FROM costsim_canary_samples AS s JOIN costsim_canary_reports AS r ON r.id = report_id
 WHERE r.total_samples = 100 AND (s.position IN (91, 100)) ORDER BY report_id, s.position;
-- Elements that are neither plan nor sample.
SELECT status, failure_reasons_json FROM costsim_run_canary(plans => '[7, "x", null, {"plan": []}, {"plan": 3}, {"plan": [], "budget": 1}, {"plan": [], "budget_cents": -1}, {"plan": [], "budget_cents": "1"}]');
SELECT position, error FROM costsim_canary_samples WHERE report_id = (SELECT max(id) FROM costsim_canary_reports) ORDER BY position;
-- Nothing at all is no run.
SELECT status, passed, failure_reasons_json FROM costsim_run_canary(plans => '[]');
-- Of the rows, too.
INSERT INTO costsim_provenance (payload) SELECT '{"plan": [{"skill": ""}]}' FROM generate_series(1, 3);
INSERT INTO costsim_provenance (payload) SELECT '{"plan": [], "budget_cents": "many"}' FROM generate_series(1, 3);
INSERT INTO costsim_provenance (payload) SELECT '{"plan": {}}' FROM generate_series(1, 3);
INSERT INTO costsim_provenance (v1_cost, v2_cost) VALUES ('Infinity', 1), ('NaN', 1), ('-Infinity', 1);
SELECT status, total_samples, failure_reasons_json FROM costsim_run_canary();
SELECT error, count(*) FROM costsim_canary_samples WHERE report_id = (SELECT max(id) FROM costsim_canary_reports) GROUP BY 1 ORDER BY 1;
ROLLBACK;
