//! docs/sql.md, docs/settings.md and the pictures in docs/operations.md are what the catalog, the settings and the functions say: `make docs` writes
//! them, and here they are found fresh. What has no COMMENT, no description or no room is found as well.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, Site, one, wait_for};
use postgres::Client;
use std::sync::Arc;

/// Nothing is configured, so every setting has its default.
static CLUSTER: Shared<Cluster> = Shared::new();

fn session(database: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let mut client = cluster.create_database_with_extension(database)?;
    client.batch_execute("LOAD 'costsim_pg'; SET TimeZone = 'UTC'")?;
    Ok((cluster, client))
}

/// A room: the word that names its files, its heading, what it is for, and its manual.
struct Room {
    word: &'static str,
    heading: &'static str,
    about: &'static str,
    manual: &'static str,
}

const fn room(word: &'static str, heading: &'static str, about: &'static str, manual: &'static str) -> Room {
    Room { word, heading, about, manual }
}

/// In the order in which one reads them.
const ROOMS: [Room; 25] = [
    room(
        "leader",
        "Leader",
        "One session, or one lease, leads a lock id, with a token that only grows.",
        "leader.md",
    ),
    room("breaker", "Breaker", "Whether the new cost model may answer, and why not.", "breaker.md"),
    room("alert", "Alert", "What must reach Alertmanager, and how far it has come.", "alerts.md"),
    room("worker", "Worker", "Who delivers, and who keeps things in order.", "alerts.md"),
    room(
        "provenance",
        "Provenance and drift",
        "What was computed from what, and how far V2 is from V1.",
        "provenance.md",
    ),
    room(
        "simulate",
        "Models and sandbox",
        "What a plan will cost, by the models that are rows.",
        "canary.md",
    ),
    room("golden", "Golden sets", "What a model must say.", "canary.md"),
    room("canary", "Canary", "Whether the new model may be trusted, by schedule and by hand.", "canary.md"),
    room(
        "divergence",
        "Divergence",
        "How far two models are from each other over recorded pairs.",
        "canary.md",
    ),
    room("cost", "Cost", "What every request cost, and what that comes to.", "cost.md"),
    room("budget", "Budgets", "What may be spent, and how much of it is.", "cost.md"),
    room("spend", "Spend", "What dashboards read: sums by time, feature, user and model.", "cost.md"),
    room("anomaly", "Anomalies", "What is unusual in what a tenant spends.", "cost.md"),
    room("run", "Runs", "What workers did.", "signals.md"),
    room("pattern", "Patterns", "What goes wrong again and again.", "signals.md"),
    room("prediction", "Predictions", "What is likely to go wrong, and how surely.", "signals.md"),
    room("audit", "Audit", "A record of every decision that nobody changes.", "audit.md"),
    room("coordination", "Coordination", "Who may turn which knob.", "audit.md"),
    room("plot", "Plots", "Spend and drift as lines of text.", "operations.md"),
    room("status", "Status", "How it is, at a glance.", "operations.md"),
    room("metrics", "Metrics", "What Prometheus scrapes.", "metrics.md"),
    room("retention", "Retention", "What is kept, and for how long.", "operations.md"),
    room("access", "Access", "Who may do what, and of which tenant.", "security.md"),
    room("adopt", "Adopting", "Taking over what another system has stored.", "adopting.md"),
    room("house", "Of the house", "What belongs to no room alone.", "architecture.md"),
];

