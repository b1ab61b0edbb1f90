//! The record of coordination under attack: by the owner of the tables and by a superuser, through whatever SQL there is but the extension's own
//! triggers, functions and views, which they could take away. What stood before stands after, to the last byte.

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, one, sqlstate_of};
use postgres::Client;
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().conf("max_prepared_transactions", "5").start())
}

/// Records that stand, one of long ago among them, and one purge.
const FILL: &str = "
    SELECT costsim_persist_audit_record(NULL, 'old', 'cost', 'applied', 'purged', now() - interval '1 year');
    SELECT costsim_persist_audit_record('00000000-0000-4000-8000-00000000000' || n, 'e' || n, 'safety', 'applied', 'because ' || n,
                                        now() - n * interval '1 day', 'c' || n, 'p' || n, n, 't' || n) FROM generate_series(1, 4) n";

/// A database whose tables of the record are `owner`'s.
fn prepared(name: &str, owner: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension(name)?;
    client.batch_execute(FILL)?;
    client.batch_execute("SELECT costsim_purge_audit('0', 1, 'me', 'a test')")?;
    if owner != "postgres" {
        client.batch_execute(&format!(
            "CREATE ROLE {owner}; GRANT ALL ON SCHEMA public TO {owner};
             ALTER TABLE costsim_audit_records OWNER TO {owner}; ALTER TABLE costsim_audit_purges OWNER TO {owner};
             ALTER TABLE costsim_audit_failures OWNER TO {owner}; ALTER VIEW costsim_audit OWNER TO {owner};
             GRANT EXECUTE ON FUNCTION
                 costsim_audit_purge_digest(timestamptz, text, text, text, timestamptz, bigint, timestamptz, timestamptz, text),
                 costsim_audit_digest(uuid, text, text, text, text, timestamptz, timestamptz, text, text, integer, text, text),
                 costsim_purge_audit(interval, bigint, text, text),
                 costsim_persist_audit_record(text, text, text, text, text, timestamptz, text, text, integer, text, boolean),
                 costsim_replay_audit_failures(bigint),
                 costsim_query_audit(text, text, text, text, timestamptz, timestamptz, integer, timestamptz, uuid) TO {owner}"
        ))?;
    }
    client.batch_execute(&format!("SET SESSION AUTHORIZATION {owner}"))?;
    Ok((cluster, client))
}

/// Everything that must stay: through a superuser's session, by the columns' places.
fn what_stands(client: &mut Client) -> Result<String> {
    one(
        client,
        "SELECT jsonb_build_array((SELECT jsonb_agg(r ORDER BY audit_id) FROM ONLY costsim_audit_records r),
                                  (SELECT jsonb_agg(p ORDER BY id) FROM ONLY costsim_audit_purges p))::text",
    )
}

