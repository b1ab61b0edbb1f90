-- Who may do what: one list, and the policies by which a role sees the rows of one tenant.
--
-- Row-level security is enabled on every table with a tenant, and there is no policy until costsim_grant makes one, of constants that the planner sees.
-- A dump has no policies of an extension's tables: it has what was granted, and a trigger makes them anew. Owners and superusers see everything.

ALTER TABLE costsim_audit_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_canary_samples ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_anomalies ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_breaches ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_budgets ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_daily ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_detection ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_drift ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_pending ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_purged ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_quarters ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_cost_tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_drift_rollups ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_envelopes ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_feature_tags ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_pattern_feedback ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_prediction_looks ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_predictions ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_provenance ENABLE ROW LEVEL SECURITY;
ALTER TABLE costsim_worker_runs ENABLE ROW LEVEL SECURITY;

-- The members of the extension that anybody can be granted a right on.
CREATE FUNCTION _costsim_objects()
    RETURNS TABLE (kind text, object_id oid, object text, name text, has_tenant boolean, is_inner boolean, is_plain boolean, is_definer boolean)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT 'function'::text, p.oid, p.oid::regprocedure::text, p.proname::text, false,
           -- What the server alone calls: triggers, and parts of types and aggregates.
           EXISTS (SELECT FROM pg_catalog.unnest(pg_catalog.array_append(p.proargtypes::oid[], p.prorettype)) AS t (oid)
                    WHERE t.oid IN ('pg_catalog.trigger'::regtype::oid, 'pg_catalog.internal'::regtype::oid, 'pg_catalog.cstring'::regtype::oid)),
           p.provolatile <> 'v'::"char", p.prosecdef
      FROM pg_catalog.pg_extension e
      JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_catalog.pg_extension'::regclass::oid AND d.refobjid = e.oid AND d.deptype = 'e'::"char"
      JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::regclass::oid AND d.objid = p.oid
     WHERE e.extname = 'costsim_pg'::name
    UNION ALL
    SELECT CASE c.relkind WHEN 'S'::"char" THEN 'sequence'::text WHEN 'v'::"char" THEN 'view'::text ELSE 'table'::text END, c.oid, c.oid::regclass::text,
           c.relname::text,
           EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'::name AND NOT a.attisdropped),
           false, false, false
      FROM pg_catalog.pg_extension e
      JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_catalog.pg_extension'::regclass::oid AND d.refobjid = e.oid AND d.deptype = 'e'::"char"
      JOIN pg_catalog.pg_class c
        ON d.classid = 'pg_catalog.pg_class'::regclass::oid AND d.objid = c.oid AND c.relkind IN ('r'::"char", 'p'::"char", 'v'::"char", 'S'::"char")
     WHERE e.extname = 'costsim_pg'::name;
END;

