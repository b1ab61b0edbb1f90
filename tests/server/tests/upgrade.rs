//! ALTER EXTENSION UPDATE: a database of a released version becomes what a new install makes, and keeps every row.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::catalog::{catalog, difference};
use costsim_server_tests::{LIMIT, Shared, one, run_tool, sqlstate_of, wait_for};
use postgres::Client;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().released().start())
}

/// The released versions, each with rows in every table it has.
const RELEASED: [(&str, &str); 1] = [("0.1.0", include_str!("../released/fill-0.1.0.sql"))];

/// A database with the extension in a schema; a version, or the newest.
fn install(cluster: &Cluster, database: &str, schema: &str, version: Option<&str>) -> Result<Client> {
    cluster.connect("postgres")?.batch_execute(&format!("CREATE DATABASE {database}"))?;
    let mut client = cluster.connect(database)?;
    let version = version.map(|version| format!("VERSION '{version}'")).unwrap_or_default();
    client.batch_execute(&format!(
        "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION costsim_pg SCHEMA {schema} {version}; SET search_path = {schema}, public"
    ))?;
    Ok(client)
}

fn update(client: &mut Client) -> Result<()> {
    client.batch_execute("ALTER EXTENSION costsim_pg UPDATE").context("ALTER EXTENSION costsim_pg UPDATE")
}

#[test]
fn updated_extension_is_what_a_new_install_makes() -> Result<()> {
    let cluster = cluster()?;
    for (number, schema) in ["public", r#""cost sim""#].into_iter().enumerate() {
        let mut new = install(&cluster, &format!("new_{number}"), schema, None)?;
        let expected = catalog(&mut new)?;
        ensure!(expected.len() > 3_000, "only {} lines are known of it", expected.len());
        for (from, _) in RELEASED {
            let database = format!("of_{}_{number}", from.replace('.', "_"));
            let mut updated = install(&cluster, &database, schema, Some(from))?;
            update(&mut updated)?;
            let found = catalog(&mut updated)?;
            assert!(
                found == expected,
                "updated from {from} in {schema}, - is missing and + is too much:\n{}",
                difference(&found, &expected)
            );
        }
    }
    Ok(())
}

/// What comes with the extension comes with the update: the rows of tables nobody has written to.
#[test]
fn updated_extension_has_the_rows_that_come_with_it() -> Result<()> {
    let cluster = cluster()?;
    let mut new = install(&cluster, "rows_new", "public", None)?;
    for (from, _) in RELEASED {
        let mut updated =
            install(&cluster, &format!("rows_{}", from.replace('.', "_")), "public", Some(from))?;
        update(&mut updated)?;
        for table in tables(&mut new)? {
            // The moment of the installation is not the same.
            let columns = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                            WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND atttypid <> 'timestamptz'::regtype";
            let columns: String = new.query_one(columns, &[&table])?.get(0);
            let [expected, found] =
                [&mut new, &mut updated].map(|client| rows_of(client, "public", &table, &columns));
            assert_eq!(found?, expected?, "{table}, updated from {from}");
        }
    }
    Ok(())
}

/// The tables of the extension.
fn tables(client: &mut Client) -> Result<Vec<String>> {
    let query = "SELECT c.relname::text FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
                  WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')
                    AND d.classid = 'pg_class'::regclass AND c.relkind = 'r' ORDER BY 1";
    Ok(client.query(query, &[])?.iter().map(|row| row.get(0)).collect())
}

fn rows_of(client: &mut Client, schema: &str, table: &str, columns: &str) -> Result<Vec<String>> {
    let query = format!("SELECT row({columns})::text FROM {schema}.{table} ORDER BY 1");
    Ok(client.query(&query, &[])?.iter().map(|row| row.get(0)).collect())
}

/// All that is in the tables of a version, by its columns, and where the sequences stand.
struct Content {
    columns: BTreeMap<String, String>,
    rows: BTreeMap<String, Vec<String>>,
}

