-- What is still to be recorded is a warning; while decisions are taken and not recorded, that is bad.
PREPARE look (text) AS SELECT status, since IS NOT NULL AS has_since, why, what_to_do FROM costsim_status() WHERE subsystem = $1;
BEGIN;
SELECT costsim_persist_audit_record('00000000-0000-4000-8000-00000000057a'::uuid, 'e', 'COST', 'APPLIED', 'r', now());
TRUNCATE costsim_audit_failures;
EXECUTE look('audit');
INSERT INTO costsim_audit_failures (failed_at, record, sqlstate, message) VALUES (now() - interval '2 days', '{}', '23505', 'm');
EXECUTE look('audit');
INSERT INTO costsim_audit_failures (failed_at, record, sqlstate, message) SELECT now() - n * interval '1 minute', '{}', '23505', 'm' FROM generate_series(1, 2) n;
EXECUTE look('audit');
INSERT INTO costsim_audit_failures (record, sqlstate, message) VALUES ('{}', '23505', 'm');
EXECUTE look('audit');
SELECT costsim_health();
UPDATE costsim_audit_failures SET failed_at = failed_at - interval '1 hour', replayed_at = now();
EXECUTE look('audit');
ROLLBACK;