-- What is written down of an object stands at the lowest level that has it. Three rules say the rest: a function that neither writes nor runs as its owner is for readers,
-- what the server calls and sequences are for nobody, and the worker has what only looks.
CREATE VIEW costsim_access AS
WITH listed (level, tenant_ok, privilege, names) AS (VALUES
    -- A tenant's own data, and what prices are made of.
    ('reader'::text, true, 'SELECT'::text, ARRAY[
        'costsim_provenance', 'costsim_feature_tags', 'costsim_cost_records', 'costsim_cost_pending', 'costsim_cost_purged', 'costsim_cost_quarters',
        'costsim_cost_daily', 'costsim_cost_tenants', 'costsim_cost_budgets', 'costsim_cost_anomalies', 'costsim_cost_breaches', 'costsim_cost_drift',
        'costsim_worker_runs', 'costsim_pattern_feedback', 'costsim_predictions', 'costsim_envelopes', 'costsim_cost_models', 'costsim_skill_costs']),
    -- What is of all tenants together, or of the deployment.
    ('reader', false, 'SELECT', ARRAY[
        'costsim_leaders', 'costsim_leader_events', 'costsim_locks', 'costsim_cb_state', 'costsim_cb_incidents', 'costsim_cb_events',
        'costsim_alert_queue', 'costsim_alerts', 'costsim_alert_targets', 'costsim_drift_changes', 'costsim_drift_rollups', 'costsim_maintenance',
        'costsim_backfill_staging', 'costsim_golden_sets', 'costsim_golden_samples', 'costsim_golden_results', 'costsim_canary_reports',
        'costsim_canary_samples', 'costsim_kill_switch', 'costsim_leader_status', 'costsim_alert_status', 'costsim_dead_alerts',
        'costsim_backfill_progress', 'costsim_canary_status', 'costsim_audit', 'costsim_audit_purged', 'costsim_audit_status',
        'costsim_kill_switch_status', 'costsim_access', 'costsim_grants', 'costsim_retention', 'costsim_status_limits', 'costsim_metrics']),
    ('reader', true, 'EXECUTE', ARRAY['costsim_lock_id', 'costsim_lock_held', 'costsim_version']),
    ('reader', false, 'EXECUTE', ARRAY[
        '_costsim_leader_status', '_costsim_locks', 'costsim_leader', 'costsim_cb_get_state', 'costsim_cb_explain', 'costsim_incidents',
        'costsim_alert_queue_stats', 'costsim_worker_status', 'costsim_query_audit', 'costsim_verify_audit',
        -- They read what marks the hours of all tenants.
        '_costsim_drift_pieces', 'costsim_drift_stats', 'costsim_drift_series', 'costsim_drift_plot',
        'costsim_status', 'costsim_health', '_costsim_retentions', 'costsim_metrics_text', '_costsim_metrics_breaker', '_costsim_metrics_alert', '_costsim_metrics_worker', '_costsim_metrics_leader', '_costsim_metrics_canary',
        '_costsim_metrics_drift', '_costsim_metrics_cost', '_costsim_metrics_signal', '_costsim_metrics_audit', '_costsim_metrics_general', '_costsim_metrics_catalogue', '_costsim_metrics_families',
        'costsim_canary_report', 'costsim_query_canary_reports', 'costsim_count_canary_reports', 'costsim_backfill_verify',
        '_costsim_objects', '_costsim_levels', '_costsim_policy']),
    -- To lead, to ask and tell the breaker, to record what was computed, spent and run, and to say what one makes of what was found.
    ('app', true, 'EXECUTE', ARRAY[
        'costsim_try_leader', 'costsim_wait_leader', 'costsim_release_leader', 'costsim_is_leader', 'costsim_require_leader', 'costsim_fencing_token',
        'costsim_run_as_leader', 'costsim_try_lease', 'costsim_renew_lease', 'costsim_release_lease',
        'costsim_cb_allow', 'costsim_is_v2_disabled', 'costsim_report_drift', 'costsim_report_schema_error', 'costsim_sandbox',
        'costsim_write_provenance', 'costsim_write_provenance_batch', 'costsim_write_provenance_once', 'costsim_write_provenance_batch_once',
        'costsim_create_feature_tag', 'costsim_update_feature_tag', 'costsim_set_cost_time_zone', 'costsim_record_cost', 'costsim_record_costs',
        'costsim_acknowledge_anomaly', 'costsim_resolve_anomaly', 'costsim_dismiss_anomaly',
        'costsim_record_run', 'costsim_detect_patterns', 'costsim_acknowledge_feedback', 'costsim_predict', 'costsim_emit_prediction',
        'costsim_observe_predictions', 'costsim_coordinate', 'costsim_release_envelope']),
    ('app', true, 'INSERT', ARRAY[
        'costsim_provenance', 'costsim_cost_records', 'costsim_worker_runs', 'costsim_pattern_feedback', 'costsim_predictions']),
    ('app', true, 'UPDATE', ARRAY['costsim_worker_runs', 'costsim_pattern_feedback', 'costsim_predictions']),
    -- Alerts are one list for all: who knows the labels of one ends it.
    ('app', false, 'EXECUTE', ARRAY['costsim_fire_alert', 'costsim_resolve_alert', 'costsim_enqueue_alert', 'costsim_persist_audit_record']),
    -- To decide for everybody, to repair and to clear away.
    ('operator', false, 'EXECUTE', ARRAY[
        'costsim_resign_leader', 'costsim_disable_v2', 'costsim_enable_v2', 'costsim_reset_v2', 'costsim_configure_breaker', 'costsim_auto_recover',
        'costsim_claim_alerts', 'costsim_settle_alert', 'costsim_retry_alert', 'costsim_retry_failed_alerts', 'costsim_cancel_alert',
        'costsim_purge_old_alerts', 'costsim_worker_start', 'costsim_worker_stop', 'costsim_refresh_drift', 'costsim_purge_provenance',
        'costsim_backfill_v1_baseline', 'costsim_backfill_staged', 'costsim_activate_model', 'costsim_load_golden_set', 'costsim_validate_golden',
        'costsim_run_canary', 'costsim_purge_canary_reports', 'costsim_set_budget', 'costsim_delete_budget', 'costsim_refresh_costs',
        'costsim_rebuild_costs', 'costsim_purge_cost_records', 'costsim_detect_anomalies', 'costsim_purge_anomalies', 'costsim_purge_runs',
        'costsim_purge_feedback', 'costsim_purge_predictions', 'costsim_set_kill_switch', 'costsim_purge_audit', 'costsim_replay_audit_failures',
        'costsim_purge_leader_events', 'costsim_purge_breaker_events', 'costsim_purge_incidents', 'costsim_purge_golden_results',
        'costsim_purge_envelopes', 'costsim_purge_audit_failures', 'costsim_purge_backfill']),
    -- Dead letters: who has them written again sees what they say.
    ('operator', false, 'SELECT', ARRAY['costsim_audit_failures']),
    ('operator', false, 'INSERT', ARRAY['costsim_locks', 'costsim_backfill_staging', 'costsim_cost_models', 'costsim_skill_costs', 'costsim_cost_budgets']),
    ('operator', false, 'UPDATE', ARRAY['costsim_locks', 'costsim_backfill_staging', 'costsim_cost_models', 'costsim_skill_costs', 'costsim_cost_budgets']),
    ('operator', false, 'DELETE', ARRAY['costsim_canary_reports', 'costsim_golden_results', 'costsim_locks', 'costsim_backfill_staging', 'costsim_cost_models', 'costsim_skill_costs', 'costsim_cost_budgets']),
    -- What costsim.worker_role writes, beside what it looks at.
    ('worker', false, 'INSERT, UPDATE, DELETE', ARRAY[
        'costsim_leaders', 'costsim_leader_events', 'costsim_cb_state', 'costsim_cb_incidents', 'costsim_cb_events', 'costsim_alert_queue',
        'costsim_alerts', 'costsim_alert_targets', 'costsim_provenance', 'costsim_drift_changes', 'costsim_drift_rollups', 'costsim_maintenance',
        'costsim_golden_results', 'costsim_canary_reports', 'costsim_canary_samples', 'costsim_canary_schedule', 'costsim_cost_records',
        'costsim_cost_pending', 'costsim_cost_purged', 'costsim_cost_quarters', 'costsim_cost_daily', 'costsim_cost_detection',
        'costsim_cost_anomalies', 'costsim_cost_breaches', 'costsim_cost_drift', 'costsim_worker_runs', 'costsim_pattern_feedback',
        'costsim_predictions', 'costsim_envelopes', 'costsim_audit_failures', 'costsim_backfill_staging',
        'costsim_metrics_kept']),
    ('worker', false, 'USAGE', ARRAY['costsim_alert_queue_id_seq']),
    -- At CREATE EXTENSION, to the server's own role for who watches.
    ('pg_monitor', false, 'SELECT', ARRAY[
        'costsim_leader_status', 'costsim_alert_status', 'costsim_dead_alerts', 'costsim_backfill_progress', 'costsim_canary_status',
        'costsim_audit_status', 'costsim_kill_switch_status', 'costsim_maintenance', 'costsim_access', 'costsim_grants',
        'costsim_retention', 'costsim_status_limits', 'costsim_metrics']),
    ('pg_monitor', false, 'EXECUTE', ARRAY[
        '_costsim_leader_status', 'costsim_alert_queue_stats', 'costsim_worker_status', '_costsim_objects', '_costsim_levels', '_costsim_policy',
        'costsim_version', 'costsim_status', 'costsim_health', '_costsim_retentions', 'costsim_metrics_text', '_costsim_metrics_breaker', '_costsim_metrics_alert', '_costsim_metrics_worker', '_costsim_metrics_leader', '_costsim_metrics_canary',
        '_costsim_metrics_drift', '_costsim_metrics_cost', '_costsim_metrics_signal', '_costsim_metrics_audit', '_costsim_metrics_general', '_costsim_metrics_catalogue', '_costsim_metrics_families']),
    -- Nobody but who may act as the owner.
    ('owner', false, 'EXECUTE', ARRAY['costsim_grant', 'costsim_revoke', '_costsim_held', 'costsim_use_runs', '_costsim_require_utf8', '_costsim_timeline',
        '_costsim_anomaly_asked', '_costsim_anomaly_budgets', '_costsim_anomaly_days', '_costsim_anomaly_due', '_costsim_anomaly_entities',
        '_costsim_anomaly_pieces', '_costsim_anomaly_spenders', '_costsim_anomaly_tenants', '_costsim_anomaly_usage', '_costsim_many',
        'costsim_adopt', 'costsim_unadopt', '_costsim_is_jsonb', '_costsim_status_facts', '_costsim_status_worker', '_costsim_status_alerts',
        '_costsim_status_targets', '_costsim_status_breakers', '_costsim_status_leaders', '_costsim_status_canary', '_costsim_status_drift',
        '_costsim_status_costs', '_costsim_status_budgets', '_costsim_status_anomalies', '_costsim_status_signals', '_costsim_status_audit',
        '_costsim_status_coordination', '_costsim_status_retention', '_costsim_status_version']),
    ('owner', false, 'SELECT', ARRAY[
        'costsim_audit_records', 'costsim_audit_purges', 'costsim_cost_detection', 'costsim_prediction_looks',
        'costsim_canary_schedule', 'costsim_granted', 'costsim_metrics_kept'])
)
SELECT l.level, o.kind, o.object, p.privilege, l.tenant_ok, o.object_id
  FROM listed l
 CROSS JOIN LATERAL pg_catalog.unnest(l.names) AS n (name)
 CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.string_to_array(l.privilege, ', '::text)) AS p (privilege)
  JOIN _costsim_objects() o ON o.name = n.name
