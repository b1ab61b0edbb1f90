//! A database whose tables an application's ORM has made, adopted: old statements and new functions side by side on it, whatever happens meanwhile.

use anyhow::{Context, Result, bail, ensure};
use costsim_harness::{Cluster, Mode, Psql, wait_until};
use costsim_server_tests::{Application, LIMIT, Shared, Standby, crash, one, sqlstate_of, wait_for};
use postgres::{Client, SimpleQueryMessage};
use serde_json::{Value, json};
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

const TABLES: [&str; 5] = [
    "costsim_cb_state",
    "costsim_cb_incidents",
    "costsim_provenance",
    "costsim_alert_queue",
    "costsim_canary_reports",
];

/// What a call says of each table but its sample.
const SAID: &str = "SELECT coalesce(jsonb_agg(to_jsonb(a) - 'sample'), '[]') FROM costsim.costsim_adopt";

/// The application, and what it can be told.
struct Orm(Application);

impl Orm {
    fn start(cluster: &Cluster, database: &str, role: &str) -> Result<Self> {
        Ok(Self(Application::start("adopt_orm.py", cluster, database, role)?))
    }

    fn tell(&mut self, command: &Value) -> Result<Value> {
        self.0.tell(command)
    }

    fn sql(&mut self, statement: &str) -> Result<Value> {
        self.tell(&json!({"do": "sql", "statement": statement}))
    }

    /// A table as the ORM reads it.
    fn rows(&mut self, table: &str) -> Result<Vec<Value>> {
        let rows = self.tell(&json!({"do": "rows", "table": table}))?;
        rows.as_array().cloned().context("no rows")
    }

    fn all(&mut self) -> Result<Vec<Vec<Value>>> {
        TABLES.iter().map(|table| self.rows(table)).collect()
    }
}

/// A database without the extension, in which the role app has made its tables in schema public, and a superuser's session.
fn scene(cluster: &Cluster, database: &str) -> Result<(Orm, Client)> {
    let mut admin = cluster.connect("postgres")?;
    admin.batch_execute(&format!("CREATE DATABASE {database}"))?;
    let mut client = cluster.connect(database)?;
    client.batch_execute(&format!(
        "CREATE ROLE app_{database} LOGIN; GRANT CREATE ON SCHEMA public TO app_{database};
         CREATE ROLE reader_{database}; SET lock_timeout = '10 s'"
    ))?;
    let mut application = Orm::start(cluster, database, &format!("app_{database}"))?;
    application.tell(&json!({"do": "create_all"}))?;
    application.tell(&json!({"do": "seed"}))?;
    Ok((application, client))
}

fn shared() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().conf("autovacuum", "off").start())
}

fn install(client: &mut Client) -> Result<()> {
    Ok(client.batch_execute("CREATE SCHEMA costsim; CREATE EXTENSION costsim_pg SCHEMA costsim")?)
}

fn adopt(client: &mut Client, arguments: &str) -> Result<Value> {
    one(client, &format!("{SAID}({arguments}) a"))
}

/// A column of each of the five rows of an answer.
fn each(answer: &Value, column: &str) -> Vec<i64> {
    answer.as_array().into_iter().flatten().map(|row| row[column].as_i64().unwrap_or(-1)).collect()
}

fn without(mut answer: Value, column: &str) -> Value {
    for row in answer.as_array_mut().into_iter().flatten() {
        row.as_object_mut().map(|row| row.remove(column));
    }
    answer
}

