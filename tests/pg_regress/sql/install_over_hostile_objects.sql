-- The extension goes into a schema where somebody has put operators and functions that fit better than the server's own wherever the types of an
-- expression are not exactly those of one of the server's. Nothing that is installed may stand on one of them.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION costsim_pg;
CREATE SCHEMA hostile;
\set ECHO none
DO $plant$
DECLARE
    types text[] := '{smallint,integer,bigint,numeric,real,double precision,text,name,character varying,"char",oid,regclass,json,jsonb,text[],interval,date,timestamp,timestamptz,boolean}';
    l text; r text; o text; f record; a text; t text; body text := 'RAISE EXCEPTION ''what was planted was used: %'', ';
BEGIN
    FOREACH l IN ARRAY types LOOP
        FOREACH r IN ARRAY types LOOP
            EXECUTE format('CREATE FUNCTION hostile.planted(%s, %s) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN %s %L; END $f$', l, r, body, l || ' ' || r);
            -- What the server has for these very types it finds first.
            FOREACH o IN ARRAY '{=,<>,<,<=,>,>=,+,-,*,/,%,&,|,<<,>>,~,||,->,->>,#>,#>>,?,@>}'::text[] LOOP
                IF NOT EXISTS (SELECT FROM pg_operator p WHERE p.oprname = o AND p.oprleft = l::regtype AND p.oprright = r::regtype) THEN
                    EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.planted)', o, l, r);
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    -- Every function of the server's that our expressions may call, for other types.
    FOR f IN SELECT DISTINCT p.proname, p.pronargs FROM pg_proc p
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.pronargs BETWEEN 1 AND 3
                AND p.proname IN ('date_bin', 'date_trunc', 'date_part', 'extract', 'isfinite', 'lower', 'left', 'nextval', 'count', 'sum', 'min', 'max', 'bool_or', 'abs',
                                  'pg_stat_get_progress_info', 'timezone', 'to_timestamp', 'make_interval', 'float8', 'numeric', 'int4', 'int8', 'text', 'mod', 'floor', 'octet_length', 'pg_extension_config_dump')
    LOOP
        FOREACH t IN ARRAY types || '{anyelement}'::text[] LOOP
            a := array_to_string(array_fill(t, ARRAY[f.pronargs::int]), ', ');
            EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN %s %L; END $f$', f.proname, a, body, f.proname);
        END LOOP;
    END LOOP;
    -- of ours, for a literal fraction
    EXECUTE format('CREATE FUNCTION hostile.costsim_drift_percentile(anyelement, numeric) RETURNS float8 LANGUAGE plpgsql AS $f$ BEGIN %s 3; END $f$', body);
    EXECUTE format('CREATE FUNCTION hostile.costsim_drift_percentile(anyelement, numeric, text) RETURNS float8 LANGUAGE plpgsql AS $f$ BEGIN %s 4; END $f$', body);
    -- and literals before and behind a typed argument
    FOREACH t IN ARRAY '{timestamptz,interval,json,jsonb,text}'::text[] LOOP
        EXECUTE format('CREATE FUNCTION hostile.date_bin(text, %s, text) RETURNS timestamptz LANGUAGE plpgsql AS $f$ BEGIN %s 1; END $f$', CASE t WHEN 'text' THEN 'date' ELSE t END, body);
        EXECUTE format('CREATE FUNCTION hostile.date_bin(%s, timestamptz, text) RETURNS timestamptz LANGUAGE plpgsql AS $f$ BEGIN %s 2; END $f$', CASE t WHEN 'text' THEN 'date' ELSE t END, body);
    END LOOP;
END $plant$;
CREATE TABLE hostile.pg_database (oid oid, datname name);
CREATE TABLE hostile.pg_locks (pid int);
\set ECHO all
SELECT count(*) > 5000 AS operators, (SELECT count(*) > 500 FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace) AS functions FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace;
-- the trap bites as the extension is installed: with the schema on the path
SET search_path = hostile;
SELECT date_bin('1 hour', now(), '2000-01-01');
SELECT extract(epoch FROM interval '1 day') % 7;
SELECT jsonb '{}' #> '[]', json '{}' ->> '"a"';
SELECT 7::bigint * interval '1 microsecond';
RESET search_path;