UNION ALL
SELECT CASE WHEN o.is_inner OR o.kind = 'sequence'::text THEN 'owner'::text ELSE 'reader'::text END, o.kind, o.object,
       CASE o.kind WHEN 'sequence'::text THEN 'USAGE'::text ELSE 'EXECUTE'::text END, NOT o.is_inner AND o.kind <> 'sequence'::text, o.object_id
  FROM _costsim_objects() o
 WHERE (o.is_plain AND NOT o.is_definer OR o.is_inner OR o.kind = 'sequence'::text)
   AND NOT EXISTS (SELECT FROM listed l WHERE o.name = ANY (l.names))
UNION ALL
SELECT 'worker'::text, o.kind, o.object, CASE o.kind WHEN 'function'::text THEN 'EXECUTE'::text ELSE 'SELECT'::text END, false, o.object_id
  FROM _costsim_objects() o
 WHERE (o.is_plain AND NOT o.is_inner AND o.name <> '_costsim_require_utf8'::text OR o.kind IN ('table'::text, 'view'::text))
   AND o.name <> ALL (ARRAY['costsim_query_audit', 'costsim_verify_audit', 'costsim_audit', 'costsim_audit_purged', 'costsim_audit_records',
                            'costsim_audit_purges']);
COMMENT ON VIEW costsim_access IS 'Who may do what: one row per level, object and privilege, each at the lowest of reader, app and operator that has it. costsim_grant grants what stands here.';
COMMENT ON COLUMN costsim_access.level IS 'reader, app, operator (each holds what the ones before hold); worker, for costsim.worker_role; pg_monitor, granted by CREATE EXTENSION; owner: nobody else.';
COMMENT ON COLUMN costsim_access.kind IS 'function, table, view or sequence.';
COMMENT ON COLUMN costsim_access.privilege IS 'SELECT, INSERT, UPDATE, DELETE, EXECUTE, USAGE.';
COMMENT ON COLUMN costsim_access.tenant_ok IS 'Whether it is granted for one tenant, too: what shows nothing of other tenants then. INSERT and UPDATE are granted by column there, all but the id, where that alone is the key and drawn from a sequence.';
COMMENT ON COLUMN costsim_access.object_id IS 'Its oid.';