/// Statements that must be refused, each by itself, and how.
const REFUSED: &[(&str, &str)] = &[
    ("55000", "UPDATE costsim_audit_records SET reason = 'forged'"),
    ("55000", "UPDATE ONLY costsim_audit_records SET reason = reason"),
    ("55000", "UPDATE costsim_audit_records SET reason = 'forged' WHERE false"),
    ("55000", "DELETE FROM costsim_audit_records"),
    ("55000", "DELETE FROM ONLY costsim_audit_records WHERE audit_id = '00000000-0000-4000-8000-000000000001'"),
    ("55000", "TRUNCATE costsim_audit_records"),
    ("55000", "TRUNCATE ONLY costsim_audit_records RESTART IDENTITY CASCADE"),
    ("55000", "TRUNCATE costsim_audit_failures, costsim_audit_records"),
    ("55000", "UPDATE costsim_audit_purges SET rows = 7"),
    ("55000", "DELETE FROM costsim_audit_purges"),
    ("55000", "TRUNCATE costsim_audit_purges CASCADE"),
    ("55000", "WITH gone AS (DELETE FROM costsim_audit_records RETURNING *) SELECT count(*) FROM gone"),
    ("55000", "WITH forged AS (UPDATE costsim_audit_records SET reason = 'forged' RETURNING 1) SELECT count(*) FROM forged"),
    ("55000", "MERGE INTO costsim_audit_records r USING (VALUES (1)) v ON r.envelope_id = 'e1' WHEN MATCHED THEN UPDATE SET reason = 'forged'"),
    ("55000", "MERGE INTO costsim_audit_records r USING (VALUES (1)) v ON r.envelope_id = 'e1' WHEN MATCHED THEN DELETE"),
    (
        "55000",
        "INSERT INTO costsim_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
         VALUES ('00000000-0000-4000-8000-000000000001', 'e1', 'COST', 'APPLIED', 'x', now()) ON CONFLICT (audit_id) DO UPDATE SET reason = 'forged'",
    ),
    ("55000", "UPDATE costsim_audit SET reason = 'forged'"),
    ("55000", "DELETE FROM costsim_audit"),
    ("55000", "BEGIN; DECLARE c CURSOR FOR SELECT * FROM costsim_audit_records FOR UPDATE; FETCH c; UPDATE costsim_audit_records SET reason = 'forged' WHERE CURRENT OF c"),
    ("55000", "BEGIN; DECLARE c CURSOR FOR SELECT * FROM costsim_audit_records FOR UPDATE; FETCH c; DELETE FROM costsim_audit_records WHERE CURRENT OF c"),
    ("55000", "BEGIN; CREATE VIEW mine AS SELECT * FROM costsim_audit_records; UPDATE mine SET reason = 'forged'"),
    ("55000", "BEGIN; CREATE VIEW mine AS SELECT * FROM costsim_audit_records; DELETE FROM mine"),
    (
        "55000",
        "BEGIN; CREATE TABLE other (id integer); CREATE RULE rides AS ON INSERT TO other DO ALSO DELETE FROM costsim_audit_records; INSERT INTO other VALUES (1)",
    ),
    (
        "55000",
        "BEGIN; CREATE TABLE other (id integer); CREATE RULE rides AS ON UPDATE TO other DO INSTEAD UPDATE costsim_audit_records SET reason = 'forged';
         INSERT INTO other VALUES (1); UPDATE other SET id = 2",
    ),
    // A rule in place of ours does nothing, or what is refused.
    ("55000", "BEGIN; CREATE RULE rides AS ON DELETE TO costsim_audit_records DO ALSO UPDATE costsim_audit_records SET reason = 'forged'; DELETE FROM costsim_audit_records"),
    ("55000", "BEGIN; CREATE TABLE refers (id uuid REFERENCES costsim_audit_records); TRUNCATE costsim_audit_records CASCADE"),
    (
        "55000",
        "BEGIN; CREATE TABLE tenants (id text PRIMARY KEY); INSERT INTO tenants SELECT tenant_id FROM costsim_audit_records;
         ALTER TABLE costsim_audit_records ADD FOREIGN KEY (tenant_id) REFERENCES tenants ON DELETE CASCADE; DELETE FROM tenants",
    ),
    (
        "55000",
        "BEGIN; CREATE TABLE tenants (id text PRIMARY KEY); INSERT INTO tenants SELECT tenant_id FROM costsim_audit_records;
         ALTER TABLE costsim_audit_records ADD FOREIGN KEY (tenant_id) REFERENCES tenants ON DELETE SET NULL; DELETE FROM tenants",
    ),
    (
        "55000",
        "BEGIN; CREATE TABLE tenants (id text PRIMARY KEY); INSERT INTO tenants SELECT tenant_id FROM costsim_audit_records;
         ALTER TABLE costsim_audit_records ADD FOREIGN KEY (tenant_id) REFERENCES tenants ON UPDATE CASCADE; UPDATE tenants SET id = 'forged' || id",
    ),
    ("0A000", "BEGIN; CREATE TABLE above (LIKE costsim_audit_records INCLUDING CONSTRAINTS); ALTER TABLE costsim_audit_records INHERIT above; UPDATE above SET reason = 'forged'"),
    ("0A000", "BEGIN; CREATE TABLE above (LIKE costsim_audit_records INCLUDING CONSTRAINTS); ALTER TABLE costsim_audit_records INHERIT above; DELETE FROM above"),
    ("0A000", "BEGIN; CREATE TABLE above (LIKE costsim_audit_records INCLUDING CONSTRAINTS); ALTER TABLE costsim_audit_records INHERIT above; TRUNCATE above"),
    (
        "0A000",
        "BEGIN; CREATE TABLE above (LIKE costsim_audit_records INCLUDING CONSTRAINTS) PARTITION BY LIST (decision);
         ALTER TABLE above ATTACH PARTITION costsim_audit_records DEFAULT; UPDATE above SET reason = 'forged'",
    ),
    (
        "0A000",
        "BEGIN; CREATE TABLE above (LIKE costsim_audit_records INCLUDING CONSTRAINTS) PARTITION BY LIST (decision);
         ALTER TABLE above ATTACH PARTITION costsim_audit_records DEFAULT; CREATE TABLE beside PARTITION OF above FOR VALUES IN ('REVERTED');
         UPDATE above SET decision = 'REVERTED'",
    ),
    (
        "0A000",
        "BEGIN; CREATE TABLE above (LIKE costsim_audit_records INCLUDING CONSTRAINTS) PARTITION BY LIST (decision);
         ALTER TABLE above ATTACH PARTITION costsim_audit_records DEFAULT; TRUNCATE above",
    ),
    (
        "0A000",
        "BEGIN; CREATE TABLE above (LIKE costsim_audit_records INCLUDING CONSTRAINTS) PARTITION BY LIST (decision);
         ALTER TABLE above ATTACH PARTITION costsim_audit_records DEFAULT; DROP TABLE above",
    ),
    // Nor is it dropped with a table of somebody's.
    ("0A000", "BEGIN; CREATE TABLE above (LIKE costsim_audit_records); ALTER TABLE costsim_audit_records INHERIT above; DROP TABLE above CASCADE"),
    ("0A000", "BEGIN; CREATE TABLE above (LIKE costsim_audit_purges); ALTER TABLE costsim_audit_purges INHERIT above; DROP TABLE above CASCADE"),
    (
        "0A000",
        "BEGIN; CREATE TABLE above (LIKE costsim_audit_purges INCLUDING CONSTRAINTS) PARTITION BY LIST (rows);
         ALTER TABLE above ATTACH PARTITION costsim_audit_purges DEFAULT; DROP TABLE above CASCADE",
    ),
    ("55000", "PREPARE forge AS UPDATE costsim_audit_records SET reason = $1; EXECUTE forge ('forged')"),
    ("55000", "DO $$ BEGIN EXECUTE 'DELETE FROM costsim_audit_records'; END $$"),
    ("55000", "BEGIN ISOLATION LEVEL SERIALIZABLE; DELETE FROM costsim_audit_records"),
    ("0A000", "ALTER TABLE costsim_audit_records ALTER COLUMN reason TYPE varchar(100) USING 'forged'"),
    ("0A000", "ALTER TABLE costsim_audit_records ALTER COLUMN content_digest TYPE text USING 'forged'"),
    ("0A000", "ALTER TABLE costsim_audit_records ALTER COLUMN decision_timestamp TYPE timestamptz USING now()"),
    ("0A000", "ALTER TABLE costsim_audit_purges ALTER COLUMN rows TYPE bigint USING 7"),
    ("2BP01", "ALTER TABLE costsim_audit_records DROP COLUMN reason"),
    ("55006", "ALTER TABLE costsim_audit_records DROP COLUMN reason CASCADE"),
    ("2BP01", "ALTER TABLE costsim_audit_purges DROP COLUMN rows"),
    ("55006", "ALTER TABLE costsim_audit_purges DROP COLUMN rows CASCADE"),
    ("2BP01", "DROP TABLE costsim_audit_records"),
    ("2BP01", "DROP TABLE costsim_audit_records CASCADE"),
    ("2BP01", "DROP TABLE costsim_audit_purges CASCADE"),
    ("2BP01", "DROP VIEW costsim_audit CASCADE"),
    // What is made up carries no digest that holds.
    (
        "23514",
        "INSERT INTO costsim_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp, content_digest)
         VALUES ('x', 'COST', 'APPLIED', 'x', now(), repeat('0', 64))",
    ),
    ("22023", "INSERT INTO costsim_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp) VALUES ('x', 'COST', 'APPLIED', 'x', 'infinity')"),
    (
        "23514",
        "INSERT INTO costsim_audit_purges (purged_by, session_user_name, reason, cut_off, rows, first_decision_timestamp, last_decision_timestamp, digest, content_digest)
         VALUES ('me', 'me', 'x', now(), 7, now(), now(), repeat('0', 64), repeat('0', 64))",
    ),
    ("23514", "INSERT INTO costsim_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp) VALUES ('x', 'cost', 'APPLIED', 'x', now())"),
    ("23514", "INSERT INTO costsim_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp) VALUES ('x', 'UNKNOWN', 'APPLIED', 'x', now())"),
];