#[test]
fn old_statements_and_new_functions_work_side_by_side_on_an_adopted_database() -> Result<()> {
    let cluster = shared()?;
    let (mut application, mut client) = scene(&cluster, "adopt_orm")?;
    let before = application.all()?;
    client.batch_execute("GRANT SELECT ON costsim_provenance TO reader_adopt_orm")?;
    install(&mut client)?;

    // A dry run answers what the run answers, and changes nothing.
    let dry = adopt(&mut client, "'public'")?;
    assert_eq!(each(&dry, "source_rows"), [2, 3, 21, 4, 3]);
    assert_eq!(each(&dry, "to_copy"), [2, 3, 21, 2, 3]);
    assert_eq!(each(&dry, "refused"), [0, 0, 0, 2, 0], "pending alerts are delivered from there");
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim.costsim_provenance")?, 0);
    let copied = adopt(&mut client, "'public', false")?;
    assert_eq!(each(&copied, "copied"), each(&dry, "to_copy"));
    assert_eq!(without(copied, "copied"), without(dry, "copied"));
    assert_eq!(application.all()?, before, "a copy changed the old tables");

    // Both go on, each on its own tables, and draw no id twice.
    let theirs = application.tell(&json!({"do": "write_provenance", "run_id": "after-copy"}))?;
    let ours: i64 =
        one(&mut client, "SELECT costsim.costsim_write_provenance('ours', v1_cost => 1, v2_cost => 2)")?;
    assert_eq!((theirs["id"].as_i64(), ours), (Some(22), 1_000_022));

    let dry = adopt(&mut client, "'public', mode => 'attach'")?;
    let attached = adopt(&mut client, "'public', false, 'attach'")?;
    assert_eq!(each(&attached, "copied"), [0, 0, 1, 2, 0]);
    assert_eq!(each(&attached, "copied"), each(&dry, "to_copy"));
    assert_eq!(without(attached, "copied"), without(dry, "copied"));
    let again = adopt(&mut client, "'public', false, 'attach'")?;
    assert!(again.as_array().into_iter().flatten().all(|row| row["problem"] == "is attached already"));

    // The application reads what it had, but for what had been left open, and what nobody is to be told of any more.
    for (table, before) in TABLES.iter().zip(&before) {
        let after = application.rows(table)?;
        for old in before {
            let new =
                after.iter().find(|row| row["id"] == old["id"]).with_context(|| format!("{table}: {old}"))?;
            if old["id"] == "inc-orphan" {
                assert_eq!((&new["resolved"], &new["resolved_by"]), (&json!(true), &json!("costsim_adopt")));
            } else if *table == "costsim_alert_queue" && old["id"] == 3 {
                assert_eq!(new["status"], "cancelled");
            } else {
                assert_eq!(new, old, "{table}");
            }
        }
    }
    application.tell(&json!({"do": "create_all"})).context("its start finds everything there")?;

    // It writes, the functions see it.
    let written = application.tell(&json!({"do": "write_provenance", "run_id": "through the view"}))?;
    assert_eq!(written["id"], 1_000_023);
    let query = "SELECT p.id FROM costsim.costsim_query_provenance(run_id => 'through the view') p";
    assert_eq!(json!(one::<i64>(&mut client, query)?), written["id"]);
    assert!(one::<bool>(
        &mut client,
        "SELECT bool_and(content_digest = costsim.costsim_provenance_digest(p)) FROM costsim.costsim_provenance p"
    )?);
    assert!(one::<bool>(&mut client, "SELECT costsim.costsim_is_open()")?, "it was open before");
    let disabled = "SELECT id FROM costsim.costsim_incidents()";
    assert_eq!(one::<String>(&mut client, disabled)?, "inc-open");
    assert_eq!(application.tell(&json!({"do": "enable", "name": "costsim_v2"}))?, "inc-open");
    assert!(!one::<bool>(&mut client, "SELECT costsim.costsim_is_open()")?);
    application.tell(&json!({"do": "open_incident", "name": "third", "incident_id": "inc-new"}))?;
    assert!(one::<bool>(&mut client, "SELECT costsim.costsim_is_open('third')")?);
    assert_eq!(
        one::<String>(&mut client, "SELECT id FROM costsim.costsim_incidents(name => 'third')")?,
        "inc-new"
    );
    assert_eq!(one::<i64>(&mut client, "SELECT pending FROM costsim.costsim_alert_queue_stats()")?, 2);
    assert_eq!(application.tell(&json!({"do": "deliver"}))?.as_array().map(Vec::len), Some(2));
    assert_eq!(one::<i64>(&mut client, "SELECT pending FROM costsim.costsim_alert_queue_stats()")?, 0);
    assert_eq!(application.tell(&json!({"do": "purge"}))?, 1);
    let report = application.tell(&json!({"do": "report", "run_id": "canary-new"}))?;
    let found = "SELECT id FROM costsim.costsim_canary_report('canary-new')";
    assert_eq!(json!(one::<i64>(&mut client, found)?), report);

    // The functions write, it sees it.
    for _ in 0..3 {
        client.batch_execute("SELECT costsim.costsim_report_drift(0.9)")?;
    }
    let states = application.rows("costsim_cb_state")?;
    let state = states.iter().find(|row| row["name"] == "costsim_v2").context("no state")?;
    assert_eq!(state["disabled"], true);
    let incidents = application.rows("costsim_cb_incidents")?;
    let incident = incidents.iter().find(|row| row["id"] == state["incident_id"]).context("no incident")?;
    assert_eq!((&incident["severity"], &incident["resolved"]), (&json!("P1"), &json!(false)));

    // In words of its own, by either name.
    for table in ["costsim_canary_reports", "public.costsim_canary_reports"] {
        let insert = format!(
            "INSERT INTO {table} (run_id, status) VALUES ('by hand', 'pass') ON CONFLICT (run_id) DO NOTHING RETURNING passed"
        );
        let first = table == "costsim_canary_reports";
        assert_eq!(application.sql(&insert)?, if first { json!([["True"]]) } else { json!([]) });
        assert_eq!(
            application.sql(&format!("UPDATE {table} SET total_samples = 5 WHERE run_id = 'by hand'"))?,
            1
        );
        assert_eq!(
            application
                .sql(&format!("SELECT total_samples FROM {table} WHERE run_id = 'by hand' FOR UPDATE"))?,
            json!([["5"]])
        );
    }
    assert_eq!(application.sql("DELETE FROM public.costsim_canary_reports WHERE run_id = 'by hand'")?, 1);
    // Its own old sequence is not there to give out ids that are ours.
    assert!(application.sql("SELECT nextval('costsim_provenance_id_seq')").is_err());

    // It has got no more rights than it had, and nobody else has lost any.
    assert!(application.sql("SELECT count(*) FROM costsim.costsim_provenance").is_err());
    client.batch_execute("SET ROLE reader_adopt_orm")?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM public.costsim_provenance")?, 24);
    assert_eq!(sqlstate_of(&mut client, "DELETE FROM public.costsim_provenance")?, "42501");
    assert_eq!(sqlstate_of(&mut client, "SELECT FROM public.costsim_cb_state")?, "42501");
    client.batch_execute("RESET ROLE")?;

    // Back, with all that was written meanwhile.
    let meanwhile = application.all()?;
    let undone: i64 = one(&mut client, "SELECT count(*) FROM costsim.costsim_unadopt('public')")?;
    assert_eq!(undone, 5);
    assert_eq!(application.all()?, meanwhile);
    let kind = "SELECT string_agg(DISTINCT relkind::text, '') FROM pg_class
                 WHERE relname LIKE 'costsim%' AND relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace";
    assert_eq!(one::<String>(&mut client, kind)?, "r");
    let next = application.tell(&json!({"do": "write_provenance", "run_id": "on its own again"}))?;
    assert_eq!(next["id"], 1_000_024);
    assert_eq!(sqlstate_of(&mut client, "SELECT costsim.costsim_unadopt('public')")?, "22023");
    // And once more.
    let attached = adopt(&mut client, "'public', false, 'attach'")?;
    assert_eq!(each(&attached, "copied"), [0, 0, 1, 0, 0]);
    assert_eq!(application.rows("costsim_provenance")?.len(), 25);
    Ok(())
}