CREATE EXTENSION costsim_pg SCHEMA hostile;
-- Whatever the bodies, views, defaults, constraints, indexes and triggers of ours refer to is the server's or ours.
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS ours, pg_describe_object(d.refclassid, d.refobjid, 0) AS stands_on
  FROM pg_depend d
 WHERE (d.refclassid = 'pg_operator'::regclass AND d.refobjid IN (SELECT oid FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace)
        OR d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace)
        OR d.refclassid = 'pg_class'::regclass AND d.refobjid IN ('hostile.pg_database'::regclass, 'hostile.pg_locks'::regclass))
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e')
   AND NOT (d.classid = 'pg_operator'::regclass AND d.objid IN (SELECT oid FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace))
   AND d.deptype <> 'i'
 ORDER BY 1, 2;

-- and every function of ours in SQL, and every view, answers
SELECT proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname = 'sql' AND p.pronamespace = 'hostile'::regnamespace ORDER BY 1;
SELECT (SELECT count(*) FROM hostile._costsim_anomaly_days('{t}', now())), (SELECT count(*) FROM hostile._costsim_anomaly_asked('{t}', '{user}', '{u}', now())),
       (SELECT count(*) FROM hostile._costsim_anomaly_pieces('{t}', '{user}', '{u}', now(), 57)), (SELECT count(*) FROM hostile._costsim_anomaly_tenants('{t}', now(), 57)),
       (SELECT count(*) FROM hostile._costsim_anomaly_spenders('{t}', now(), 1, '', '', '', 10)), (SELECT count(*) FROM hostile._costsim_anomaly_entities('{t}', '{user}', '{u}', now(), 23)),
       (SELECT count(*) FROM hostile._costsim_anomaly_budgets('{t}', now())), (SELECT count(*) FROM hostile._costsim_entity_limits('{t}', now())), (SELECT count(*) FROM hostile._costsim_anomaly_usage('{t}', '{user}', '{u}', now())),
       (SELECT count(*) FROM hostile._costsim_anomaly_due('', 10)), (SELECT count(*) FROM hostile.costsim_query_anomalies('t')), (SELECT count(*) FROM hostile.costsim_breach_history('t')),
       (SELECT count(*) FROM hostile.costsim_drift_tracking('t')), (SELECT count(*) FROM hostile.costsim_detect_anomalies());
SELECT hostile.costsim_persist_audit_record(NULL, 'e', 'cost', 'applied', 'r'), hostile.costsim_persist_audit_record(NULL, 'e', 'cost', 'applied', 'r', '2020-01-01');
SELECT count(*), (SELECT failure_pct_24h FROM hostile.costsim_audit_status), (SELECT count(*) FROM hostile.costsim_verify_audit()), hostile.costsim_replay_audit_failures(),
       hostile.costsim_purge_audit('0', 1, 'me', 'a test') FROM hostile.costsim_query_audit(envelope_id => 'e', before_decision_timestamp => now());
SELECT count(*) AS subsystems, count(*) FILTER (WHERE what_to_do LIKE 'the look failed%') AS failed, hostile.costsim_health() IS NOT NULL AS healthy FROM hostile.costsim_status();
SELECT count(*) FROM hostile.costsim_spend_plot('t', '2025-01-01', '2025-01-03');
SELECT count(*) FROM hostile.costsim_drift_plot();
SELECT count(*) FROM hostile._costsim_locks(7001);
SELECT hostile.costsim_try_leader(7001), hostile.costsim_lock_held(7001);
SELECT epoch FROM hostile.costsim_leader(7001);
SELECT count(*) FROM hostile._costsim_leader_status();
SELECT leads FROM hostile.costsim_leader_status WHERE lock_id = 7001;
SELECT hostile.costsim_release_leader(7001);
SELECT count(*) FROM hostile.costsim_report_schema_error(9);
SELECT severity FROM hostile.costsim_incidents(true, 10, 'costsim_v2', 'x') UNION ALL SELECT severity FROM hostile.costsim_incidents();
SELECT hostile.costsim_enqueue_alert('[{"labels": {"alertname": "A", "severity": "page"}}]', 'x') IS NOT NULL AS queued;
UPDATE hostile.costsim_alert_queue SET status = 'failed';
SELECT labels FROM hostile.costsim_dead_alerts;
SELECT priority FROM hostile.costsim_alert_queue;
SELECT failed, firing FROM hostile.costsim_alert_queue_stats();
SELECT count(*) FROM hostile.costsim_alert_status;
SELECT hostile.costsim_write_provenance('r', 't', v1_cost => 1, v2_cost => 3, input_hash => 'h') IS NOT NULL AS written;
SELECT run_id FROM hostile.costsim_query_provenance('t', 'v2', 'sandbox', 'h', '2020-01-01', '2100-01-01', 10, 0, 'r', '2100-01-01', 7);
SELECT count(*) FROM hostile.costsim_query_provenance(before_id => 7);
SELECT hostile.costsim_count_provenance(), hostile.costsim_count_provenance('t', 'v2', '2020-01-01', '2100-01-01', 'sandbox', 'h', 'r'), hostile.costsim_count_provenance(input_hash => 'h'),
       hostile.costsim_count_provenance('t');