/// What makes a superuser no stronger.
const AS_REPLICA: &[(&str, &str)] = &[
    ("55000", "SET session_replication_role = replica; UPDATE costsim_audit_records SET reason = 'forged'"),
    ("55000", "SET session_replication_role = replica; DELETE FROM costsim_audit_records"),
    ("55000", "SET session_replication_role = replica; TRUNCATE costsim_audit_records, costsim_audit_purges"),
    ("55000", "SET session_replication_role = local; DELETE FROM costsim_audit_purges"),
    ("55000", "SET row_security = off; DELETE FROM costsim_audit_records"),
    (
        "23514",
        "SET session_replication_role = replica; INSERT INTO costsim_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp, content_digest)
         VALUES ('x', 'COST', 'APPLIED', 'x', now(), repeat('0', 64))",
    ),
];

fn refuse_all(client: &mut Client, attacks: &[(&str, &str)]) -> Result<()> {
    let before = what_stands(client)?;
    for (code, attack) in attacks {
        let found = sqlstate_of(client, attack);
        client.batch_execute("ROLLBACK")?;
        if attack.starts_with("SET") {
            client.batch_execute("RESET ALL")?;
        }
        let found = found?;
        ensure!(found == *code, "{found}: {attack}");
        ensure!(what_stands(client)? == before, "{attack}");
    }
    Ok(())
}

