-- What goes wrong on the way is a report, and no word to the breaker.
BEGIN;
INSERT INTO costsim_provenance (v1_cost, v2_cost) SELECT 1, 9 FROM generate_series(1, 50);
SELECT status, passed, total_samples, failure_reasons_json, is_reported FROM costsim_run_canary(max_runtime => '1 microsecond');
ALTER TABLE costsim_provenance RENAME COLUMN payload TO cargo;
SELECT status, passed, total_samples, failure_reasons_json, is_reported FROM costsim_run_canary();
ALTER TABLE costsim_provenance RENAME COLUMN cargo TO payload;
SELECT consecutive_failures FROM costsim_cb_get_state();
SELECT status, is_reported FROM costsim_run_canary();
-- A golden set decides by itself.
UPDATE costsim_provenance SET v2_cost = 1;
SELECT status FROM costsim_run_canary();
UPDATE costsim_skill_costs SET cost_cents = 4 WHERE (model, version, skill) = ('v2', '2.0.0', 'email_send');
SELECT status, compared_samples, drift_score FROM costsim_run_canary();
SELECT name, is_acceptable, changed_samples > 0 AS changed
  FROM (SELECT golden_comparison_json::jsonb AS list FROM costsim_canary_reports ORDER BY id DESC LIMIT 1) AS r, jsonb_to_recordset(list) AS g(name text, is_acceptable boolean, changed_samples integer) ORDER BY name;
SELECT reason FROM jsonb_array_elements_text((SELECT failure_reasons_json::jsonb FROM costsim_canary_reports ORDER BY id DESC LIMIT 1)) AS reason;
-- Also where there is nothing else to compare.
DELETE FROM costsim_provenance;
SELECT status FROM costsim_run_canary();
ROLLBACK;
-- However long it may take.
BEGIN;
SELECT status FROM costsim_run_canary(max_runtime => '280000 years', plans => '[[{"skill": "kv_get"}]]');
ROLLBACK;
