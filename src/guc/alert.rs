//! How alerts reach Alertmanager. What reaches out of the server is for superusers alone.

use std::ffi::CString;

use chrono::TimeDelta;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};

use super::define::{count, define_number, define_text, seconds, text};

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

/// Defines them.
pub(super) fn init() {
    let outbound = GucFlags::SUPERUSER_ONLY;
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
