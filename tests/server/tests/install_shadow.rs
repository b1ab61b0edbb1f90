//! Nothing that somebody has put in front of the server's own, or of ours, is ever used.
//!
//! A schema that comes first on the path holds a function for each of the server's functions and an operator for each of its operators,
//! with the very same arguments; a relation for each of the server's and of ours; and types by the names of the server's. Relations and types
//! lie in the session's temporary schema as well, where they are found first. Each of them leaves a word in the server's log when it is used, whatever becomes of the
//! transaction. Then every function is called, and every table written to, by a role that has only been granted them, and by a superuser.
//!
//! It does not promise anything of a schema on the path before pg_catalog for the text of the call itself, nor of the user's own run source.

use anyhow::{Context, Result, bail, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::ends::{Function, functions};
use costsim_server_tests::one;
use postgres::Client;

const FILL: &str = include_str!("../released/fill-0.1.0.sql");

/// What is said in the log when a planted object is used.
const WORD: &str = "a planted object was used";

/// What they are made of; `%` in the message is the object's name.
const PLANT: &str = r#"
CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
DO $plant$
DECLARE
    f record; body text;
    plain text := $q$ AND NOT EXISTS (SELECT FROM unnest(args) t JOIN pg_type y ON y.oid = t WHERE y.typname IN ('internal', 'any', 'trigger', 'event_trigger', 'cstring') OR y.typname LIKE '%\_handler') $q$;
BEGIN
    FOR f IN
        SELECT 'f' AS kind, p.proname AS name, pg_get_function_identity_arguments(p.oid) AS said, p.proargtypes::oid[] AS args, p.prorettype AS result, p.proretset AS isset, p.oid, 0::oid AS l, 0::oid AS r,
               p.provariadic <> 0 AS isvariadic
          FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
        UNION ALL
        SELECT 'o', o.oprname, '', ARRAY[o.oprleft, o.oprright], o.oprresult, false, o.oid, o.oprleft, o.oprright, false
          FROM pg_operator o WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprcode <> 0
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM unnest(f.args || f.result) t JOIN pg_type y ON y.oid = t
                               WHERE y.typname IN ('internal', 'any', 'trigger', 'event_trigger', 'cstring', 'pg_ddl_command', 'record', '_record', '_cstring') OR y.typname LIKE '%\_handler' OR y.typname LIKE 'any%');
        body := format('BEGIN RAISE LOG ''a planted object was used: %%'', %L; RAISE EXCEPTION ''planted: %%'', %L; END', f.name, f.name);
        IF f.kind = 'f' THEN
            BEGIN
                EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS %L', f.name,
                               (SELECT string_agg(CASE WHEN f.isvariadic AND n = cardinality(f.args) THEN 'VARIADIC ' ELSE '' END || format_type(t, NULL), ', ' ORDER BY n) FROM unnest(f.args) WITH ORDINALITY a (t, n)),
                               CASE WHEN f.isset THEN 'SETOF' END, format_type(f.result, NULL), body);
            EXCEPTION WHEN duplicate_function OR invalid_function_definition OR feature_not_supported THEN NULL;
            END;
        ELSE
            EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', 'o' || f.oid, concat_ws(', ', CASE WHEN f.l <> 0 THEN format_type(f.l, NULL) END, format_type(f.r, NULL)),
                           format_type(f.result, NULL), body);
            EXECUTE format('CREATE OPERATOR hostile.%s (%s RIGHTARG = %s, FUNCTION = hostile.%I)', f.name, CASE WHEN f.l <> 0 THEN format('LEFTARG = %s,', format_type(f.l, NULL)) END, format_type(f.r, NULL), 'o' || f.oid);
        END IF;
    END LOOP;
END $plant$;

