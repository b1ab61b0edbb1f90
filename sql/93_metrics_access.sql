-- Who may read the metrics: who monitors the server. They are of every tenant.

REVOKE ALL ON FUNCTION
    _costsim_metrics_keep(),
    _costsim_metrics_breaker(),
    _costsim_metrics_alert(),
    _costsim_metrics_worker(),
    _costsim_metrics_leader(),
    _costsim_metrics_canary(),
    _costsim_metrics_drift(),
    _costsim_metrics_cost(),
    _costsim_metrics_signal(),
    _costsim_metrics_audit(),
    _costsim_metrics_general(),
    _costsim_metrics_catalogue(),
    _costsim_metrics_families(),
    costsim_metrics_text()
    FROM PUBLIC;

GRANT SELECT ON costsim_metrics TO pg_monitor;
GRANT EXECUTE ON FUNCTION
    _costsim_metrics_breaker(),
    _costsim_metrics_alert(),
    _costsim_metrics_worker(),
    _costsim_metrics_leader(),
    _costsim_metrics_canary(),
    _costsim_metrics_drift(),
    _costsim_metrics_cost(),
    _costsim_metrics_signal(),
    _costsim_metrics_audit(),
    _costsim_metrics_general(),
    _costsim_metrics_catalogue(),
    _costsim_metrics_families(),
    costsim_metrics_text()
    TO pg_monitor;