-- What a level holds, for every tenant or for one. Ids that come from a sequence are one row of numbers for all tenants: who is bound to one names none, so that
-- nobody takes those ahead that others are to have.
CREATE FUNCTION _costsim_levels(level text, is_every boolean)
    RETURNS TABLE (kind text, object text, object_id oid, privilege text, columns name[])
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT a.kind, a.object, a.object_id, a.privilege,
           CASE WHEN NOT $2 AND a.privilege IN ('INSERT'::text, 'UPDATE'::text) THEN (
               SELECT pg_catalog.array_agg(c.attname ORDER BY c.attnum)
                 FROM pg_catalog.pg_index i
                 JOIN pg_catalog.pg_attribute k ON k.attrelid = i.indrelid AND k.attnum = i.indkey[0] AND k.attidentity <> ''::"char"
                 JOIN pg_catalog.pg_attribute c ON c.attrelid = i.indrelid AND c.attnum > 0::smallint AND NOT c.attisdropped AND c.attnum <> k.attnum
                WHERE i.indrelid = a.object_id AND i.indisprimary AND i.indnkeyatts = 1::smallint) END
      FROM costsim_access a
     WHERE CASE WHEN $1 = 'worker'::text THEN a.level = 'worker'::text
                ELSE pg_catalog.array_position(ARRAY['reader', 'app', 'operator'], a.level) <= pg_catalog.array_position(ARRAY['reader', 'app', 'operator'], $1) END
       AND ($2 OR a.tenant_ok);
