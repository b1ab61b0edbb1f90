//! Two tenants on one database, each by a role of its own and both by one role that says `SET LOCAL costsim.tenant_id`: of thousands of random
//! operations no answer, row, count or error of one holds anything of the other. A setting of the session behind a transaction pooler is the
//! control: that must leak, and does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, PgBouncer, Pooling};
use costsim_server_tests::one;
use fastrand::Rng;
use postgres::{Client, NoTls, SimpleQueryMessage};

/// The tenants. What one of them writes has its name in every text.
const TENANTS: [&str; 2] = ["acme", "zebra"];

/// A name that nobody has, as long as the others may be.
const NOBODY: &str = "nixon";

/// After so many operations the tables are emptied, so that a look at all of them stays short.
const ERA: usize = 1_500;

const ROLES: &str = "
    CREATE ROLE of_acme LOGIN; CREATE ROLE of_zebra LOGIN; CREATE ROLE pooled LOGIN;
    SELECT costsim_grant('of_acme', 'app', 'acme'), costsim_grant('of_zebra', 'app', 'zebra'), costsim_grant('pooled', 'app', NULL);";

/// What a tenant does with its own: `$OWN` its name, `$N` a small number, `$R` a number that is never the same.
const OWN: &[&str] = &[
    "SELECT costsim_write_provenance('$OWN-run-$R', '$OWN', model_version => '$OWN-m$N', input_hash => '$OWN-h$N', v1_cost => $N, v2_cost => $N + 1)",
    "SELECT * FROM costsim_write_provenance_batch('[{\"tenant_id\": \"$OWN\", \"run_id\": \"$OWN-run-$R\", \"v1_cost\": 3, \"v2_cost\": 4}]')",
    "SELECT inserted FROM costsim_write_provenance_once('$OWN-run', '$OWN', input_hash => 'shared-h$N', v1_cost => 1, v2_cost => 2)",
    "SELECT inserted FROM costsim_write_provenance_batch_once('[{\"tenant_id\": \"$OWN\", \"input_hash\": \"shared-h$N\", \"v1_cost\": 1}]')",
    "SELECT status FROM costsim_record_cost('$OWN', '$OWN-m$N', $N.5, 10, 20, '$OWN.tag$N', '$OWN-u$N', 'shared-request-$N')",
    "SELECT status, reason FROM costsim_record_cost('$OWN', '$OWN-m$N', $N.5, 10, 20, '$OWN.tag$N', '$OWN-u$N', '$OWN-request-$R', enforce => true)",
    "SELECT status, reason FROM costsim_record_costs('[{\"tenant_id\": \"$OWN\", \"model\": \"$OWN-m\", \"cost_cents\": $N, \"user_id\": \"$OWN-u$N\"}]', $B)",
    "SELECT tag, display_name FROM costsim_create_feature_tag('$OWN', '$OWN.tag$N')",
    "SELECT tag, display_name FROM costsim_create_feature_tag('$OWN', 'shared.tag$N')",
    "SELECT tag, description FROM costsim_update_feature_tag('$OWN', 'shared.tag$N', '{\"description\": \"$OWN says $R\"}')",
    "SELECT costsim_set_cost_time_zone('$OWN', CASE WHEN $B THEN 'UTC' ELSE 'Asia/Kathmandu' END)",
    "SELECT run_id, is_changed FROM costsim_record_run('$OWN', '$OWN-w$N', 'failed', '$OWN broke: code $N', cost_cents => $N, run_id => 'shared-run-$R')",
    "SELECT run_id, is_changed FROM costsim_record_run('$OWN', '$OWN-w$N', 'running', run_id => 'shared-run-$N')",
    "SELECT tenant_id, occurrence_count, description FROM costsim_detect_patterns($WHO)",
    "SELECT tenant_id, subject_id FROM costsim_predict($WHO)",
    "SELECT costsim_emit_prediction('$OWN', 'own', 'worker', '$OWN-w$N', 0.5, '{\"by\": \"$OWN\"}') > 0",
    "SELECT costsim_observe_predictions($WHO) >= 0",
    "SELECT decision, reason, conflicting_envelope_id, preempted, active_envelopes_count FROM costsim_coordinate('$OWN-e$N', (ARRAY['COST', 'SAFETY'])[1 + $N % 2], 's', 'p$N', '{\"by\": \"$OWN\"}', '$OWN says', '$OWN')",
    "SELECT costsim_release_envelope('$OWN-e$N', '$OWN', '$OWN')",
    "SELECT v1_cost_cents, provenance_id IS NOT NULL FROM costsim_sandbox('[{\"skill\": \"llm_invoke\"}]', tenant_id => '$OWN', run_id => '$OWN-sandbox')",
    "SELECT costsim_acknowledge_feedback('$OWN', coalesce((SELECT max(id) FROM costsim_pattern_feedback), 0), '$OWN')",
    "SELECT costsim_acknowledge_anomaly('$OWN', coalesce((SELECT max(id) FROM costsim_cost_anomalies), 0), '$OWN')",
];

