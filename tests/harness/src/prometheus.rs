//! A real Prometheus, and what it answers.

use crate::http::get;
use crate::process::{Process, launch_on_a_free_port};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// One series of an answer, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// `__name__` is one of them, where the answer has a name.
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    /// A label's value; empty where there is no such label, which is the same to Prometheus.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// A process of Debian's Prometheus on a loopback port, with storage of its own. Killed with the value.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    // Ends before its folder goes.
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// One with this configuration, and these files beside it.
    pub fn start(config: &str, files: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("costsim_prometheus.").tempdir()?;
        let home = folder.path();
        fs::write(home.join("prometheus.yml"), config)?;
        for (name, text) in files {
            fs::write(home.join(name), text)?;
        }
        let (port, process) = launch_on_a_free_port(home, "/-/ready", |port| {
            let mut command = Command::new("prometheus");
            command
                .arg(format!("--config.file={}", home.join("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", home.join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            Ok(command)
        })?;
        Ok(Self { port, _process: process, _folder: folder })
    }

    /// What an expression says now. An error if Prometheus cannot read it, or it is no vector.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let data = self.ask(&format!("/api/v1/query?query={}", percent_encoded(expression)))?;
        ensure!(data["resultType"] == "vector", "{expression} is no vector but {}", data["resultType"]);
        let samples = data["result"].as_array().context("no result")?;
        samples.iter().map(sample).collect()
    }

    /// The alerts of its rules that are pending or firing, in the API's own words.
    pub fn alerts(&self) -> Result<Vec<Value>> {
        Ok(self.ask("/api/v1/alerts")?["alerts"].as_array().context("no alerts")?.clone())
    }

    /// The rules that it has loaded, in the API's own words.
    pub fn rules(&self) -> Result<Vec<Value>> {
        let data = self.ask("/api/v1/rules")?;
        let groups = data["groups"].as_array().context("no groups")?;
        Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
    }

    /// Where it scrapes, and how that goes, in the API's own words.
    pub fn targets(&self) -> Result<Vec<Value>> {
        Ok(self.ask("/api/v1/targets")?["activeTargets"].as_array().context("no targets")?.clone())
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let (status, body) = get(self.port, path).context("asking Prometheus")?;
        let answer: Value = serde_json::from_slice(&body).context("the answer of Prometheus")?;
        if status != 200 || answer["status"] != "success" {
            bail!("Prometheus answers {status}: {}", answer["error"]);
        }
        Ok(answer["data"].clone())
    }
}

fn sample(result: &Value) -> Result<Sample> {
    let labels = result["metric"].as_object().context("no labels")?.iter();
    let labels =
        labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let value = result["value"][1].as_str().context("no value")?.parse().context("a value")?;
    Ok(Sample { labels, value })
}

/// As a value in the query of a URL.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;
    use std::time::Duration;

    #[test]
    fn prometheus_answers_what_it_scrapes_and_refuses_what_it_cannot_read() {
        let config = "global: {scrape_interval: 1s}\n\
                      scrape_configs: [{job_name: nobody, static_configs: [{targets: ['127.0.0.1:1']}]}]\n";
        let prometheus = Prometheus::start(config, &[]).unwrap();
        let up = wait_until(Duration::from_secs(30), "a scrape", || {
            Ok(prometheus.query(r#"up{job=~"no.+"} + 0"#)?.pop())
        });
        let up = up.unwrap();
        assert_eq!((up.value, up.label("job"), up.label("none")), (0.0, "nobody", ""));
        let error = prometheus.query("sum(").unwrap_err().to_string();
        assert!(error.contains("400"), "{error}");
    }
}