END;

-- What a policy of costsim_grant is called: by the role and by what it admits, so that nobody has to read a condition to know it.
CREATE FUNCTION _costsim_policy(level text, role_id oid, tenant text) RETURNS name
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.concat('costsim_'::text, $1, '_'::text, $2, '_'::text,
                             CASE WHEN $3 IS NULL THEN 'session'::text
                                  WHEN $3 = '*'::text THEN 'every'::text
                                  ELSE pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to($3, 'UTF8'::name)), 'hex'::text), 24) END)::name;
END;
COMMENT ON FUNCTION _costsim_policy(text, oid, text) IS 'What the policies of costsim_grant are called: costsim_, the level, the role''s oid, and session, every, or a digest of the tenant.';

-- A name alone may be another role's tomorrow, and so may a number: both stand here, and what does not fit both is nobody's.
CREATE TABLE costsim_granted (
    grantee    name        NOT NULL,
    role_id    oid         NOT NULL,
    level      text        NOT NULL CHECK (level IN ('reader', 'app', 'operator', 'worker')),
    tenant     text        CHECK (tenant <> '' AND octet_length(tenant) <= 512),
    granted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    granted_by text        NOT NULL DEFAULT session_user,
    PRIMARY KEY (role_id, grantee)
);
COMMENT ON TABLE costsim_granted IS 'What costsim_grant has granted. Its rows are its own: costsim_grants shows them, with what is missing.';
COMMENT ON COLUMN costsim_granted.grantee IS 'The role''s name when it was granted.';
COMMENT ON COLUMN costsim_granted.role_id IS 'Its oid. A row whose name and oid are not those of one role (it was dropped or renamed) admits nothing; a dump leaves it out.';
COMMENT ON COLUMN costsim_granted.tenant IS '* every tenant; NULL the one that costsim.tenant_id names; else that one.';
SELECT pg_catalog.pg_extension_config_dump('costsim_granted',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) role_id AND r.rolname OPERATOR(pg_catalog.=) grantee)');