#[test]
fn superuser_changes_nothing() -> Result<()> {
    let (_cluster, mut client) = prepared("audit_superuser", "postgres")?;
    refuse_all(&mut client, REFUSED)?;
    refuse_all(&mut client, AS_REPLICA)?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_verify_audit()")?, 0);
    Ok(())
}

#[test]
fn owner_changes_nothing() -> Result<()> {
    let (_cluster, mut client) = prepared("audit_owner", "audit_owner")?;
    // Drops that go by way of the extension are not the owner's to ask for; all else is refused him as everybody.
    refuse_all(&mut client, REFUSED)
}

/// A function for triggers of somebody's on the table.
fn trigger(client: &mut Client, table: &str, when: &str, body: &str) -> Result<()> {
    client.batch_execute(
        &format!(
            "CREATE OR REPLACE FUNCTION rides() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN
             IF pg_trigger_depth() > 1 THEN RETURN coalesce(OLD, NEW); END IF; {body} END $$;
         CREATE TRIGGER zzz_rides {when} ON {table} {} EXECUTE FUNCTION rides();
         ALTER TABLE {table} ENABLE ALWAYS TRIGGER zzz_rides",
            if when.contains("STATEMENT") { "" } else { "FOR EACH ROW" }
        )
        .replace(" STATEMENT ON", " ON"),
    )?;
    Ok(())
}

const PURGE: &str = "SELECT costsim_purge_audit('3 days 12 hours', 10, 'me', 'a test')";

