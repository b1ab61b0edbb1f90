-- How long each table keeps its rows.

-- Every table of the extension is in the view, be it in this list or not.
CREATE VIEW costsim_retention AS
WITH known (table_name, task, why) AS (
    VALUES
        ('costsim_alert_queue'::text, 'purge_alerts'::text, 'sent, given up or cancelled; what is pending stays'::text),
        ('costsim_alerts', 'purge_alerts', 'resolved and told, or too old to be told; what fires stays'),
        ('costsim_alert_targets', NULL, 'one row per Alertmanager; goes when the setting names it no more'),
        ('costsim_audit_failures', 'purge_audit_failures', 'written after all, and not of the last day; what waits stays'),
        ('costsim_audit_purges', NULL, 'proves what costsim_purge_audit deleted: nothing deletes it'),
        ('costsim_audit_records', NULL, 'goes by hand alone, with a name and a reason: costsim_purge_audit'),
        ('costsim_backfill_staging', 'purge_backfill', 'inserted or skipped; what is staged or was refused stays'),
        ('costsim_canary_reports', 'purge_canary_reports', 'of before the last run that passed; later ones stay, which are counted'),
        ('costsim_canary_samples', 'purge_canary_reports', 'goes with its report'),
        ('costsim_canary_schedule', NULL, 'one row: how the schedule stands'),
        ('costsim_cb_events', 'purge_breaker_events', 'but the last decision, and what belongs to an incident that is not over'),
        ('costsim_cb_incidents', 'purge_incidents', 'resolved; what a breaker names stays'),
        ('costsim_cb_state', NULL, 'one row per breaker: its state and settings'),
        ('costsim_cost_anomalies', 'purge_anomalies', 'over; what is open stays'),
        ('costsim_cost_breaches', 'purge_anomalies', 'a record for people'),
        ('costsim_cost_budgets', NULL, 'somebody has set them'),
        ('costsim_cost_daily', NULL, 'one row per day and entity: sums, and what detection compares with'),
        ('costsim_cost_detection', NULL, 'one row per tenant: how far detection is'),
        ('costsim_cost_drift', 'purge_anomalies', 'ended; what lasts stays'),
        ('costsim_cost_models', NULL, 'somebody has set them; old versions explain old answers'),
        ('costsim_cost_pending', NULL, 'goes when it is folded into the sums'),
        ('costsim_cost_purged', NULL, 'what purged records came to: sums that are made anew are made of it'),
        ('costsim_cost_quarters', NULL, 'days are made anew of it where a tenant''s zone changes; a window in hours, or another zone''s days, is read from it'),
        ('costsim_cost_records', 'purge_costs', 'its sums stay'),
        ('costsim_cost_tenants', NULL, 'somebody has set their zone'),
        ('costsim_drift_changes', NULL, 'goes when its hour is rolled up'),
        ('costsim_drift_rollups', NULL, 'made of costsim_provenance, and goes with it'),
        ('costsim_envelopes', 'purge_envelopes', 'ended; what is active stays'),
        ('costsim_feature_tags', NULL, 'somebody has made them'),
        ('costsim_golden_results', 'purge_golden_results', 'those of a canary go with its report, if that goes first'),
        ('costsim_golden_samples', NULL, 'somebody has loaded them'),
        ('costsim_golden_sets', NULL, 'somebody has loaded them'),
        ('costsim_granted', NULL, 'somebody has granted it'),
        ('costsim_kill_switch', NULL, 'one row: how it stands'),
        ('costsim_leader_events', 'purge_leader_events', 'but those of the latest term of a lock id'),
        ('costsim_leaders', NULL, 'one row per lock id, for its epoch must never fall back'),
        ('costsim_locks', NULL, 'somebody has named them'),
        ('costsim_maintenance', NULL, 'one row per task: when it was last done'),
        ('costsim_metrics_kept', NULL, 'one row per counter, which must never fall'),
        ('costsim_pattern_feedback', 'purge_feedback', 'last seen so long ago'),
        ('costsim_prediction_looks', NULL, 'one row per tenant and method: how far it is'),
        ('costsim_predictions', 'purge_predictions', 'expired so long ago; coverage is of those that are left'),
        ('costsim_provenance', 'purge_provenance', 'drift is of what is left'),
        ('costsim_skill_costs', NULL, 'somebody has set them; old versions explain old answers'),
        ('costsim_worker_runs', 'purge_runs', 'ended; what waits or runs stays')
)
SELECT c.relname::text AS table_name,
       s.setting,
       justify_hours(s.keeps) AS keeps,
       CASE c.relname::text
             WHEN 'costsim_alert_queue' THEN (SELECT q.created_at FROM costsim_alert_queue q ORDER BY q.id LIMIT 1)
             WHEN 'costsim_audit_failures' THEN (SELECT min(f.replayed_at) FROM costsim_audit_failures f WHERE f.replayed_at IS NOT NULL)
             WHEN 'costsim_audit_records' THEN (SELECT min(r.decision_timestamp) FROM costsim_audit_records r)
             WHEN 'costsim_backfill_staging' THEN (SELECT min(s.processed_at) FROM costsim_backfill_staging s WHERE s.state IN ('inserted', 'skipped'))
             WHEN 'costsim_canary_reports' THEN (SELECT min(r."timestamp") FROM costsim_canary_reports r)
             WHEN 'costsim_cb_events' THEN (SELECT min(e.happened_at) FROM costsim_cb_events e)
             WHEN 'costsim_cb_incidents' THEN (SELECT min(coalesce(i.resolved_at, i."timestamp")) FROM costsim_cb_incidents i WHERE i.resolved)
             WHEN 'costsim_cost_anomalies' THEN (SELECT min(a.resolved_at) FROM costsim_cost_anomalies a WHERE a.resolved_at IS NOT NULL)
             WHEN 'costsim_cost_breaches' THEN (SELECT min(b.breach_date)::timestamp AT TIME ZONE 'UTC' FROM costsim_cost_breaches b)
             WHEN 'costsim_cost_drift' THEN (SELECT min(d.last_check_date)::timestamp AT TIME ZONE 'UTC' FROM costsim_cost_drift d WHERE NOT d.is_active)
             WHEN 'costsim_cost_records' THEN (SELECT min(r.created_at) FROM costsim_cost_records r)
             WHEN 'costsim_envelopes' THEN (SELECT min(e.ended_at) FROM costsim_envelopes e WHERE e.status <> 'active')
             WHEN 'costsim_golden_results' THEN (SELECT min(g.validated_at) FROM costsim_golden_results g)
             WHEN 'costsim_leader_events' THEN (SELECT min(e.at) FROM costsim_leader_events e)
             WHEN 'costsim_pattern_feedback' THEN (SELECT min(f.last_seen) FROM costsim_pattern_feedback f)
             WHEN 'costsim_predictions' THEN (SELECT min(p.expires_at) FROM costsim_predictions p)
             WHEN 'costsim_provenance' THEN (SELECT min(p.created_at) FROM costsim_provenance p)
             WHEN 'costsim_worker_runs' THEN (SELECT min(r.created_at) FROM costsim_worker_runs r WHERE r.status IN ('completed', 'failed', 'crashed'))
       END AS oldest,
       m.last_run_at,
       m.last_rows,
       m.total_rows,
       m.last_error,
       k.why
  FROM pg_extension x
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass::oid AND d.refobjid = x.oid AND d.classid = 'pg_class'::regclass::oid AND d.deptype = 'e'
  JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p')
  LEFT JOIN known k ON k.table_name = c.relname::text
  LEFT JOIN _costsim_retentions() s ON s.task = k.task
  LEFT JOIN costsim_maintenance m ON m.task = k.task
 WHERE x.extname = 'costsim_pg'
 ORDER BY c.relname;

COMMENT ON VIEW costsim_retention IS 'How long each table keeps its rows, one row per table: by which setting, what is oldest, and when the worker, or somebody, last purged it. \x shows it well.';
COMMENT ON COLUMN costsim_retention.setting IS 'The setting that ends rows; NULL: none does.';
COMMENT ON COLUMN costsim_retention.keeps IS 'What it says now; NULL: rows are kept for ever.';
COMMENT ON COLUMN costsim_retention.oldest IS 'The time, as the setting counts it, of the oldest row that ends some day; of the queue, when the first row came. NULL: there is none, or nothing ends; or, of costsim_alerts, only a look at every row would tell.';
COMMENT ON COLUMN costsim_retention.last_run_at IS 'When it was last purged, by the worker or by hand. Tables with one setting are purged together.';
COMMENT ON COLUMN costsim_retention.last_rows IS 'How many rows went then, of all these tables; samples and results that go with a canary report are not counted.';
COMMENT ON COLUMN costsim_retention.total_rows IS 'How many in all.';
COMMENT ON COLUMN costsim_retention.last_error IS 'Why it failed the last time; NULL when it did not. The worker tries again after a minute.';
COMMENT ON COLUMN costsim_retention.why IS 'What ends, or why nothing does.';