-- A restore brings privileges back by itself, and policies by this.
CREATE TRIGGER costsim_granted_restored AFTER INSERT ON costsim_granted REFERENCING NEW TABLE AS costsim_new FOR EACH STATEMENT EXECUTE FUNCTION _costsim_granted();
ALTER TABLE costsim_granted ENABLE ALWAYS TRIGGER costsim_granted_restored;
COMMENT ON TRIGGER costsim_granted_restored ON costsim_granted IS 'Gives the rows of a restore to the roles of their names, and makes their policies.';
COMMENT ON FUNCTION _costsim_granted() IS 'Trigger function: what a restore has inserted is given to the roles of these names, a WARNING for each that there is not, and the policies are made. Waits for who uses the tables.';

CREATE VIEW costsim_grants AS
SELECT r.oid::regrole AS grantee, g.level, g.tenant, m.missing + n.missing AS missing, m.missing + n.missing = 0::bigint AS is_complete, u.unbound_by
  FROM costsim_granted g
  JOIN pg_catalog.pg_roles r ON r.oid = g.role_id AND r.rolname = g.grantee
 CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) FILTER (
               -- Its own, whatever it has by others: those may be taken from it.
               WHERE CASE WHEN l.columns IS NULL
                          THEN NOT EXISTS (SELECT FROM pg_catalog.aclexplode(CASE l.kind
                                                                   WHEN 'function'::text THEN (SELECT p.proacl FROM pg_catalog.pg_proc p WHERE p.oid = l.object_id)
                                                                   ELSE (SELECT c.relacl FROM pg_catalog.pg_class c WHERE c.oid = l.object_id) END) a
                                            WHERE a.grantee = r.oid AND a.privilege_type = l.privilege)
                          ELSE EXISTS (SELECT FROM pg_catalog.pg_attribute t
                                        WHERE t.attrelid = l.object_id AND t.attname = ANY (l.columns)
                                          AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(t.attacl) a
                                                           WHERE a.grantee = r.oid AND a.privilege_type = l.privilege)) END)
           + pg_catalog.count(DISTINCT l.object_id) FILTER (
                 WHERE o.kind = 'table'::text AND o.has_tenant
                   AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p
                                    WHERE p.polrelid = l.object_id AND p.polname = _costsim_policy(g.level, r.oid, g.tenant)
                                      AND p.polroles = ARRAY[r.oid] AND p.polpermissive AND p.polcmd = '*'::"char"))
      FROM _costsim_levels(g.level, coalesce(g.tenant = '*'::text, false)) l
      JOIN _costsim_objects() o ON o.object_id = l.object_id) AS m (missing)
 CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) FROM pg_catalog.pg_extension e
     WHERE e.extname = 'costsim_pg'::name AND NOT pg_catalog.has_schema_privilege(r.oid, e.extnamespace, 'USAGE'::text)) AS n (missing)
 CROSS JOIN LATERAL (
    SELECT CASE WHEN g.tenant = '*'::text THEN NULL::text
                WHEN r.rolsuper THEN 'SUPERUSER'::text
                ELSE pg_catalog.concat_ws(', '::text, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS'::text END, (
                    SELECT 'member of '::text || pg_catalog.string_agg(w.oid::regrole::text, ', '::text ORDER BY w.rolname)
                      FROM pg_catalog.pg_roles w
                     WHERE w.oid <> r.oid AND pg_catalog.pg_has_role(r.oid, w.oid, 'USAGE'::text)
                       AND (EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'costsim_pg'::name AND e.extowner = w.oid)
                            OR EXISTS (SELECT FROM costsim_granted h
                                        WHERE h.role_id = w.oid AND h.grantee = w.rolname AND h.tenant IS DISTINCT FROM g.tenant)))) END) AS s (reasons)
 CROSS JOIN LATERAL (SELECT nullif(s.reasons, ''::text)) AS u (unbound_by);
COMMENT ON VIEW costsim_grants IS 'What costsim_grant has granted: one row per role.';
COMMENT ON COLUMN costsim_grants.tenant IS '* every tenant; NULL the one that costsim.tenant_id names; else that one.';
COMMENT ON COLUMN costsim_grants.missing IS 'How many privileges and policies of the level the role itself does not have, whatever it has by others: an update of the extension may add objects, and somebody may have revoked something. costsim_grant again grants them.';
COMMENT ON COLUMN costsim_grants.unbound_by IS 'Why the role sees rows of other tenants than its own all the same: SUPERUSER, BYPASSRLS, or the roles that it is a member of, be it the extension''s owner or one that was granted another tenant. NULL: nothing.';