/// Files that are named after a part of a room.
fn room_of_file(stem: &str) -> &str {
    match stem {
        "drift" | "rollup" | "backfill" => "provenance",
        "schedule" => "canary",
        "grant" => "access",
        "maintenance" | "seed" | "version" | "schema" | "lib" | "db" => "house",
        stem => stem,
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, extension, found)?;
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// The name that stands at the beginning of a text.
fn name_at(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let name = &text[..end];
    name.trim_start_matches('_').starts_with("costsim_").then_some(name)
}

/// In which room each object is made: by the file that makes it.
fn rooms_of_objects() -> Result<BTreeMap<String, String>> {
    let mut rooms = BTreeMap::new();
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("sql"))? {
        let path = entry?.path();
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    for path in found {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).context("a file's name")?;
        let stem = stem.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
        let stem = stem.strip_suffix("_access").unwrap_or(stem);
        for line in fs::read_to_string(&path)?.lines() {
            for word in ["FUNCTION ", "VIEW ", "TABLE ", "TYPE ", "AGGREGATE "] {
                let made =
                    line.strip_prefix("CREATE ").and_then(|rest| rest.strip_prefix(word)).and_then(name_at);
                if let Some(name) = made {
                    rooms.entry(name.to_owned()).or_insert_with(|| room_of_file(stem).to_owned());
                }
            }
        }
    }
    let source = root().join("src");
    let mut found = Vec::new();
    files(&source, "rs", &mut found)?;
    for path in found {
        let inside = path.strip_prefix(&source)?;
        let folder = inside.components().next().context("a path")?.as_os_str().to_string_lossy().into_owned();
        let folder = folder.strip_suffix(".rs").unwrap_or(&folder);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        // Retention is kept by the worker.
        let room = if stem == "retention" { "retention" } else { room_of_file(folder) };
        let text = fs::read_to_string(&path)?;
        for (at, _) in text.match_indices("fn ") {
            if let Some(name) = name_at(&text[at + 3..]) {
                rooms.entry(name.to_owned()).or_insert_with(|| room.to_owned());
            }
        }
    }
    Ok(rooms)
}

/// A text as Markdown shows it.
fn plain(text: &str) -> String {
    text.replace('<', "&lt;").replace('*', "\\*").replace('|', "\\|")
}

struct Function {
    name: String,
    arguments: String,
    result: String,
    notes: String,
    comment: String,
}

struct Column {
    name: String,
    kind: String,
    default: Option<String>,
    comment: String,
}

struct Relation {
    name: String,
    kind: String,
    comment: String,
    columns: Vec<Column>,
}

/// Objects of the extension in one catalog, by what they are.
const MEMBER: &str =
    "FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
     WHERE d.deptype = 'e' AND e.extname = 'costsim_pg'";

fn functions(client: &mut Client, missing: &mut Vec<String>) -> Result<Vec<Function>> {
    let query = format!(
        "SELECT p.proname::text, coalesce(pg_get_function_arguments(p.oid), ''), coalesce(pg_get_function_result(p.oid), ''),
                CASE p.prokind WHEN 'a' THEN 'aggregate' ELSE
                     CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END
                     || CASE p.proparallel WHEN 's' THEN ', parallel safe' WHEN 'r' THEN ', parallel restricted' ELSE '' END
                     || CASE WHEN p.proisstrict THEN ', strict' ELSE '' END
                     || CASE WHEN p.prosecdef THEN ', with its owner''s rights' ELSE '' END END,
                obj_description(p.oid, 'pg_proc')
           FROM pg_proc p
          WHERE p.oid IN (SELECT d.objid {MEMBER} AND d.classid = 'pg_proc'::regclass)
          ORDER BY ltrim(p.proname::text, '_') COLLATE \"C\", 2"
    );
    let mut found = Vec::new();
    for row in client.query(&query, &[])? {
        let (name, comment): (String, Option<String>) = (row.get(0), row.get(4));
        if comment.is_none() {
            missing.push(format!("function {name}"));
        }
        let (arguments, result, notes) = (row.get(1), row.get(2), row.get(3));
        found.push(Function { name, arguments, result, notes, comment: comment.unwrap_or_default() });
    }
    Ok(found)
}

fn relations(client: &mut Client, missing: &mut Vec<String>) -> Result<Vec<Relation>> {
    let query = format!(
        "SELECT c.oid, c.relname::text, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END,
                obj_description(c.oid, 'pg_class')
           FROM pg_class c
          WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.oid IN (SELECT d.objid {MEMBER} AND d.classid = 'pg_class'::regclass)
          ORDER BY c.relkind DESC, c.relname COLLATE \"C\""
    );
    let mut found = Vec::new();
    for row in client.query(&query, &[])? {
        let (oid, name, comment): (u32, String, Option<String>) = (row.get(0), row.get(1), row.get(3));
        if comment.is_none() {
            missing.push(format!("relation {name}"));
        }
        let columns = client.query(
            "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
                    || CASE WHEN a.attnotnull AND c.relkind <> 'v' THEN ' not null' ELSE '' END,
                    CASE WHEN a.attidentity <> '' THEN 'its sequence' WHEN a.attgenerated <> '' THEN 'computed'
                         ELSE pg_get_expr(d.adbin, d.adrelid) END,
                    coalesce(col_description(a.attrelid, a.attnum), '')
               FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
               LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
              WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[&oid],
        )?;
        let columns = columns
            .iter()
            .map(|row| Column {
                name: row.get(0),
                kind: row.get(1),
                default: row.get(2),
                comment: row.get(3),
            })
            .collect();
        found.push(Relation { name, kind: row.get(2), comment: comment.unwrap_or_default(), columns });
    }
    Ok(found)
}