#[test]
fn purge_deletes_what_it_records_and_nothing_rides_on_it() -> Result<()> {
    for (database, owner) in [("audit_rides", "postgres"), ("audit_rides_owner", "audit_rider")] {
        let (_cluster, mut client) = prepared(database, owner)?;
        // created_at is of just now; who has restored a dump has old ones.
        client.batch_execute(
            "INSERT INTO costsim_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp, created_at)
             SELECT 'r' || n, 'COST', 'APPLIED', 'restored', now() - n * interval '1 day', now() - n * interval '1 day' FROM generate_series(1, 6) n",
        )?;
        let before = what_stands(&mut client)?;
        let table = "costsim_audit_records";
        let rides = [
            // Under cover of the purge: what it has not chosen, what it has, what is too young.
            (
                table,
                "BEFORE DELETE STATEMENT",
                "DELETE FROM costsim_audit_records WHERE envelope_id = 'r3'; RETURN NULL;",
            ),
            (
                table,
                "BEFORE DELETE",
                "DELETE FROM costsim_audit_records WHERE audit_id <> OLD.audit_id; RETURN OLD;",
            ),
            (
                table,
                "BEFORE DELETE",
                "DELETE FROM costsim_audit_records WHERE audit_id = OLD.audit_id; RETURN OLD;",
            ),
            (
                table,
                "BEFORE DELETE",
                "DELETE FROM costsim_audit_records WHERE envelope_id IN ('r4', 'r5', 'r6') AND audit_id <> OLD.audit_id; RETURN OLD;",
            ),
            (
                table,
                "AFTER DELETE",
                "DELETE FROM costsim_audit_records WHERE envelope_id IN ('r1', 'e4'); RETURN NULL;",
            ),
            (table, "AFTER DELETE", "UPDATE costsim_audit_records SET reason = 'forged'; RETURN NULL;"),
            (table, "AFTER DELETE STATEMENT", "TRUNCATE costsim_audit_records; RETURN NULL;"),
            ("costsim_audit_purges", "AFTER INSERT", "DELETE FROM costsim_audit_records; RETURN NULL;"),
            (
                "costsim_audit_purges",
                "AFTER INSERT",
                "UPDATE costsim_audit_purges SET rows = 0; RETURN NULL;",
            ),
            // A purge that leaves no trace, or another one.
            ("costsim_audit_purges", "BEFORE INSERT", "RETURN NULL;"),
            ("costsim_audit_purges", "BEFORE INSERT", "NEW.rows := 1; RETURN NEW;"),
            (
                "costsim_audit_purges",
                "BEFORE INSERT",
                "NEW.purged_by := 'somebody else'; NEW.content_digest := costsim_audit_purge_digest(NEW.purged_at, NEW.purged_by, NEW.session_user_name,
                     NEW.reason, NEW.cut_off, NEW.rows, NEW.first_decision_timestamp, NEW.last_decision_timestamp, NEW.digest); RETURN NEW;",
            ),
            // What is kept by somebody's trigger is not recorded as gone.
            (table, "BEFORE DELETE", "RETURN NULL;"),
            (table, "BEFORE DELETE", "RETURN CASE WHEN OLD.envelope_id <> 'r4' THEN OLD END;"),
        ];
        for (table, when, body) in rides {
            trigger(&mut client, table, when, body)?;
            let found = sqlstate_of(&mut client, PURGE).with_context(|| body.to_owned())?;
            ensure!(["55000", "27000", "55006", "23514"].contains(&found.as_str()), "{found}: {when} {body}");
            client.batch_execute(&format!("DROP TRIGGER zzz_rides ON {table}"))?;
            ensure!(what_stands(&mut client)? == before, "{when} {body}");
        }
        // The cover ends with the purge, also with one that failed.
        assert_eq!(
            sqlstate_of(&mut client, "DELETE FROM costsim_audit_records WHERE envelope_id = 'r6'")?,
            "55000"
        );
        client.batch_execute("CREATE RULE rides AS ON DELETE TO costsim_audit_records DO INSTEAD NOTHING")?;
        assert!(client.batch_execute(PURGE).is_err());
        client.batch_execute(
            "DROP RULE rides ON costsim_audit_records; CREATE RULE rides AS ON INSERT TO costsim_audit_purges DO INSTEAD NOTHING",
        )?;
        assert!(client.batch_execute(PURGE).is_err());
        client.batch_execute("DROP RULE rides ON costsim_audit_purges")?;
        assert!(what_stands(&mut client)? == before);

        // A purge between: what it deletes is what it says, and only what is old by both its times.
        assert_eq!(one::<i64>(&mut client, PURGE)?, 3);
        let left: String = one(
            &mut client,
            "SELECT string_agg(envelope_id, ' ' ORDER BY envelope_id) FROM costsim_audit_records",
        )?;
        assert_eq!(left, "e1 e2 e3 e4 r1 r2 r3");
        assert_eq!(
            one::<i64>(&mut client, "SELECT rows FROM costsim_audit_purges ORDER BY id DESC LIMIT 1")?,
            3
        );
        assert_eq!(
            sqlstate_of(&mut client, "DELETE FROM costsim_audit_records WHERE envelope_id = 'e4'")?,
            "55000"
        );
        assert_eq!(one::<i64>(&mut client, PURGE)?, 0);
    }
    Ok(())
}