/// What it may ask, of itself (`$WHOSE` is its name) or, as whoever guesses, of another: then the answer is the one for a name that nobody has.
const LOOKS: &[&str] = &[
    "SELECT p.tenant_id, p.run_id, p.v1_cost FROM costsim_query_provenance('$WHOSE') p LIMIT 5",
    "SELECT costsim_count_provenance('$WHOSE'), costsim_check_duplicate('shared-h$N', '$WHOSE')",
    "SELECT t FROM costsim_list_feature_tags('$WHOSE', true) t",
    "SELECT costsim_cost_time_zone('$WHOSE')",
    "SELECT s FROM costsim_cost_spend('$WHOSE', now() - interval '2 days', now() + interval '1 day') s",
    "SELECT s FROM costsim_cost_summary('$WHOSE', now() - interval '2 days', now() + interval '1 day') s",
    "SELECT s FROM costsim_cost_by_user('$WHOSE', now() - interval '2 days', now() + interval '1 day') s",
    "SELECT s FROM costsim_cost_by_model('$WHOSE', now() - interval '2 days', now() + interval '1 day') s",
    "SELECT s FROM costsim_cost_by_feature('$WHOSE', now() - interval '2 days', now() + interval '1 day') s",
    "SELECT b.tenant_id, b.limit_cents, b.spent_cents FROM costsim_budget_status('$WHOSE') b",
    "SELECT s FROM costsim_current_spend('$WHOSE') s",
    "SELECT count(*) FROM costsim_query_cost_records('$WHOSE')",
    "SELECT a FROM costsim_query_anomalies('$WHOSE') a",
    "SELECT rule, is_finding, reason FROM costsim_explain_anomaly('$WHOSE')",
    "SELECT b FROM costsim_breach_history('$WHOSE') b",
    "SELECT d FROM costsim_drift_tracking('$WHOSE') d",
    "SELECT f FROM costsim_query_feedback('$WHOSE', include_past => true) f",
    "SELECT f FROM costsim_feedback_stats('$WHOSE') f",
    "SELECT f FROM generate_series(1, 20) n, costsim_get_feedback('$WHOSE', n) f",
    "SELECT p FROM costsim_query_predictions('$WHOSE', include_expired => true, include_superseded => true) p",
    "SELECT p FROM costsim_prediction_stats('$WHOSE') p",
    "SELECT e.envelope_id, e.value FROM costsim_active_envelopes('$WHOSE') e",
    "SELECT sample_count FROM costsim_divergence_report(tenant_id => '$WHOSE')",
    "SELECT costsim_drift_count(costsim_drift(v1_cost, v2_cost)) FROM costsim_provenance WHERE tenant_id = '$WHOSE'",
];