fn types(client: &mut Client, missing: &mut Vec<String>) -> Result<Vec<(String, String)>> {
    // Row types and arrays come with what they are of.
    let query = format!(
        "SELECT t.typname::text, obj_description(t.oid, 'pg_type') FROM pg_type t
          WHERE t.typtype IN ('b', 'd', 'e', 'r') AND t.typelem = 0 AND t.oid IN (SELECT d.objid {MEMBER} AND d.classid = 'pg_type'::regclass)
          ORDER BY 1"
    );
    let mut found = Vec::new();
    for row in client.query(&query, &[])? {
        let (name, comment): (String, Option<String>) = (row.get(0), row.get(1));
        if comment.is_none() {
            missing.push(format!("type {name}"));
        }
        found.push((name, comment.unwrap_or_default()));
    }
    Ok(found)
}

/// Whether anything is in a room.
fn is_in_use(
    functions: &[Function],
    relations: &[Relation],
    types: &[(String, String)],
    is_in: &dyn Fn(&str) -> bool,
) -> bool {
    functions.iter().any(|it| is_in(&it.name))
        || relations.iter().any(|it| is_in(&it.name))
        || types.iter().any(|it| is_in(&it.0))
}

fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

/// docs/sql.md as the catalog has it.
fn sql_page(client: &mut Client) -> Result<String> {
    let mut missing = Vec::new();
    let functions = functions(client, &mut missing)?;
    let relations = relations(client, &mut missing)?;
    let types = types(client, &mut missing)?;
    ensure!(missing.is_empty(), "without a COMMENT: {missing:?}");

    let rooms = rooms_of_objects()?;
    let names = functions.iter().map(|it| &it.name).chain(relations.iter().map(|it| &it.name));
    let homeless: BTreeSet<_> = names
        .chain(types.iter().map(|it| &it.0))
        .filter(|name| rooms.get(*name).is_none_or(|room| !ROOMS.iter().any(|known| known.word == room)))
        .map(|name| format!("{name} of {}", rooms.get(name).map_or("no file", String::as_str)))
        .collect();
    ensure!(homeless.is_empty(), "of a room that ROOMS in docs_reference.rs does not name: {homeless:?}");
    let is_in = |name: &str, room: &Room| rooms.get(name).is_some_and(|known| known == room.word);
    let used: Vec<&Room> = ROOMS
        .iter()
        .filter(|room| is_in_use(&functions, &relations, &types, &|name| is_in(name, room)))
        .collect();

    let mut page = String::from(
        "# SQL reference\n\nEvery function, table, view and type of the extension, room by room, from their COMMENTs: what `\\df+ costsim_*` and `\\d+` show in \
         psql. Written by `make docs`, never by hand. The settings are in [settings.md](settings.md).\n\nA name with an underscore in front is the extension's \
         own: nobody needs to call it, and it may change.\n\n| Room | | Manual |\n|---|---|---|\n",
    );
    for room in &used {
        let Room { heading, about, manual, .. } = room;
        let manual = if root().join("docs").join(manual).exists() {
            format!("[{manual}]({manual})")
        } else {
            String::new()
        };
        writeln!(page, "| [{heading}](#{}) | {about} | {manual} |", anchor(heading))?;
    }
    for room in used {
        let functions = || functions.iter().filter(|it| is_in(&it.name, room));
        let own: Vec<_> = functions().filter(|it| it.name.starts_with('_')).collect();
        writeln!(page, "\n## {}\n\n{}", room.heading, room.about)?;
        for function in functions().filter(|it| !it.name.starts_with('_')) {
            let Function { name, arguments, result, notes, comment } = function;
            writeln!(
                page,
                "\n**`{name}`** `({arguments})` → `{result}`  \n{} <sub>{notes}</sub>",
                plain(comment)
            )?;
        }
        for (name, comment) in types.iter().filter(|it| is_in(&it.0, room)) {
            writeln!(page, "\n**`{name}`** type  \n{}", plain(comment))?;
        }
        for relation in relations.iter().filter(|it| is_in(&it.name, room)) {
            writeln!(page, "\n**`{}`** {}  \n{}\n", relation.name, relation.kind, plain(&relation.comment))?;
            writeln!(page, "| Column | Type | |\n|---|---|---|")?;
            for column in &relation.columns {
                let default = match &column.default {
                    Some(default) => format!("Default `{}`.", default.replace('|', "\\|")),
                    None => String::new(),
                };
                let words = [plain(&column.comment), default];
                let words: Vec<_> =
                    words.iter().map(String::as_str).filter(|words| !words.is_empty()).collect();
                writeln!(page, "| `{}` | {} | {} |", column.name, column.kind, words.join(" "))?;
            }
        }
        if !own.is_empty() {
            writeln!(page, "\nOf the extension's own:\n")?;
            for Function { name, arguments, comment, .. } in own {
                writeln!(page, "* `{name}({arguments})`: {}", plain(comment))?;
            }
        }
    }
    Ok(page)
}