SELECT hostile.costsim_check_duplicate('h', 't', 'v2');
INSERT INTO hostile.costsim_backfill_staging (record) VALUES ('{"input_hash": "i", "cost": 2}');
SELECT * FROM hostile.costsim_backfill_staged();
SELECT * FROM hostile.costsim_backfill_verify();
SELECT count(*) FROM hostile.costsim_backfill_progress;
INSERT INTO hostile.costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, '2025-03-01 10:30+00'), (1, 2, '2025-03-02 10:30+00'), (1, 2, '2025-03-04 10:30+00');
SELECT hostile.costsim_refresh_drift() > 0 AS refreshed;
INSERT INTO hostile.costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, '2025-03-02 10:40+00');
SELECT total, avg_delta FROM hostile.costsim_drift_stats();
SELECT total, avg_delta FROM hostile.costsim_drift_stats('2025-03-01 10:10+00', '2025-03-04 10:50+00');
SELECT total FROM hostile.costsim_drift_series('2025-03-01 10:10+00', '2025-03-04 10:50+00', '1 day');
SELECT total FROM hostile.costsim_drift_series('2025-03-01 10:10+00', '2025-03-04 10:50+00', '2 hours', 'x', 'v2');
SELECT total FROM hostile.costsim_drift_series(NULL, NULL, '7 minutes');
SELECT count(*) FROM hostile._costsim_drift_pieces('2025-03-01 10:10+00', NULL, NULL, NULL, 24);
INSERT INTO hostile.costsim_provenance (input_hash, v1_cost, created_at) VALUES ('d', 1, '2025-03-01 10:30+00');
INSERT INTO hostile.costsim_provenance (input_hash, v2_cost, created_at) VALUES ('d', 2, '2025-03-01 10:30+00');
SELECT sample_count, delta_p50, version FROM hostile.costsim_divergence_report('2025-03-01 10:10+00', '2025-03-04 10:50+00');
SELECT costsim_divergence_json ->> 'sample_count' AS sample_count FROM hostile.costsim_divergence_json('2025-03-01 10:10+00', '2025-03-04 10:50+00', 'x', NULL);
SELECT v1_id IS NOT NULL AS of_two_rows, verdict FROM hostile.costsim_divergence_samples('2025-03-01 10:10+00', '2025-03-04 10:50+00');
SELECT sample_count FROM hostile.costsim_divergence_by_model('2025-03-01 10:10+00', '2025-03-04 10:50+00');
SELECT sample_count FROM hostile.costsim_divergence_by_bucket('2025-03-01 10:10+00', '2025-03-04 10:50+00', bucket => '7 hours');
SELECT is_changed FROM hostile.costsim_record_run('t', 'w', 'failed');
SELECT * FROM hostile.costsim_run_source();

DROP EXTENSION costsim_pg;
\set ECHO none
SELECT format('DROP OPERATOR %s', oid::regoperator) FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace \gexec
\set ECHO all
DROP SCHEMA hostile CASCADE;
CREATE EXTENSION costsim_pg SCHEMA public;