const SEQUENCES: &str = "SELECT format('%s %s %s', c.relname, pg_sequence_last_value(c.oid), c.relowner::regrole) FROM pg_class c
                          WHERE c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1";

fn content(
    client: &mut Client,
    schema: &str,
    columns: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Vec<String>>> {
    let mut rows = BTreeMap::new();
    for (table, columns) in columns {
        rows.insert(table.clone(), rows_of(client, schema, table, columns)?);
    }
    let sequences = client.query(SEQUENCES, &[])?.iter().map(|row| row.get(0)).collect();
    rows.insert("sequences".into(), sequences);
    Ok(rows)
}

impl Content {
    fn of(client: &mut Client, schema: &str) -> Result<Self> {
        let query = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                      WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped";
        let mut columns = BTreeMap::new();
        for table in tables(client)? {
            let list: String = client.query_one(query, &[&format!("{schema}.{table}")])?.get(0);
            columns.insert(table, list);
        }
        let rows = content(client, schema, &columns)?;
        Ok(Self { columns, rows })
    }

    fn is_kept(&self, client: &mut Client, schema: &str, but: &[&str]) -> Result<()> {
        let found = content(client, schema, &self.columns)?;
        for (table, rows) in &self.rows {
            if table == "sequences" {
                // A newer version may have more of them.
                let is_dumped = |row: &&String| !but.iter().any(|table| row.starts_with(table));
                let missing: Vec<_> =
                    rows.iter().filter(is_dumped).filter(|row| !found[table].contains(row)).collect();
                assert!(
                    missing.is_empty(),
                    "sequences that stand elsewhere: {missing:?}, but {:?}",
                    found[table]
                );
            } else if !but.contains(&table.as_str()) {
                assert_eq!(&found[table], rows, "{table}");
            }
        }
        Ok(())
    }
}

#[test]
fn updated_database_keeps_every_row_and_goes_on_where_it_was() -> Result<()> {
    let cluster = cluster()?;
    for (from, fill) in RELEASED {
        let schema = r#""cost sim""#;
        let name = format!("kept_{}", from.replace('.', "_"));
        // The library is newer than the extension as it is filled: both work together.
        let mut client = install(&cluster, &name, schema, Some(from))?;
        client.batch_execute(fill).with_context(|| format!("filling {from}"))?;
        // What is made of the rows is kept too.
        client.batch_execute(
            "INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, '2025-03-01 10:30+00');
             SELECT costsim_refresh_drift(), costsim_refresh_costs(); SELECT count(*) FROM costsim_predict()",
        )?;
        let before = Content::of(&mut client, schema)?;
        for (table, rows) in &before.rows {
            assert!(
                !rows.is_empty() || MAY_BE_EMPTY.contains(&table.as_str()),
                "{table} is empty, so nothing is shown of it"
            );
        }
        // This one was there before, with statements of its own.
        let mut other = cluster.connect(&name)?;
        other.batch_execute(&format!("SET search_path = {schema}, public"))?;
        assert!(one::<bool>(&mut other, "SELECT costsim_is_open()")?);
        assert_eq!(one::<i64>(&mut other, "SELECT total FROM costsim_drift_stats()")?, 2);

        update(&mut client)?;
        before.is_kept(&mut client, schema, &[])?;
        goes_on(&mut client)?;
        // Both sessions know what the other one did.
        goes_on(&mut other)?;

        // And it can be dumped and restored.
        let before = Content::of(&mut client, schema)?;
        let expected = catalog(&mut client)?;
        let folder = cluster.socket_dir().to_str().context("a path in UTF-8")?;
        let (file, copy) = (format!("{folder}/{name}.dump"), format!("{name}_copy"));
        let dump = ["--format=custom", "--no-sync", "--file", &file, "--dbname", &cluster.conn_string(&name)];
        run_tool(&cluster, "pg_dump", dump)?;
        cluster.connect("postgres")?.batch_execute(&format!("CREATE DATABASE {copy}"))?;
        run_tool(
            &cluster,
            "pg_restore",
            ["--exit-on-error", "--dbname", &cluster.conn_string(&copy), &file],
        )?;
        let mut restored = cluster.connect(&copy)?;
        restored.batch_execute(&format!("SET search_path = {schema}, public"))?;
        before.is_kept(&mut restored, schema, &NOT_DUMPED)?;
        let found = catalog(&mut restored)?;
        assert!(found == expected, "restored:\n{}", difference(&found, &expected));
        // What is leased here is leased there until its end.
        restored.batch_execute("SELECT costsim_release_lease(7004, token) FROM costsim_leader(7004)")?;
        goes_on(&mut restored)?;
    }
    Ok(())
}

/// Of the tables of 0.1.0, those that nothing needs to be in just now.
const MAY_BE_EMPTY: [&str; 2] = ["costsim_drift_changes", "costsim_cost_pending"];

/// What a restore makes anew of the rows, and what belongs to a server.
const NOT_DUMPED: [&str; 8] = [
    "costsim_drift_changes",
    "costsim_drift_rollups",
    "costsim_cost_detection",
    "costsim_cost_pending",
    "costsim_cost_quarters",
    "costsim_cost_daily",
    "costsim_maintenance",
    "costsim_prediction_looks",
];

/// Every room does its work.
fn goes_on(client: &mut Client) -> Result<()> {
    assert!(one::<bool>(client, "SELECT is_current FROM costsim_version()")?);
    assert!(one::<bool>(client, "SELECT costsim_is_open()")?);
    assert_eq!(one::<i64>(client, "SELECT total FROM costsim_drift_stats()")?, 2);
    for statement in [
        "SELECT costsim_try_leader(7005), costsim_release_leader(7005)",
        "SELECT costsim_fire_alert('{\"alertname\": \"once more\"}'), costsim_resolve_alert('{\"alertname\": \"once more\"}')",
        "SELECT costsim_enqueue_alert('[{\"labels\": {\"alertname\": \"b\"}}]', 'test')",
        "SELECT costsim_write_provenance('once more')",
        "SELECT costsim_record_cost('acme', 'm', 7)",
        "SELECT costsim_record_run('acme', 'mailer', 'failed', 'once more')",
        "SELECT costsim_persist_audit_record(NULL, 'e', 'safety', 'applied', 'why')",
        "SELECT costsim_detect_anomalies('acme'), costsim_predict('acme')",
        "SELECT costsim_run_canary(plans => '[]', run_id => 'again')",
        "SELECT costsim_coordinate(gen_random_uuid()::text, 'COST', 's', gen_random_uuid()::text)",
        "SELECT costsim_refresh_drift(), costsim_refresh_costs()",
    ] {
        client
            .batch_execute(&format!("BEGIN; {statement}; ROLLBACK"))
            .with_context(|| statement.to_owned())?;
    }
    Ok(())
}

#[test]
fn update_that_fails_changes_nothing() -> Result<()> {
    let cluster = cluster()?;
    let mut client = install(&cluster, "fails", "public", Some("0.1.0"))?;
    let before = catalog(&mut client)?;
    client.batch_execute("CREATE FUNCTION costsim_version() RETURNS text LANGUAGE sql RETURN 'mine'")?;
    // What is in the way is somebody else's: it is neither taken over nor replaced.
    assert_eq!(sqlstate_of(&mut client, "ALTER EXTENSION costsim_pg UPDATE")?, "42723");
    assert!(catalog(&mut client)? == before);
    assert_eq!(one::<String>(&mut client, "SELECT costsim_version()")?, "mine");
    client.batch_execute("DROP FUNCTION costsim_version()")?;
    update(&mut client)
}

#[test]
fn released_scripts_are_as_they_were_released() -> Result<()> {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/released"));
    let known = std::fs::read_to_string(folder.join("SHA256SUMS"))?;
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".sql") {
            scripts.push(name);
        }
    }
    assert_eq!(scripts.len(), known.lines().count(), "{scripts:?}");
    for (version, _) in RELEASED {
        assert!(known.contains(&format!("  costsim_pg--{version}.sql")), "{known}");
    }
    let output = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(folder)
        .output()?;
    assert!(
        output.status.success(),
        "a released script was edited; what changes goes into an update script: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}

/// Users get the newest version and the ways to it, not what was before.
#[test]
fn released_scripts_are_not_installed() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.connect("postgres")?;
    let query =
        "SELECT string_agg(version, ' ') FROM pg_available_extension_versions WHERE name = 'costsim_pg'";
    assert_eq!(one::<String>(&mut client, query)?, env!("CARGO_PKG_VERSION"));
    let ways =
        "SELECT count(*) FROM pg_extension_update_paths('costsim_pg') WHERE path IS NOT NULL AND target = $1";
    let ways: i64 = client.query_one(ways, &[&env!("CARGO_PKG_VERSION")])?.get(0);
    assert_eq!(usize::try_from(ways)?, RELEASED.len(), "every released version has a way to this one");
    Ok(())
}

