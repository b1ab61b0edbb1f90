//! The install script, in reading order.
//!
//! A room's SQL file holds its tables, views and set-based functions with their comments; pgrx writes the C functions; the
//! last file says who may call what and what each C function means.

use pgrx::extension_sql_file;

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
extension_sql_file!("../sql/44_backfill.sql", name = "backfill", requires = ["provenance"]);
extension_sql_file!("../sql/95_access.sql", name = "access", requires = ["backfill"], finalize);
