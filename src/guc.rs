//! Settings: what an operator may choose, with the reason for each default.
//!
//! What reaches out of the server is SIGHUP and superuser only: no ordinary role can point the worker elsewhere. Thresholds
//! of a breaker are not here but in its own row. Text that must be understood is read where it is set: what cannot be meant is refused there.

mod access;

use std::ffi::{CStr, CString, c_char, c_void};

use chrono::TimeDelta;
use costsim_core::schedule::{Plan, zone};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::{pg_guard, pg_sys};

pub use access::worker_role;

static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ALERTMANAGER_URL: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ALERTMANAGER_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static ALERTMANAGER_CONNECT_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5_000);
static ALERTMANAGER_AUTH_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ALERTMANAGER_CA_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ALERTMANAGER_CERT_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ALERTMANAGER_KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ALERTMANAGER_PROXY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ALERT_POLICY: GucSetting<AlertPolicy> = GucSetting::<AlertPolicy>::new(AlertPolicy::Any);
static ALERT_BATCH_SIZE: GucSetting<i32> = GucSetting::<i32>::new(256);
static ALERT_RESEND_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60);
static ALERT_MAX_BACKOFF: GucSetting<i32> = GucSetting::<i32>::new(300);
static ALERT_RETRY_WINDOW: GucSetting<i32> = GucSetting::<i32>::new(86_400);
static ALERT_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 86_400);
static PROVENANCE_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static COST_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static RUN_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static FEEDBACK_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static PREDICTION_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static CANARY_SCHEDULE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static CANARY_TIME_ZONE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"UTC"));
static CANARY_SAMPLE_COUNT: GucSetting<i32> = GucSetting::<i32>::new(100);
static CANARY_DRIFT_THRESHOLD: GucSetting<f64> = GucSetting::<f64>::new(0.2);
static DETECT_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(30);
static ANOMALY_MIN_CENTS: GucSetting<f64> = GucSetting::<f64>::new(100.0);
static WORKER_POLL_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(30);
static INSTANCE_ID: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static SANDBOX_ENABLED: GucSetting<bool> = GucSetting::<bool>::new(false);
static RUNBOOK_URL: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

/// When an alert counts as sent, where there are several Alertmanagers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum AlertPolicy {
    /// One of them has it; the others are still told.
    #[name = c"any"]
    Any,
    /// Each of them has it.
    #[name = c"all"]
    All,
}