/// What a session was told beside its answers.
type Told = Arc<Mutex<Vec<String>>>;

/// Updates in a session of its own.
fn update_and_listen(cluster: &Cluster, database: &str, told: &Told) -> Result<()> {
    let heard = Arc::clone(told);
    let mut config = cluster.config(database);
    config.application_name("the update").notice_callback(move |notice| {
        if let Ok(mut told) = heard.lock() {
            told.push(notice.message().to_owned());
        }
    });
    update(&mut config.connect(postgres::NoTls)?)
}

/// Whether it was told something that begins so.
fn is_told(told: &Told, what: &str) -> Option<()> {
    told.lock().ok()?.iter().any(|it| it.starts_with(what)).then_some(())
}

/// Whether the update waits for something.
const UPDATE_WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'the update'
    AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep'))";

#[test]
fn update_waits_for_a_transaction_and_never_makes_it_fail() -> Result<()> {
    let cluster = cluster()?;
    let mut client = install(&cluster, "waits", "public", Some("0.1.0"))?;
    let mut app = cluster.connect("waits")?;
    // Whatever table comes first, the other is wanted later.
    for (first, then) in [
        ("SELECT costsim_record_cost('acme', 'm', 7)", "SELECT costsim_try_leader(7001)"),
        ("SELECT costsim_try_leader(7002)", "SELECT costsim_record_cost('acme', 'm', 7)"),
    ] {
        app.batch_execute(&format!("BEGIN; {first}"))?;
        assert_eq!(
            sqlstate_of(&mut client, "SET lock_timeout = '100ms'; ALTER EXTENSION costsim_pg UPDATE")?,
            "55P03"
        );
        client.batch_execute("RESET lock_timeout")?;
        let told = Told::default();
        let (beside, heard) = (Arc::clone(&cluster), Arc::clone(&told));
        let updating = std::thread::spawn(move || update_and_listen(&beside, "waits", &heard));
        wait_for(&mut client, "the update to wait", UPDATE_WAITS)?;
        // Longer than the server takes to look for a deadlock, if there were one: the call answers, or the server ends it.
        app.batch_execute(then).with_context(|| format!("{then} after {first}"))?;
        let waits = "waiting for the transactions that use table ";
        wait_until(LIMIT, "the update to say that it waits", || Ok(is_told(&told, waits)))?;
        wait_for(&mut client, "the update to wait again", UPDATE_WAITS)?;
        app.batch_execute("COMMIT")?;
        updating.join().map_err(|_| anyhow::anyhow!("the update has panicked"))??;
        goes_on_simply(&mut app)?;
        client.batch_execute("DROP EXTENSION costsim_pg; CREATE EXTENSION costsim_pg VERSION '0.1.0'")?;
    }
    Ok(())
}

