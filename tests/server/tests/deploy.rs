//! deploy/: what Prometheus scrapes is what `costsim_metrics` says, whichever way it takes; every query of every panel and every rule has an
//! answer in a state where it has to have one; and what goes wrong arrives in Alertmanager.
//!
//! Rules and configuration are those of deploy/ but for addresses; for intervals, which are a second here; for what postgres_exporter remembers for
//! a minute; and for `for`, which is left out where a test waits for what fires: `promtool test rules` shows of that. Grafana is not asked; its files are read.

use anyhow::{Context, Result, bail, ensure};
use costsim_harness::{
    Alertmanager, Cluster, Exporter, FilePage, Mode, Prometheus, Sample, WebhookSink, wait_until,
};
use costsim_server_tests::{LIMIT, Site, one, set_for_the_next_start};
use postgres::Client;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something of everything, most of it ill.
const SAMPLE: &str = include_str!("deploy/sample.sql");

/// The dashboards; the first page that somebody opens is the first.
const DASHBOARDS: [&str; 5] = [
    "costsim-breakers.json",
    "costsim-alerts.json",
    "costsim-leaders.json",
    "costsim-drift.json",
    "costsim-spend.json",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn deployed(name: &str) -> Result<String> {
    let path = root().join("deploy").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The text with one thing in another's place, which has to be there.
fn with(text: &str, old: &str, new: &str) -> Result<String> {
    ensure!(text.contains(old), "there is no {old:?} any more");
    Ok(text.replace(old, new))
}

/// Makes the role as deploy/README.md says.
fn make_the_role(client: &mut Client) -> Result<()> {
    let readme = deployed("README.md")?;
    let (_, rest) = readme.split_once("psql -d app <<'SQL'\n").context("no role in deploy/README.md")?;
    let (statements, _) = rest.split_once("\nSQL\n").context("the role has no end")?;
    client.batch_execute(statements).context("making the role")
}

/// Each statement commits by itself, as they would come from many clients.
fn make_the_sample(client: &mut Client) -> Result<()> {
    for statement in SAMPLE.split(";\n") {
        client.batch_execute(statement).with_context(|| statement.to_owned())?;
    }
    Ok(())
}

fn postgres_exporter(cluster: &Cluster) -> Result<Exporter> {
    let queries =
        with(&deployed("postgres_exporter/queries.yaml")?, "cache_seconds: 60", "cache_seconds: 0")?;
    let file = cluster.data_dir().parent().context("a cluster has a folder")?.join("queries.yaml");
    fs::write(&file, queries)?;
    let conn_string = format!(
        "host={} port={} user=costsim_exporter dbname=app",
        cluster.socket_dir().display(),
        cluster.port()
    );
    Exporter::postgres(&conn_string, &file)
}

fn sql_exporter(cluster: &Cluster) -> Result<Exporter> {
    let connection = format!("host={}&port={}", cluster.socket_dir().display(), cluster.port());
    let config = with(&deployed("sql_exporter/costsim.yaml")?, "host=/run/postgresql", &connection)?;
    Exporter::sql(&with(&config, "interval: 30s", "interval: 1s")?)
}

/// Runs the script of the textfile collector once.
fn write_the_file(cluster: &Cluster, file: &Path) -> Result<()> {
    let path = format!("{}:{}", cluster.bindir().display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new(root().join("deploy/textfile/costsim-metrics.sh"))
        .arg(file)
        .env("PATH", path)
        .env("PGHOST", cluster.socket_dir())
        .env("PGPORT", cluster.port().to_string())
        .env("PGUSER", "costsim_exporter")
        .env("PGDATABASE", "app")
        .output()
        .context("running costsim-metrics.sh")?;
    ensure!(output.status.success(), "costsim-metrics.sh: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The configuration of deploy/, with a second for every interval and these addresses. What has none is not there.
fn prometheus_config(addresses: [(&str, Option<String>); 4]) -> Result<String> {
    let mut config = with(&deployed("prometheus/prometheus.yaml")?, "_interval: 30s", "_interval: 1s")?;
    for (shown, address) in addresses {
        let shown = format!("['{shown}']");
        config = with(&config, &shown, &address.map_or_else(|| "[]".into(), |it| format!("['{it}']")))?;
    }
    Ok(config)
}

/// A series: its name and its labels, without those that are empty and those that only say where it comes from.
type Series = BTreeMap<String, String>;

fn series_of(sample: &Sample, origin: &[&str]) -> Series {
    let labels = sample.labels.iter().filter(|(name, value)| {
        !value.is_empty() && !["job", "instance"].contains(&name.as_str()) && !origin.contains(&name.as_str())
    });
    labels.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What the view says.
fn series_of_the_view(client: &mut Client) -> Result<BTreeMap<Series, f64>> {
    let query = "SELECT m.name, m.value, l.names, l.texts
                   FROM costsim_metrics m
                  CROSS JOIN LATERAL (SELECT coalesce(array_agg(key), '{}') AS names, coalesce(array_agg(value), '{}') AS texts
                                        FROM jsonb_each_text(m.labels) WHERE value <> '') l";
    let mut all = BTreeMap::new();
    for row in client.query(query, &[])? {
        let (name, value): (String, f64) = (row.get(0), row.get(1));
        let (names, texts): (Vec<String>, Vec<String>) = (row.get(2), row.get(3));
        let mut series: Series = names.into_iter().zip(texts).collect();
        series.insert("__name__".into(), name);
        all.insert(series, value);
    }
    Ok(all)
}

/// Whether a metric is other at each look.
fn is_moving(series: &Series) -> bool {
    ["costsim_alert_oldest_pending_seconds", "costsim_leader_lease_left_seconds"]
        .contains(&series["__name__"].as_str())
}

/// Every word that looks like a metric's name.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| word.starts_with("costsim_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn scraped_by_each_way_is_what_the_view_says() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    make_the_role(&mut client)?;
    client.batch_execute("INSERT INTO costsim_cb_state (name) VALUES ('flaps'), ('near')")?;
    make_the_sample(&mut client)?;
    // No worker writes these here. One that has never been asked has taken nothing yet.
    client.batch_execute(
        r#"INSERT INTO costsim_alert_targets (url, state, sent, failures, last_success_at)
           VALUES ('http://one:9093/api/v2/alerts', 'ok', 7, 0, now()), ('http://"two"\:9093/', 'new', 0, 0, NULL)"#,
    )?;
    client.batch_execute("SELECT costsim_try_leader(9001, 'ä \"node\"', lease => '1 h')")?;

    let folder = cluster.data_dir().parent().context("a cluster has a folder")?.join("textfile");
    fs::create_dir(&folder)?;
    write_the_file(&cluster, &folder.join("costsim.prom"))?;
    let files: Vec<_> =
        fs::read_dir(&folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    assert_eq!(files, ["costsim.prom"], "nothing is left beside it");
    let (exporter, sql) = (postgres_exporter(&cluster)?, sql_exporter(&cluster)?);
    let page = FilePage::start(folder.join("costsim.prom"))?;
    let config = prometheus_config([
        ("localhost:9093", None),
        ("localhost:9187", Some(exporter.address())),
        ("localhost:9237", Some(sql.address())),
        ("localhost:9100", Some(page.address())),
    ])?;
    let prometheus = Prometheus::start(&config, &[("rules.yaml", &deployed("prometheus/rules.yaml")?)])?;

    // What the exporters add: from where it is.
    for (job, origin) in
        [("costsim", &["server"] as &[&str]), ("costsim_sql", &["host", "database"]), ("node", &[])]
    {
        wait_until(LIMIT, &format!("job {job} to be what the view says"), || {
            let expected = series_of_the_view(&mut client)?;
            let mut seen = BTreeMap::new();
            for sample in prometheus.query(&format!(r#"{{job="{job}", __name__=~"(sql_)?costsim_.*"}}"#))? {
                let series = series_of(&sample, origin);
                if !sample.value.is_nan() {
                    seen.insert(series, sample.value);
                } else if (job, sample.label("__name__")) != ("costsim", "costsim_leader_healthy") {
                    bail!("{series:?} is NaN");
                }
            }
            if let Some(missing) = expected.keys().find(|series| !seen.contains_key(*series)) {
                bail!("{} of {} series; no {missing:?}", seen.len(), expected.len());
            }
            for (series, value) in &seen {
                let Some(said) = expected.get(series) else { bail!("the view has no {series:?}") };
                if said != value && (said - value).abs() > said.abs() * 1e-9 && !is_moving(series) {
                    bail!("{series:?} is {value}, the view says {said}");
                }
            }
            Ok(Some(()))
        })?;
    }
    for metric in [
        "pg_exporter_last_scrape_error",
        "pg_exporter_user_queries_load_error",
        "sql_exporter_last_scrape_failed",
    ] {
        // A scrape that was too slow leaves none until the next one.
        wait_until(LIMIT, metric, || {
            let samples = prometheus.query(metric)?;
            ensure!(
                !samples.is_empty() && samples.iter().all(|sample| sample.value == 0.0),
                "{metric}: {samples:?}"
            );
            Ok(Some(()))
        })?;
    }
    assert!(!exporter.log()?.contains("err="), "{}", exporter.log()?);

    // The files speak of every metric that there is, and of no other.
    let rows = client.query("SELECT name FROM _costsim_metrics_catalogue()", &[])?;
    let known: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let queries = metrics_in(&deployed("postgres_exporter/queries.yaml")?);
    for metric in &known {
        assert!(queries.contains(metric), "{metric} is in no query of postgres_exporter");
    }
    let rules = prometheus.rules()?;
    let mut watched: BTreeSet<String> =
        rules.iter().filter_map(|rule| rule["query"].as_str()).flat_map(metrics_in).collect();
    ensure!(watched.len() >= 20, "only {watched:?}");
    for (_, expression) in queries_of_the_panels()? {
        watched.extend(metrics_in(&expression));
    }
    let unknown: Vec<_> = watched.difference(&known).collect();
    assert!(unknown.is_empty(), "nobody tells {unknown:?}");
    Ok(())
}

#[test]
fn file_stays_as_it_was_while_the_database_does_not_answer() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    make_the_role(&mut client)?;
    let folder = cluster.data_dir().parent().context("a cluster has a folder")?.join("textfile");
    fs::create_dir(&folder)?;
    let file = folder.join("costsim.prom");
    write_the_file(&cluster, &file)?;
    let before = fs::read_to_string(&file)?;
    assert!(before.contains("\ncostsim_worker_up 0\n"), "{before}");
    client.batch_execute("ALTER ROLE costsim_exporter NOLOGIN")?;
    let error = write_the_file(&cluster, &file).err().context("it did not fail")?.to_string();
    assert!(error.contains("not permitted to log in"), "{error}");
    assert_eq!(fs::read_to_string(&file)?, before);
    assert_eq!(fs::read_dir(&folder)?.count(), 1, "nothing is left beside it");
    Ok(())
}

/// What has not been seen yet.
struct Unseen {
    /// The rules, by name.
    rules: BTreeSet<String>,
    /// The queries of the panels, and where each is.
    panels: Vec<(String, String)>,
}

impl Unseen {
    /// Takes off what Prometheus has an answer to now, and the rules of which it has told Alertmanager.
    fn look(&mut self, prometheus: &Prometheus, sink: &WebhookSink) -> Result<()> {
        self.rules.retain(|rule| sink.alerts(&[("alertname", rule)]).is_empty());
        let mut still = Vec::new();
        for (place, expression) in self.panels.drain(..) {
            let samples = prometheus.query(&expression).with_context(|| place.clone())?;
            if !samples.iter().any(|sample| !sample.value.is_nan()) {
                still.push((place, expression));
            }
        }
        self.panels = still;
        Ok(())
    }
}

#[test]
fn whatever_goes_wrong_fires_and_arrives_and_every_panel_shows_it() -> Result<()> {
    let sink = WebhookSink::start()?;
    let told = Alertmanager::start_with_webhook(&sink.url())?;
    // The database's own Alertmanager is down at first.
    let mut target = Alertmanager::start()?;
    target.stop()?;
    let site = Site::start(Site::builder(&target.url()))?;
    let mut client = site.connect()?;
    make_the_role(&mut client)?;
    client.batch_execute("INSERT INTO costsim_cb_state (name) VALUES ('flaps'), ('near')")?;
    let exporter = postgres_exporter(&site.cluster)?;
    let config = prometheus_config([
        ("localhost:9093", Some(told.url().trim_start_matches("http://").to_owned())),
        ("localhost:9187", Some(exporter.address())),
        ("localhost:9237", None),
        ("localhost:9100", None),
    ])?;
    let rules: Vec<_> = deployed("prometheus/rules.yaml")?.lines().map(str::to_owned).collect();
    let rules: Vec<_> = rules.into_iter().filter(|line| !line.starts_with("        for: ")).collect();
    let prometheus = Prometheus::start(&config, &[("rules.yaml", &rules.join("\n"))])?;

    let loaded =
        wait_until(LIMIT, "the rules", || Ok(Some(prometheus.rules()?).filter(|rules| !rules.is_empty())))?;
    let names = loaded.iter().filter_map(|rule| rule["name"].as_str().map(str::to_owned));
    let mut unseen = Unseen { rules: names.collect(), panels: queries_of_the_panels()? };
    ensure!(unseen.rules.len() >= 20 && unseen.panels.len() >= 50, "few are left to be seen");
    let mut phase = |what: &str, awaited: &[&str]| {
        wait_until(LIMIT, what, || {
            unseen.look(&prometheus, &sink)?;
            let missing: Vec<_> = awaited.iter().filter(|rule| unseen.rules.contains(**rule)).collect();
            if !missing.is_empty() {
                bail!("{missing:?} did not arrive");
            }
            Ok(Some(()))
        })
    };

    // A counter is seen before it counts.
    wait_until(LIMIT, "the breakers", || {
        Ok(prometheus.query(r#"costsim_cb_disabled_total{name="flaps", reason="manual"} == 0"#)?.pop())
    })?;
    let mut leader = site.connect()?;
    leader.batch_execute("SELECT costsim_try_leader(9001, 'leads')")?;
    let mut hanging = site.connect()?;
    hanging.batch_execute("SELECT costsim_try_leader(9002, 'hangs', lease => '1 s')")?;
    make_the_sample(&mut client)?;
    phase(
        "all that is wrong in the sample",
        &[
            "CostSimV2CircuitBreakerOpen",
            "CostSimV2CircuitBreakerTripped",
            "CostSimRapidCBTrips",
            "CostSimHighConsecutiveFailures",
            "CostSimV2HighDrift",
            "CostSimV2DriftWarning",
            "CostSimV2HighCostDelta",
            "CostSimV2CanaryFailed",
            "CostSimV2HighKLDivergence",
            "CostSimAlertQueueBacklog",
            "CostSimAlertQueueStuck",
            "CostSimAlertsDead",
            "CostSimAlertTargetDown",
            "CostSimTaskFailing",
            "CostSimLeaderUnhealthy",
            "CostSimBudgetExceeded",
            "CostSimKillSwitchActive",
            "CostSimAuditFailures",
            "CostSimNotHealthy",
        ],
    )?;
    wait_until(LIMIT, "six failed requests", || {
        // Not by increase(), whose guess becomes less while nothing fails any more.
        let counter = "costsim_cb_alert_send_failures_total[1h]";
        Ok(prometheus.query(&format!("max_over_time({counter}) - min_over_time({counter}) >= 6"))?.pop())
    })?;

    // The leader is gone and nobody else is there; the Alertmanager is back.
    drop(leader);
    target.restart_on_same_port()?;
    phase(
        "a leader that is missing, and a target that fails now and then",
        &["CostSimLeaderMissing", "CostSimAlertSendFailures"],
    )?;

    // What is mended is told as well.
    for rule in ["CostSimAlertTargetDown", "CostSimAlertQueueStuck"] {
        sink.wait_for_status(&[("alertname", rule)], "resolved", LIMIT)?;
    }

    // A server that dies, and comes back with another library in the place of the one that starts workers.
    set_for_the_next_start(&mut client, "shared_preload_libraries", "auto_explain")?;
    set_for_the_next_start(&mut client, "costsim.canary_schedule", "0 3 * * *")?;
    drop((client, hanging));
    site.cluster.restart(Mode::Immediate)?;
    let mut client = site.connect()?;
    assert_eq!(one::<String>(&mut client, "SELECT worker_state FROM costsim_alert_status")?, "not preloaded");
    client
        .batch_execute(r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Waits"}}]', 'test')"#)?;
    phase("a worker that is dead", &["CostSimWorkerDown", "CostSimV2CanaryNotRunning"])?;

    // A row that no trigger of ours has written.
    client.batch_execute(
        r#"INSERT INTO costsim_metrics_kept (name, labels, value) VALUES ('costsim_leader_terms_total', '{"lock_id": "none"}', 1)"#,
    )?;
    phase("a family that cannot be computed", &["CostSimMetricsFamilyFailed"])?;

    drop(exporter);
    phase("an exporter that is gone", &["CostSimMetricsGone"])?;
    assert!(unseen.rules.is_empty(), "never fired: {:?}", unseen.rules);
    assert!(unseen.panels.is_empty(), "never had an answer: {:#?}", unseen.panels);

    for rule in loaded {
        let name = rule["name"].as_str().context("a rule without a name")?;
        let alert = sink.alerts(&[("alertname", name)]).into_iter().next().context("no alert")?;
        assert_eq!(alert["labels"]["severity"], rule["labels"]["severity"], "{name}");
        for annotation in ["summary", "description", "runbook_url"] {
            let text = alert["annotations"][annotation].as_str().unwrap_or_default();
            assert!(!text.is_empty() && !text.contains("<error"), "{name}: {annotation} is {text:?}");
            let reads_well = !text.contains("<no value>") && !text.contains("  ") && text.trim() == text;
            assert!(reads_well, "{name}: {annotation} is {text:?}");
        }
    }
    Ok(())
}

/// `amtool`, which has to agree.
fn amtool(arguments: &[&str]) -> Result<String> {
    let output = Command::new("amtool").args(arguments).output().context("amtool")?;
    let trouble = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "amtool {arguments:?}: {trouble}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn trip_that_comes_by_both_ways_calls_once() -> Result<()> {
    let path = root().join("deploy/prometheus/alertmanager.yaml");
    let file = path.to_str().context("the file's name")?;
    amtool(&["check-config", file])?;
    for (labels, receiver) in [
        (["alertname=CostSimV2Disabled", "severity=p1"], "pager"),
        (["alertname=CostSimAlertQueueStuck", "severity=p1"], "pager"),
        (["alertname=CostSimBudgetExceeded", "severity=p2"], "team"),
        (["alertname=CostSimCostAnomaly", "severity=high"], "team"),
    ] {
        let to = amtool(&["config", "routes", "test", "--config.file", file, labels[0], labels[1]])?;
        assert_eq!(to, receiver, "{labels:?}");
    }

    let alertmanager = Alertmanager::start_with_config(&deployed("prometheus/alertmanager.yaml")?)?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.connect()?;
    client.batch_execute("SELECT costsim_disable_v2('prices look wrong', 'ada')")?;
    let state_of = |labels: &[(&str, &str)], wanted: &str| {
        wait_until(LIMIT, &format!("{labels:?} to be {wanted}"), || {
            let found = alertmanager.alert_state(labels)?;
            ensure!(found.as_ref().is_some_and(|alert| alert.state == wanted), "{found:?}");
            Ok(Some(()))
        })
    };
    let of_the_database = [("alertname", "CostSimV2Disabled"), ("circuit_breaker", "costsim_v2")];
    state_of(&of_the_database, "active")?;
    // As the rule has them.
    let url = format!("--alertmanager.url={}", alertmanager.url());
    for breaker in ["costsim_v2", "another"] {
        let breaker = format!("circuit_breaker={breaker}");
        let labels = ["alertname=CostSimV2CircuitBreakerOpen", "severity=p1", "instance=app", &breaker];
        amtool(&[&["alert", "add", url.as_str()][..], &labels[..]].concat())?;
    }
    let of_prometheus = ("alertname", "CostSimV2CircuitBreakerOpen");
    state_of(&[of_prometheus, ("circuit_breaker", "costsim_v2")], "suppressed")?;
    state_of(&[of_prometheus, ("circuit_breaker", "another")], "active")?;
    Ok(())
}

/// The panels of all dashboards, and the place of each.
fn panels() -> Result<Vec<(String, Value)>> {
    let mut all = Vec::new();
    for name in DASHBOARDS {
        let board: Value = serde_json::from_str(&deployed(&format!("grafana/{name}"))?).context(name)?;
        for panel in board["panels"].as_array().context("no panels")? {
            all.push((format!("{name}: {}", panel["title"]), panel.clone()));
        }
    }
    Ok(all)
}

/// Every query of every panel, as Grafana asks it with all instances chosen, and the place of each.
fn queries_of_the_panels() -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (place, panel) in panels()? {
        let targets = panel["targets"].as_array().context("a panel without targets")?;
        ensure!(!targets.is_empty(), "{place} asks nothing");
        for target in targets {
            let expression = target["expr"].as_str().context("a target without a query")?;
            let expression = expression.replace("$instance", ".*").replace("$__rate_interval", "30s");
            ensure!(!expression.contains('$'), "{place}: {expression}");
            all.push((place.clone(), expression));
        }
    }
    Ok(all)
}

#[test]
fn dashboards_are_whole() -> Result<()> {
    let mut files: Vec<_> = fs::read_dir(root().join("deploy/grafana"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    let mut known = DASHBOARDS.map(str::to_owned);
    files.sort();
    known.sort();
    assert_eq!(files, known);

    let runbooks = runbooks()?;
    let mut uids = BTreeSet::new();
    for name in DASHBOARDS {
        let text = deployed(&format!("grafana/{name}"))?;
        let board: Value = serde_json::from_str(&text)?;
        assert_eq!(board["uid"], *name.trim_end_matches(".json"));
        assert!(uids.insert(board["uid"].to_string()));
        assert!(board.get("id").is_none(), "{name} has the id that somebody's Grafana gave it");
        let variables = board["templating"]["list"].as_array().context("no variables")?;
        let variables: Vec<_> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
        assert_eq!(variables, ["datasource", "instance", "docs"]);

        let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
        for panel in board["panels"].as_array().context("no panels")? {
            let title = panel["title"].as_str().unwrap_or_default();
            assert!(ids.insert(panel["id"].as_i64()), "{name}: {title} has the id of another");
            assert!(!title.is_empty() && panel["description"].is_string(), "{name}: {title:?}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{name}: {title} has no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {title}");
            for target in panel["targets"].as_array().context("no targets")? {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{name}: {title}");
            }
            let place = &panel["gridPos"];
            let number = |key: &str| place[key].as_u64().unwrap_or_default();
            assert!(number("x") + number("w") <= 24 && number("h") > 0, "{name}: {title} is at {place}");
            for x in number("x")..number("x") + number("w") {
                for y in number("y")..number("y") + number("h") {
                    assert!(places.insert((x, y)), "{name}: {title} lies over another panel");
                }
            }
            for link in panel["links"].as_array().unwrap_or(&Vec::new()) {
                let url = link["url"].as_str().unwrap_or_default();
                let anchor = url.strip_prefix("${docs}/operations.md#").context("a link to elsewhere")?;
                assert!(runbooks.iter().any(|page| page.to_lowercase() == anchor), "{name}: {title}: {url}");
            }
        }
    }
    Ok(())
}

/// The headings under "Runbooks" of docs/operations.md.
fn runbooks() -> Result<Vec<String>> {
    let text = fs::read_to_string(root().join("docs/operations.md")).context("docs/operations.md")?;
    let (_, text) = text.split_once("\n## Runbooks\n").context("no runbooks in docs/operations.md")?;
    let own = text.split("\n## ").next().unwrap_or_default();
    Ok(own.lines().filter_map(|line| line.strip_prefix("### ")).map(|name| name.trim().to_owned()).collect())
}

/// Name, severity and `for` of each rule, as the table under "Runbooks" of docs/operations.md has them.
fn listed_rules() -> Result<Vec<[String; 3]>> {
    let text = fs::read_to_string(root().join("docs/operations.md")).context("docs/operations.md")?;
    let (_, text) = text.split_once("\n## Runbooks\n").context("no runbooks in docs/operations.md")?;
    let rows = text.lines().filter(|line| line.starts_with("| [")).map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, rule, severity, lasts, ..] = cells[..] else { bail!("no row: {line}") };
        let (name, page) = rule.trim_start_matches('[').split_once("](#").context("no link")?;
        assert_eq!(page, format!("{})", name.to_lowercase()), "{name} leads elsewhere");
        let lasts = if lasts == "at once" { String::new() } else { lasts.replace(" min", "m") };
        Ok([name.to_owned(), severity.replace('`', ""), lasts])
    });
    rows.collect()
}

/// Each of Prometheus' own checks, and what it may not do without.
#[test]
fn every_rule_is_checked_and_has_its_test_and_its_page() -> Result<()> {
    let folder = root().join("deploy/prometheus");
    for arguments in [
        ["check", "config", "prometheus.yaml"],
        ["check", "rules", "rules.yaml"],
        ["test", "rules", "rules_test.yaml"],
    ] {
        let output = Command::new("promtool").args(arguments).current_dir(&folder).output()?;
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {arguments:?}: {text}");
    }
    let rules = deployed("prometheus/rules.yaml")?;
    let tests = deployed("prometheus/rules_test.yaml")?;
    let (mut names, mut lines) = (Vec::new(), Vec::new());
    for rule in rules.split("      - alert: ").skip(1) {
        let name = rule.lines().next().unwrap_or_default().trim();
        let page = format!("runbook_url: docs/operations.md#{}\n", name.to_lowercase());
        assert!(rule.contains(&page), "{name} has another page than its own");
        assert!(
            ["p1", "p2", "p3"].iter().any(|severity| rule.contains(&format!("severity: {severity}\n"))),
            "{name}"
        );
        assert!(
            tests.contains(&format!("alertname=\"{name}\", alertstate=\"firing\"")),
            "{name} has no test"
        );
        let line = |key| rule.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_default();
        lines.push([name.to_owned(), line("severity: ").to_owned(), line("for: ").to_owned()]);
        names.push(name.to_owned());
    }
    assert_eq!(runbooks()?, names, "one page for each, in the order of the rules");
    assert_eq!(listed_rules()?, lines, "the table above the pages");
    Ok(())
}