-- What takes arguments of any type, for each of the types that we use: a fitting one goes before.
DO $any$
DECLARE f record; t regtype; n integer; args text; body text;
BEGIN
    FOR f IN
        SELECT p.proname AS name, p.proargtypes::oid[]::regtype[]::text[] AS args, p.prorettype::regtype::text AS result, p.provariadic <> 0 AS isvariadic
          FROM pg_proc p
         WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proargtypes::oid[]::regtype[]::text[] && '{"\"any\"",anyelement,anyarray,anynonarray,anycompatible,anycompatiblearray,anycompatiblenonarray}'
           AND NOT p.proargtypes::oid[]::regtype[]::text[] && '{internal,anyrange,anymultirange,anyenum,anycompatiblerange,anycompatiblemultirange,record,record[],cstring}'
    LOOP
        body := format('BEGIN RAISE LOG ''a planted object was used: %%'', %L; RAISE EXCEPTION ''planted: %%'', %L; END', f.name, f.name);
        FOREACH t IN ARRAY '{text,name,bigint,integer,oid,boolean,double precision,numeric,timestamptz,date,jsonb}'::regtype[] LOOP
            FOR n IN 1 .. CASE WHEN f.isvariadic THEN 3 ELSE 1 END LOOP
                SELECT string_agg(CASE WHEN a.said IN ('anyarray', 'anycompatiblearray') THEN t || '[]' WHEN a.said LIKE '%any%' THEN t::text ELSE a.said END, ', ' ORDER BY a.k)
                  INTO args
                  FROM unnest(f.args || array_fill(f.args[cardinality(f.args)], ARRAY[n - 1])) WITH ORDINALITY a (said, k);
                BEGIN
                    EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.name, args,
                                   CASE WHEN f.result LIKE '%any%' THEN 'text' ELSE f.result END, body);
                EXCEPTION WHEN duplicate_function OR invalid_function_definition OR feature_not_supported THEN NULL;
                END;
            END LOOP;
        END LOOP;
    END LOOP;
END $any$;
"#;

/// Relations and types, in a schema: an empty one of each name, and a domain that nothing is a value of.
const SHADOW: &str = r#"
DO $shadow$
DECLARE c record;
BEGIN
    FOR c IN SELECT oid::regclass AS relation, relname, relkind FROM pg_class
              WHERE relkind IN ('r', 'v', 'S') AND (relnamespace = 'pg_catalog'::regnamespace OR relname ~ '^_?costsim_' AND relnamespace = 'public'::regnamespace)
    LOOP
        IF c.relkind = 'S' THEN
            EXECUTE format('CREATE SEQUENCE @in@.%I', c.relname);
        ELSE
            BEGIN
                EXECUTE format('CREATE TABLE @in@.%I (LIKE %s)', c.relname, c.relation);
            EXCEPTION WHEN OTHERS THEN NULL; -- of pseudo-types, or with columns that no table may have
            END;
        END IF;
    END LOOP;
    CREATE FUNCTION @in@.bite(anyelement) RETURNS boolean LANGUAGE plpgsql AS
        $f$ BEGIN RAISE LOG 'a planted object was used: a type'; RAISE EXCEPTION 'planted: a type'; END $f$;
    FOR c IN SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0 AND typname !~ '^(pg_|_)' LOOP
        EXECUTE format('CREATE DOMAIN @in@.%I AS pg_catalog.%I CHECK (@in@.bite(VALUE))', c.typname, c.typname);
    END LOOP;
END $shadow$;
"#;

/// With everything in front.
fn trapped(cluster: &Cluster, user: &str) -> Result<Client> {
    let mut config = cluster.config("postgres");
    let mut client = config.user(user).connect(postgres::NoTls)?;
    client.batch_execute(
        "SET client_min_messages = error; SET lock_timeout = '5s'; SET statement_timeout = '30s'",
    )?;
    client.batch_execute(&SHADOW.replace("@in@", "pg_temp"))?;
    client.batch_execute("SET search_path = hostile, pg_catalog, public")?;
    Ok(client)
}

/// The names of planted objects that the log speaks of.
fn used(cluster: &Cluster) -> Result<Vec<String>> {
    let log = cluster.log()?;
    Ok(log.lines().filter_map(|line| line.split_once(WORD)).map(|(_, name)| name.to_owned()).collect())
}

/// One of each room that writes.
const KEPT: [&str; 8] = [
    "SELECT public.costsim_try_leader(7011), public.costsim_release_leader(7011)",
    "SELECT public.costsim_fire_alert('{\"alertname\": \"kept\"}'::pg_catalog.jsonb)",
    "SELECT public.costsim_enqueue_alert('[{\"labels\": {\"alertname\": \"kept\"}}]'::pg_catalog.jsonb, 'test')",
    "SELECT public.costsim_write_provenance('kept', 'acme', v1_cost => 1, v2_cost => 2)",
    "SELECT public.costsim_record_cost('acme', 'm', 7)",
    "SELECT public.costsim_record_run('acme', 'mailer', 'failed', 'why')",
    "SELECT public.costsim_disable_v2('kept', 'ann'), public.costsim_enable_v2('ann')",
    "SELECT public.costsim_refresh_drift(), public.costsim_refresh_costs()",
];

