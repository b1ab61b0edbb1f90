//! Runs are read out of an application's own table as it is, by the rights of whoever asks, wherever table and extension go.

use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, Psql};
use costsim_server_tests::{Shared, one, run_tool, sqlstate_of, wait_for};
use postgres::Client;

static CLUSTER: Shared<Cluster> = Shared::new();

/// A table as an application has it: other names, other words, ids of varchar, times without a zone.
const JOBS: &str = "
    CREATE TABLE jobs (
        job varchar(36) NOT NULL, client varchar(64) NOT NULL, kind varchar(64) NOT NULL, state varchar(20) NOT NULL, message varchar(2000),
        price real, made timestamp without time zone NOT NULL, done timestamp without time zone, PRIMARY KEY (client, job));
    CREATE INDEX jobs_made ON jobs (client, made);
    INSERT INTO jobs
    SELECT 'job-' || i, CASE i % 2 WHEN 0 THEN 'acme' ELSE 'globex' END, 'kind-' || i % 3, (ARRAY['waiting', 'succeeded', 'error', 'lost'])[i % 4 + 1],
           CASE WHEN i % 4 >= 2 THEN 'no route to host 10.0.0.' || i END, i * 0.5, TIMESTAMP '2025-06-01 12:00' + i * INTERVAL '1 minute', NULL
      FROM generate_series(1, 40) i;";

const USE: &str = r#"SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client", "worker_id": "kind", "status": "state", "error": "message",
    "cost_cents": "price", "created_at": "made", "finished_at": "done", "time_zone": "Europe/Berlin",
    "status_values": {"waiting": "queued", "succeeded": "completed", "error": "failed", "lost": "crashed"}}')"#;

/// What is read, in one line.
const READ: &str =
    "SELECT string_agg(r::text, E'\\n' ORDER BY r.tenant_id, r.id) FROM costsim_application_runs r";

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().start())
}

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension(name)?;
    client.batch_execute(JOBS)?;
    client.batch_execute(USE)?;
    Ok((cluster, client))
}

#[test]
fn applications_own_table_is_read_as_it_is() -> Result<()> {
    let (_cluster, mut client) = database("own_table")?;
    client.batch_execute("SET timezone = 'Asia/Tokyo'")?;
    let different = "
        SELECT count(*) FROM costsim_application_runs r
          FULL JOIN (SELECT j.*, j.made AT TIME ZONE 'Europe/Berlin' AS at, (array_position(ARRAY['waiting', 'succeeded', 'error', 'lost'], j.state::text)) AS nth
                       FROM jobs j) j
            ON j.client = r.tenant_id AND j.job = r.id
         WHERE (r.worker_id, r.status, r.error, r.cost_cents, r.created_at)
               IS DISTINCT FROM (j.kind::text, (ARRAY['queued', 'completed', 'failed', 'crashed'])[j.nth], j.message::text, j.price::numeric, j.at)";
    assert_eq!(one::<i64>(&mut client, different)?, 0);
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_application_runs")?, 40);
    let kinds = "SELECT string_agg(format_type(atttypid, atttypmod), ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = ";
    let ours = format!("{kinds} 'costsim_worker_runs'::regclass AND attnum > 0").replace("atttypmod", "-1");
    let theirs = format!("{kinds} 'costsim_application_runs'::regclass AND attnum > 0");
    let (ours, theirs): (String, String) = (one(&mut client, &ours)?, one(&mut client, &theirs)?);
    assert_eq!(theirs, ours, "the columns have the types of ours");
    // What is committed there is read at once.
    client.batch_execute("UPDATE jobs SET state = 'succeeded'; DELETE FROM jobs WHERE client = 'acme'")?;
    let all = "SELECT count(*) = 20 AND bool_and(status = 'completed') FROM costsim_application_runs";
    assert!(one::<bool>(&mut client, all)?);
    Ok(())
}

