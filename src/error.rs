//! Every way a call is refused: its SQLSTATE, its facts in DETAIL, its advice in HINT.
//!
//! An expected refusal is data (`false`, no row) and never comes here. What comes here means misuse, a server that cannot
//! do what was asked, or a fault of ours. The table below is the whole contract: a message is lower case without a full
//! stop, the SQLSTATE says what kind of trouble it is, and no secret ever enters a message.

use std::borrow::Cow;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// What every function of this crate that may refuse answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an SQL function that may refuse answers: pgrx raises it with its own SQLSTATE, DETAIL and HINT. (Where rows come back
/// the type is written out, since pgrx reads it letter by letter.)
pub type Answer<T> = std::result::Result<T, ErrorReport>;

/// A refusal.
#[derive(Debug)]
pub enum Error {
    /// An argument that may not be NULL is NULL.
    Null { argument: &'static str },
    /// An argument has a value that cannot be meant.
    Invalid { what: Cow<'static, str>, detail: Option<String>, hint: Cow<'static, str> },
    /// A breaker that nobody has made.
    NoSuchBreaker { name: String },
    /// A cost model, or a version of one, that nobody has made: what was asked for, and what there is.
    NoSuchModel { what: String, known: String },
    /// A number beyond every number.
    OutOfRange { what: String, hint: &'static str },
    /// A golden set, or a version of one, that nobody has loaded.
    NoSuchGoldenSet { what: String },
    /// A feature tag that a tenant does not have.
    NoSuchFeatureTag { tag: String },
    /// A schema without any of the tables that could be adopted.
    NothingToAdopt { schema: String },
    /// Tables in whose place no views can be put, and why.
    CannotAttach { detail: String },
    /// A role that is not there.
    NoSuchRole { role: String },
    /// A name that is taken.
    AlreadyExists { what: String },
    /// A document larger than we take.
    TooLarge { what: String },
    /// More than we take of something else: what, and how to do with less.
    Beyond { what: String, hint: &'static str },
    /// A JSON text nested deeper than we take.
    TooDeep { what: String },
    /// No memory, where the server goes on without what was asked.
    OutOfMemory { what: &'static str },
    /// The extension's library is loaded, but `CREATE EXTENSION` has not run in this database.
    NotInstalled,
    /// The extension has a version in this database that the library does not know: both, and what to do.
    OtherVersion { what: String, hint: &'static str },
    /// A database whose text is not UTF-8.
    NotUtf8,
    /// What cannot survive PREPARE TRANSACTION.
    CannotPrepare { what: &'static str, detail: &'static str },
    /// What a command must not do.
    Unsupported { what: &'static str, hint: &'static str },
    /// What is there to stay as it is.
    Stays { what: Cow<'static, str>, hint: &'static str },
    /// A lock name that nobody has registered.
    NoSuchLock { name: String },
    /// The term that a transaction requires is not, or no longer, the caller's.
    NotLeader { lock_id: i64, detail: String },
    /// Work that only one may do at a time, and somebody else may be doing.
    LockHeld { lock_id: i64, detail: String, hint: &'static str },
    /// What the caller has no right to.
    NotAllowed { what: String, hint: String },
    /// A table that others use for longer than `lock_timeout`.
    InUse { table: String },
    /// What a transaction that sees one snapshot to its end must not do.
    LastingSnapshot { what: &'static str },
    /// The server has no place for another background process.
    NoWorkerSlot,
    /// A worker that the launcher would start again.
    KeptByLauncher,
    /// Alerts that a worker delivers are nobody else's.
    DeliveredByWorker,
    /// A counter that must never run over has run out.
    Exhausted { what: String },
    /// A fault of ours, or of the interface to the server.
    Internal(String),
}

impl Error {
    /// A breaker that nobody has made. What was asked for may be of any size, and a message may not.
    pub fn no_such_breaker(name: &str) -> Self {
        Self::NoSuchBreaker { name: beginning(name) }
    }

    /// A lock name that nobody has registered.
    pub fn no_such_lock(name: &str) -> Self {
        Self::NoSuchLock { name: beginning(name) }
    }

    /// A cost model that nobody has made, or a version of it, or one without an active version. What was asked for may be of any size.
    pub fn no_such_model(model: &str, version: Option<&str>, known: String) -> Self {
        let what = match version {
            Some(version) => {
                format!("version \"{}\" of cost model \"{}\"", beginning(version), beginning(model))
            }
            None => format!("an active version of cost model \"{}\"", beginning(model)),
        };
        Self::NoSuchModel { what, known }
    }

    /// A golden set that nobody has loaded, or a version of it, or one without a current version.
    pub fn no_such_golden_set(name: &str, version: Option<i32>) -> Self {
        let name = beginning(name);
        let what = match version {
            Some(version) => format!("version {version} of golden set \"{name}\""),
            None => format!("a current version of golden set \"{name}\""),
        };
        Self::NoSuchGoldenSet { what }
    }

    /// A feature tag that a tenant does not have. What was asked for may be of any size.
    pub fn no_such_feature_tag(tag: &str) -> Self {
        Self::NoSuchFeatureTag { tag: beginning(tag) }
    }

    /// An argument with a bad value, and what to pass instead.
    pub fn invalid(what: impl Into<Cow<'static, str>>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { what: what.into(), detail: None, hint: hint.into() }
    }
}

impl From<Error> for ErrorReport {
    #[track_caller]
    fn from(error: Error) -> Self {
        let new = |code, message: String| ErrorReport::new(code, message, "costsim_pg");
        match error {
            Error::Null { argument } => {
                new(PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED, format!("{argument} must not be null"))
                    .set_hint(format!("Pass a value for \"{argument}\"."))
            }
            Error::Invalid { what, detail, hint } => {
                let report = new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, what.into_owned())
                    .set_hint(hint.into_owned());
                match detail {
                    Some(detail) => report.set_detail(detail),
                    None => report,
                }
            }
            Error::NoSuchBreaker { name } => new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("circuit breaker \"{name}\" does not exist"),
            )
            .set_hint(
                "Make it with SELECT costsim_configure_breaker(...), or check the spelling.",
            ),
            Error::NoSuchModel { what, known } => {
                new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, format!("{what} does not exist")).set_hint(known)
            }
            Error::OutOfRange { what, hint } => {
                new(PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, what).set_hint(hint)
            }
            Error::NoSuchGoldenSet { what } => {
                new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, format!("{what} does not exist"))
                    .set_hint("Load it with SELECT costsim_load_golden_set(...); costsim_golden_sets shows what there is.")
            }
            Error::NoSuchFeatureTag { tag } => new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("feature tag \"{tag}\" does not exist"),
            )
            .set_hint("Make it with SELECT costsim_create_feature_tag(...); costsim_list_feature_tags shows what there is."),
            Error::NothingToAdopt { schema } => new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("schema \"{}\" has none of the tables that can be adopted", beginning(&schema)),
            )
            .set_hint("Pass the name of the schema, as it is and without quotes, in which the application's costsim_ tables are."),
            Error::CannotAttach { detail } => new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the tables cannot be attached as they are".into(),
            )
            .set_detail(detail)
            .set_hint("Change or remove what is named, see by a dry run what is left of it, and adopt again."),
            Error::NoSuchRole { role } => {
                new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, format!("role {role} does not exist"))
                    .set_hint("Make it with CREATE ROLE. PUBLIC is granted nothing.")
            }
            Error::AlreadyExists { what } => {
                new(PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT, what).set_hint("Choose another name.")
            }
            Error::TooLarge { what } => new(PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, what)
                .set_hint("Split the document, or hash a digest of its large parts."),
            Error::Beyond { what, hint } => {
                new(PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, what).set_hint(hint)
            }
            Error::TooDeep { what } => new(PgSqlErrorCode::ERRCODE_STATEMENT_TOO_COMPLEX, what)
                .set_hint("Nest the document less deeply, or hash a digest of its inner parts."),
            Error::OutOfMemory { what } => new(PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY, what.into())
                .set_hint("Nothing was changed. Try again when the server has more memory, or split the document."),
            Error::NotInstalled => new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "extension \"costsim_pg\" is not installed in this database".into(),
            )
            .set_hint("Run CREATE EXTENSION costsim_pg."),
            Error::OtherVersion { what, hint } => {
                new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, what).set_hint(hint)
            }
            Error::NotUtf8 => new(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                "costsim_pg needs a database whose encoding is UTF8".into(),
            )
            .set_detail("JSON, and with it Alertmanager's labels and the hashes, is defined over Unicode.")
            .set_hint("Create the database with ENCODING 'UTF8' TEMPLATE template0."),
            Error::CannotPrepare { what, detail } => new(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                format!("cannot PREPARE a transaction that has {what}"),
            )
            .set_detail(detail)
            .set_hint("Leave leadership to transactions that commit by themselves."),
            Error::Unsupported { what, hint } => {
                new(PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED, what.into()).set_hint(hint)
            }
            Error::Stays { what, hint } => {
                new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, what.into_owned()).set_hint(hint)
            }
            Error::NoSuchLock { name } => new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("lock \"{name}\" does not exist"),
            )
            .set_hint("Register it with INSERT INTO costsim_locks (lock_id, name) VALUES (...), or check the spelling."),
            Error::NotLeader { lock_id, detail } => new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("not the leader of lock {lock_id}"),
            )
            .set_detail(detail)
            .set_hint("Roll back, acquire leadership anew, and look at the data again before writing."),
            Error::InUse { table } => new(
                PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                format!("table {table} is in use for longer than lock_timeout"),
            )
            .set_hint("Try again when fewer use it, or with a longer lock_timeout."),
            Error::LockHeld { lock_id, detail, hint } => new(
                PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                format!("lock {lock_id} is held by somebody else"),
            )
            .set_detail(detail)
            .set_hint(hint),
            Error::NotAllowed { what, hint } => {
                new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, what).set_hint(hint)
            }
            Error::LastingSnapshot { what } => new(
                PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
                format!("{what} needs a transaction that is READ COMMITTED"),
            )
            .set_hint("Call it in a transaction of its own."),
            Error::NoWorkerSlot => new(
                PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                "no background worker slot is free".into(),
            )
            .set_hint("Raise max_worker_processes and restart the server."),
            Error::KeptByLauncher => new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the worker of this database is kept by the launcher".into(),
            )
            .set_hint("Take the database out of costsim.databases and reload."),
            Error::DeliveredByWorker => new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the worker of this database delivers its alerts".into(),
            )
            .set_detail("Two deliverers that know nothing of each other would mix up the order of alerts.")
            .set_hint("Set costsim.alertmanager_url to '' and reload, to deliver by yourself."),
            Error::Exhausted { what } => new(PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, what)
                .set_hint("Use another lock id; a token is never reused."),
            Error::Internal(message) => new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, message)
                .set_hint("This is a defect of costsim_pg; please report it."),
        }
    }
}

impl From<pgrx::spi::Error> for Error {
    fn from(error: pgrx::spi::Error) -> Self {
        Self::Internal(format!("unexpected answer of the server: {error}"))
    }
}

/// The value of an argument that may not be NULL.
pub fn required<T>(value: Option<T>, argument: &'static str) -> Result<T> {
    value.ok_or(Error::Null { argument })
}

/// As much of a name as a message needs.
fn beginning(name: &str) -> String {
    let cut = crate::convert::beginning(name, 100);
    if cut.len() < name.len() { format!("{cut}...") } else { name.to_owned() }
}
