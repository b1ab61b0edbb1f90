//! DROP EXTENSION leaves nothing, and CREATE EXTENSION works again in the same sessions.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, one, sqlstate_of};
use postgres::Client;
use std::collections::BTreeSet;

const FILL: &str = include_str!("../released/fill-0.1.0.sql");

/// Everything in the catalogs that a name or a dependency can give away, with the rows of each that are not the server's own.
fn everything(client: &mut Client) -> Result<BTreeSet<String>> {
    let catalogs = [
        ("pg_class", "relname"),
        ("pg_proc", "proname"),
        ("pg_type", "typname"),
        ("pg_constraint", "conname"),
        ("pg_trigger", "tgname"),
        ("pg_operator", "oprname"),
        ("pg_rewrite", "rulename"),
        ("pg_policy", "polname"),
        ("pg_event_trigger", "evtname"),
        ("pg_cast", "oid"),
        ("pg_attrdef", "oid"),
        ("pg_statistic_ext", "stxname"),
        ("pg_namespace", "nspname"),
        ("pg_extension", "extname"),
        ("pg_publication", "pubname"),
        ("pg_default_acl", "oid"),
    ];
    let mut found = BTreeSet::new();
    for (catalog, name) in catalogs {
        let query = format!("SELECT format('%s %s', '{catalog}', {name}) FROM {catalog} WHERE oid >= 16384");
        found.extend(client.query(&query, &[])?.iter().map(|row| row.get::<_, String>(0)));
    }
    for (catalog, object) in [
        ("pg_depend", "objid"),
        ("pg_init_privs", "objoid"),
        ("pg_description", "objoid"),
        ("pg_seclabel", "objoid"),
    ] {
        let count: i64 = one(client, &format!("SELECT count(*) FROM {catalog} WHERE {object} >= 16384"))?;
        found.insert(format!("{catalog} {count}"));
    }
    let here = "(SELECT oid FROM pg_database WHERE datname = current_database())";
    let count: i64 = one(client, &format!("SELECT count(*) FROM pg_shdepend WHERE dbid = {here}"))?;
    found.insert(format!("pg_shdepend {count}"));
    Ok(found)
}

#[test]
fn dropped_extension_leaves_nothing_and_comes_back() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.connect("postgres")?;
    client.batch_execute(
        "CREATE ROLE app; CREATE ROLE granted; CREATE ROLE worker; CREATE SCHEMA \"cost sim\"; SET search_path = \"cost sim\", public",
    )?;
    let before = everything(&mut client)?;
    // One session that has used everything, and one that leads.
    let (mut user, mut leader) = (cluster.connect("postgres")?, cluster.connect("postgres")?);
    for session in [&mut user, &mut leader] {
        session.batch_execute("SET search_path = \"cost sim\", public")?;
    }
    for round in 0..2 {
        client.batch_execute("CREATE EXTENSION costsim_pg SCHEMA \"cost sim\"")?;
        user.batch_execute(FILL).with_context(|| format!("round {round}"))?;
        ensure!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7003)")?);
        client.batch_execute(
            "GRANT USAGE ON SCHEMA \"cost sim\" TO app; GRANT ALL ON ALL TABLES IN SCHEMA \"cost sim\" TO app;
             GRANT ALL ON ALL FUNCTIONS IN SCHEMA \"cost sim\" TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA \"cost sim\" TO app;
             GRANT UPDATE (severity) ON costsim_cb_incidents TO app;
             SELECT costsim_grant('granted', 'app', 'acme'), costsim_grant('worker', 'worker');
             ALTER TABLE costsim_cost_records ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON costsim_cost_records TO app USING (tenant_id = 'acme')",
        )?;
        let while_there = everything(&mut client)?;
        ensure!(while_there.len() > before.len() + 500, "{} objects", while_there.len());
        client.batch_execute("DROP EXTENSION costsim_pg; REVOKE ALL ON SCHEMA \"cost sim\" FROM app")?;
        // The schema is not the extension's, and what costsim_grant has granted on it stays, unless costsim_revoke has come before: docs/releasing.md.
        for role in ["granted", "worker"] {
            let stays = format!("SELECT has_schema_privilege('{role}', 'cost sim', 'USAGE')");
            assert!(one::<bool>(&mut client, &stays)?, "docs/releasing.md says that it stays");
        }
        client.batch_execute("REVOKE ALL ON SCHEMA \"cost sim\" FROM granted, worker")?;
        let after = everything(&mut client)?;
        let left: Vec<_> = after.difference(&before).collect();
        assert!(left.is_empty(), "round {round}: {left:?} were left");
        assert_eq!(after, before, "round {round}");
        // A call finds no function, and no session is worse off.
        for session in [&mut user, &mut leader, &mut client] {
            assert_eq!(sqlstate_of(session, "SELECT costsim_is_open()")?, "42883");
            assert_eq!(one::<i32>(session, "SELECT 1")?, 1);
        }
        // Whoever leads holds a lock of the server's, as any session may: it ends with the session, or by its own hand.
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
        ensure!(one::<i64>(&mut client, held)? > 0);
        leader.batch_execute("SELECT pg_advisory_unlock_all()")?;
        user.batch_execute("SELECT pg_advisory_unlock_all()")?;
        assert_eq!(one::<i64>(&mut client, held)?, 0, "round {round}");
    }
    client.batch_execute("DROP ROLE app, granted, worker")?;
    Ok(())
}

#[test]
fn worker_that_was_started_by_hand_ends_with_the_extension() -> Result<()> {
    let cluster = Cluster::builder().conf("costsim.worker_poll_interval", "1h").start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    ensure!(one::<bool>(&mut client, "SELECT costsim_worker_start()")?);
    let there = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'costsim worker'";
    wait_until(LIMIT, "the worker", || Ok((one::<i64>(&mut client, there)? == 1).then_some(())))?;
    client.batch_execute("DROP EXTENSION costsim_pg")?;
    wait_until(LIMIT, "the worker to be gone", || Ok((one::<i64>(&mut client, there)? == 0).then_some(())))?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    ensure!(one::<bool>(&mut client, "SELECT costsim_worker_start()")?);
    ensure!(one::<bool>(&mut client, "SELECT costsim_worker_stop()")?);
    let log = cluster.log()?;
    assert!(!log.contains("FATAL") && !log.contains("PANIC"), "{log}");
    Ok(())
}

#[test]
fn plans_that_a_session_keeps_end_with_clear_errors() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute(
        "PREPARE ask AS SELECT costsim_is_open(); PREPARE note AS SELECT costsim_write_provenance('r');
         PREPARE look AS SELECT count(*) FROM costsim_leader_status; PREPARE put AS INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('t', 'm', 1);
         EXECUTE ask; EXECUTE note; EXECUTE look; EXECUTE put",
    )?;
    client.batch_execute("DROP EXTENSION costsim_pg")?;
    for plan in ["ask", "note", "look", "put"] {
        let code = sqlstate_of(&mut client, &format!("EXECUTE {plan}"))?;
        assert!(["42883", "42P01"].contains(&code.as_str()), "{plan}: {code}");
    }
    client
        .batch_execute("CREATE EXTENSION costsim_pg; EXECUTE ask; EXECUTE note; EXECUTE look; EXECUTE put")?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_cost_records")?, 1);
    Ok(())
}