#[test]
fn a_crash_in_the_middle_leaves_nothing_half_done() -> Result<()> {
    let cluster = Arc::new(Cluster::builder().start()?);
    let (mut application, mut client) = scene(&cluster, "adopt_crash")?;
    install(&mut client)?;
    let before = application.all()?;
    drop(application);
    let mut other = cluster.connect("adopt_crash")?;
    other.batch_execute("BEGIN; SELECT costsim.costsim_adopt('public', false, 'attach'); CHECKPOINT")?;
    assert_eq!(one::<i64>(&mut other, "SELECT count(*) FROM public.costsim_provenance")?, 21);
    crash(&cluster)?;
    cluster.restart(Mode::Immediate)?;
    let mut client = cluster.connect("adopt_crash")?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim.costsim_provenance")?, 0);
    let mut application = Orm::start(&cluster, "adopt_crash", "app_adopt_crash")?;
    assert_eq!(application.all()?, before);
    let attached = adopt(&mut client, "'public', false, 'attach'")?;
    assert_eq!(each(&attached, "copied"), [2, 3, 21, 4, 3]);
    Ok(())
}

#[test]
fn writers_wait_for_the_views_and_lose_no_row() -> Result<()> {
    let cluster = shared()?;
    let (mut application, mut client) = scene(&cluster, "adopt_wait")?;
    install(&mut client)?;
    let mut first = cluster.connect("adopt_wait")?;
    first.batch_execute("BEGIN; SELECT costsim.costsim_adopt('public', false, 'attach')")?;
    // An old statement, and somebody else who adopts.
    let mut writer = Psql::start(&cluster, "adopt_wait")?;
    writer.send("INSERT INTO public.costsim_provenance (run_id) VALUES ('waited') RETURNING id > 21")?;
    let mut second = Psql::start(&cluster, "adopt_wait")?;
    second.send(
        "SELECT string_agg(DISTINCT problem, ',') FROM costsim.costsim_adopt('public', false, 'attach')",
    )?;
    wait_until(LIMIT, "both to wait", || {
        let waiting: i64 = one(
            &mut client,
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )?;
        Ok((waiting == 2).then_some(()))
    })?;
    assert_eq!(
        sqlstate_of(
            &mut client,
            "SET lock_timeout = '50 ms'; SELECT costsim.costsim_adopt('public', false)"
        )?,
        "55P03"
    );
    first.batch_execute("COMMIT")?;
    assert_eq!(writer.answer()?, "t");
    assert_eq!(second.answer()?, "is attached already");
    assert_eq!(
        one::<i64>(&mut client, "SELECT count(*) FROM costsim.costsim_provenance WHERE run_id = 'waited'")?,
        1
    );
    assert_eq!(application.rows("costsim_provenance")?.len(), 22);
    Ok(())
}