#[test]
fn rights_and_row_security_of_the_table_are_those_of_whoever_asks() -> Result<()> {
    let (cluster, mut client) = database("rights")?;
    client.batch_execute(
        "CREATE ROLE reads_nothing LOGIN; CREATE ROLE reads_acme LOGIN; CREATE ROLE owns_jobs LOGIN;
         ALTER TABLE jobs OWNER TO owns_jobs; ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON jobs USING (client = 'acme');
         GRANT SELECT ON jobs TO reads_acme",
    )?;
    let connect = |user: &str| cluster.config("rights").user(user).connect(postgres::NoTls);
    let mut nothing = connect("reads_nothing")?;
    assert_eq!(sqlstate_of(&mut nothing, "SELECT FROM costsim_application_runs")?, "42501");
    let mut acme = connect("reads_acme")?;
    let tenants = "SELECT string_agg(DISTINCT tenant_id, ' ') || count(*) FROM costsim_application_runs";
    assert_eq!(one::<String>(&mut acme, tenants)?, "acme20");
    assert_eq!(one::<String>(&mut client, tenants)?, "acme globex40", "a superuser passes row security");
    // Columns count as well: the view needs them all.
    client.batch_execute(
        "REVOKE SELECT ON jobs FROM reads_acme; GRANT SELECT (client, job) ON jobs TO reads_acme",
    )?;
    assert_eq!(sqlstate_of(&mut acme, "SELECT status FROM costsim_application_runs")?, "42501");
    // Nobody but the extension's owner says where runs are read, not even the table's owner.
    client.batch_execute("GRANT EXECUTE ON FUNCTION costsim_use_runs(regclass, jsonb) TO owns_jobs")?;
    let mut owner = connect("owns_jobs")?;
    assert_eq!(sqlstate_of(&mut owner, USE)?, "42501");
    assert_eq!(sqlstate_of(&mut owner, "SELECT costsim_use_runs(NULL)")?, "42501");
    assert_eq!(sqlstate_of(&mut owner, "DROP VIEW costsim_application_runs")?, "42501");
    Ok(())
}

#[test]
fn patterns_are_found_in_the_applications_own_table_by_the_rights_of_whoever_asks() -> Result<()> {
    let (cluster, mut client) = database("found_there")?;
    client.batch_execute(
        "CREATE ROLE finds LOGIN; SELECT costsim_grant('finds', 'app');
         ALTER TABLE jobs ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON jobs USING (client = 'acme')",
    )?;
    let find = "SELECT coalesce(string_agg(tenant_id || ' ' || occurrence_count, ', ' ORDER BY tenant_id), 'nothing')
                  FROM costsim_detect_patterns(NULL, as_of => '2025-06-02 00:00+00')";
    let mut finder = cluster.config("found_there").user("finds").connect(postgres::NoTls)?;
    assert_eq!(sqlstate_of(&mut finder, find)?, "42501", "the table is not this role's to read");
    client.batch_execute("GRANT SELECT ON jobs TO finds")?;
    assert_eq!(one::<String>(&mut finder, find)?, "acme 10");
    assert_eq!(one::<String>(&mut client, find)?, "acme 10, globex 10");
    // Ours is another table.
    client.batch_execute("SELECT costsim_use_runs(NULL)")?;
    assert_eq!(one::<String>(&mut client, find)?, "nothing");
    client.batch_execute("GRANT CREATE ON SCHEMA public TO finds")?;
    finder.batch_execute("CREATE VIEW costsim_application_runs AS SELECT * FROM costsim_pattern_feedback")?;
    assert_eq!(sqlstate_of(&mut client, find)?, "42501", "a planted view is refused");
    Ok(())
}

