-- A copy takes the rows that our tables take, keeps their ids, names the others, and takes what came since when it is asked again. The dry run
-- answers the same.
SELECT p.last_value AS p, p.is_called AS pc, a.last_value AS a, a.is_called AS ac, r.last_value AS r, r.is_called AS rc, s.last_value AS s, s.is_called AS sc
  FROM costsim_provenance_id_seq p, costsim_alert_queue_id_seq a, costsim_canary_reports_id_seq r, costsim_cb_state_id_seq s \gset
BEGIN;
SET LOCAL timezone = 'UTC';
CREATE SCHEMA "old ""app""; @schema@";
SET LOCAL search_path = "old ""app""; @schema@";
CREATE TABLE costsim_cb_state (
    id bigserial PRIMARY KEY, name varchar(100) NOT NULL UNIQUE, disabled boolean NOT NULL DEFAULT false, disabled_by text, disabled_reason text,
    disabled_until timestamptz, incident_id text, consecutive_failures integer NOT NULL DEFAULT 0, last_failure_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(), created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE costsim_cb_incidents (
    id text PRIMARY KEY, circuit_breaker_name text NOT NULL, "timestamp" timestamp NOT NULL DEFAULT now(), reason text, severity text NOT NULL,
    drift_score numeric, sample_count bigint, details_json json, resolved boolean NOT NULL DEFAULT false, resolved_at timestamptz, resolved_by text,
    resolution_notes text, alert_sent boolean NOT NULL DEFAULT false, alert_sent_at timestamptz, alert_response text);
CREATE TABLE costsim_provenance (
    id integer, run_id text, tenant_id text, variant_slug text, source text, model_version text, adapter_version text, commit_sha text,
    input_hash text, output_hash text, v1_cost double precision, v2_cost double precision, cost_delta double precision, payload json,
    runtime_ms integer, created_at timestamptz NOT NULL DEFAULT now(), colour text);
CREATE TYPE alert_status AS ENUM ('pending', 'sent', 'failed', 'lost');
CREATE TABLE costsim_alert_queue (
    id bigserial PRIMARY KEY, payload jsonb NOT NULL, alert_type text, circuit_breaker_name text, incident_id text, attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 10, last_attempt_at timestamptz, next_attempt_at timestamptz NOT NULL DEFAULT now(), last_error text,
    status alert_status NOT NULL DEFAULT 'pending', created_at timestamptz NOT NULL DEFAULT now());

INSERT INTO costsim_cb_state (name, disabled, disabled_by, disabled_until, incident_id, consecutive_failures) VALUES
    ('costsim_v2', true, 'circuit_breaker', now() + interval '1 day', 'inc-2', 3), ('quiet', false, NULL, NULL, NULL, 1);
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, "timestamp", reason, severity, drift_score, sample_count, details_json) VALUES
    ('inc-1', 'costsim_v2', '2025-01-01 10:00', 'left behind', 'P1', 0.3, 10, '{"a": 1}'),
    ('inc-2', 'costsim_v2', '2025-01-02 10:00', 'drift', 'P1', 0.4, 10, NULL),
    ('inc-3', 'gone', '2025-01-02 10:00', 'no such breaker', 'P1', 'NaN', 10, NULL),
    ('inc-4', 'quiet', '2025-01-02 10:00', NULL, 'P1', 0.4, 10, NULL),
    ('inc-5', 'quiet', '2025-01-02 10:00', 'too much', 'P1', 1e400, 10, NULL),
    ('inc-6', 'quiet', '2025-01-02 10:00', 'too many', 'P1', 0.4, 3000000000, NULL);
