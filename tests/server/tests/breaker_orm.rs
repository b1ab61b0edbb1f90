//! An application whose own breaker writes the two tables by an ORM, and the extension's functions beside it: each sees what the
//! other did, at once, and goes on from there.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{Application, LIMIT, Shared, one};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use serde_json::{Value, json};
use std::sync::Arc;
use std::thread;

static CLUSTER: Shared<Cluster> = Shared::new();

/// Three bad reports: a row if the last of them trips.
const TRIP: &str =
    "SELECT costsim_report_drift(0.9), costsim_report_drift(0.9), costsim_report_drift(0.9, 12)";

/// The application, and what it can be told.
struct Orm(Application);

impl Orm {
    fn start(cluster: &Cluster, database: &str) -> Result<Self> {
        Ok(Self(Application::start("breaker_orm.py", cluster, database, "postgres")?))
    }

    /// Does a command in a transaction of its own, or in the one that goes on.
    fn tell(&mut self, command: &Value) -> Result<Value> {
        self.0.tell(command)
    }

    /// The incident of a report that trips.
    fn report_drift(&mut self, score: f64) -> Result<Option<String>> {
        let answer = self.tell(&json!({"do": "report_drift", "score": score, "samples": 8}))?;
        Ok(answer.as_str().map(str::to_owned))
    }

    fn trip(&mut self) -> Result<String> {
        for _ in 0..2 {
            ensure!(self.report_drift(0.31)?.is_none(), "too early");
        }
        self.report_drift(0.31)?.context("it does not trip")
    }

    /// As the original does: closes it in a transaction, and resolves the incident in the next.
    fn enable(&mut self, by: &str) -> Result<()> {
        let incident = self.tell(&json!({"do": "enable"}))?;
        if incident.is_string() {
            let command =
                json!({"do": "resolve", "incident_id": incident, "by": by, "notes": "reset by hand"});
            ensure!(self.tell(&command)? == true, "no incident {incident}");
        }
        Ok(())
    }

    fn is_disabled(&mut self) -> Result<bool> {
        self.tell(&json!({"do": "is_disabled"}))?.as_bool().context("no answer")
    }

    /// The row as the ORM reads it.
    fn row(&mut self) -> Result<Value> {
        self.tell(&json!({"do": "get_or_create"}))
    }

    fn incidents(&mut self, include_resolved: bool) -> Result<Vec<Value>> {
        let answer = self.tell(&json!({"do": "incidents", "include_resolved": include_resolved}))?;
        answer.as_array().cloned().context("no list")
    }
}

/// A database of the test's own, with the application on it, and a session of ours.
fn scene(database: &str) -> Result<(Arc<Cluster>, Orm, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().conf("autovacuum", "off").start())?;
    let mut client = cluster.create_database_with_extension(database)?;
    client.batch_execute("SET lock_timeout = '10 s'")?;
    says(&mut client, false)?;
    let application = Orm::start(&cluster, database)?;
    Ok((cluster, application, client))
}

/// Asks twice: the second answer is from the session's memory.
#[track_caller]
fn says(client: &mut Client, is_open: bool) -> Result<()> {
    for time in ["the first time", "from memory"] {
        assert_eq!(one::<bool>(client, "SELECT costsim_is_open()")?, is_open, "{time}");
    }
    assert_eq!(one::<bool>(client, "SELECT is_open FROM costsim_cb_get_state()")?, is_open);
    Ok(())
}

/// What the functions say of the breaker.
fn state(client: &mut Client) -> Result<Value> {
    one(client, "SELECT to_jsonb(s) FROM costsim_cb_get_state() s")
}