/// Defines every setting.
pub fn init() {
    access::init();
    let outbound = GucFlags::SUPERUSER_ONLY;
    define_text(
        c"costsim.databases",
        c"Databases that get a costsim worker.",
        c"A comma-separated list. The worker of a database delivers its alerts. Needs costsim_pg in shared_preload_libraries. Default: none.",
        &DATABASES,
        GucFlags::default(),
    );
    define_text(
        c"costsim.alertmanager_url",
        c"Where alerts are sent: the addresses of one or more Prometheus Alertmanagers.",
        c"A comma-separated list; each the base address (http://alertmanager:9093, with a path prefix if it has one) or the full address of the alerts endpoint. Every one is sent everything. While empty, alerts stay pending. Default: empty.",
        &ALERTMANAGER_URL,
        outbound,
    );
    define_number(
        c"costsim.alertmanager_timeout",
        c"How long one request to Alertmanager may take.",
        c"From connecting to the last byte of the answer; a request that is not answered by then counts as failed and is tried again. Default: 10 s.",
        &ALERTMANAGER_TIMEOUT,
        (100, 300_000),
        GucFlags::UNIT_MS | outbound,
    );
    define_number(
        c"costsim.alertmanager_connect_timeout",
        c"How long connecting to Alertmanager may take.",
        c"Part of costsim.alertmanager_timeout, TLS included. Default: 5 s.",
        &ALERTMANAGER_CONNECT_TIMEOUT,
        (50, 300_000),
        GucFlags::UNIT_MS | outbound,
    );
    define_text(
        c"costsim.alertmanager_auth_file",
        c"A file with the credentials and further headers of requests to Alertmanager.",
        c"Lines: basic USER:PASSWORD, bearer TOKEN, header NAME: VALUE. Owned by the server's user, without rights for group and others, no link; read at start and at every reload. Default: none.",
        &ALERTMANAGER_AUTH_FILE,
        outbound,
    );
    define_text(
        c"costsim.alertmanager_ca_file",
        c"The certificates, in PEM, by which Alertmanager is recognised over TLS.",
        c"They stand in place of the system's. Default: empty, the system's.",
        &ALERTMANAGER_CA_FILE,
        outbound,
    );
    define_text(
        c"costsim.alertmanager_cert_file",
        c"The certificate, in PEM, that this server shows to Alertmanager.",
        c"Needs costsim.alertmanager_key_file. Default: none.",
        &ALERTMANAGER_CERT_FILE,
        outbound,
    );
    define_text(
        c"costsim.alertmanager_key_file",
        c"The private key, in PEM, of costsim.alertmanager_cert_file.",
        c"Owned by the server's user, without rights for group and others, no link. Default: none.",
        &ALERTMANAGER_KEY_FILE,
        outbound,
    );
    define_text(
        c"costsim.alertmanager_proxy",
        c"The HTTP proxy through which Alertmanager is reached.",
        c"The environment's proxy is never used. Default: empty, no proxy.",
        &ALERTMANAGER_PROXY,
        outbound,
    );
    GucRegistry::define_enum_guc(
        c"costsim.alert_policy",
        c"When an alert counts as sent, where there are several Alertmanagers.",
        c"any: as soon as one has it, while the others are still told; all: when each of them has it. Default: any.",
        &ALERT_POLICY,
        GucContext::Sighup,
        GucFlags::default(),
    );
    define_number(
        c"costsim.alert_batch_size",
        c"How many alerts are sent in one request.",
        c"Counted in fired alerts and queued payloads. Alertmanager takes 1,000 alerts of one request in a few milliseconds; 256 keeps a request that must be repeated small. Default: 256.",
        &ALERT_BATCH_SIZE,
        (1, 10_000),
        GucFlags::default(),
    );
    define_number(
        c"costsim.alert_resend_interval",
        c"How often a firing alert is sent again.",
        c"Alertmanager keeps no alerts over a restart and forgets one that is not repeated; each send says that the alert lasts four intervals more. Default: 1 min, as Prometheus.",
        &ALERT_RESEND_INTERVAL,
        (1, 3_600),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.alert_max_backoff",
        c"The longest pause between two attempts at one alert.",
        c"The n-th failure is followed by a random pause of at most 2^n seconds, and at most this. Default: 5 min.",
        &ALERT_MAX_BACKOFF,
        (1, 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.alert_retry_window",
        c"How long a queued alert is tried before it may be given up.",
        c"An alert becomes failed when its attempts are used up and it has waited so long; 0 lets the attempts alone decide. Default: 24 h, so that an outage of hours loses nothing.",
        &ALERT_RETRY_WINDOW,
        (0, 30 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.alert_retention",
        c"How long the worker keeps alerts that are over.",
        c"Counted from when a queued alert was sent, given up or cancelled, and a fired one resolved; 0 keeps them for ever. What is pending or fires is never removed. Default: 30 days.",
        &ALERT_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.provenance_retention",
        c"How long the worker keeps provenance.",
        c"Counted from created_at; 0 keeps it for ever. What is purged is gone from drift statistics, too. Default: 0, for a record is kept until somebody decides otherwise.",
        &PROVENANCE_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.cost_retention",
        c"How long the worker keeps cost records.",
        c"Counted from created_at; 0 keeps them for ever. What purged records came to stays in the roll-ups; single requests, and windows that cut a quarter of an hour, lose them. Default: 0, for a record is kept until somebody decides otherwise.",
        &COST_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.run_retention",
        c"How long the worker keeps runs of workers that have ended.",
        c"Counted from created_at, of costsim_worker_runs alone: an application's own table is never touched. 0 keeps them for ever. Default: 0, for a run is kept until somebody decides otherwise.",
        &RUN_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.feedback_retention",
        c"How long the worker keeps what patterns were found.",
        c"Counted from last_seen; 0 keeps it for ever. Default: 0, for feedback is kept until somebody decides otherwise.",
        &FEEDBACK_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.prediction_retention",
        c"How long the worker keeps predictions.",
        c"Counted from expires_at; 0 keeps them for ever. Default: 0, for a prediction is kept, with what came of it, until somebody decides otherwise.",
        &PREDICTION_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_checked_text(
        c"costsim.canary_schedule",
        c"When the worker runs the canary.",
        c"Cron text of five fields (minute, hour, day of month, month, day of week) or a nickname such as @daily, in costsim.canary_time_zone. Runs that were missed are caught up once. Default: empty, never.",
        &CANARY_SCHEDULE,
        check_schedule,
    );
    define_checked_text(
        c"costsim.canary_time_zone",
        c"The time zone of costsim.canary_schedule.",
        c"A name of the IANA database, such as Europe/Berlin. What is due once a day is so when clocks change, too. Default: UTC.",
        &CANARY_TIME_ZONE,
        check_time_zone,
    );
    define_number(
        c"costsim.canary_sample_count",
        c"How many stored samples a canary compares.",
        c"For scheduled runs, and for calls that do not say. Default: 100.",
        &CANARY_SAMPLE_COUNT,
        (1, 1_000_000),
        GucFlags::default(),
    );
    GucRegistry::define_float_guc(
        c"costsim.canary_drift_threshold",
        c"The drift above which a canary fails.",
        c"Of the mean of |v2 - v1| / greatest(|v1|, |v2|) over the samples, from 0 to 1; for scheduled runs, and for calls that do not say. Default: 0.2.",
        &CANARY_DRIFT_THRESHOLD,
        0.0,
        1.0,
        GucContext::Sighup,
        GucFlags::default(),
    );
    define_number(
        c"costsim.detect_interval",
        c"How often the worker looks for cost anomalies.",
        c"Of tenants with spend that is new, and of those with open anomalies when their day has changed; 0 leaves it to costsim_detect_anomalies. Default: 30 s, so that a spike is an alert within a minute.",
        &DETECT_INTERVAL,
        (0, 86_400),
        GucFlags::UNIT_S,
    );
    GucRegistry::define_float_guc(
        c"costsim.anomaly_min_cents",
        c"How much more than expected the least anomaly is about, in cents.",
        c"What is spent beyond the expectation of a day; of a drift, a day of the week. Keeps pennies that have doubled from paging somebody. Does not count for budgets. Default: 100, a dollar.",
        &ANOMALY_MIN_CENTS,
        0.0,
        1e12,
        GucContext::Sighup,
        GucFlags::default(),
    );
    define_number(
        c"costsim.worker_poll_interval",
        c"How often an idle worker looks for work nobody announced.",
        c"Commits wake the worker; this covers what cannot, such as a prepared transaction that commits later. Default: 30 s.",
        &WORKER_POLL_INTERVAL,
        (1, 3_600),
        GucFlags::UNIT_S,
    );
    define_text(
        c"costsim.instance_id",
        c"The instance label of the breaker's alerts.",
        c"Tells several installations apart in one Alertmanager. Default: empty, which stands for the database's name.",
        &INSTANCE_ID,
        GucFlags::default(),
    );
    define_text(
        c"costsim.runbook_url",
        c"The runbook_url annotation of the breaker's alerts.",
        c"Where the person on call finds what to do. Default: empty, no annotation.",
        &RUNBOOK_URL,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"costsim.sandbox_enabled",
        c"Whether costsim_sandbox asks the new cost model at all.",
        c"While off it answers by the baseline alone and writes nothing. A superuser may set it for a session or a role, too. Default: off.",
        &SANDBOX_ENABLED,
        GucContext::Suset,
        GucFlags::default(),
    );
    // A misspelt setting is an error instead of a setting that nobody reads.
    // SAFETY: the name is static; nothing under it is defined later.
    unsafe {
        #[cfg(feature = "pg14")]
        pgrx::pg_sys::EmitWarningsOnPlaceholders(c"costsim".as_ptr());
        #[cfg(not(feature = "pg14"))]
        pgrx::pg_sys::MarkGUCPrefixReserved(c"costsim".as_ptr());
    }
}

fn define_text(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
    flags: GucFlags,
) {
    GucRegistry::define_string_guc(name, short, long, setting, GucContext::Sighup, flags);
}

type Check = unsafe extern "C-unwind" fn(*mut *mut c_char, *mut *mut c_void, pg_sys::GucSource::Type) -> bool;

/// A text that is refused, wherever it is set, when `check` says no.
fn define_checked_text(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
    check: Check,
) {
    let (context, flags) = (GucContext::Sighup, GucFlags::default());
    // SAFETY: the check is guarded; it keeps nothing of what it is shown.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            name,
            short,
            long,
            setting,
            context,
            flags,
            Some(check),
            None,
            None,
        );
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn check_schedule(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server passes the new value.
    let value = unsafe { shown(value) };
    is_understood(Plan::read(&value, "UTC"))
}

#[pg_guard]
unsafe extern "C-unwind" fn check_time_zone(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server passes the new value.
    let value = unsafe { shown(value) };
    is_understood(zone(&value))
}

/// The text that a check is shown.
unsafe fn shown(value: *mut *mut c_char) -> String {
    // SAFETY: a pointer to a C string, or to none.
    unsafe {
        if (*value).is_null() { String::new() } else { CStr::from_ptr(*value).to_string_lossy().into_owned() }
    }
}

/// Whether it was; else the server says why not, in the log or to whoever sets it.
fn is_understood<T>(read: std::result::Result<T, String>) -> bool {
    let Err(why) = read else { return true };
    let why = CString::new(why).unwrap_or_default();
    // SAFETY: what the server's own macro does: the text lies in the memory of errors, which outlives the report.
    unsafe {
        pg_sys::GUC_check_errdetail_string = pg_sys::MemoryContextStrdup(pg_sys::ErrorContext, why.as_ptr())
    };
    false
}

fn define_number(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    (least, most): (i32, i32),
    flags: GucFlags,
) {
    GucRegistry::define_int_guc(name, short, long, setting, least, most, GucContext::Sighup, flags);
}

fn text(setting: &GucSetting<Option<CString>>) -> Option<String> {
    let value = setting.get()?.to_string_lossy().trim().to_owned();
    (!value.is_empty()).then_some(value)
}

fn seconds(setting: &GucSetting<i32>) -> TimeDelta {
    TimeDelta::seconds(i64::from(setting.get()))
}

fn count(setting: &GucSetting<i32>) -> i64 {
    i64::from(setting.get())
}

/// The databases that get a worker, without repetition, in the order given.
pub fn databases() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in text(&DATABASES).unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty())
    {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The configured address of Alertmanager.
pub fn alertmanager_url() -> Option<String> {
    text(&ALERTMANAGER_URL)
}

/// The file with the credentials.
pub fn alertmanager_auth_file() -> Option<String> {
    text(&ALERTMANAGER_AUTH_FILE)
}

/// The file with the authorities to trust.
pub fn alertmanager_ca_file() -> Option<String> {
    text(&ALERTMANAGER_CA_FILE)
}

/// The file with the client's certificate.
pub fn alertmanager_cert_file() -> Option<String> {
    text(&ALERTMANAGER_CERT_FILE)
}

/// The file with the client's key.
pub fn alertmanager_key_file() -> Option<String> {
    text(&ALERTMANAGER_KEY_FILE)
}

/// The proxy's address.
pub fn alertmanager_proxy() -> Option<String> {
    text(&ALERTMANAGER_PROXY)
}

/// The time connecting may take.
pub fn alertmanager_connect_timeout() -> TimeDelta {
    TimeDelta::milliseconds(count(&ALERTMANAGER_CONNECT_TIMEOUT))
}

/// When an alert counts as sent.
pub fn alert_policy() -> AlertPolicy {
    ALERT_POLICY.get()
}

/// The time one request may take.
pub fn alertmanager_timeout() -> TimeDelta {
    TimeDelta::milliseconds(count(&ALERTMANAGER_TIMEOUT))
}

/// The most alerts of one request.
pub fn alert_batch_size() -> usize {
    usize::try_from(ALERT_BATCH_SIZE.get()).unwrap_or(1)
}

/// The time between two sends of a firing alert.
pub fn alert_resend_interval() -> TimeDelta {
    seconds(&ALERT_RESEND_INTERVAL)
}

/// The longest pause between two attempts.
pub fn alert_max_backoff() -> TimeDelta {
    seconds(&ALERT_MAX_BACKOFF)
}

/// The age below which a queued alert is never given up for its attempts alone.
pub fn alert_retry_window() -> TimeDelta {
    seconds(&ALERT_RETRY_WINDOW)
}

/// How long what is over is kept; zero: for ever.
pub fn alert_retention() -> TimeDelta {
    seconds(&ALERT_RETENTION)
}

/// The age up to which the worker keeps cost records; zero: any.
pub fn cost_retention() -> TimeDelta {
    seconds(&COST_RETENTION)
}

/// How long runs that have ended are kept; zero: for ever.
pub fn run_retention() -> TimeDelta {
    seconds(&RUN_RETENTION)
}

/// How long what was found of patterns is kept; zero: for ever.
pub fn feedback_retention() -> TimeDelta {
    seconds(&FEEDBACK_RETENTION)
}

/// How long predictions are kept; zero: for ever.
pub fn prediction_retention() -> TimeDelta {
    seconds(&PREDICTION_RETENTION)
}

/// How long provenance is kept; zero: for ever.
pub fn provenance_retention() -> TimeDelta {
    seconds(&PROVENANCE_RETENTION)
}

/// When canaries run, as it is set; empty: never.
pub fn canary_schedule() -> String {
    text(&CANARY_SCHEDULE).unwrap_or_default()
}

/// The zone of that, as it is set.
pub fn canary_time_zone() -> String {
    text(&CANARY_TIME_ZONE).unwrap_or_default()
}

/// How many samples a canary compares.
pub fn canary_sample_count() -> i32 {
    CANARY_SAMPLE_COUNT.get()
}

/// The drift above which a canary fails.
pub fn canary_drift_threshold() -> f64 {
    CANARY_DRIFT_THRESHOLD.get()
}

/// The pause between two looks for cost anomalies; zero: none.
pub fn detect_interval() -> TimeDelta {
    seconds(&DETECT_INTERVAL)
}

/// Below that no excess is an anomaly, in cents.
pub fn anomaly_min_cents() -> f64 {
    ANOMALY_MIN_CENTS.get()
}

/// The pause of an idle worker that nobody wakes.
pub fn worker_poll_interval() -> TimeDelta {
    seconds(&WORKER_POLL_INTERVAL)
}

/// The instance label, if the operator chose one.
pub fn instance_id() -> Option<String> {
    text(&INSTANCE_ID)
}

/// The runbook's address, if there is one.
pub fn runbook_url() -> Option<String> {
    text(&RUNBOOK_URL)
}

/// Whether the sandbox asks the new cost model.
pub fn sandbox_enabled() -> bool {
    SANDBOX_ENABLED.get()
}