/// Of which room a setting is: by the file that defines it, where each room has one.
fn rooms_of_settings() -> Result<BTreeMap<String, String>> {
    let folder = root().join("src/guc");
    let mut found = Vec::new();
    if folder.is_dir() {
        files(&folder, "rs", &mut found)?;
    }
    let mut rooms = BTreeMap::new();
    for path in found {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let text = fs::read_to_string(&path)?;
        for part in text.split("c\"costsim.").skip(1) {
            let name = part.split('"').next().unwrap_or_default();
            rooms.entry(format!("costsim.{name}")).or_insert_with(|| stem.clone());
        }
    }
    Ok(rooms)
}

/// docs/settings.md as pg_settings has it.
fn settings_page(client: &mut Client) -> Result<String> {
    let rows = client.query(
        "SELECT s.name, current_setting(s.name), s.vartype, coalesce(s.unit, ''), s.min_val, s.max_val, s.enumvals, s.context,
                coalesce(s.short_desc, ''), coalesce(s.extra_desc, ''), s.setting IS NOT DISTINCT FROM s.boot_val
           FROM pg_settings s WHERE s.name LIKE 'costsim.%' ORDER BY s.name COLLATE \"C\"",
        &[],
    )?;
    ensure!(rows.len() > 20, "{} settings", rows.len());
    let rooms = rooms_of_settings()?;
    let mut by_room: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        let (name, default, kind, unit): (String, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let (least, most, words): (Option<String>, Option<String>, Option<Vec<String>>) =
            (row.get(4), row.get(5), row.get(6));
        let (context, short, extra, is_default): (String, String, String, bool) =
            (row.get(7), row.get(8), row.get(9), row.get(10));
        ensure!(short.len() > 20 && extra.len() > 20, "{name} does not say what it is");
        ensure!(is_default, "{name} is not at its default");
        let range = match (kind.as_str(), least, most, words) {
            ("integer" | "real", Some(least), Some(most), _) => {
                format!(
                    "{least} to {most}{}",
                    if unit.is_empty() { String::new() } else { format!(" {unit}") }
                )
            }
            ("enum", _, _, Some(words)) => words.join(", "),
            ("bool", ..) => "on, off".to_owned(),
            _ => "a text".to_owned(),
        };
        let who = match context.as_str() {
            "sighup" => "postgresql.conf and reload",
            "postmaster" => "postgresql.conf and restart",
            "superuser" => "a superuser, at any time",
            "user" => "anybody, at any time",
            other => other,
        };
        let default = if default.is_empty() { "empty".to_owned() } else { format!("`{default}`") };
        let heading = rooms.get(&name).map_or("", String::as_str).to_owned();
        by_room.entry(heading).or_default().push(format!(
            "| `{name}` | {default} | {range} | {who} | {} {} |",
            plain(&short),
            plain(&extra)
        ));
    }
    let mut page = String::from(
        "# Settings\n\nEvery setting of the extension, from `pg_settings`. Written by `make docs`, never by hand. Thresholds of a breaker are its own, in its row of \
         `costsim_cb_state`; `costsim_configure_breaker` sets them. What `costsim_status()` compares with stands in `costsim_status_limits`.\n",
    );
    if by_room.len() > 1 {
        page.push('\n');
        for room in by_room.keys() {
            writeln!(page, "* [{0}](#{0})", room)?;
        }
    }
    for (room, settings) in by_room {
        if !room.is_empty() {
            writeln!(page, "\n## {}{}", room[..1].to_uppercase(), &room[1..])?;
        }
        writeln!(page, "\n| Setting | Default | Values | Who sets it | |\n|---|---|---|---|---|")?;
        for setting in settings {
            writeln!(page, "{setting}")?;
        }
    }
    Ok(page)
}

