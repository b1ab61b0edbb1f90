-- A bad record is told by its index, SQLSTATE and message, and all others are written: what we refuse, what jsonb refuses, what the table refuses.
BEGIN;
SET TIME ZONE 'UTC';
ALTER TABLE costsim_provenance ADD CONSTRAINT cheap CHECK (v1_cost < 1000);
CREATE TEMP TABLE answer AS SELECT * FROM costsim_backfill_v1_baseline('[{"input_hash": "0"}, 7, null, {"cost": 1}, {"input_hash": "4", "cost": "4"}, {"input_hash": "5", "cost": 1e400},
    {"input_hash": "6", "costs": 6}, {"input_hash": "7", "runtime_ms": -1}, {"input_hash": "8", "created_at": "yesterday"}, {"input_hash": "9", "created_at": "2025-03-01T12:00:00"},
    {"input_hash": "10", "payload": {"nul": "\u0000"}}, {"input_hash": "11", "run_id": "\u0000"}, {"input_hash": "12", "cost": 1000}, {"payload": null}, {"payload": "\ud800"},
    {"input_hash": "15", "cost": 15}, {"input_hash": "12", "cost": 12}, {"input_hash": "17", "payload": [1e999999]}, {"input_hash": "18", "input_hash": "19"}]');
SELECT inserted, skipped, errors, jsonb_array_length(error_details) AS told FROM answer;
SELECT e.index, e.sqlstate, e.error FROM answer, jsonb_to_recordset(error_details) AS e(index int, sqlstate text, error text) ORDER BY e.index;
SELECT input_hash, v1_cost FROM costsim_provenance ORDER BY id;
ROLLBACK;
-- the first hundred are told, all are counted
BEGIN;
SELECT inserted, errors, jsonb_array_length(error_details) AS told, error_details -> 99 ->> 'index' AS last
  FROM costsim_backfill_v1_baseline((SELECT json_agg(CASE WHEN i % 2 = 0 THEN json_build_object('cost', i) ELSE json_build_object('input_hash', i::text, 'cost', i) END ORDER BY i) FROM generate_series(0, 399) i));
ROLLBACK;