/// A database with the extension in which a role owns two schemas: `app` with old tables of one row each, and `trap` with a function that makes the role a
/// superuser once a superuser calls it. Two sessions of superusers, and one of the role.
fn trap(cluster: &Cluster, database: &str) -> Result<(Client, Client, Psql)> {
    let mut admin = cluster.connect("postgres")?;
    admin.batch_execute(&format!("CREATE DATABASE {database}"))?;
    let mut client = cluster.connect(database)?;
    install(&mut client)?;
    client.batch_execute(&format!(
        "CREATE ROLE app_{database}; GRANT CREATE ON DATABASE {database} TO app_{database};
         SET SESSION AUTHORIZATION app_{database};
         CREATE SCHEMA app;
         CREATE TABLE app.costsim_cb_state (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, disabled boolean NOT NULL DEFAULT false);
         CREATE TABLE app.costsim_provenance (id bigserial PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now());
         CREATE TABLE app.costsim_canary_reports (
             id bigserial PRIMARY KEY, run_id text NOT NULL UNIQUE, \"timestamp\" timestamptz NOT NULL DEFAULT now(), status text NOT NULL, passed boolean NOT NULL);
         INSERT INTO app.costsim_cb_state (name) VALUES ('theirs');
         INSERT INTO app.costsim_provenance DEFAULT VALUES;
         INSERT INTO app.costsim_canary_reports (run_id, status, passed) VALUES ('theirs', 'pass', true);
         CREATE SCHEMA trap;
         CREATE FUNCTION trap.shut() RETURNS bigint LANGUAGE plpgsql AS $$
         BEGIN
             IF current_setting('is_superuser')::boolean THEN ALTER ROLE app_{database} SUPERUSER; END IF;
             RETURN 7;
         END $$;
         RESET SESSION AUTHORIZATION"
    ))?;
    let mut owner = Psql::start(cluster, database)?;
    owner.send(&format!("SET SESSION AUTHORIZATION app_{database}"))?;
    let other = cluster.connect(database)?;
    Ok((client, other, owner))
}

/// How many sessions of this database wait for a lock.
const WAITING: &str =
    "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";

const IS_SHUT: &str = "SELECT rolsuper FROM pg_roles WHERE rolname = 'app_' || current_database()";

#[test]
fn a_sequence_that_changes_places_with_a_view_is_not_read() -> Result<()> {
    let cluster = shared()?;
    let (mut client, mut other, mut owner) = trap(&cluster, "adopt_sequence")?;
    // Rows of ours that come at the same time are waited for, when the sequences are known.
    other.batch_execute("BEGIN; INSERT INTO costsim.costsim_cb_state (name) VALUES ('theirs')")?;
    let mut adopter = Psql::start(&cluster, "adopt_sequence")?;
    adopter.send("SELECT sum(copied) FROM costsim.costsim_adopt('app', false); SELECT 'refused'")?;
    wait_for(&mut client, "adoption to wait", &format!("SELECT {WAITING} = 1"))?;
    let swapped = owner.ask(
        "ALTER SEQUENCE app.costsim_provenance_id_seq RENAME TO gone;
         CREATE VIEW app.costsim_provenance_id_seq AS SELECT trap.shut() AS last_value;
         SELECT 'swapped'",
    )?;
    assert_eq!(swapped, "swapped");
    other.batch_execute("ROLLBACK")?;
    assert_eq!(adopter.answer()?, "3");
    assert!(!one::<bool>(&mut client, IS_SHUT)?, "the view was read");
    // Ours goes on where theirs was.
    assert_eq!(one::<i64>(&mut client, "SELECT nextval('costsim.costsim_provenance_id_seq')")?, 1_000_002);
    Ok(())
}

#[test]
fn a_schema_keeps_its_name_while_its_tables_are_looked_at() -> Result<()> {
    let cluster = shared()?;
    let (mut client, mut other, mut owner) = trap(&cluster, "adopt_schema")?;
    owner.send(
        "CREATE VIEW trap.costsim_canary_reports AS
         SELECT trap.shut() AS id, 'r'::text AS run_id, now() AS timestamp, 'pass'::text AS status, true AS passed",
    )?;
    assert_eq!(owner.ask("SELECT 'ready'")?, "ready");
    // Reports are judged with ours at hand, and then shown.
    other.batch_execute("BEGIN; LOCK TABLE costsim.costsim_canary_reports")?;
    let mut adopter = Psql::start(&cluster, "adopt_schema")?;
    adopter.send("SELECT sum(to_copy), string_agg(problem, ', ') FROM costsim.costsim_adopt('app') WHERE source_rows > 0; SELECT 'refused'")?;
    wait_for(&mut client, "the dry run to wait", &format!("SELECT {WAITING} = 1"))?;
    owner.send(
        "BEGIN; ALTER SCHEMA app RENAME TO gone; ALTER SCHEMA trap RENAME TO app; COMMIT; SELECT 'renamed'",
    )?;
    let met = format!("SELECT {WAITING} = 2 OR EXISTS (SELECT FROM pg_namespace WHERE nspname = 'gone')");
    wait_for(&mut client, "the schemas to be renamed, or not yet", &met)?;
    other.batch_execute("ROLLBACK")?;
    assert_eq!(adopter.answer()?, "3|");
    assert_eq!(owner.answer()?, "renamed", "a name is held until the transaction ends");
    assert!(!one::<bool>(&mut client, IS_SHUT)?, "a table of another schema was read");
    Ok(())
}

#[test]
fn schemas_keep_their_names_until_an_adoption_ends() -> Result<()> {
    let cluster = shared()?;
    let (mut client, mut other, _) = trap(&cluster, "adopt_names")?;
    client.batch_execute("SET lock_timeout = '50 ms'")?;
    let calls = [
        "costsim_adopt('app')",
        "costsim_adopt('app', false)",
        "costsim_adopt('app', false, 'attach')",
        "costsim_unadopt('app')",
    ];
    for call in calls {
        other.batch_execute(&format!("BEGIN; SELECT costsim.{call}"))?;
        for schema in ["app", "costsim"] {
            let rename = format!("ALTER SCHEMA {schema} RENAME TO other");
            assert_eq!(sqlstate_of(&mut client, &rename)?, "55P03", "{call}: {rename}");
        }
        // What leaves the name alone goes on.
        client.batch_execute("GRANT USAGE ON SCHEMA app TO app_adopt_names")?;
        other.batch_execute("COMMIT")?;
    }
    // One that is being renamed is waited for, and is then another.
    other.batch_execute("BEGIN; ALTER SCHEMA app RENAME TO other")?;
    assert_eq!(sqlstate_of(&mut client, "SELECT costsim.costsim_adopt('app')")?, "55P03");
    let mut waiting = Psql::start(&cluster, "adopt_names")?;
    waiting.send("SELECT costsim.costsim_adopt('app'); SELECT :'LAST_ERROR_SQLSTATE'")?;
    wait_for(&mut client, "adoption to wait for the name", &format!("SELECT {WAITING} = 1"))?;
    other.batch_execute("COMMIT")?;
    assert_eq!(waiting.answer()?, "55000");
    Ok(())
}

#[test]
fn a_standby_holds_no_name_and_adopts_nothing() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    drop(trap(&cluster, "adopt_standby")?);
    let standby = Standby::start(&cluster)?;
    standby.catch_up()?;
    let mut client = standby.connect("adopt_standby")?;
    for call in ["costsim_adopt('app')", "costsim_adopt('app', false)", "costsim_unadopt('app')"] {
        assert_eq!(sqlstate_of(&mut client, &format!("SELECT costsim.{call}"))?, "25006", "{call}");
    }
    Ok(())
}