#[test]
fn a_trigger_that_changes_what_is_written_makes_it_fail() -> Result<()> {
    let (_cluster, mut client) = prepared("audit_before_insert", "postgres")?;
    const PERSIST: &str =
        "SELECT costsim_persist_audit_record(NULL, 'written', 'cost', 'applied', 'true words')";
    for (name, body) in [
        ("zzz", "NEW.reason := 'forged'; RETURN NEW;"),
        ("aaa", "NEW.reason := 'forged'; RETURN NEW;"),
        // Sealed anew, but not what was asked for.
        ("aaa", "NEW.reason := 'forged'; NEW.content_digest := NULL; RETURN NEW;"),
        ("aaa", "NEW.audit_id := gen_random_uuid(); NEW.content_digest := NULL; RETURN NEW;"),
        ("aaa", "RETURN NULL;"),
        ("aaa", "RAISE EXCEPTION 'no';"),
    ] {
        client.batch_execute(&format!(
            "CREATE OR REPLACE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
             CREATE TRIGGER {name}_meddles BEFORE INSERT ON costsim_audit_records FOR EACH ROW EXECUTE FUNCTION meddles()"
        ))?;
        let written: bool = one(&mut client, PERSIST)?;
        client.batch_execute(&format!("DROP TRIGGER {name}_meddles ON costsim_audit_records"))?;
        ensure!(!written, "{name} {body}");
    }
    // What somebody has put off to the commit would hit the caller there: it is refused at once.
    client.batch_execute(
        "CREATE OR REPLACE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
         CREATE CONSTRAINT TRIGGER later AFTER INSERT ON costsim_audit_records DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION meddles()",
    )?;
    assert!(!one::<bool>(&mut client, PERSIST)?);
    client.batch_execute("DROP TRIGGER later ON costsim_audit_records")?;
    assert_eq!(
        one::<i64>(&mut client, "SELECT count(*) FROM costsim_audit_records WHERE envelope_id = 'written'")?,
        0
    );
    assert_eq!(one::<i64>(&mut client, "SELECT unreplayed FROM costsim_audit_status")?, 7);
    // Nothing stands in the way any more: each is written once.
    assert_eq!(one::<i64>(&mut client, "SELECT costsim_replay_audit_failures()")?, 7);
    assert_eq!(one::<i64>(&mut client, "SELECT costsim_replay_audit_failures()")?, 0);
    let query = "SELECT count(*) FROM costsim_audit_records r JOIN costsim_audit_failures f USING (audit_id)
                  WHERE r.envelope_id = 'written' AND r.reason = 'true words' AND f.replayed_at IS NOT NULL";
    assert_eq!(one::<i64>(&mut client, query)?, 7);
    Ok(())
}

/// True means it stands, to the end of the call: nobody purges it from inside.
#[test]
fn a_trigger_that_purges_what_is_written_makes_it_fail() -> Result<()> {
    let (_cluster, mut client) = prepared("audit_purges_inside", "postgres")?;
    client.batch_execute(
        "CREATE FUNCTION purges() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN
             PERFORM costsim_purge_audit('0', 100, 'nobody', 'a trigger'); RETURN NULL; END $$;
         CREATE TRIGGER purges AFTER INSERT ON costsim_audit_records FOR EACH ROW EXECUTE FUNCTION purges()",
    )?;
    let persist = "SELECT costsim_persist_audit_record(NULL, 'young', 'cost', 'applied', 'r', '2020-01-01')";
    ensure!(!one::<bool>(&mut client, persist)?);
    let why: String = one(&mut client, "SELECT message FROM costsim_audit_failures")?;
    assert_eq!(why, "nothing is purged while a record is being written");
    // The cover ends with the write.
    client.batch_execute(
        "DROP TRIGGER purges ON costsim_audit_records; SELECT costsim_purge_audit('0', 100, 'me', 'r')",
    )?;
    Ok(())
}