/// Calls everything; answers how many calls went through.
fn call_all(
    cluster: &Cluster,
    session: &mut Client,
    functions: &[Function],
    tables: &[(String, String)],
) -> Result<usize> {
    let mut statements = Vec::new();
    for function in functions {
        statements.push(function.ordinary_call()?);
    }
    for (table, column) in tables {
        statements.push(format!("UPDATE public.{table} SET {column} = {column}"));
        statements.push(format!("DELETE FROM public.{table}"));
        statements.push(format!("INSERT INTO public.{table} DEFAULT VALUES"));
        statements.push(format!("TRUNCATE public.{table} CASCADE"));
    }
    let mut answered = 0;
    for statement in statements {
        match session.simple_query(&format!("BEGIN; {statement}; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK")) {
            Ok(_) => answered += 1,
            Err(error) => {
                error.code().with_context(|| format!("{statement}: {error}"))?;
                session.batch_execute("ROLLBACK")?;
            }
        }
        if let Some(name) = used(cluster)?.first() {
            bail!("{statement} has used what was planted{name}");
        }
    }
    Ok(answered)
}

#[test]
fn nothing_that_is_planted_in_front_of_the_servers_own_is_used() -> Result<()> {
    let cluster =
        Cluster::builder().conf("log_statement", "none").conf("log_min_error_statement", "panic").start()?;
    let mut client = cluster.connect("postgres")?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    client.batch_execute(FILL)?;
    client.batch_execute(PLANT).context("planting")?;
    client.batch_execute(&SHADOW.replace("@in@", "hostile")).context("planting relations and types")?;
    client.batch_execute(
        "CREATE ROLE app LOGIN BYPASSRLS; GRANT ALL ON SCHEMA public TO app; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public, hostile TO app;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app",
    )?;
    let functions = functions(&mut client)?;
    let query = "SELECT c.relname::text, (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = '' AND a.attgenerated = '' ORDER BY a.attnum DESC LIMIT 1)
                   FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
                  WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND c.relkind = 'r' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')";
    let tables: Vec<(String, String)> =
        client.query(query, &[])?.iter().map(|row| (row.get(0), row.get(1))).collect();
    ensure!(
        functions.len() > 150 && tables.len() > 30,
        "{} functions, {} tables",
        functions.len(),
        tables.len()
    );
    ensure!(
        one::<i64>(
            &mut client,
            "SELECT count(*) FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace"
        )? > 500
    );
    ensure!(
        one::<i64>(&mut client, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace")?
            > 2_000
    );
    for user in ["app", "postgres"] {
        let answered = call_all(&cluster, &mut trapped(&cluster, user)?, &functions, &tables)?;
        ensure!(answered > 150, "{user}: only {answered} calls went through");
        // And to the end, with what is done at a commit.
        let mut session = trapped(&cluster, user)?;
        for call in KEPT {
            session
                .batch_execute(&format!("BEGIN; {call}; COMMIT"))
                .with_context(|| format!("{user}: {call}"))?;
        }
        ensure!(used(&cluster)?.is_empty(), "{user}: {:?}", used(&cluster)?);
    }
    // The trap bites: each kind of object is found first by whoever names it without its schema.
    let mut session = trapped(&cluster, "app")?;
    for bait in [
        "SELECT 1 + 1",
        "SELECT abs(-1)",
        "SELECT 'x'::text",
        "SELECT sum(1)",
        "SELECT format('%s', 'x'::name)",
        "SELECT array_position('{1}', 1)",
    ] {
        let before = used(&cluster)?.len();
        ensure!(session.batch_execute(bait).is_err(), "{bait} went through");
        ensure!(used(&cluster)?.len() > before, "{bait} left no word");
    }
    assert_eq!(session.query("TABLE pg_extension", &[])?.len(), 0, "the temporary one is found first");
    Ok(())
}