/// What psql prints in a terminal of 120 columns.
fn psql(cluster: &Cluster, database: &str, commands: &[&str]) -> Result<String> {
    let mut tool = Command::new(cluster.bindir().join("psql"));
    tool.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--pset=columns=120", "--pset=footer=off"]);
    tool.arg("--dbname")
        .arg(cluster.conn_string(database))
        .env("PGTZ", "UTC")
        .env("PGCLIENTENCODING", "UTF8")
        .env("LC_ALL", "C.UTF-8");
    for command in commands {
        tool.args(["--command", command]);
    }
    let output = tool.output().context("starting psql")?;
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    Ok(format!("{}\n", lines.join("\n").trim_end()))
}

/// Every moment is shown as one and the same, which is as long.
fn masked(text: &str) -> String {
    const MOMENT: &str = "2025-01-31 09:26:53+00";
    let shape = |window: &str| {
        window.len() == MOMENT.len()
            && window
                .bytes()
                .zip(MOMENT.bytes())
                .all(|(one, other)| if other.is_ascii_digit() { one.is_ascii_digit() } else { one == other })
    };
    let mut masked = text.to_owned();
    let mut at = 0;
    while at + MOMENT.len() <= masked.len() {
        if masked.get(at..at + MOMENT.len()).is_some_and(shape) {
            masked.replace_range(at..at + MOMENT.len(), MOMENT);
            at += MOMENT.len();
        } else {
            at += 1;
        }
    }
    masked
}