/// Rows that are hidden from the owner are an error, not rows that are not there.
#[test]
fn forced_row_security_is_named() -> Result<()> {
    let (_cluster, mut client) = prepared("audit_forced", "audit_forced")?;
    client.batch_execute(
        "RESET SESSION AUTHORIZATION;
         ALTER TABLE costsim_audit_records ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
         GRANT EXECUTE ON FUNCTION costsim_verify_audit(timestamptz, timestamptz) TO audit_forced;
         ALTER FUNCTION costsim_verify_audit(timestamptz, timestamptz) OWNER TO audit_forced;
         ALTER FUNCTION costsim_query_audit(text, text, text, text, timestamptz, timestamptz, integer, timestamptz, uuid) OWNER TO audit_forced;
         SET SESSION AUTHORIZATION audit_forced",
    )?;
    assert_eq!(sqlstate_of(&mut client, "SELECT * FROM costsim_query_audit()")?, "42501");
    assert_eq!(sqlstate_of(&mut client, "SELECT * FROM costsim_verify_audit()")?, "42501");
    Ok(())
}

#[test]
fn what_is_changed_behind_the_triggers_is_shown() -> Result<()> {
    let (_cluster, mut client) = prepared("audit_behind", "postgres")?;
    client.batch_execute(
        "BEGIN; ALTER TABLE costsim_audit_records DISABLE TRIGGER USER; ALTER TABLE costsim_audit_records DROP CONSTRAINT costsim_audit_content_digest_valid;
         UPDATE costsim_audit_records SET reason = 'forged' WHERE envelope_id = 'e3';
         ALTER TABLE costsim_audit_records ENABLE TRIGGER USER; COMMIT",
    )?;
    let shown: String =
        one(&mut client, "SELECT string_agg(audit_id::text, ' ') FROM costsim_verify_audit()")?;
    assert_eq!(shown, "00000000-0000-4000-8000-000000000003");
    assert_eq!(
        one::<i64>(
            &mut client,
            "SELECT count(*) FROM costsim_verify_audit(now() - interval '2 days 12 hours')"
        )?,
        0
    );
    Ok(())
}

#[test]
fn names_that_are_swapped_change_no_record() -> Result<()> {
    let (_cluster, mut client) = prepared("audit_renamed", "postgres")?;
    client.batch_execute(
        "ALTER TABLE costsim_audit_records RENAME reason TO x; ALTER TABLE costsim_audit_records RENAME envelope_id TO reason;
         ALTER TABLE costsim_audit_records RENAME x TO envelope_id",
    )?;
    let truth: String = one(
        &mut client,
        "SELECT reason FROM costsim_audit WHERE audit_id = '00000000-0000-4000-8000-000000000001'",
    )?;
    assert_eq!(truth, "because 1");
    let truth: String = one(
        &mut client,
        "SELECT reason FROM costsim_query_audit(envelope_id => 'e1') WHERE audit_id = '00000000-0000-4000-8000-000000000001'",
    )?;
    assert_eq!(truth, "because 1");
    let told: String = one(
        &mut client,
        "SELECT string_agg(concat_ws(' ', audit_id, stored, 'is', computed), ', ' ORDER BY stored) FROM costsim_verify_audit()",
    )?;
    assert_eq!(told, "envelope_id is reason, reason is envelope_id");
    // And nobody overlooks it: what says one thing in another's place is not written.
    assert!(!one::<bool>(
        &mut client,
        "SELECT costsim_persist_audit_record(NULL, 'e', 'cost', 'applied', 'r')"
    )?);
    Ok(())
}

#[test]
fn children_are_no_records() -> Result<()> {
    let (_cluster, mut client) = prepared("audit_child", "postgres")?;
    client.batch_execute(
        "CREATE TABLE child () INHERITS (costsim_audit_records);
         INSERT INTO child (envelope_id, envelope_class, decision, reason, decision_timestamp, content_digest)
         SELECT envelope_id, envelope_class, decision, reason, decision_timestamp, 'x' FROM costsim_audit_records LIMIT 0",
    )?;
    let forged = "INSERT INTO child SELECT r.* FROM costsim_audit_records r WHERE r.envelope_id = 'e1'";
    client.batch_execute(forged)?;
    for question in [
        "SELECT count(*) FROM costsim_audit WHERE envelope_id = 'e1'",
        "SELECT count(*) FROM costsim_query_audit(envelope_id => 'e1')",
    ] {
        assert_eq!(one::<i64>(&mut client, question)?, 1, "{question}");
    }
    assert_eq!(one::<i64>(&mut client, "SELECT records FROM costsim_audit_status")?, 4);
    assert_eq!(sqlstate_of(&mut client, "UPDATE costsim_audit_records SET reason = 'forged'")?, "55000");
    Ok(())
}
