//! The only user of SPI: kept statements, the extension's schema, subtransactions, durability.
//!
//! A [`Statement`] is a text that names our objects as `@schema@.costsim_...`; it is prepared at its first use in a backend
//! and kept, because planning anew costs several times the call itself. Three ways to run one:
//!
//! * [`Statement::deciding`] takes a fresh snapshot, as a statement of its own would. Whatever is decided after a lock was
//!   waited for must be read this way: the caller's snapshot may predate what the other session committed. Under REPEATABLE READ and
//!   SERIALIZABLE a statement of its own sees what the transaction saw first, and a row that changed since is an error.
//! * [`Statement::current`] sees what is committed at this moment under every isolation level, and may change it, as the server's own
//!   foreign keys do. For rows that a lock of ours protects from everybody else.
//! * [`Statement::reading`] uses the caller's snapshot and is right for plain reads inside a query.
//!
//! Operators stand bare in the statements of SECURITY DEFINER functions and of the worker, whose search_path is pinned, and with their
//! schema in those that run as the caller.
//!
//! None assigns a transaction id by itself, so all work on a standby when the text only reads.

mod home;
mod locks;
mod names;
mod server;
mod statement;
mod transaction;
mod update;
mod version;

#[cfg(any(test, feature = "pg_test"))]
mod tests;

pub use home::{
    accept_changes, as_owner, as_owner_of, as_servant, is_at_least, relation, serve_as, tell_of_change,
    watch_relations,
};
pub use locks::{Lock, lock_all};
pub use names::{hold_relation, hold_schema};
pub use server::{
    database_name, deadlock_timeout, has_lasting_snapshot, is_read_only, is_replicating, is_serializable,
    require_primary, require_writable, strong_random, timeline,
};
pub use statement::{Row, Statement, column, nullable, rows_once, rows_once_now, run_command, run_once};
pub use transaction::{
    Refusal, attempt, catch, check_deferred_constraints, contain, contain_within, current_subtransaction,
    has_written, lasting_transaction, make_commit_durable, rehearse, subtransaction, transaction,
    transaction_within, wait_at_most, was_denied, watch_ends, with_latest_snapshot,
    with_statement_timeout_for_locks, with_transaction_snapshot,
};
pub use version::{LIBRARY_VERSION, installed_version, is_known, is_newer, version_trouble};
