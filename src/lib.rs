//! costsim_pg: leader election, a durable circuit breaker, provenance and an alert outbox inside PostgreSQL.
//!
//! `costsim_core` decides, this crate acts, `sql/` remembers. A room (leader, breaker, alert, provenance, simulate) reads the arguments,
//! asks core, writes by its store and answers; the worker does what needs a clock or a network.

mod access;
mod adopt;
mod alert;
mod anomaly;
mod audit;
mod breaker;
mod budget;
mod call;
mod canary;
mod clock;
mod convert;
mod coordination;
mod cost;
mod db;
mod divergence;
mod error;
mod golden;
mod guc;
mod leader;
mod lock;
mod maintenance;
mod metrics;
mod pattern;
mod plot;
mod prediction;
mod provenance;
mod run;
mod schema;
mod seed;
mod simulate;
mod spend;
mod status;
mod turn;
mod worker;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

/// Called once when the library is loaded: by the postmaster when preloaded, else by the first backend that needs it.
#[pg_guard]
extern "C-unwind" fn _PG_init() {
    guc::init();
    worker::init();
}

/// What `cargo pgrx test` asks of an extension.
#[cfg(test)]
pub mod pg_test {
    /// Called once before the server of the tests starts.
    pub fn setup(_options: Vec<&str>) {}

    /// Settings of the server of the tests.
    #[must_use]
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec!["max_prepared_transactions = 5"]
    }
}