#[test]
fn dump_and_restore_bring_the_view_along() -> Result<()> {
    let (cluster, mut before) = database("dumped_runs")?;
    before.batch_execute("CREATE ROLE reads_a_copy LOGIN; GRANT SELECT ON jobs TO reads_a_copy")?;
    let folder = cluster.socket_dir().to_str().context("a folder whose name is no text")?;
    let file = format!("{folder}/dumped_runs.dump");
    let source = cluster.conn_string("dumped_runs");
    run_tool(&cluster, "pg_dump", ["--format=custom", "--no-sync", "--file", &file, "--dbname", &source])?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE restored_runs")?;
    let target = cluster.conn_string("restored_runs");
    run_tool(&cluster, "pg_restore", ["--exit-on-error", "--dbname", &target, &file])?;
    let mut after = cluster.connect("restored_runs")?;
    for question in [
        READ,
        "SELECT s::text FROM costsim_run_source() s",
        "SELECT reloptions::text FROM pg_class WHERE oid = 'costsim_application_runs'::regclass",
    ] {
        assert_eq!(one::<String>(&mut after, question)?, one::<String>(&mut before, question)?);
    }
    let mut reader = cluster.config("restored_runs").user("reads_a_copy").connect(postgres::NoTls)?;
    assert_eq!(one::<String>(&mut reader, READ)?, one::<String>(&mut before, READ)?);
    // It is ours to make anew there.
    after.batch_execute(USE)?;
    after.batch_execute("SELECT costsim_use_runs(NULL)")?;
    assert!(one::<bool>(&mut after, "SELECT is_ours FROM costsim_run_source()")?);
    Ok(())
}

#[test]
fn dropped_table_takes_the_view_along_and_runs_are_ours_again() -> Result<()> {
    let (_cluster, mut client) = database("dropped_jobs")?;
    assert_eq!(sqlstate_of(&mut client, "DROP TABLE jobs")?, "2BP01");
    assert_eq!(sqlstate_of(&mut client, "ALTER TABLE jobs DROP COLUMN price")?, "2BP01");
    // A column may change its name; the view goes on reading it.
    client.batch_execute("ALTER TABLE jobs RENAME COLUMN state TO condition")?;
    assert!(one::<bool>(&mut client, "SELECT bool_or(status = 'failed') FROM costsim_application_runs")?);
    client.batch_execute("DROP TABLE jobs CASCADE")?;
    let ours = "SELECT is_ours AND source = 'costsim_worker_runs'::regclass FROM costsim_run_source()";
    assert!(one::<bool>(&mut client, ours)?);
    client.batch_execute(JOBS)?;
    client.batch_execute(USE)?;
    assert!(!one::<bool>(&mut client, "SELECT is_ours FROM costsim_run_source()")?);
    Ok(())
}

#[test]
fn view_that_somebody_else_has_planted_is_refused() -> Result<()> {
    let (cluster, mut client) = database("planted")?;
    client.batch_execute(
        "SELECT costsim_use_runs(NULL);
         CREATE ROLE plants LOGIN; GRANT CREATE ON SCHEMA public TO plants",
    )?;
    let mut planter = cluster.config("planted").user("plants").connect(postgres::NoTls)?;
    for planted in
        ["VIEW costsim_application_runs AS SELECT 1 AS id", "TABLE costsim_application_runs (id text)"]
    {
        planter.batch_execute(&format!("CREATE {planted}"))?;
        let error = client.batch_execute(USE).err().context("a planted view was taken")?;
        let error = error.as_db_error().context("no error of the server")?;
        assert_eq!(error.code().code(), "42501");
        assert!(error.hint().is_some());
        assert_eq!(sqlstate_of(&mut client, "SELECT costsim_use_runs(NULL)")?, "42501");
        let kind = planted.split(' ').next().unwrap_or_default();
        client.batch_execute(&format!("DROP {kind} costsim_application_runs"))?;
    }
    client.batch_execute(USE)?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_application_runs")?, 40);
    Ok(())
}

#[test]
fn the_source_is_what_was_looked_at_until_the_view_is_made() -> Result<()> {
    let (cluster, mut client) = database("held_source")?;
    client.batch_execute("CREATE TABLE late (LIKE jobs INCLUDING INDEXES)")?;
    // Whoever reads is waited for, when the source has been looked at.
    let mut reader = cluster.connect("held_source")?;
    reader.batch_execute("BEGIN; SELECT FROM costsim_application_runs")?;
    let mut maker = Psql::start(&cluster, "held_source")?;
    maker
        .send(&USE.replace("SELECT costsim_use_runs('jobs'", "SELECT 'made' FROM costsim_use_runs('late'"))?;
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'costsim_application_runs'::regclass)";
    wait_for(&mut client, "the old view to be waited for", waits)?;
    client.batch_execute("SET lock_timeout = '50 ms'")?;
    for change in ["ALTER TABLE late RENAME TO gone", "ALTER SCHEMA public RENAME TO gone"] {
        assert_eq!(sqlstate_of(&mut client, change)?, "55P03", "{change}");
    }
    reader.batch_execute("COMMIT")?;
    assert_eq!(maker.answer()?, "made");
    Ok(())
}