/// The changes of state, in order, and who made them.
fn history(client: &mut Client) -> Result<Vec<String>> {
    let query = "SELECT format('%s: %s to %s', cause, from_state, to_state)
                   FROM costsim_cb_events WHERE from_state <> to_state ORDER BY id";
    client.query(query, &[])?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn unresolved(client: &mut Client) -> Result<Vec<String>> {
    one(client, "SELECT coalesce(array_agg(id), '{}') FROM costsim_cb_incidents WHERE NOT resolved")
}

/// The incidents whose alerts fire.
fn firing(client: &mut Client) -> Result<Vec<String>> {
    one(
        client,
        "SELECT coalesce(array_agg(labels ->> 'incident_id'), '{}') FROM costsim_alerts WHERE resolved_at IS NULL",
    )
}

/// Moves what is timed into the past, as if so much time had gone by.
fn let_pass(client: &mut Client, span: &str) -> Result<()> {
    client.batch_execute(&format!(
        "UPDATE costsim_cb_state
            SET disabled_until = disabled_until - interval '{span}', half_open_at = half_open_at - interval '{span}'"
    ))?;
    Ok(())
}

#[test]
fn each_step_of_the_orm_is_seen_by_the_functions() -> Result<()> {
    let (_cluster, mut application, mut client) = scene("orm_steps")?;
    assert_eq!(application.row()?["disabled"], false);
    says(&mut client, false)?;
    for failures in 1..=2 {
        assert_eq!(application.report_drift(0.31)?, None);
        says(&mut client, false)?;
        let state = state(&mut client)?;
        assert_eq!(state["consecutive_failures"], failures);
        assert!(state["last_failure_at"].is_string());
    }
    assert_eq!(history(&mut client)?, [""; 0]);

    let command = json!({"do": "report_drift", "score": 0.31, "samples": 40, "details": {"window": 7}});
    let incident = application.tell(&command)?;
    assert!(incident.is_string());
    says(&mut client, true)?;
    let seen = state(&mut client)?;
    assert_eq!(seen["state"], "open");
    assert_eq!(seen["reason"], "a drift of 0.3100 is more than 0.2");
    assert_eq!(seen["disabled_by"], "circuit_breaker");
    assert_eq!(seen["consecutive_failures"], 3);
    assert_eq!(seen["incident_id"], incident);
    assert!(one::<bool>(
        &mut client,
        "SELECT disabled_until - opened_at BETWEEN interval '23:59' AND interval '24:01' FROM costsim_cb_get_state()"
    )?);
    let row = client.query_one(
        "SELECT id, severity, drift_score, sample_count, details_json::jsonb FROM costsim_incidents()",
        &[],
    )?;
    assert_eq!(json!(row.try_get::<_, &str>(0)?), incident);
    assert_eq!((row.try_get(1)?, row.try_get(2)?, row.try_get(3)?), ("P1", 0.31, 40));
    assert_eq!(row.try_get::<_, Value>(4)?, json!({"window": 7}));
    assert!(!one::<bool>(&mut client, "SELECT costsim_cb_allow()")?);
    assert!(one::<bool>(&mut client, "SELECT costsim_is_v2_disabled()")?);
    assert!(application.is_disabled()?);

    application.enable("ops")?;
    says(&mut client, false)?;
    let seen = state(&mut client)?;
    assert_eq!((&seen["state"], &seen["consecutive_failures"]), (&json!("closed"), &json!(0)));
    assert_eq!(seen["incident_id"], Value::Null);
    let resolved =
        "SELECT resolved_by || ': ' || resolution_notes FROM costsim_incidents(true) WHERE resolved";
    assert_eq!(one::<String>(&mut client, resolved)?, "ops: reset by hand");
    assert!(!one::<bool>(&mut client, "SELECT costsim_enable_v2('us')")?, "there is nothing left to do");
    assert!(one::<bool>(&mut client, "SELECT costsim_cb_allow()")?);

    let schema = application.tell(&json!({"do": "report_schema_error", "count": 6}))?;
    assert!(schema.is_string());
    says(&mut client, true)?;
    assert_eq!(one::<String>(&mut client, "SELECT severity FROM costsim_incidents()")?, "P3");
    application.enable("ops")?;
    says(&mut client, false)?;
    assert!(
        application.tell(&json!({"do": "disable", "reason": "prices are wrong", "by": "ann"}))?.is_string()
    );
    says(&mut client, true)?;
    assert_eq!(state(&mut client)?["reason"], "prices are wrong");

    let (opens, closes) = ("outside: closed to open", "outside: open to closed");
    assert_eq!(history(&mut client)?, [opens, closes, opens, closes, opens]);
    let actors: Vec<String> = one(&mut client, "SELECT array_agg(DISTINCT actor) FROM costsim_cb_events")?;
    assert_eq!(actors, ["postgres"], "the role of the application's session");
    Ok(())
}

#[test]
fn what_the_orm_has_not_committed_nobody_sees() -> Result<()> {
    let (_cluster, mut application, mut client) = scene("orm_uncommitted")?;
    for end in ["rollback", "commit"] {
        let command = json!({"do": "disable", "reason": "for a moment", "by": "ann", "goes_on": true});
        assert!(application.tell(&command)?.is_string());
        assert_eq!(application.tell(&json!({"do": "is_disabled", "goes_on": true}))?, true);
        says(&mut client, false)?;
        assert!(one::<bool>(&mut client, "SELECT costsim_cb_allow()")?);
        application.tell(&json!({"do": end}))?;
        says(&mut client, end == "commit")?;
    }
    let command = json!({"do": "enable", "goes_on": true});
    assert!(application.tell(&command)?.is_string());
    says(&mut client, true)?;
    application.tell(&json!({"do": "rollback"}))?;
    says(&mut client, true)?;
    assert_eq!(history(&mut client)?, ["outside: closed to open"]);
    Ok(())
}

#[test]
fn each_step_of_the_functions_is_seen_by_the_orm() -> Result<()> {
    let (_cluster, mut application, mut client) = scene("orm_sees")?;
    client.batch_execute("SELECT costsim_report_drift(0.9)")?;
    assert_eq!(application.row()?["consecutive_failures"], 1);
    client.batch_execute("SELECT costsim_report_drift(0.1)")?;
    assert_eq!(application.row()?["consecutive_failures"], 0);

    let details = r#"SELECT costsim_report_drift(0.9), costsim_report_drift(0.9), costsim_report_drift(0.9, 12, '{"run": 5}')"#;
    client.batch_execute(details)?;
    let row = application.row()?;
    assert_eq!(row["disabled"], true);
    assert_eq!(row["disabled_by"], "circuit_breaker");
    assert_eq!(row["consecutive_failures"], 3);
    assert!(row["disabled_until"].is_string());
    assert!(application.is_disabled()?);
    let incidents = application.incidents(false)?;
    assert_eq!(incidents.len(), 1);
    let incident = &incidents[0];
    assert_eq!(incident["id"], row["incident_id"]);
    assert_eq!(incident["reason"], row["disabled_reason"]);
    assert_eq!((&incident["severity"], &incident["drift_score"]), (&json!("P1"), &json!(0.9)));
    assert_eq!(incident["sample_count"], 12);
    let details: Value = serde_json::from_str(incident["details_json"].as_str().context("details")?)?;
    assert_eq!(details, json!({"run": 5}));

    assert!(one::<bool>(&mut client, "SELECT costsim_enable_v2('us', 'it is well again')")?);
    assert!(!application.is_disabled()?);
    let row = application.row()?;
    for column in ["disabled_by", "disabled_reason", "disabled_until", "incident_id"] {
        assert_eq!(row[column], Value::Null, "{column}");
    }
    assert_eq!(application.incidents(false)?, [Value::Null; 0]);
    let incident = &application.incidents(true)?[0];
    assert_eq!((&incident["resolved"], &incident["resolved_by"]), (&json!(true), &json!("us")));

    client.batch_execute("SELECT costsim_disable_v2('prices are wrong', 'ann', permanent => true)")?;
    assert!(application.is_disabled()?);
    assert_eq!(application.row()?["disabled_until"], Value::Null);
    application.enable("ops")?;
    says(&mut client, false)?;
    client.batch_execute("SELECT costsim_report_schema_error(7)")?;
    assert!(application.is_disabled()?);
    assert_eq!(application.incidents(false)?[0]["severity"], "P3");
    assert_eq!(application.incidents(true)?.len(), 3);
    assert_eq!(
        history(&mut client)?,
        [
            "drift: closed to open",
            "manual: open to closed",
            "manual: closed to open",
            "outside: open to closed",
            "schema_errors: closed to open",
        ]
    );
    Ok(())
}

#[test]
fn failures_are_counted_by_both_and_reset_by_both() -> Result<()> {
    let (_cluster, mut application, mut client) = scene("orm_counts")?;
    let good = "SELECT costsim_report_drift(0.01)";
    let bad = "SELECT count(*) FROM costsim_report_drift(0.9)";
    // A session that knows of nothing to reset has to hear of a failure that the ORM counts.
    for _ in 0..3 {
        client.batch_execute(good)?;
        client.batch_execute(good)?;
        assert_eq!(application.report_drift(0.31)?, None);
        client.batch_execute(good)?;
        assert_eq!(application.row()?["consecutive_failures"], 0);
        assert_eq!(one::<i64>(&mut client, bad)?, 0);
        assert_eq!(application.report_drift(0.05)?, None);
        assert_eq!(state(&mut client)?["consecutive_failures"], 0);
    }
    // Two of theirs and one of ours.
    for _ in 0..2 {
        assert_eq!(application.report_drift(0.31)?, None);
    }
    assert_eq!(one::<i64>(&mut client, bad)?, 1);
    assert!(application.is_disabled()?);
    application.enable("ops")?;
    // Two of ours and one of theirs.
    for _ in 0..2 {
        assert_eq!(one::<i64>(&mut client, bad)?, 0);
    }
    assert!(application.report_drift(0.31)?.is_some());
    says(&mut client, true)?;
    assert_eq!(unresolved(&mut client)?.len(), 1);
    Ok(())
}

#[test]
fn no_failure_is_lost_while_both_count_at_the_same_time() -> Result<()> {
    let (_cluster, mut application, mut client) = scene("orm_counts_at_once")?;
    client.batch_execute("SELECT costsim_configure_breaker('costsim_v2', failure_threshold => 1000)")?;
    thread::scope(|scope| {
        let theirs = scope.spawn(move || {
            for _ in 0..100 {
                let command = json!({"do": "report_drift", "score": 0.31, "failure_threshold": 1000});
                ensure!(application.tell(&command)?.is_null(), "it trips");
            }
            Ok(())
        });
        for _ in 0..100 {
            client.batch_execute("SELECT costsim_report_drift(0.9)")?;
        }
        theirs.join().map_err(|_| anyhow::anyhow!("the application's thread has panicked"))?
    })?;
    assert_eq!(state(&mut client)?["consecutive_failures"], 200);
    Ok(())
}

/// The ORM opens what is open already, with another incident: that one takes the place of ours, alert and all.
#[test]
fn trip_of_the_orm_while_ours_is_open_takes_its_place() -> Result<()> {
    let (_cluster, mut application, mut client) = scene("orm_trips_while_open")?;
    client.batch_execute(TRIP)?;
    let ours = unresolved(&mut client)?;
    assert_eq!(firing(&mut client)?, ours);
    // The count stands at the threshold.
    let theirs = application.report_drift(0.5)?.context("it trips again")?;
    assert_eq!(unresolved(&mut client)?, [theirs.as_str()]);
    assert_eq!(firing(&mut client)?, [""; 0], "the application sends its own");
    let superseded = format!("SELECT resolved_by FROM costsim_cb_incidents WHERE id = '{}'", ours[0]);
    assert_eq!(one::<String>(&mut client, &superseded)?, "system-superseded");
    says(&mut client, true)?;
    assert_eq!(state(&mut client)?["incident_id"], json!(theirs));
    // A bad report of ours belongs to it, and our command ends it.
    client.batch_execute("SELECT costsim_report_drift(0.7)")?;
    assert_eq!(unresolved(&mut client)?, [theirs.as_str()]);
    let worst = "SELECT worst_drift_score FROM costsim_incidents()";
    assert_eq!(one::<f64>(&mut client, worst)?, 0.7);
    assert!(one::<bool>(&mut client, "SELECT costsim_enable_v2('us')")?);
    assert!(!application.is_disabled()?);
    assert_eq!(unresolved(&mut client)?, [""; 0]);
    assert_eq!(firing(&mut client)?, [""; 0]);
    assert_eq!(history(&mut client)?, ["drift: closed to open", "manual: open to closed"]);
    Ok(())
}

#[test]
fn trip_of_ours_while_the_orm_has_it_open_is_noted_on_its_incident() -> Result<()> {
    let (_cluster, mut application, mut client) = scene("orm_is_open")?;
    let theirs = application.trip()?;
    for statement in [TRIP, "SELECT costsim_report_schema_error(9)"] {
        assert_eq!(client.query(statement, &[])?.len(), 0, "no report opens what is open");
    }
    assert_eq!(unresolved(&mut client)?, [theirs.as_str()]);
    assert_eq!(application.incidents(true)?.len(), 1);
    // A disable by hand makes no second one either.
    let disable = "SELECT incident_id FROM costsim_disable_v2('prices are wrong', 'ann')";
    assert_eq!(one::<String>(&mut client, disable)?, theirs);
    assert_eq!(application.row()?["disabled_reason"], "prices are wrong");
    assert_eq!(application.row()?["incident_id"], json!(theirs));
    assert!(one::<bool>(&mut client, "SELECT costsim_enable_v2('us')")?);
    assert_eq!(unresolved(&mut client)?, [""; 0]);
    assert_eq!(firing(&mut client)?, [""; 0]);
    Ok(())
}

/// The application that ends between its two transactions has closed the breaker and not got to its incident: that ended with it.
#[test]
fn incident_that_the_orm_left_behind_wedges_nothing() -> Result<()> {
    let (_cluster, mut application, mut client) = scene("orm_left_behind")?;
    for trips_by_orm in [false, true] {
        client.batch_execute(TRIP)?;
        let left = unresolved(&mut client)?;
        assert_eq!(application.tell(&json!({"do": "enable"}))?, json!(left[0]));
        says(&mut client, false)?;
        assert_eq!(unresolved(&mut client)?, [""; 0]);
        assert_eq!(firing(&mut client)?, [""; 0], "its alert has ended");
        if trips_by_orm {
            application.trip()?;
        } else {
            client.batch_execute(TRIP)?;
        }
        says(&mut client, true)?;
        let now = unresolved(&mut client)?;
        assert_eq!(now.len(), 1);
        assert_ne!(now, left);
        assert!(one::<bool>(&mut client, "SELECT costsim_enable_v2('us')")?);
        assert_eq!(unresolved(&mut client)?, [""; 0]);
        assert!(!application.is_disabled()?);
    }
    Ok(())
}

#[test]
fn end_that_passes_is_an_end_for_both_and_either_writes_it_down() -> Result<()> {
    let (cluster, mut application, mut client) = scene("orm_ends")?;
    let mut other = cluster.connect("orm_ends")?;
    // Opened by the ORM, and over with nobody writing.
    let command = json!({"do": "disable", "reason": "a second", "by": "ann", "seconds": 5.0});
    assert!(application.tell(&command)?.is_string());
    says(&mut client, true)?;
    wait_until(LIMIT, "the end", || {
        Ok((!one::<bool>(&mut client, "SELECT costsim_is_open()")?).then_some(()))
    })?;
    says(&mut client, false)?;
    assert_eq!(application.row()?["disabled"], true, "nobody has written it down");
    // The ORM does.
    assert!(!application.is_disabled()?);
    assert_eq!(application.row()?["disabled"], false);
    assert_eq!(history(&mut client)?.last().context("no event")?, "outside: open to closed");
    assert_eq!(unresolved(&mut client)?, [""; 0]);
    assert_eq!(application.incidents(true)?[0]["resolved_by"], "system-auto-recover");

    // Opened by the ORM, written down by us.
    let command = json!({"do": "disable", "reason": "an hour", "by": "ann", "seconds": 3600.0});
    assert!(application.tell(&command)?.is_string());
    let_pass(&mut other, "2 hours")?;
    says(&mut client, false)?;
    assert!(!one::<bool>(&mut client, "SELECT costsim_is_v2_disabled()")?);
    assert_eq!(application.row()?["disabled"], false);
    assert_eq!(history(&mut client)?.last().context("no event")?, "ttl_passed: open to closed");
    assert_eq!(unresolved(&mut client)?, [""; 0]);

    // Opened by us, written down by the ORM.
    client.batch_execute(TRIP)?;
    let_pass(&mut other, "25 hours")?;
    says(&mut client, false)?;
    assert!(!application.is_disabled()?);
    assert_eq!(application.row()?["disabled"], false);
    assert_eq!(history(&mut client)?.last().context("no event")?, "outside: open to closed");
    assert_eq!(unresolved(&mut client)?, [""; 0]);
    says(&mut client, false)?;
    // And on from there.
    assert_eq!(client.query(TRIP, &[])?.len(), 1);
    assert!(application.is_disabled()?);
    Ok(())
}

#[test]
fn half_open_breaker_is_disabled_for_the_orm_which_may_close_it() -> Result<()> {
    let (_cluster, mut application, mut client) = scene("orm_half_open")?;
    client.batch_execute(
        "SELECT costsim_configure_breaker('costsim_v2', disable_ttl => '1 hour', half_open => true, half_open_timeout => '2 hours')",
    )?;
    client.batch_execute(TRIP)?;
    let_pass(&mut client, "61 minutes")?;
    assert_eq!(state(&mut client)?["state"], "half_open");
    says(&mut client, true)?;
    assert!(application.is_disabled()?, "its own check knows open and closed");
    assert!(one::<bool>(&mut client, "SELECT costsim_cb_allow()")?);
    assert!(application.is_disabled()?);
    application.enable("ops")?;
    says(&mut client, false)?;
    assert_eq!(
        history(&mut client)?,
        ["drift: closed to open", "ttl_passed: open to half_open", "outside: half_open to closed"]
    );
    // An outage that the ORM begins knows nothing of probes, whatever the last one left in our columns.
    application.trip()?;
    assert_eq!(state(&mut client)?["state"], "open");
    says(&mut client, true)?;
    assert!(!one::<bool>(&mut client, "SELECT costsim_cb_allow()")?);
    assert_eq!(history(&mut client)?.last().context("no event")?, "outside: closed to open");
    let_pass(&mut client, "25 hours")?;
    says(&mut client, false)?;
    assert!(!application.is_disabled()?);
    says(&mut client, false)?;
    assert_eq!(history(&mut client)?.last().context("no event")?, "outside: open to closed");

    // Ours again, from the start.
    client.batch_execute(TRIP)?;
    assert_eq!(state(&mut client)?["state"], "open");
    assert!(!one::<bool>(&mut client, "SELECT costsim_cb_allow()")?);
    let_pass(&mut client, "61 minutes")?;
    for _ in 0..3 {
        assert!(one::<bool>(&mut client, "SELECT costsim_cb_allow()")?);
        client.batch_execute("SELECT costsim_report_drift(0.01)")?;
    }
    says(&mut client, false)?;
    assert!(!application.is_disabled()?);
    assert_eq!(history(&mut client)?.last().context("no event")?, "probes_passed: half_open to closed");
    Ok(())
}

#[test]
fn change_by_the_orm_is_notified_like_any_other() -> Result<()> {
    let (cluster, mut application, mut client) = scene("orm_notifies")?;
    let mut listener = cluster.connect("orm_notifies")?;
    listener.batch_execute("LISTEN costsim_breaker")?;
    let next = |listener: &mut Client| -> Result<Value> {
        let notification = listener.notifications().timeout_iter(LIMIT).next()?.context("no notification")?;
        ensure!(notification.channel() == "costsim_breaker");
        Ok(serde_json::from_str(notification.payload())?)
    };
    application.trip()?;
    assert_eq!(next(&mut listener)?, json!({"name": "costsim_v2", "state": "open"}));
    application.enable("ops")?;
    assert_eq!(next(&mut listener)?, json!({"name": "costsim_v2", "state": "closed"}));
    client.batch_execute(TRIP)?;
    assert_eq!(next(&mut listener)?, json!({"name": "costsim_v2", "state": "open"}));
    application.enable("ops")?;
    assert_eq!(next(&mut listener)?, json!({"name": "costsim_v2", "state": "closed"}));
    Ok(())
}
