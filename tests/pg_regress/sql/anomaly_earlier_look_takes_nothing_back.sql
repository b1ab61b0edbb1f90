-- A look at an earlier moment closes, lowers, reopens and resolves nothing that a later one has said, whatever it finds itself.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1000, '2025-03-10 12:00 UTC'::timestamptz - d * interval '1 day' FROM generate_series(2, 20) d;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1500, '2025-03-09 12:00 UTC'::timestamptz + d * interval '1 day' FROM generate_series(0, 1) d;
SELECT id > 0 AS made FROM costsim_set_budget('acme', daily_limit_cents => 1400);
SELECT anomaly_type, entity_type, severity, status FROM costsim_detect_anomalies('acme', '2025-03-10 18:00 UTC');
CREATE TEMP TABLE before AS SELECT * FROM costsim_cost_anomalies;
SELECT DISTINCT as_of = '2025-03-10 18:00 UTC' AS of_the_look FROM costsim_cost_anomalies;
-- the morning knew nothing of it
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-03-10 06:00 UTC');
SELECT count(*) AS changed FROM (SELECT * FROM costsim_cost_anomalies EXCEPT SELECT * FROM before) d;
-- nor is what a later look has ended found again
UPDATE costsim_cost_records SET cost_cents = 1000 WHERE cost_cents = 1500 AND created_at > '2025-03-10';
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) VALUES ('acme', 'ada', 'chat.answer', 'm', 0, '2025-03-10 20:00 UTC');
UPDATE costsim_cost_records SET cost_cents = 1000 WHERE cost_cents = 1500;
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-03-10 21:00 UTC');
UPDATE costsim_cost_records SET cost_cents = 1500 WHERE created_at > '2025-03-09' AND cost_cents = 1000;
SELECT anomaly_type, entity_type, status, resolution FROM costsim_detect_anomalies('acme', '2025-03-10 18:00 UTC');
-- a look that is as late or later says what is so now
SELECT anomaly_type, entity_type, status, resolution FROM costsim_detect_anomalies('acme', '2025-03-10 21:00 UTC');
-- the next day goes on from it; what comes late behind its row is over already, also where it is there and was cleared
UPDATE costsim_cost_records SET cost_cents = 1000 WHERE cost_cents = 1500;
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-03-10 23:00 UTC');
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) VALUES ('acme', 'ada', 'chat.answer', 'm', 5000, '2025-03-11 12:00 UTC');
SELECT anomaly_type, entity_type, period_start, status FROM costsim_detect_anomalies('acme', '2025-03-11 18:00 UTC');
UPDATE costsim_cost_records SET cost_cents = 1500 WHERE created_at > '2025-03-09' AND cost_cents = 1000;
SELECT anomaly_type, entity_type, period_start, status, resolution FROM costsim_detect_anomalies('acme', '2025-03-10 23:59:59.999999 UTC');
SELECT entity_type, period_start, status, resolution, as_of AT TIME ZONE 'UTC' AS as_of FROM costsim_cost_anomalies WHERE entity_type = 'tenant' AND period = 'day' ORDER BY anomaly_type, period_start;
ROLLBACK;