/// What would change another tenant's, or tell of it by how it is refused.
const ATTACKS: &[&str] = &[
    "SELECT costsim_write_provenance('x', '$WHOSE')",
    "SELECT inserted FROM costsim_write_provenance_once('x', '$WHOSE', input_hash => 'shared-h$N', v1_cost => 1)",
    "SELECT status FROM costsim_record_cost('$WHOSE', 'm', 1, request_id => 'shared-request-$N')",
    "SELECT status, reason FROM costsim_record_cost('$WHOSE', 'm', 99999, enforce => true)",
    "SELECT status FROM costsim_record_costs('[{\"tenant_id\": \"$WHOSE\", \"model\": \"m\", \"cost_cents\": 99999, \"request_id\": \"shared-request-$N\"}]', $B)",
    "SELECT costsim_create_feature_tag('$WHOSE', 'shared.tag$N')",
    "SELECT costsim_update_feature_tag('$WHOSE', 'shared.tag$N', '{\"is_active\": false}')",
    "SELECT costsim_set_cost_time_zone('$WHOSE', 'Asia/Kathmandu')",
    "SELECT n FROM generate_series(1, 20) n WHERE costsim_resolve_anomaly('$WHOSE', n, 'x')",
    "SELECT n FROM generate_series(1, 20) n WHERE costsim_acknowledge_anomaly('$WHOSE', n, 'x')",
    "SELECT n FROM generate_series(1, 20) n WHERE costsim_dismiss_anomaly('$WHOSE', n, 'x')",
    "SELECT * FROM costsim_record_run('$WHOSE', 'w', 'failed', run_id => 'shared-run-$N')",
    "SELECT costsim_emit_prediction('$WHOSE', 'own', 'worker', 'w', 0.5, '1')",
    "SELECT d.description FROM costsim_detect_patterns('$WHOSE') d",
    "SELECT p.subject_id FROM costsim_predict('$WHOSE') p",
    "SELECT costsim_observe_predictions('$WHOSE')",
    "SELECT n FROM generate_series(1, 20) n WHERE costsim_acknowledge_feedback('$WHOSE', n, 'x')",
    "SELECT decision FROM costsim_coordinate('x', 'SAFETY', 's', 'p$N', tenant_id => '$WHOSE')",
    "SELECT costsim_release_envelope('$WHOSE-e$N', '$WHOSE')",
    "INSERT INTO costsim_provenance (tenant_id, run_id) VALUES ('$WHOSE', 'x')",
    // Ids that others are to have: where one could be taken, what these write of their own would be refused.
    "INSERT INTO costsim_provenance (id, tenant_id) SELECT max(id) + g, '$OWN' FROM costsim_provenance, generate_series(1, 50) g GROUP BY g",
    "INSERT INTO costsim_predictions (id, tenant_id, prediction_type, subject_type, subject_id, confidence_score, prediction_value)
     SELECT 1000 + g, '$OWN', 'ahead', 'worker', g::text, 0.5, '1' FROM generate_series(1, 50) g",
    "UPDATE costsim_predictions SET id = id + 1",
    "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, request_id) VALUES ('$WHOSE', 'm', 1, 'shared-request-$N') ON CONFLICT DO NOTHING",
    "INSERT INTO costsim_worker_runs (tenant_id, id, worker_id, status) VALUES ('$WHOSE', 'shared-run-$N', 'w', 'failed') ON CONFLICT (tenant_id, id) DO UPDATE SET error = 'x'",
    "UPDATE costsim_worker_runs SET worker_id = 'x' WHERE tenant_id = '$WHOSE' RETURNING *",
    "UPDATE costsim_predictions SET tenant_id = '$WHOSE' WHERE tenant_id = '$WHOSE'",
    "UPDATE costsim_pattern_feedback SET note = 'x' WHERE tenant_id = '$WHOSE' RETURNING *",
    "SELECT 1 / (count(*) - count(*)) FROM costsim_provenance WHERE tenant_id = '$WHOSE'",
    "SELECT (run_id)::integer FROM costsim_provenance WHERE tenant_id = '$WHOSE'",
    "SELECT costsim_query_audit('$WHOSE')",
    "SELECT * FROM costsim_audit WHERE tenant_id = '$WHOSE'",
    "SELECT * FROM costsim_canary_samples WHERE tenant_id = '$WHOSE'",
    "SELECT costsim_set_budget('$WHOSE', daily_limit_cents => 1)",
    "DELETE FROM costsim_provenance WHERE tenant_id = '$WHOSE'",
    "TRUNCATE costsim_provenance",
];