-- What a role itself has on the extension's objects and their columns, and whether their owner gave it.
CREATE FUNCTION _costsim_held(role_id oid) RETURNS TABLE (kind text, object text, is_owners boolean)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT o.kind, o.object, a.grantor = p.proowner
      FROM _costsim_objects() o
      JOIN pg_catalog.pg_proc p ON o.kind = 'function'::text AND p.oid = o.object_id
     CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) AS a
     WHERE a.grantee = $1
     UNION ALL
    SELECT o.kind, o.object, a.grantor = c.relowner
      FROM _costsim_objects() o
      JOIN pg_catalog.pg_class c ON o.kind <> 'function'::text AND c.oid = o.object_id
     CROSS JOIN LATERAL (SELECT c.relacl AS acl UNION ALL SELECT t.attacl FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid AND NOT t.attisdropped) AS l
     CROSS JOIN LATERAL pg_catalog.aclexplode(l.acl) AS a
     WHERE a.grantee = $1;
END;
COMMENT ON FUNCTION _costsim_held(oid) IS 'What a role itself has been granted on the extension''s objects and their columns, and whether by their owner.';

REVOKE ALL ON FUNCTION
    _costsim_held(oid),
    _costsim_objects(),
    _costsim_levels(text, boolean),
    _costsim_policy(text, oid, text),
    _costsim_granted(),
    costsim_grant(regrole, text, text),
    costsim_revoke(regrole)
    FROM PUBLIC;

GRANT SELECT ON costsim_leader_status, costsim_alert_status, costsim_dead_alerts, costsim_backfill_progress, costsim_canary_status, costsim_audit_status,
    costsim_kill_switch_status, costsim_maintenance, costsim_access, costsim_grants TO pg_monitor;
GRANT EXECUTE ON FUNCTION _costsim_leader_status(), costsim_alert_queue_stats(), costsim_worker_status(), costsim_version(), _costsim_objects(), _costsim_levels(text, boolean), _costsim_policy(text, oid, text)
    TO pg_monitor;

COMMENT ON FUNCTION _costsim_objects() IS 'The functions, tables, views and sequences of the extension.';
COMMENT ON FUNCTION _costsim_levels(text, boolean) IS 'What a level of costsim_access holds, with what the ones before hold: for every tenant, or for one. columns: on which alone; NULL on the whole object.';
COMMENT ON FUNCTION costsim_grant(regrole, text, text) IS 'Grants a role a level of costsim_access, with USAGE on the extension''s schema, and by policies of row-level security the rows of tenant: ''*'' of every tenant; NULL of the one that costsim.tenant_id names in the session or transaction, and none while it names none; a text: of that one only, whatever is set. Rows without a tenant are seen by roles of every tenant alone. A WARNING says what a role has that no tenant binds (costsim_grants.unbound_by). level is reader, app, operator (each holds what the ones before hold, for every tenant only the last) or worker (what costsim.worker_role needs, for every tenant). Whether anything changed: what the role had of the extension''s objects before is replaced, in the transaction of the call. Takes ACCESS EXCLUSIVE locks on the tables that have a tenant and whose policies change, and keeps them to the end of the transaction: while one is in use it lets go of all and begins again, so that no other session ends in a deadlock with it, and waits no longer than lock_timeout. That holds as far as the transaction held no locks before. Only for who may act as the extension''s owner. Errors: 22004 grantee or level NULL; 22023 another level, an empty tenant, operator or worker for one tenant, pg_monitor, the extension''s owner; 42704 no such role; 42501; 55P03 lock_timeout is over; 25006.';
COMMENT ON FUNCTION costsim_revoke(regrole) IS 'Takes away all that a role has of the extension: privileges on its objects and their columns that the owner has granted it, with what the role has passed on of them, USAGE on its schema, and the policies of costsim_grant. What others have granted it is theirs to revoke: a WARNING names it. Whether anything was taken. Locks as costsim_grant does. Errors: 22004; 22023 pg_monitor, the extension''s owner; 42704; 42501 for who may not act as the extension''s owner; 55P03; 25006.';