INSERT INTO costsim_provenance (id, tenant_id, variant_slug, input_hash, v1_cost, v2_cost, cost_delta, payload, created_at) VALUES
    (1, 'a', 'v2', '0123456789abcdef', 1, 2, 1, '{"n": 1.50}', '2025-01-01'), (2, NULL, 'v2', '0123456789abcdef', 'NaN', 2, NULL, '{}', '2025-01-01'),
    (2, NULL, 'v2', NULL, 1, 2, 1, '{}', '2025-01-01'), (3, NULL, NULL, NULL, 1, 2, 1, '"\u0000"', '2025-01-01'), (NULL, NULL, NULL, NULL, 1, 2, 1, '{}', '2025-01-01'),
    (4, NULL, NULL, repeat('x', 3000), 1, 2, 1, '{}', '2025-01-01'), (5, NULL, NULL, NULL, 1, 2, 1, NULL, 'infinity');
INSERT INTO costsim_alert_queue (payload, status, last_attempt_at, created_at) VALUES
    ('[]', 'sent', '2025-01-01 10:05+00', '2025-01-01 10:00+00'), ('[]', 'pending', NULL, now()), ('[]', 'lost', NULL, now()), ('[]', 'failed', NULL, '2025-01-01 10:00+00');
SET LOCAL search_path = public;
CREATE TEMP VIEW dry AS SELECT * FROM costsim_adopt('old "app"; @schema@');
SELECT table_name, source_rows, to_copy, copied, already, refused FROM dry;
SELECT table_name, regexp_split_to_table(problem, '; ') AS problem FROM dry;
SELECT table_name, s ->> 'id' AS id, s ->> 'why' AS why, length(s ->> 'input_hash') AS shown FROM dry, jsonb_array_elements(sample) s
 WHERE table_name IN ('costsim_cb_incidents', 'costsim_provenance', 'costsim_alert_queue');
SELECT table_name, copied FROM costsim_adopt('old "app"; @schema@', dry_run => false);
SELECT id, circuit_breaker_name, "timestamp", drift_score, sample_count, details_json, resolved, resolved_by, resolution_notes FROM costsim_cb_incidents ORDER BY id;
SELECT name, disabled, incident_id, consecutive_failures FROM costsim_cb_state ORDER BY id;
SELECT costsim_is_open(), (SELECT id FROM costsim_incidents());
SELECT id, tenant_id, v1_cost, payload, created_at, content_digest = costsim_provenance_digest(p) AS is_sealed FROM costsim_provenance p ORDER BY id;
SELECT id, status, finished_at FROM costsim_alert_queue ORDER BY id;
SELECT nextval('costsim_provenance_id_seq') > 1000005 AS has_room, nextval('costsim_cb_state_id_seq') > 1000002 AS has_room_too;

-- Again: nothing is left to do, but what came since.
SELECT table_name, to_copy, copied, already, refused FROM costsim_adopt('old "app"; @schema@', false);
UPDATE "old ""app""; @schema@".costsim_cb_incidents SET resolved = true, resolved_by = 'ann', resolved_at = '2025-01-03' WHERE id = 'inc-2';
UPDATE "old ""app""; @schema@".costsim_cb_state SET disabled = false, incident_id = NULL, updated_at = now() + interval '1 second' WHERE name = 'costsim_v2';
UPDATE "old ""app""; @schema@".costsim_alert_queue SET status = 'sent' WHERE status = 'pending';
SELECT table_name, to_copy, copied, already, refused FROM costsim_adopt('old "app"; @schema@', false);
SELECT resolved, resolved_by, resolved_at FROM costsim_cb_incidents WHERE id = 'inc-2';
SELECT costsim_is_open();
-- The functions go on from there.
SELECT changed FROM costsim_disable_v2('by hand', 'ann');
SELECT severity, resolved FROM costsim_incidents(true) ORDER BY id LIKE 'inc%', id;
SELECT costsim_enable_v2('ann');
ROLLBACK;
-- Sequences do not roll back.
SELECT setval('costsim_provenance_id_seq', :p, :'pc'), setval('costsim_alert_queue_id_seq', :a, :'ac'),
       setval('costsim_canary_reports_id_seq', :r, :'rc'), setval('costsim_cb_state_id_seq', :s, :'sc') \gset _