/// One of both tenants, by its own role or by the one that is shared.
struct Sessions {
    own: [Client; 2],
    pooled: Client,
}

struct Game {
    sessions: Sessions,
    owner: Client,
    tables: Vec<String>,
    rng: Rng,
    counter: u64,
    /// How many operations of each kind.
    done: BTreeMap<&'static str, u64>,
    /// How many were refused, by SQLSTATE.
    refused: BTreeMap<String, u64>,
    leaks: Vec<String>,
    /// What a tenant may do with its own, and could not.
    faults: Vec<String>,
}

/// What a statement answers: rows, or the refusal to the last word.
fn told(client: &mut Client, statement: &str) -> (String, Option<String>) {
    match client.simple_query(statement) {
        Ok(messages) => {
            let mut answer = String::new();
            for message in messages {
                if let SimpleQueryMessage::Row(row) = message {
                    for index in 0..row.len() {
                        answer.push_str(row.get(index).unwrap_or("NULL"));
                        answer.push('|');
                    }
                    answer.push('\n');
                }
            }
            (answer, None)
        }
        Err(error) => {
            let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
            let answer = error.as_db_error().map_or_else(
                || error.to_string(),
                |refusal| {
                    format!(
                        "{}: {} {:?} {:?} {:?}",
                        code,
                        refusal.message(),
                        refusal.detail(),
                        refusal.hint(),
                        refusal.constraint()
                    )
                },
            );
            (answer, Some(code))
        }
    }
}

impl Game {
    fn new(cluster: &Cluster, database: &str, seed: u64) -> Result<Self> {
        let mut owner = cluster.create_database_with_extension(database)?;
        owner.batch_execute(ROLES)?;
        let as_role = |role: &str| cluster.config(database).user(role).connect(NoTls);
        let sessions =
            Sessions { own: [as_role("of_acme")?, as_role("of_zebra")?], pooled: as_role("pooled")? };
        let tables = owner
            .query("SELECT object FROM costsim_access JOIN _costsim_objects() o USING (object_id, object) WHERE tenant_ok AND level = 'reader' AND o.kind = 'table' AND o.has_tenant ORDER BY 1", &[])?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let mut game = Self {
            sessions,
            owner,
            tables,
            rng: Rng::with_seed(seed),
            counter: 0,
            done: BTreeMap::new(),
            refused: BTreeMap::new(),
            leaks: Vec::new(),
            faults: Vec::new(),
        };
        game.begin_an_era()?;
        Ok(game)
    }

    /// Empties the tables, and writes what only operators and the worker write, for both.
    fn begin_an_era(&mut self) -> Result<()> {
        let list = self.tables.join(", ");
        self.owner
            .batch_execute(&format!("TRUNCATE {list}, costsim_cost_detection, costsim_prediction_looks"))?;
        for tenant in TENANTS {
            self.owner.batch_execute(&format!(
                "SELECT FROM costsim_set_budget('{tenant}', daily_limit_cents => 40, hard_limit_enabled => true);
                 INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
                 SELECT '{tenant}', '{tenant}-u', '{tenant}.tag', '{tenant}-m', CASE WHEN d < 2 THEN 90000 ELSE 300 END, now() - d * interval '24 hours' - interval '1 second'
                   FROM generate_series(0, 20) d;
                 INSERT INTO costsim_provenance (run_id, input_hash, v1_cost, v2_cost) VALUES ('of-nobody', 'shared-h1', 1, 2);"
            ))?;
        }
        self.owner.batch_execute("SELECT costsim_refresh_costs(); SELECT count(*) FROM costsim_detect_anomalies(); SELECT decision FROM costsim_coordinate('of-all', 'COST', 's', 'p9')")?;
        Ok(())
    }

