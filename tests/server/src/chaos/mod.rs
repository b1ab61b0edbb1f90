//! Leaders under chaos: candidates that are processes, and somebody who stops, kills and cancels them.
//!
//! - [`Role`]: what a candidate process is to do. It leads whenever it can, and writes under its token.
//! - [`Plan`]: a run: which locks with which candidates, for how long, with or without the requirement.
//! - [`Outcome`]: what is left of it: the history to be checked, and the figures of what was injected.
//!
//! Whatever a run starts ends with it, however it ends: stopped processes are continued, candidates die with the
//! process that started them, and the cluster is thrown away.

mod candidate;
mod driver;
mod fleet;
mod outcome;
mod pauses;

pub use candidate::{Role, run as run_candidate};
pub use driver::Plan;
pub use outcome::{Figures, Outcome, Refusal, read_history};

/// A candidate leads by a session's lock or by the row alone.
pub use crate::history::Kind;

/// The tables of a run. Writes are told apart by their transaction, so a row is one transaction.
const TABLES: &str = "
    CREATE TABLE chaos_writes (
        id      bigserial PRIMARY KEY,
        lock_id bigint NOT NULL,
        token   bigint NOT NULL,
        node    text   NOT NULL);
    CREATE TABLE chaos_promises (lock_id bigint NOT NULL, token bigint NOT NULL, until timestamptz NOT NULL);
    CREATE TABLE chaos_counters (lock_id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
    CREATE TABLE chaos_errors (
        at       timestamptz NOT NULL DEFAULT clock_timestamp(),
        node     text NOT NULL,
        doing    text NOT NULL,
        sqlstate text NOT NULL,
        message  text NOT NULL)";