fn goes_on_simply(client: &mut Client) -> Result<()> {
    assert!(one::<bool>(client, "SELECT is_current FROM costsim_version()")?);
    client.batch_execute("SELECT costsim_record_cost('acme', 'm', 7)")?;
    Ok(())
}

#[test]
fn update_beside_writers_and_leaders_fails_none_of_them() -> Result<()> {
    let cluster = cluster()?;
    let mut client = install(&cluster, "busy", "public", Some("0.1.0"))?;
    let calls = [
        "SELECT costsim_record_cost('acme', 'm', 7)",
        "SELECT costsim_try_leader(7001), costsim_release_leader(7001)",
        "SELECT costsim_write_provenance('r', 'acme', v1_cost => 1, v2_cost => 2)",
        "SELECT costsim_fire_alert('{\"alertname\": \"a\"}')",
        "SELECT costsim_record_run('acme', 'mailer', 'failed', 'why')",
    ];
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut writers = Vec::new();
    for number in 0..4 {
        let (mut session, is_over) = (cluster.connect("busy")?, Arc::clone(&is_over));
        writers.push(std::thread::spawn(move || -> Result<u32> {
            // Old plans, and calls in every order.
            session.batch_execute(
                "PREPARE note AS SELECT costsim_write_provenance('p', 'acme', v1_cost => 1, v2_cost => 2); EXECUTE note",
            )?;
            let mut rounds = 0;
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let (first, then) = (calls[(number + rounds as usize) % 5], calls[(number * 2 + 1) % 5]);
                session
                    .batch_execute(&format!("BEGIN; {first}; EXECUTE note; {then}; COMMIT"))
                    .with_context(|| format!("{first}; {then}"))?;
                rounds += 1;
            }
            Ok(rounds)
        }));
    }
    wait_for(&mut client, "the writers", "SELECT count(*) > 100 FROM costsim_provenance")?;
    let outcome = update(&mut client);
    let more = "SELECT count(*) FROM costsim_provenance";
    let there: i64 = one(&mut client, more)?;
    wait_for(
        &mut client,
        "the writers again",
        &format!("SELECT count(*) > {there} + 20 FROM costsim_provenance"),
    )?;
    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    for writer in writers {
        let rounds = writer.join().map_err(|_| anyhow::anyhow!("a writer has panicked"))??;
        ensure!(rounds > 0, "a writer has done nothing");
    }
    outcome?;
    goes_on_simply(&mut client)?;
    Ok(())
}