/// A database in use, on a day on which a few things are not as they should be.
const IN_USE: &str = "
    SELECT costsim_try_lease(7001, 'replica-a', '1 h');
    SELECT costsim_disable_v2('prices look wrong', 'ada');
    SELECT costsim_enqueue_alert('[{\"labels\": {\"alertname\": \"QueueStuck\"}}]', 'test');
    UPDATE costsim_alert_queue SET created_at = now() - interval '4 minutes';
    SELECT costsim_write_provenance('run-' || n, 'acme', 'v2', v1_cost => 100, v2_cost => 100 + n) FROM generate_series(1, 6) n;
    UPDATE costsim_provenance SET created_at = now() - interval '90 minutes';
    SELECT costsim_refresh_drift();
    INSERT INTO costsim_canary_reports (run_id, status, \"timestamp\") VALUES ('a', 'pass', now() - interval '2 days'), ('b', 'fail', now() - interval '1 day');
    SELECT costsim_set_budget('acme', daily_limit_cents => 5000);
    SELECT costsim_record_cost('acme', 'model-a', 12.5);
    SELECT costsim_refresh_costs();
    SELECT costsim_record_run('acme', 'mailer', 'completed');
    SELECT costsim_coordinate('limit-rate', 'SAFETY', 'router', 'rate', '{\"rps\": 10}');
    SELECT costsim_set_kill_switch(true, 'ada', 'incident 12');";

/// A month of spend and two days of drift, the same wherever it is drawn.
const A_MONTH: &str = "
    INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
    SELECT 'acme', 'model-a', round(900 + 400 * sin(d) + CASE WHEN d IN (19, 20) THEN 2600 ELSE 0 END), timestamptz '2025-01-01 12:00+00' + d * interval '1 day'
      FROM generate_series(0, 29) d;
    INSERT INTO costsim_provenance (run_id, tenant_id, v1_cost, v2_cost, created_at)
    SELECT 'r', 'acme', 100, round(103 + 2 * sin(h) + CASE WHEN h > 38 THEN 3 * (h - 38) ELSE 0 END), timestamptz '2025-01-01 00:30+00' + h * interval '1 hour'
      FROM generate_series(0, 47) h WHERE h NOT BETWEEN 20 AND 24;";

/// Where each picture of docs/operations.md stands, and what it is.
fn pictures() -> Result<Vec<(&'static str, String)>> {
    let site = Site::start(
        Cluster::builder()
            .preload(true)
            .conf("costsim.databases", "app")
            .conf("costsim.detect_interval", "0"),
    )?;
    let mut client = site.connect()?;
    client.batch_execute(IN_USE)?;
    let question = "SELECT * FROM costsim_status()";
    wait_for(
        &mut client,
        "the worker to run",
        "SELECT status = 'ok' FROM costsim_status() WHERE subsystem = 'worker'",
    )?;
    let status = masked(&psql(&site.cluster, "app", &[question])?);
    client.batch_execute(A_MONTH)?;
    let spend = "SELECT * FROM costsim_spend_plot('acme', '2025-01-01', '2025-01-31')";
    let drift =
        "SELECT * FROM costsim_drift_plot('2025-01-01 00:00+00', '2025-01-02 23:59+00', tenant_id => 'acme')";
    let draw = |plot: &str| -> Result<String> {
        let picture = psql(&site.cluster, "app", &["\\pset tuples_only", "\\pset format unaligned", plot])?;
        Ok(picture
            .lines()
            .filter(|line| !line.ends_with('.'))
            .map(|line| format!("{}\n", line.trim_end()))
            .collect())
    };
    Ok(vec![
        ("status", format!("```text\napp=> {question};\n{status}```\n")),
        ("spend", format!("```text\napp=> {spend};\n{}```\n", draw(spend)?)),
        ("drift", format!("```text\napp=> {drift};\n{}```\n", draw(drift)?)),
    ])
}

/// The page with each picture in its place.
fn operations_page(page: &str) -> Result<String> {
    let mut page = page.to_owned();
    for (name, picture) in pictures()? {
        let (begin, end) = (format!("<!-- {name}: written by make docs -->\n"), format!("<!-- /{name} -->"));
        let from = page.find(&begin).with_context(|| format!("no {begin}"))? + begin.len();
        let to = page[from..].find(&end).with_context(|| format!("no {end}"))? + from;
        page.replace_range(from..to, &picture);
    }
    Ok(page)
}

/// The page is as it should be, or is made so.
fn is_fresh(name: &str, wanted: &str) -> Result<()> {
    let path = root().join("docs").join(name);
    if env::var_os("COSTSIM_WRITE_DOCS").is_some() {
        return fs::write(&path, wanted).with_context(|| path.display().to_string());
    }
    let is = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let differs = is.lines().zip(wanted.lines()).enumerate().find(|(_, (one, other))| one != other);
    if let Some((number, (one, other))) = differs {
        anyhow::bail!(
            "docs/{name} is not fresh: make docs. Line {}:\n  is     {one}\n  should {other}",
            number + 1
        );
    }
    ensure!(is == wanted, "docs/{name} is not fresh: make docs. One of them goes on after the other's end");
    Ok(())
}

#[test]
fn docs_sql_is_what_the_catalog_says() -> Result<()> {
    let (_cluster, mut client) = session("sql")?;
    is_fresh("sql.md", &sql_page(&mut client)?)
}

#[test]
fn docs_settings_are_what_the_server_says() -> Result<()> {
    let (_cluster, mut client) = session("settings")?;
    is_fresh("settings.md", &settings_page(&mut client)?)
}

#[test]
fn docs_operations_shows_what_the_functions_print() -> Result<()> {
    let path = root().join("docs/operations.md");
    let page = operations_page(&fs::read_to_string(&path)?)?;
    for line in
        page.lines().skip_while(|line| *line != "## At a glance").take_while(|line| *line != "## Plots")
    {
        let is_of_the_table = line.contains(" | ") && !line.starts_with('|');
        ensure!(!is_of_the_table || line.chars().count() <= 120, "wider than a terminal: {line}");
    }
    is_fresh("operations.md", &page)
}

#[test]
fn docs_name_no_object_that_is_not_there() -> Result<()> {
    let (_cluster, mut client) = session("names")?;
    let views: i64 =
        one(&mut client, "SELECT count(*) FROM pg_class WHERE relname LIKE 'costsim%' AND relkind = 'v'")?;
    ensure!(views > 5, "{views} views");
    // What costsim_status() tells people to look at exists.
    let text = fs::read_to_string(root().join("sql/90_status.sql"))?;
    let named: BTreeSet<&str> = ["'see costsim_", "'run costsim_"]
        .iter()
        .flat_map(|words| text.split(words).skip(1))
        .filter_map(|rest| rest.split(['(', '\'']).next())
        .collect();
    ensure!(named.len() > 8, "{named:?}");
    for name in named {
        let name = format!("costsim_{name}");
        let row = client.query_one(
            "SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1) OR EXISTS (SELECT FROM pg_proc WHERE proname = $1)",
            &[&name],
        )?;
        ensure!(row.get::<_, bool>(0), "there is no {name}");
    }
    Ok(())
}