#[test]
fn a_dry_run_answers_what_the_run_answers_whatever_the_rows_are() -> Result<()> {
    let cluster = shared()?;
    let mut client = cluster.create_database_with_extension("adopt_any")?;
    client.batch_execute(
        "SELECT costsim_configure_breaker('a');
         CREATE SCHEMA old;
         CREATE TABLE old.costsim_cb_state (id numeric(10), name text, disabled boolean, incident_id text, updated_at timestamptz, consecutive_failures bigint);
         ALTER TABLE old.costsim_cb_state ALTER id TYPE bigint;
         CREATE TABLE old.costsim_cb_incidents (id text, circuit_breaker_name text, \"timestamp\" timestamptz, reason text, severity text, drift_score numeric, resolved boolean);
         CREATE TABLE old.costsim_provenance (id bigint, tenant_id text, v1_cost numeric, v2_cost real, payload text, runtime_ms bigint, created_at timestamp);
         CREATE TABLE old.costsim_alert_queue (id bigint, payload json, status varchar(9), created_at timestamptz, attempts integer);
         CREATE TABLE old.costsim_canary_reports (id integer, run_id text, \"timestamp\" timestamptz, status text, passed boolean)",
    )?;
    let rounds: u32 = std::env::var("COSTSIM_ADOPT_ROUNDS").ok().map_or(Ok(12), |rounds| rounds.parse())?;
    let (mut copied, mut refused, mut already) = ([0; 5], 0, 0);
    for round in 0..rounds {
        client.batch_execute(&format!(
            "SELECT setseed({});
             CREATE OR REPLACE FUNCTION pg_temp.one_of(VARIADIC anycompatiblearray) RETURNS anycompatible LANGUAGE sql VOLATILE AS
                 'SELECT $1[1 + floor(random() * array_length($1, 1))::int]';
             CREATE OR REPLACE FUNCTION pg_temp.at() RETURNS timestamptz LANGUAGE sql VOLATILE AS
                 $$SELECT pg_temp.one_of(NULL, 'infinity'::timestamptz, now(), now() - interval '1 minute', now() - interval '1 year', '2025-01-01'::timestamptz)$$;
             INSERT INTO old.costsim_cb_state SELECT floor(random() * 20), pg_temp.one_of('a'::text, 'b', 'c', 'd' || n, NULL), pg_temp.one_of(true, true, false, NULL),
                    pg_temp.one_of('i1'::text, 'i2', 'i' || n, NULL), pg_temp.at(), pg_temp.one_of(0::bigint, 3, 3000000000) FROM generate_series(1, 4) n;
             INSERT INTO old.costsim_cb_incidents SELECT 'i' || floor(random() * 40), pg_temp.one_of('a'::text, 'b', 'c', 'd', NULL), pg_temp.at(), pg_temp.one_of('r'::text, 's', 't', NULL), 'P1',
                    pg_temp.one_of(0.5::numeric, 'NaN', 'Infinity', 1e300, 1e309, 1e-400, NULL), pg_temp.one_of(true, false) FROM generate_series(1, 8) n;
             INSERT INTO old.costsim_provenance SELECT floor(random() * 200), pg_temp.one_of('t'::text, '', NULL, repeat('x', 2700)), pg_temp.one_of(1::numeric, 2, 3, 'NaN', -1e309, NULL), 2,
                    pg_temp.one_of('{{}}'::text, '[1]', '{{\"b\": 1.50}}', 'null', '{{\"a\": 1e999999}}', '\"\\u0000\"', 'no', NULL, repeat('[', 20000)), pg_temp.one_of(1::bigint, 2, 3, 2147483648), pg_temp.at() FROM generate_series(1, 30) n;
             INSERT INTO old.costsim_alert_queue SELECT floor(random() * 60), pg_temp.one_of('[]'::json, '\"\\u0000\"', NULL), pg_temp.one_of('pending'::text, 'sent', 'failed', 'lost', NULL),
                    pg_temp.at(), pg_temp.one_of(0, 1, 2, NULL) FROM generate_series(1, 15) n;
             INSERT INTO old.costsim_canary_reports SELECT floor(random() * 60), 'r' || floor(random() * 60), pg_temp.at(), pg_temp.one_of('pass'::text, 'fail', 'green'),
                    pg_temp.one_of(true, true, NULL) FROM generate_series(1, 12) n;
             -- What is ours already may be in the way.
             INSERT INTO costsim_provenance (id) VALUES (300 + {round}), ({round}) ON CONFLICT DO NOTHING;
             SELECT costsim_disable_v2('why', 'who', name => 'a'), costsim_fire_alert('{{\"alertname\": \"A{round}\"}}')",
            f64::from(round) / f64::from(rounds)
        ))?;
        let said = "SELECT coalesce(jsonb_agg(to_jsonb(a)), '[]') FROM costsim_adopt";
        // In one transaction, for the time of the server is in what both show.
        client.batch_execute("BEGIN")?;
        let dry: Value = one(&mut client, &format!("{said}('old') a"))?;
        let run: Value = one(&mut client, &format!("{said}('old', false) a"))?;
        client.batch_execute("COMMIT")?;
        assert_eq!(each(&run, "copied"), each(&dry, "to_copy"), "round {round}");
        assert_eq!(without(run, "copied"), without(dry.clone(), "copied"), "round {round}");
        let again: Value = one(&mut client, &format!("{said}('old', false) a"))?;
        assert_eq!(each(&again, "to_copy"), [0; 5], "round {round}: {again}");
        assert_eq!(each(&again, "source_rows"), each(&dry, "source_rows"));
        copied.iter_mut().zip(each(&dry, "to_copy")).for_each(|(all, one)| *all += one);
        refused += each(&dry, "refused").iter().sum::<i64>();
        already += each(&again, "already").iter().sum::<i64>();
        let open = "SELECT count(*) FROM (SELECT FROM costsim_cb_incidents WHERE NOT resolved GROUP BY circuit_breaker_name HAVING count(*) > 1) i";
        assert_eq!(one::<i64>(&mut client, open)?, 0);
    }
    println!("{rounds} rounds: {copied:?} copied, {refused} times refused, {already} times already there");
    ensure!(
        !copied.contains(&0) && refused > 100 && already > 100,
        "too tame: {copied:?} {refused} {already}"
    );
    Ok(())
}

/// The blocks of the page, in order.
fn blocks(markdown: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in markdown.lines() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(kind) => {
                open = true;
                blocks.push((kind.trim().to_owned(), String::new()));
            }
            None if open => {
                if let Some((_, text)) = blocks.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
            None => {}
        }
    }
    blocks
}

#[test]
fn every_command_of_the_page_on_adopting_runs_and_answers_what_it_shows() -> Result<()> {
    let cluster = shared()?;
    let (mut application, mut client) = scene(&cluster, "adopt_page")?;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/adopting.md"))?;
    client.batch_execute("ALTER ROLE app_adopt_page RENAME TO app; SET SESSION AUTHORIZATION postgres")?;
    let (mut commands, mut answers) = (0, 0);
    let mut last = String::new();
    for (kind, text) in blocks(&page) {
        match kind.as_str() {
            "sql adopting" => {
                let messages = client.simple_query(&text).with_context(|| text.clone())?;
                last = shown(&messages);
                commands += 1;
            }
            "text adopting answer" => {
                assert_eq!(last, text.trim_end(), "the answer in docs/adopting.md");
                answers += 1;
            }
            other => bail!("docs/adopting.md has a block that nobody tries: {other}"),
        }
    }
    ensure!(commands >= 8 && answers >= 3, "{commands} commands, {answers} answers");
    drop(application.sql("SELECT 1"));
    Ok(())
}

/// Rows as psql shows them without alignment.
fn shown(messages: &[SimpleQueryMessage]) -> String {
    let mut lines = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                lines.clear();
                lines.push(columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(" | "));
            }
            SimpleQueryMessage::Row(row) => {
                let values: Vec<_> = (0..row.len()).map(|nth| row.get(nth).unwrap_or_default()).collect();
                lines.push(values.join(" | ").trim_end().to_owned());
            }
            _ => {}
        }
    }
    lines.join("\n")
}