/// Members that are not of the role, without the sequences of columns.
const NOT_OF: &str = "SELECT count(*) FROM pg_depend d LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
      LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
     WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')
       AND coalesce(c.relowner, p.proowner, t.typowner) <> 'landlord'::regrole";

#[test]
fn update_gives_what_is_new_to_the_owner_and_refuses_several() -> Result<()> {
    let cluster = cluster()?;
    let mut client = install(&cluster, "owned", "public", Some("0.1.0"))?;
    client.batch_execute("CREATE ROLE landlord; CREATE ROLE lodger")?;
    // The owner that the script has found is the superuser; then all is given away, as REASSIGN OWNED would in a database of one owner.
    client.batch_execute(
        "UPDATE pg_extension SET extowner = 'landlord'::regrole WHERE extname = 'costsim_pg';
         UPDATE pg_shdepend SET refobjid = 'landlord'::regrole WHERE classid = 'pg_extension'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )?;
    // Nobody's word decides as whom it runs: half of it is the superuser's.
    assert_eq!(sqlstate_of(&mut client, "ALTER EXTENSION costsim_pg UPDATE")?, "42501");
    client.batch_execute(
        "DO $$ DECLARE command text; BEGIN
             FOR command IN
                 SELECT format('ALTER TABLE %s OWNER TO landlord', c.oid::regclass) FROM pg_depend d JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
                  WHERE d.deptype = 'e' AND c.relkind IN ('r', 'v') AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')
                 UNION ALL
                 SELECT format('ALTER ROUTINE %s OWNER TO landlord', p.oid::regprocedure) FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
                  WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')
                 UNION ALL
                 SELECT format('ALTER TYPE %s OWNER TO landlord', t.oid::regtype) FROM pg_depend d JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
                  WHERE d.deptype = 'e' AND t.typtype = 'b' AND t.typelem = 0 AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')
             LOOP EXECUTE command; END LOOP;
         END $$; GRANT CREATE ON SCHEMA public TO landlord",
    )?;
    assert_eq!(one::<i64>(&mut client, NOT_OF)?, 0);
    client.batch_execute("ALTER FUNCTION costsim_is_open OWNER TO lodger")?;
    assert_eq!(sqlstate_of(&mut client, "ALTER EXTENSION costsim_pg UPDATE")?, "42501");
    client.batch_execute("ALTER FUNCTION costsim_is_open OWNER TO landlord")?;
    update(&mut client)?;
    assert_eq!(one::<i64>(&mut client, NOT_OF)?, 0, "what is new is somebody else's");
    goes_on_simply(&mut client)?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_status() WHERE status = 'bad'")?, 0);
    Ok(())
}

