//! What the tests, the demo and the benchmarks stand on: real servers that nobody else uses, and receivers of alerts
//! that are real, watchful or broken.
//!
//! - [`Cluster`]: a PostgreSQL server of its own, made by `tests/cluster.sh`.
//! - [`Psql`]: a client that is a process of its own.
//! - [`PgBouncer`]: Debian's connection pooler in front of a cluster.
//! - [`Alertmanager`]: Debian's Alertmanager on a port of its own; [`WebhookSink`] receives what it sends out.
//! - [`Prometheus`], and the [`Exporter`]s that it scrapes; [`FilePage`] shows a file in their place.
//! - [`ScriptedEndpoint`], [`HangingEndpoint`]: receivers that answer as told, or never.
//! - [`HostileEndpoint`]: a receiver, perhaps behind TLS, that does what ill and hostile servers do.
//! - [`RecordingEndpoint`]: a receiver that remembers every alert.
//! - [`wait_until`]: the only way to wait. A test waits for a state it can observe, never for a duration.
//!
//! Everything ends when its value is dropped, and also when the process that holds it is killed.

mod alertmanager;
mod cluster;
mod endpoint;
mod exporter;
mod hostile;
mod http;
mod pgbouncer;
pub mod proc;
mod process;
mod prometheus;
mod psql;
mod recorder;
mod wait;

pub use alertmanager::{AlertState, Alertmanager, Listed, WebhookSink};
pub use cluster::{Cluster, ClusterBuilder, Mode};
pub use endpoint::{HangingEndpoint, ScriptedEndpoint};
pub use exporter::{Exporter, FilePage};
pub use hostile::{Authority, Deed, HostileEndpoint, Identity};
pub use http::{Answer, Request};
pub use pgbouncer::{PgBouncer, Pooling};
pub use prometheus::{Prometheus, Sample};
pub use psql::Psql;
pub use recorder::{Heard, RecordingEndpoint};
pub use rustix::process::Signal;
pub use wait::wait_until;
