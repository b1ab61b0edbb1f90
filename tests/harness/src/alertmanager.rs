//! A real Alertmanager, and the receiver behind it.
//!
//! Its API lists an alert only while it fires: once `endsAt` has passed, the alert is gone from the list at once. That
//! an alert was *resolved*, rather than forgotten, is seen by what Alertmanager sends on, so let it send to a
//! [`WebhookSink`]. It keeps alerts in memory only: after a restart there are none until somebody sends them again.

use crate::http::{Answer, Server, get};
use crate::process::Process;
use crate::wait_until;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// It is ready within a quarter of a second; a loaded machine may take longer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Which alerts [`Alertmanager::alerts`] answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Those somebody would be told about.
    Active,
    /// The silenced and inhibited ones too.
    All,
}

/// An alert as Alertmanager sees it while it fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertState {
    pub fingerprint: String,
    /// `active`, `suppressed` or, for an instant, `unprocessed`.
    pub state: String,
    /// RFC 3339, as are all its times.
    pub starts_at: String,
    pub ends_at: String,
}

/// A process of Debian's Alertmanager on a loopback port. Killed with the value.
#[derive(Debug)]
pub struct Alertmanager {
    port: u16,
    folder: TempDir,
    process: Option<Process>,
}

impl Alertmanager {
    /// One that keeps what it knows to itself.
    pub fn start() -> Result<Self> {
        Self::start_with_receiver("[{name: receiver}]")
    }

    /// One that notifies a webhook of each alert by itself, at once, and again when it is resolved.
    pub fn start_with_webhook(url: &str) -> Result<Self> {
        Self::start_with_receiver(&format!(
            "[{{name: receiver, webhook_configs: [{{url: '{url}', send_resolved: true}}]}}]"
        ))
    }

    fn start_with_receiver(receivers: &str) -> Result<Self> {
        // Grouped by all labels, every alert is a group of its own; one second is the shortest interval there is.
        Self::start_with_config(&format!(
            "route: {{receiver: receiver, group_by: ['...'], group_wait: 0s, group_interval: 1s, \
             repeat_interval: 24h}}\nreceivers: {receivers}\n"
        ))
    }

    /// One with this whole configuration.
    pub fn start_with_config(config: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("costsim_alertmanager.").tempdir()?;
        fs::write(folder.path().join("alertmanager.yml"), config)?;
        // Between choosing a free port and using it another process may take it.
        let mut failure = None;
        for _ in 0..3 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            match launch(port, &folder) {
                Ok(process) => return Ok(Self { port, folder, process: Some(process) }),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.context("three ports were tried")?)
    }

    /// What `costsim.alertmanager_url` wants: the address without a path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends the process as an administrator does. Whoever sends now is refused.
    pub fn stop(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Process::terminate)
    }

    /// Stops it if need be and starts it again under the same address, without its alerts.
    pub fn restart_on_same_port(&mut self) -> Result<()> {
        self.stop()?;
        self.process = Some(launch(self.port, &self.folder)?);
        Ok(())
    }

    /// The alerts that fire now, in the API's own words.
    pub fn alerts(&self, listed: Listed) -> Result<Vec<Value>> {
        let path = match listed {
            Listed::Active => "/api/v2/alerts?active=true&silenced=false&inhibited=false",
            Listed::All => "/api/v2/alerts",
        };
        let (status, body) = get(self.port, path).context("asking Alertmanager")?;
        if status != 200 {
            bail!("Alertmanager answers {status}: {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body).context("the alerts of Alertmanager")
    }

    /// The firing alert that has all these labels, whatever others it has; `None` when there is none (any more).
    pub fn alert_state(&self, labels: &[(&str, &str)]) -> Result<Option<AlertState>> {
        self.find(|alert| has_labels(alert, labels))
    }

    /// The firing alert with Alertmanager's own fingerprint.
    pub fn alert_state_by_fingerprint(&self, fingerprint: &str) -> Result<Option<AlertState>> {
        self.find(|alert| alert["fingerprint"] == fingerprint)
    }

    fn find(&self, wanted: impl Fn(&Value) -> bool) -> Result<Option<AlertState>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(self.alerts(Listed::All)?.iter().find(|alert| wanted(alert)).map(|alert| AlertState {
            fingerprint: text(&alert["fingerprint"]),
            state: text(&alert["status"]["state"]),
            starts_at: text(&alert["startsAt"]),
            ends_at: text(&alert["endsAt"]),
        }))
    }

    /// What it wrote to its log, over all restarts.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.folder.path().join("alertmanager.log")).context("reading Alertmanager's log")
    }
}

fn has_labels(alert: &Value, labels: &[(&str, &str)]) -> bool {
    labels.iter().all(|(name, value)| alert["labels"][*name] == *value)
}

fn launch(port: u16, folder: &TempDir) -> Result<Process> {
    let log = File::options().create(true).append(true).open(folder.path().join("alertmanager.log"))?;
    let folder = folder.path().display();
    // The kernel ends it when the process that started it is gone, however that ended.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "prometheus-alertmanager"])
        .arg(format!("--config.file={folder}/alertmanager.yml"))
        .arg(format!("--storage.path={folder}/data"))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        // No peers: nothing to listen for.
        .arg("--cluster.listen-address=")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let process =
        Process::spawn(command).context("starting prometheus-alertmanager: is 'make setup' done?")?;
    wait_until(START_LIMIT, "Alertmanager to be ready", || {
        if process.has_ended() {
            return Ok(Some(false));
        }
        Ok((get(port, "/-/ready")?.0 == 200).then_some(true))
    })?
    .then_some(process)
    .with_context(|| {
        format!(
            "Alertmanager ended at once: {}",
            fs::read_to_string(format!("{folder}/alertmanager.log")).unwrap_or_default()
        )
    })
}

/// The receiver of an Alertmanager's notifications: keeps them all.
#[derive(Debug)]
pub struct WebhookSink {
    server: Server,
    notifications: Arc<Mutex<Vec<Value>>>,
}

impl WebhookSink {
    pub fn start() -> Result<Self> {
        let notifications = Arc::<Mutex<Vec<Value>>>::default();
        let server = Server::start({
            let notifications = notifications.clone();
            move |request| match request.json() {
                Ok(notification) => {
                    notifications.lock().unwrap_or_else(PoisonError::into_inner).push(notification);
                    Answer::status(200)
                }
                Err(_) => Answer::status(400),
            }
        })?;
        Ok(Self { server, notifications })
    }

    /// For [`Alertmanager::start_with_webhook`].
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The notifications so far, in the order of their arrival.
    pub fn notifications(&self) -> Vec<Value> {
        self.notifications.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was told of the alert that has all these labels, in that order: each with its `status` (`firing` or
    /// `resolved`), `labels`, `annotations`, `startsAt`, `endsAt`, `fingerprint`.
    pub fn alerts(&self, labels: &[(&str, &str)]) -> Vec<Value> {
        self.notifications()
            .iter()
            .filter_map(|notification| notification["alerts"].as_array())
            .flatten()
            .filter(|alert| has_labels(alert, labels))
            .cloned()
            .collect()
    }

    /// Waits until the latest thing told of an alert is this status, and answers with that telling.
    pub fn wait_for_status(&self, labels: &[(&str, &str)], status: &str, limit: Duration) -> Result<Value> {
        wait_until(limit, &format!("a notification that {labels:?} is {status}"), || {
            match self.alerts(labels).pop() {
                Some(alert) if alert["status"] == status => Ok(Some(alert)),
                Some(alert) => bail!("it is {}", alert["status"]),
                None => bail!("nothing was told of it"),
            }
        })
    }
}