/// The query of the manual that names who sees no rows after the update.
fn query_of_the_manual() -> Result<String> {
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/releasing.md"))?;
    let behind = manual.split("<!-- who sees no rows -->").nth(1).context("the query's place")?;
    let query = behind.split("```").nth(1).context("the query")?;
    Ok(query.trim_start_matches("sql").trim().trim_end_matches(';').to_owned())
}

#[test]
fn update_names_the_roles_that_see_no_rows_after_it() -> Result<()> {
    let cluster = cluster()?;
    let mut client = install(&cluster, "hand", "public", Some("0.1.0"))?;
    client.batch_execute(
        "SELECT costsim_record_cost('acme', 'm', 7);
         CREATE ROLE by_hand; CREATE ROLE sees_one_column; CREATE ROLE backup BYPASSRLS; CREATE ROLE has_a_policy; CREATE ROLE has_nothing;
         GRANT SELECT ON costsim_cost_records TO by_hand, backup, has_a_policy; GRANT SELECT (tenant_id) ON costsim_cost_records TO sees_one_column;
         GRANT EXECUTE ON FUNCTION costsim_is_open TO has_nothing;
         CREATE POLICY mine ON costsim_cost_records TO has_a_policy USING (tenant_id = 'acme');
         CREATE VIEW costs AS SELECT * FROM costsim_cost_records; GRANT SELECT ON costs TO has_nothing",
    )?;
    let told = Told::default();
    update_and_listen(&cluster, "hand", &told)?;
    let told = told.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.join("\n");
    assert!(told.ends_with(": by_hand, sees_one_column"), "{told}");
    let named = client.query(&query_of_the_manual()?, &[])?;
    let named: Vec<String> = named.iter().map(|row| row.get(0)).collect();
    assert_eq!(named, ["by_hand", "sees_one_column"]);
    for (role, rows) in [("by_hand", 0), ("backup", 1), ("has_a_policy", 1)] {
        let query = format!("SET ROLE {role}; SELECT * FROM costsim_cost_records");
        let found = client.simple_query(&query)?;
        let found =
            found.iter().filter(|message| matches!(message, postgres::SimpleQueryMessage::Row(_))).count();
        client.batch_execute("RESET ROLE")?;
        assert_eq!(found, rows, "{role}");
    }
    // A view of its owner's goes on.
    client.batch_execute("SET ROLE has_nothing")?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costs")?, 1);
    client.batch_execute(
        "RESET ROLE; SELECT costsim_grant('by_hand', 'reader'), costsim_grant('sees_one_column', 'reader')",
    )?;
    assert!(client.query(&query_of_the_manual()?, &[])?.is_empty(), "whoever was granted sees his rows");
    Ok(())
}