#[test]
fn extension_and_view_move_to_another_name_of_their_schema() -> Result<()> {
    let cluster = cluster()?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE renamed_runs")?;
    let mut client = cluster.connect("renamed_runs")?;
    client.batch_execute(
        r#"CREATE SCHEMA "it's here"; CREATE EXTENSION costsim_pg SCHEMA "it's here"; SET search_path = "it's here", public"#,
    )?;
    client.batch_execute(&JOBS.replace("jobs", "public.jobs").replace("INDEX public.", "INDEX "))?;
    client.batch_execute(USE)?;
    let before: String = one(&mut client, READ)?;
    client.batch_execute(
        r#"ALTER SCHEMA "it's here" RENAME TO elsewhere; SET search_path = elsewhere, public"#,
    )?;
    assert_eq!(one::<String>(&mut client, READ)?, before);
    assert!(!one::<bool>(&mut client, "SELECT is_ours FROM costsim_run_source()")?);
    client.batch_execute(USE)?;
    assert_eq!(one::<String>(&mut client, READ)?, before);
    client.batch_execute("SELECT costsim_use_runs(NULL)")?;
    assert!(one::<bool>(&mut client, "SELECT to_regclass('elsewhere.costsim_application_runs') IS NULL")?);
    assert!(one::<bool>(&mut client, "SELECT is_changed FROM costsim_record_run('acme', 'w', 'failed')")?);
    Ok(())
}

/// Each of them finds a view, or none, and no reader finds half of one.
#[test]
fn source_may_be_changed_by_many_at_once_while_others_read() -> Result<()> {
    let (cluster, mut client) = database("many_sources")?;
    client.batch_execute("CREATE TABLE more AS TABLE jobs; CREATE INDEX ON more (client)")?;
    thread::scope(|scope| {
        let changers = (0..3).map(|nth| {
            let cluster = &cluster;
            scope.spawn(move || -> Result<()> {
                let mut client = cluster.connect("many_sources")?;
                for round in 0..20 {
                    let table = if (round + nth) % 2 == 0 { "'jobs'" } else { "'more'" };
                    client.batch_execute(&USE.replace("'jobs'", table))?;
                }
                Ok(())
            })
        });
        let changers: Vec<_> = changers.collect();
        let mut reader = cluster.connect("many_sources")?;
        let mut looks = 0;
        while looks == 0 || changers.iter().any(|changer| !changer.is_finished()) {
            let runs: i64 = one(&mut reader, "SELECT count(*) FROM costsim_application_runs")?;
            ensure!(runs == 40, "{runs} runs");
            looks += 1;
        }
        changers
            .into_iter()
            .try_for_each(|changer| changer.join().map_err(|_| anyhow::anyhow!("a session panicked"))?)
    })
}

/// Of any number of ends told of one run at once, one is written, and every other caller hears that nothing has changed.
#[test]
fn run_that_is_told_of_by_many_at_once_ends_once() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("told_at_once")?;
    let changed: i64 = thread::scope(|scope| {
        let tellers: Vec<_> = (0..4)
            .map(|nth| {
                let cluster = &cluster;
                scope.spawn(move || -> Result<i64> {
                    let mut client = cluster.connect("told_at_once")?;
                    let status = ["completed", "failed", "crashed", "failed"][nth];
                    let mut changed = 0;
                    for run in 0..100 {
                        let told = format!("SELECT is_changed FROM costsim_record_run('acme', 'w{nth}', '{status}', run_id => 'r{run}')");
                        changed += i64::from(one::<bool>(&mut client, &told)?);
                    }
                    Ok(changed)
                })
            })
            .collect();
        tellers
            .into_iter()
            .map(|teller| teller.join().map_err(|_| anyhow::anyhow!("a session panicked"))?)
            .sum::<Result<i64>>()
    })?;
    assert_eq!(changed, 100);
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_worker_runs")?, 100);
    Ok(())
}