    /// Runs a statement for a tenant, one way or the other.
    fn ask(&mut self, tenant: usize, statement: &str) -> (String, Option<String>) {
        let is_pooled = self.rng.bool();
        self.ask_by(tenant, is_pooled, statement)
    }

    fn ask_by(&mut self, tenant: usize, is_pooled: bool, statement: &str) -> (String, Option<String>) {
        let (answer, code) = if is_pooled {
            let pooled = &mut self.sessions.pooled;
            let begun = format!("BEGIN; SET LOCAL costsim.tenant_id = '{}'", TENANTS[tenant]);
            if let Err(error) = pooled.batch_execute(&begun) {
                return (error.to_string(), None);
            }
            let answer = told(pooled, statement);
            pooled.batch_execute("COMMIT").ok();
            answer
        } else {
            told(&mut self.sessions.own[tenant], statement)
        };
        if let Some(code) = &code {
            *self.refused.entry(code.clone()).or_default() += 1;
        }
        (answer, code)
    }

    fn fill(&mut self, statement: &str, tenant: usize) -> String {
        self.counter += 1;
        let who = if self.rng.bool() { format!("'{}'", TENANTS[tenant]) } else { String::new() };
        statement
            .replace("$WHO)", &format!("{who})"))
            .replace("$OWN", TENANTS[tenant])
            .replace("$N", &self.rng.u8(1..9).to_string())
            .replace("$R", &self.counter.to_string())
            .replace("$B", if self.rng.bool() { "true" } else { "false" })
    }

    fn leak(&mut self, what: String) {
        self.leaks.push(what);
    }

