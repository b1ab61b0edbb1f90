//! The install script, in reading order.
//!
//! A room's SQL file holds its tables, views and set-based functions with their comments; pgrx writes the C functions; the
//! last file says who may call what and what each C function means.

use pgrx::{extension_sql, extension_sql_file};

extension_sql_file!("../sql/10_leader.sql", name = "leader", requires = [leader::_costsim_timeline]);
extension_sql_file!(
    "../sql/20_breaker.sql",
    name = "breaker",
    requires = [
        "leader",
        breaker::outside::_costsim_supersede_incident,
        breaker::outside::_costsim_incident_ended,
        breaker::outside::_costsim_breaker_changed,
        breaker::outside::_costsim_breaker_counted,
        breaker::outside::_costsim_cb_events_stay
    ]
);
extension_sql_file!(
    "../sql/30_alert.sql",
    name = "alert",
    requires = ["breaker", alert::_costsim_alert_wake, worker::status::costsim_worker_status]
);
extension_sql_file!("../sql/40_provenance.sql", name = "provenance", requires = ["alert"]);
// The type's functions name it before it is whole.
extension_sql!("CREATE TYPE costsim_drift_summary;", name = "drift_shell", requires = ["provenance"]);
extension_sql_file!(
    "../sql/42_drift.sql",
    name = "drift",
    requires = [
        "drift_shell",
        provenance::drift::_costsim_drift_in,
        provenance::drift::_costsim_drift_out,
        provenance::drift::_costsim_drift_recv,
        provenance::drift::_costsim_drift_send
    ]
);
extension_sql_file!(
    "../sql/43_rollup.sql",
    name = "rollup",
    requires = ["drift", provenance::drift::costsim_drift_report]
);
extension_sql_file!("../sql/44_backfill.sql", name = "backfill", requires = ["rollup"]);
extension_sql_file!(
    "../sql/50_simulate.sql",
    name = "simulate",
    requires = ["backfill", seed::_costsim_seed_row, simulate::models::_costsim_models_changed]
);
extension_sql_file!(
    "../sql/51_simulate_access.sql",
    name = "simulate_access",
    requires = [
        "simulate",
        simulate::costsim_simulate,
        simulate::costsim_estimate_cost,
        simulate::costsim_compare,
        simulate::costsim_drift_score,
        simulate::costsim_symmetric_drift_score,
        simulate::costsim_drift_verdict,
        simulate::costsim_activate_model,
        simulate::sandbox::costsim_sandbox
    ]
);
extension_sql_file!(
    "../sql/52_golden.sql",
    name = "golden",
    requires = ["simulate_access", seed::_costsim_seed_row]
);
extension_sql_file!(
    "../sql/53_golden_access.sql",
    name = "golden_access",
    requires = ["golden", golden::costsim_load_golden_set, golden::costsim_validate_golden]
);
extension_sql_file!("../sql/54_canary.sql", name = "canary", requires = ["golden_access"]);
extension_sql_file!(
    "../sql/55_canary_access.sql",
    name = "canary_access",
    requires = ["canary", canary::costsim_run_canary]
);
extension_sql_file!(
    "../sql/56_divergence.sql",
    name = "divergence",
    requires = [
        "canary_access",
        divergence::_costsim_divergence_window,
        divergence::_costsim_divergence_score,
        divergence::_costsim_divergence_symmetric_score,
        divergence::_costsim_divergence_verdict
    ]
);
extension_sql_file!("../sql/57_divergence_access.sql", name = "divergence_access", requires = ["divergence"]);
extension_sql_file!("../sql/58_schedule.sql", name = "schedule", requires = ["divergence_access"]);
extension_sql_file!(
    "../sql/60_cost.sql",
    name = "cost",
    requires = ["schedule", cost::pending::_costsim_cost_changed, cost::zone::_costsim_cost_zone_changed]
);
extension_sql_file!(
    "../sql/61_cost_access.sql",
    name = "cost_access",
    requires = [
        "cost",
        cost::costsim_record_cost,
        cost::costsim_record_costs,
        cost::fold::costsim_refresh_costs,
        cost::tag::costsim_create_feature_tag,
        cost::tag::costsim_update_feature_tag,
        cost::upkeep::costsim_rebuild_costs,
        cost::zone::costsim_set_cost_time_zone,
        cost::upkeep::costsim_purge_cost_records
    ]
);
extension_sql_file!(
    "../sql/62_budget.sql",
    name = "budget",
    requires = ["cost_access", budget::due::_costsim_budget_changed]
);
extension_sql_file!(
    "../sql/63_budget_access.sql",
    name = "budget_access",
    requires = ["budget", budget::costsim_set_budget, budget::costsim_delete_budget]
);
extension_sql_file!("../sql/64_spend.sql", name = "spend", requires = ["budget_access"]);
extension_sql_file!(
    "../sql/65_spend_access.sql",
    name = "spend_access",
    requires = ["spend", spend::costsim_cost_projection]
);
extension_sql_file!("../sql/66_anomaly.sql", name = "anomaly", requires = ["spend_access"]);
extension_sql_file!(
    "../sql/67_anomaly_access.sql",
    name = "anomaly_access",
    requires = [
        "anomaly",
        anomaly::costsim_detect_anomalies,
        anomaly::explain::costsim_explain_anomaly,
        anomaly::operate::costsim_acknowledge_anomaly,
        anomaly::operate::costsim_resolve_anomaly,
        anomaly::operate::costsim_dismiss_anomaly,
        anomaly::purge::costsim_purge_anomalies
    ]
);
extension_sql_file!("../sql/70_run.sql", name = "run", requires = ["anomaly_access"]);
extension_sql_file!(
    "../sql/71_run_access.sql",
    name = "run_access",
    requires = [
        "run",
        run::costsim_record_run,
        run::purge::costsim_purge_runs,
        run::make::costsim_use_runs,
        run::source::costsim_run_source
    ]
);
extension_sql_file!("../sql/72_pattern.sql", name = "pattern", requires = ["run_access"]);
extension_sql_file!(
    "../sql/73_pattern_access.sql",
    name = "pattern_access",
    requires = [
        "pattern",
        pattern::costsim_error_signature,
        pattern::costsim_error_template,
        pattern::costsim_detect_patterns,
        pattern::operate::costsim_acknowledge_feedback,
        pattern::purge::costsim_purge_feedback
    ]
);
extension_sql_file!("../sql/74_prediction.sql", name = "prediction", requires = ["pattern_access"]);
extension_sql_file!(
    "../sql/75_prediction_access.sql",
    name = "prediction_access",
    requires = [
        "prediction",
        prediction::costsim_predict,
        prediction::emit::costsim_emit_prediction,
        prediction::observe::costsim_observe_predictions,
        prediction::purge::costsim_purge_predictions
    ]
);
extension_sql_file!(
    "../sql/76_audit.sql",
    name = "audit",
    requires = [
        "prediction_access",
        audit::stay::costsim_audit_digest,
        audit::stay::costsim_audit_purge_digest,
        audit::stay::_costsim_audit_seal,
        audit::stay::_costsim_audit_stays
    ]
);
extension_sql_file!(
    "../sql/77_audit_access.sql",
    name = "audit_access",
    requires = [
        "audit",
        audit::costsim_persist_audit_record,
        audit::costsim_persist_audit_record_uuid,
        audit::costsim_replay_audit_failures,
        audit::purge::costsim_purge_audit
    ]
);
extension_sql_file!("../sql/78_coordination.sql", name = "coordination", requires = ["audit_access"]);
extension_sql_file!(
    "../sql/79_coordination_access.sql",
    name = "coordination_access",
    requires = [
        "coordination",
        coordination::costsim_coordinate,
        coordination::costsim_release_envelope,
        coordination::costsim_set_kill_switch
    ]
);
extension_sql_file!(
    "../sql/80_plot.sql",
    name = "plot",
    requires = ["coordination_access", plot::costsim_sparkline]
);
extension_sql_file!("../sql/81_plot_access.sql", name = "plot_access", requires = ["plot"]);
extension_sql_file!(
    "../sql/82_retention.sql",
    name = "retention",
    requires = ["plot_access", worker::retention::_costsim_retentions]
);
extension_sql_file!(
    "../sql/83_retention_access.sql",
    name = "retention_access",
    requires = [
        "retention",
        leader::purge::costsim_purge_leader_events,
        breaker::purge::costsim_purge_breaker_events,
        breaker::purge::costsim_purge_incidents,
        golden::purge::costsim_purge_golden_results,
        coordination::purge::costsim_purge_envelopes,
        audit::forget::costsim_purge_audit_failures,
        provenance::staged::costsim_purge_backfill
    ]
);
extension_sql_file!("../sql/84_adopt.sql", name = "adopt", requires = ["retention_access"]);
extension_sql_file!(
    "../sql/85_adopt_access.sql",
    name = "adopt_access",
    requires = ["adopt", adopt::costsim_adopt, adopt::costsim_unadopt, adopt::_costsim_is_jsonb]
);
extension_sql_file!(
    "../sql/90_status.sql",
    name = "status",
    requires = ["adopt_access", status::costsim_status, status::_costsim_status_facts]
);
extension_sql_file!("../sql/91_status_access.sql", name = "status_access", requires = ["status"]);
extension_sql_file!(
    "../sql/92_metrics.sql",
    name = "metrics",
    requires = [
        "status_access",
        metrics::_costsim_metrics_keep,
        metrics::_costsim_metrics_families,
        db::version::costsim_version
    ]
);
extension_sql_file!("../sql/93_metrics_access.sql", name = "metrics_access", requires = ["metrics"]);
extension_sql_file!(
    "../sql/94_grant.sql",
    name = "grant",
    requires = [
        "metrics_access",
        access::costsim_grant,
        access::costsim_revoke,
        access::_costsim_granted,
        worker::status::costsim_worker_status,
    ]
);
// After every function, for it names those of the first rooms.
extension_sql_file!("../sql/95_access.sql", name = "access", requires = ["grant"], finalize);