    /// One operation of one tenant.
    fn play(&mut self) -> Result<()> {
        let tenant = self.rng.usize(0..2);
        let other = TENANTS[1 - tenant];
        let kind = match self.rng.u8(0..100) {
            0..40 => "own",
            40..60 => "look",
            60..85 => "attack",
            85..92 => "table",
            92..95 => "copy",
            95..98 => "count",
            _ => "explain",
        };
        *self.done.entry(kind).or_default() += 1;
        match kind {
            "own" => {
                let statement = self.rng.choice(OWN).copied().unwrap_or_default();
                let statement = self.fill(statement, tenant);
                let (answer, code) = self.ask(tenant, &statement);
                if answer.contains(other) || answer.contains("of-nobody") {
                    self.leak(format!("{statement}: {answer}"));
                }
                // Its own it may write: another refusal than for what is there already is a fault.
                if let Some(code) = code.filter(|code| !["42710", "42704", "22023"].contains(&code.as_str()))
                {
                    self.faults.push(format!("{statement}: {code} {answer}"));
                }
            }
            "look" if self.rng.bool() => {
                let statement = self.rng.choice(LOOKS).copied().unwrap_or_default();
                let statement = self.fill(statement, tenant).replace("$WHOSE", TENANTS[tenant]);
                let (answer, code) = self.ask(tenant, &statement);
                if answer.contains(other) {
                    self.leak(format!("{statement}: {answer}"));
                }
                if code.is_some() {
                    self.faults.push(format!("{statement}: {answer}"));
                }
            }
            "look" | "attack" => {
                let statement = self
                    .rng
                    .choice(if kind == "look" { LOOKS } else { ATTACKS })
                    .copied()
                    .unwrap_or_default();
                let statement = self.fill(statement, tenant);
                let is_pooled = self.rng.bool();
                let of = |whose: &str| statement.replace("$WHOSE", whose);
                let (of_other, _) = self.ask_by(tenant, is_pooled, &of(other));
                let (of_nobody, _) = self.ask_by(tenant, is_pooled, &of(NOBODY));
                if of_other.replace(other, "?") != of_nobody.replace(NOBODY, "?") {
                    self.leak(format!("{}: {of_other}, where of nobody: {of_nobody}", of(other)));
                }
            }
            "table" => {
                let table = self.rng.choice(&self.tables).cloned().context("no tables")?;
                let (answer, _) = self
                    .ask(tenant, &format!("SELECT to_jsonb(t) FROM {table} t ORDER BY random() LIMIT 20"));
                if answer.contains(other) || answer.contains("of-nobody") || answer.contains("of-all") {
                    self.leak(format!("{table}: {answer}"));
                }
            }
            "copy" => {
                let table = self.rng.choice(&self.tables).cloned().context("no tables")?;
                let mut copied = String::new();
                self.sessions.own[tenant]
                    .copy_out(&format!("COPY {table} TO STDOUT"))?
                    .read_to_string(&mut copied)?;
                if copied.contains(other) || copied.contains("of-nobody") || copied.contains("of-all") {
                    self.leak(format!("COPY {table}: {copied}"));
                }
            }
            "count" => {
                let table = self.rng.choice(&self.tables).cloned().context("no tables")?;
                let (answer, _) = self.ask(tenant, &format!("SELECT count(*) FROM {table}"));
                let own: i64 = one(
                    &mut self.owner,
                    &format!("SELECT count(*) FROM {table} WHERE tenant_id = '{}'", TENANTS[tenant]),
                )?;
                if answer != format!("{own}|\n") {
                    self.leak(format!("count of {table}: {answer} instead of {own}"));
                }
            }
            _ => {
                let table = self.rng.choice(&self.tables).cloned().context("no tables")?;
                let statement =
                    format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT FROM {table}");
                let (answer, _) = self.ask(tenant, &statement);
                let own: i64 = one(
                    &mut self.owner,
                    &format!("SELECT count(*) FROM {table} WHERE tenant_id = '{}'", TENANTS[tenant]),
                )?;
                let is_own = answer.contains(&format!("actual rows={own} "))
                    || answer.contains(&format!("actual rows={own}.00 "));
                if answer.contains(other) || !is_own {
                    self.leak(format!("{statement}: {answer} instead of {own} rows"));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn no_answer_to_one_tenant_holds_anything_of_the_other() -> Result<()> {
    let operations: usize =
        std::env::var("COSTSIM_LEAK_OPERATIONS").map_or(Ok(3_000), |count| count.parse())?;
    let seed =
        std::env::var("COSTSIM_LEAK_SEED").map_or_else(|_| Ok(fastrand::u64(..)), |seed| seed.parse())?;
    println!("{operations} operations, seed {seed}");
    let begun_at = Instant::now();
    let cluster = Cluster::builder().conf("fsync", "off").conf("costsim.sandbox_enabled", "on").start()?;
    let mut game = Game::new(&cluster, "leak", seed)?;
    for nth in 1..=operations {
        game.play().with_context(|| format!("operation {nth} of seed {seed}"))?;
        if nth % ERA == 0 {
            game.begin_an_era()?;
        }
    }
    let first: Vec<&String> = game.faults.iter().take(10).collect();
    ensure!(first.is_empty(), "{} faults of seed {seed}: {first:#?}", game.faults.len());
    // What was refused was refused for a reason that is known.
    let known = ["42501", "42704", "42710", "22012", "22023"];
    let strange: Vec<_> = game.refused.keys().filter(|code| !known.contains(&code.as_str())).collect();
    ensure!(strange.is_empty(), "refused with {strange:?}");
    ensure!(game.refused.contains_key("42501"), "nothing was refused");
    ensure!(game.done.len() == 7, "some kinds never came: {:?}", game.done);
    let first: Vec<&String> = game.leaks.iter().take(10).collect();
    ensure!(first.is_empty(), "{} leaks of seed {seed}: {first:#?}", game.leaks.len());
    if let Ok(folder) = std::env::var("COSTSIM_LEAK_EVIDENCE") {
        let mut text = String::from(
            "# What one tenant learns of another\n\nWritten by `make tenant-leak` (`tests/server/tests/tenant_leak.rs`, which says what each kind is).\n\n",
        );
        writeln!(
            text,
            "{operations} random operations of two tenants, half of them by roles of their own, half by one role under `SET LOCAL costsim.tenant_id`; seed {seed}, {} s. Rows, counts and errors of the other: **{}**.\n",
            begun_at.elapsed().as_secs(),
            game.leaks.len()
        )?;
        writeln!(text, "| kind | operations |\n|---|---|")?;
        for (kind, count) in &game.done {
            writeln!(text, "| {kind} | {count} |")?;
        }
        writeln!(text, "\n| refused with | times |\n|---|---|")?;
        for (code, count) in &game.refused {
            writeln!(text, "| {code} | {count} |")?;
        }
        text.push_str("\nThe control, a setting of the session behind a transaction pooler, leaks, as it must: the test beside asserts it.\n");
        let path =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(folder).join("tenant_leak.md");
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[test]
fn a_role_of_every_tenant_is_seen_to_leak() -> Result<()> {
    let cluster = Cluster::builder().conf("fsync", "off").start()?;
    let mut game = Game::new(&cluster, "control", 1)?;
    game.owner.batch_execute("SELECT costsim_grant('of_acme', 'app'), costsim_grant('of_zebra', 'app'), costsim_grant('pooled', 'app')")?;
    for _ in 0..150 {
        game.play()?;
    }
    ensure!(game.leaks.len() > 10, "the game has seen {} leaks", game.leaks.len());
    Ok(())
}

/// Two clients of a transaction pooler with one server process between them.
fn pooled(cluster: &Cluster, database: &str) -> Result<(PgBouncer, [Client; 2])> {
    let mut owner = cluster.create_database_with_extension(database)?;
    owner.batch_execute(
        "CREATE ROLE pooled; SELECT costsim_grant('pooled', 'app', NULL);
         INSERT INTO costsim_provenance (run_id, tenant_id) SELECT t || '-run', t FROM unnest(ARRAY['acme', 'zebra']) t",
    )?;
    let pooler = PgBouncer::start(cluster, Pooling::Transaction, 1)?;
    let clients = [pooler.connect(database)?, pooler.connect(database)?];
    Ok((pooler, clients))
}

const RUNS: &str =
    "SELECT coalesce(string_agg(run_id, ',' ORDER BY run_id), 'nothing') FROM costsim_provenance";

#[test]
fn set_local_leaks_nothing_behind_a_pooler_and_set_does() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let (_pooler, mut clients) = pooled(&cluster, "pooled")?;
    let ask = |client: &mut Client, tenant: &str| {
        let text =
            format!("BEGIN; SET LOCAL ROLE pooled; SET LOCAL costsim.tenant_id = '{tenant}'; {RUNS}; COMMIT");
        told(client, &text).0
    };
    for round in 0..200 {
        let tenant = TENANTS[round % 2];
        assert_eq!(ask(&mut clients[round % 2], tenant), format!("{tenant}-run|\n"), "round {round}");
        // Whoever forgets to say it sees nothing, whoever came before.
        let forgotten = format!("BEGIN; SET LOCAL ROLE pooled; {RUNS}; COMMIT");
        assert_eq!(told(&mut clients[(round + 1) % 2], &forgotten).0, "nothing|\n", "round {round}");
        // And after a transaction that was aborted in the middle.
        let aborted =
            format!("BEGIN; SET LOCAL ROLE pooled; SET LOCAL costsim.tenant_id = '{tenant}'; SELECT 1 / 0");
        assert_eq!(told(&mut clients[round % 2], &aborted).1.as_deref(), Some("22012"));
        told(&mut clients[round % 2], "ROLLBACK");
    }
    // The control: what one client says for its session is what the next finds.
    told(&mut clients[0], "SET costsim.tenant_id = 'zebra'");
    let forgotten = format!("BEGIN; SET LOCAL ROLE pooled; {RUNS}; COMMIT");
    assert_eq!(
        told(&mut clients[1], &forgotten).0,
        "zebra-run|\n",
        "a setting of the session did not leak: the test shows nothing"
    );
    Ok(())
}
