//! Hashes in a whole server: large documents in bounded memory, a cancel that is heeded, and the programs of the manual that
//! give the same answers in other languages.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, Shared, one, shared_file, sqlstate_of};
use postgres::Client;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

static CLUSTER: Shared<Cluster> = Shared::new();

/// Large values lie outside the row, and not compressed: packing them would take longer than all else.
const DOCUMENTS: &str = "CREATE UNLOGGED TABLE documents (name text, payload json);
    ALTER TABLE documents ALTER payload SET STORAGE EXTERNAL";

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().conf("fsync", "off").conf("jit", "off").start())?;
    let mut client = cluster.create_database_with_extension(name)?;
    client.batch_execute(DOCUMENTS)?;
    Ok((cluster, client))
}

/// Bytes, from what the kernel tells of a process.
fn memory(pid: i32, field: &str) -> Result<i64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| field.to_owned())?;
    let kilobytes: i64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().context(line.to_owned())?;
    Ok(kilobytes * 1024)
}

/// Seconds that a process has computed.
fn computed(pid: i32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let mut fields = stat.rsplit_once(") ").context("no fields")?.1.split(' ').skip(11);
    let ticks: f64 = fields.next().context("no user time")?.parse()?;
    Ok(ticks / 100.0)
}

fn pid(client: &mut Client) -> Result<i32> {
    one(client, "SELECT pg_backend_pid()")
}

/// The most memory of its own that a session has had after a query. What it has touched of the server's shared memory, which is there all the
/// same and whose pages come and go with whatever else is done, does not count.
fn most_memory(cluster: &Cluster, database: &str, query: &str) -> Result<i64> {
    let mut client = cluster.connect(database)?;
    let pid = pid(&mut client)?;
    // The library and what it looks up once are no document's.
    client.query_one("SELECT costsim_input_digest('{}'), costsim_jcs_digest('{}')", &[])?;
    client.query_one(query, &[])?;
    Ok(memory(pid, "VmHWM")? - memory(pid, "RssShmem")?)
}

#[test]
fn document_of_100_mb_is_hashed_in_less_than_twice_its_size() -> Result<()> {
    let (cluster, mut client) = database("memory")?;
    // As programs write them; in order and without blanks; and the one with the largest index: pairs, all in the wrong order.
    client.batch_execute(
        r#"INSERT INTO documents
           SELECT 'usual', ('[' || repeat(string_agg(format('{"skill": "http_call", "params": {"url": "https://api.example.com/%s", "method": "GET",
                                                          "timeout": 30}, "cost": %s, "retries": 3, "tags": ["a", "b"]}, ', n, n / 7.0), ''), 110) || '0]')::json
             FROM generate_series(1, 5000) n;
           INSERT INTO documents
           SELECT 'canonical', ('[' || repeat(string_agg(format('{"cost":%s.5,"params":{"method":"GET","timeout":30,"url":"https://api.example.com/%s"},'
                                                               '"retries":3,"skill":"http_call","tags":["a","b"]},', n, n), ''), 150) || '0]')::json
             FROM generate_series(1, 5000) n;
           INSERT INTO documents SELECT 'hostile', ('[' || repeat('{"b":0,"a":0},', 7150000) || '0]')::json"#,
    )?;
    for (name, most) in [("usual", 0.5), ("canonical", 0.1), ("hostile", 1.75)] {
        let from = format!("FROM documents WHERE name = '{name}'");
        let size: i32 = one(&mut client, &format!("SELECT octet_length(payload::text) {from}"))?;
        ensure!(size > 99_000_000, "{name} has {size} bytes");
        let most_of = |query: &str| most_memory(&cluster, "memory", &format!("SELECT {query} {from}"));
        // The one has the text once, the other copies of it.
        let (text, copies) = (most_of("json_typeof(payload)")?, most_of("length(payload::text)")?);
        for function in ["costsim_input_digest", "costsim_jcs_digest"] {
            let hashing = most_of(&format!("{function}(payload)"))?;
            let beyond = (hashing - text) as f64 / f64::from(size);
            eprintln!("{function} of {name}, {size} bytes: {beyond:.2} of its size beyond its text");
            assert!(beyond < most, "{function} of {name}: {beyond:.2}");
            assert!(hashing < copies + 2 * i64::from(size), "{function} of {name}: {hashing}, not {copies}");
        }
    }
    Ok(())
}

#[test]
fn cancel_during_a_hash_of_200_mb_is_heeded() -> Result<()> {
    let (cluster, mut other) = database("cancel")?;
    // Five million keys in no order: sorting them takes many seconds.
    other.batch_execute(
        r#"INSERT INTO documents SELECT 'shuffled', ('{"' || string_agg(md5(n::text), '":0,"') || '":0}')::json
             FROM generate_series(1, 5450000) n"#,
    )?;
    let size: i32 = one(&mut other, "SELECT octet_length(payload::text) FROM documents")?;
    ensure!(size > 200_000_000, "{size} bytes");
    let mut client = cluster.connect("cancel")?;
    let pid = pid(&mut client)?;
    client.batch_execute("SELECT length(payload::text) FROM documents")?;
    let before = memory(pid, "VmRSS")?;
    for (round, query) in [
        "SELECT costsim_input_digest(payload) FROM documents, generate_series(1, 100)",
        "SELECT costsim_input_digest(payload) FROM documents, generate_series(1, 100)",
        "SELECT costsim_jcs_digest(payload) FROM documents, generate_series(1, 100)",
        "SELECT length(costsim_canonical(payload)) FROM documents, generate_series(1, 100)",
        "SELECT length(costsim_jcs(payload)) FROM documents, generate_series(1, 100)",
    ]
    .into_iter()
    .enumerate()
    {
        let begin = computed(pid)?;
        let ended = thread::scope(|scope| -> Result<_> {
            let running = scope.spawn(|| (client.simple_query(query).err(), Instant::now()));
            // Each time somewhere else: while reading, while sorting.
            let reached = begin + 0.2 + 0.4 * round as f64;
            wait_until(LIMIT, "some work", || Ok((computed(pid)? >= reached).then_some(())))?;
            let asked = Instant::now();
            ensure!(
                other.query_one("SELECT pg_cancel_backend($1)", &[&pid])?.get::<_, bool>(0),
                "no such backend"
            );
            let (error, ended) = running.join().map_err(|_| anyhow::anyhow!("the client panicked"))?;
            let error = error.context("the query went through")?;
            assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error}");
            Ok(ended - asked)
        })?;
        eprintln!("{query}: ended {ended:?} after the cancel");
        assert!(ended < Duration::from_secs(2), "{query}: {ended:?}");
    }
    // The same session goes on, and nothing of the broken-off work is left in its memory.
    assert_eq!(one::<i32>(&mut client, "SELECT pg_backend_pid()")?, pid);
    let left = memory(pid, "VmRSS")? - before;
    assert!(left < 64 << 20, "{left} bytes are left");
    Ok(())
}

#[test]
fn what_is_too_deep_or_too_large_is_refused_and_the_session_goes_on() -> Result<()> {
    let (_cluster, mut client) = database("refused")?;
    let pid = pid(&mut client)?;
    // PostgreSQL itself reads some thousand levels, depending on max_stack_depth.
    client.batch_execute(
        r#"INSERT INTO documents VALUES
               ('deep', (repeat('[', 1001) || repeat(']', 1001))::json),
               ('deeper', (repeat('{"a":[', 1500) || repeat(']}', 1500))::json),
               ('large', ('"' || repeat(repeat('x', 1024), 256 * 1024) || '"')::json),
               ('largest', ('"' || repeat(repeat('x', 1024), 256 * 1024 - 1) || repeat('x', 1022) || '"')::json),
               ('growing', ('"' || repeat(repeat(U&'\007F', 1024), 180 * 1024) || '"')::json)"#,
    )?;
    for (name, sqlstate) in [("deep", "54001"), ("deeper", "54001"), ("large", "54000")] {
        for function in ["costsim_input_hash", "costsim_jcs_digest", "costsim_canonical", "costsim_jcs"] {
            let statement = format!("SELECT {function}(payload) FROM documents WHERE name = '{name}'");
            assert_eq!(sqlstate_of(&mut client, &statement)?, sqlstate, "{statement}");
        }
    }
    // The largest that is taken, and one whose form is larger than any value of the server.
    let same = "SELECT costsim_input_digest(payload) = encode(sha256(payload::text::bytea), 'hex') FROM documents WHERE name = 'largest'";
    assert!(one::<bool>(&mut client, same)?);
    let statement = "SELECT costsim_canonical(payload) FROM documents WHERE name = 'growing'";
    assert_eq!(sqlstate_of(&mut client, statement)?, "54000");
    assert_eq!(one::<i32>(&mut client, "SELECT pg_backend_pid()")?, pid);
    Ok(())
}

/// Bounds the address space of a backend, as its own user: root may lack the right over another's process.
fn limit_memory(pid: i32, most: &str) -> Result<()> {
    let owner = fs::metadata(format!("/proc/{pid}"))?;
    let (user, group) = (owner.uid().to_string(), owner.gid().to_string());
    let mut command = Command::new("env");
    if fs::metadata("/proc/self")?.uid() != owner.uid() {
        command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
    }
    let status = command.args(["prlimit", &format!("--pid={pid}"), &format!("--as={most}:")]).status()?;
    ensure!(status.success(), "prlimit: {status}");
    Ok(())
}

#[test]
fn lack_of_memory_is_an_error_and_not_the_end_of_the_session() -> Result<()> {
    let (_cluster, mut client) = database("lack")?;
    client.batch_execute(
        r#"INSERT INTO documents SELECT 'hostile', ('[' || repeat('{"b":0,"a":0},', 7150000) || '0]')::json"#,
    )?;
    let backend = pid(&mut client)?;
    let statement = "SELECT costsim_input_digest(payload) FROM documents";
    let whole: String = one(&mut client, statement)?;
    // Enough for the text, and for half of the index.
    let most = memory(backend, "VmSize")? + (160 << 20);
    limit_memory(backend, &most.to_string())?;
    let error = client.simple_query(statement).err().context("the index found memory")?;
    let error = error.as_db_error().context("the session ended")?;
    assert_eq!((error.code().code(), error.message()), ("53200", "out of memory for the canonical form"));
    assert!(one::<String>(&mut client, "SELECT costsim_input_digest('{\"b\":1,\"a\":2}')")?.len() == 64);
    limit_memory(backend, "unlimited")?;
    assert_eq!(one::<String>(&mut client, statement)?, whole);
    assert_eq!(pid(&mut client)?, backend);
    Ok(())
}

/// Texts in which implementations may differ, beside the recorded ones.
const CORNERS: [&str; 26] = [
    r#"{"a":1,"b":2,"a":3}"#,
    r#"{"\u0061":1,"a":2}"#,
    r#"["\ud800"]"#,
    r#"{"\ude00\ud83d":1,"\ud83d\ude00":2}"#,
    r#"{"😀":1,"\uffff":2,"€":3,"z":4,"":5}"#,
    r#"{"a":{"b":[{"d":1,"c":2}]},"Z":null,"_":true}"#,
    "1e400",
    "[-1E400]",
    "-0",
    "[-0.0,0.0,-0,0,-0e-7]",
    "[1.0,1,100.0,1e2,1E+2,0.1e3]",
    "[9007199254740993,9007199254740993.0,123456789012345678901234567890]",
    "[1e15,1e16,9999999999999998.0,1e20,1e21,1e22,123456789012345680000.0]",
    "[0.0001,0.00001,1e-6,1e-7,0.00000123]",
    "[5e-324,2.2250738585072014e-308,1.7976931348623157e308]",
    "[2169758666957829.25,2169758666957829.75,5.960464477539063e-8,2.98023223876953125e-8]",
    "[0.30000000000000004,0.1,0.2,333333333.33333329]",
    r#""\u0000\u001f\u007f\u0080\u2028/\/""#,
    r#""\b\f\n\r\t\"\\""#,
    r#"{"a b":" ","c":"[{,:}]","d\"":"\\"}"#,
    "[]",
    "{}",
    r#" [ { } , [ ] , "" , true , false , null ] "#,
    r#"{"10":1,"9":2,"1":3,"__proto__":4,"constructor":5}"#,
    r#"{"aa":1,"a":2,"aaaaaaaaa":3,"aaaaaaaa":4,"aaaaaaab":5}"#,
    "12345678901234567890.123456789e-5",
];

fn texts() -> Result<Vec<String>> {
    let path = shared_file("vectors/input_hash.csv");
    let mut file = csv::Reader::from_path(&path)
        .with_context(|| format!("the vectors must be at {}; set COSTSIM_SHARED", path.display()))?;
    let mut texts: Vec<String> = CORNERS.map(str::to_owned).into();
    for vector in file.records() {
        // A line each: no string has a raw one.
        texts.push(vector?[0].replace(['\n', '\r'], " "));
    }
    Ok(texts)
}

/// What a program of the manual answers to each text.
fn answers(program: &mut Command, texts: &[String]) -> Result<Vec<String>> {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the program: is 'make setup' done?")?;
    let mut input = child.stdin.take().context("its input")?;
    let output = BufReader::new(child.stdout.take().context("its output")?);
    let answers = thread::scope(|scope| {
        scope.spawn(move || texts.iter().try_for_each(|text| writeln!(input, "{text}")));
        output.lines().collect::<Result<Vec<_>, _>>()
    })?;
    ensure!(child.wait()?.success(), "the program failed");
    Ok(answers)
}

#[test]
fn programs_in_other_languages_give_the_servers_hashes() -> Result<()> {
    let (_cluster, mut client) = database("programs")?;
    let texts = texts()?;
    ensure!(texts.len() > 1_500, "some vectors are missing");
    let reference =
        client.prepare("SELECT costsim_input_hash($1::text::json), costsim_input_digest($1::text::json)")?;
    let jcs = client.prepare("SELECT costsim_jcs_digest($1::text::json)")?;
    let mut refused = 0;
    let mut servers = Vec::new();
    for text in &texts {
        let row = client.query_one(&reference, &[text]).with_context(|| text.clone())?;
        let third = match client.query_one(&jcs, &[text]) {
            Ok(row) => row.get(0),
            Err(error) => {
                assert_eq!(error.code().map(|code| code.code()), Some("22023"), "{text}: {error}");
                refused += 1;
                "refused".to_owned()
            }
        };
        servers.push(format!("{} {} {third}", row.get::<_, &str>(0), row.get::<_, &str>(1)));
    }
    ensure!(refused >= 6, "{refused} are refused");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-I", &format!("{folder}/provenance_hash.py")]);
    let mut node = Command::new("node");
    node.arg(format!("{folder}/provenance_hash.js"));
    for program in [&mut python, &mut node] {
        let answers = answers(program, &texts)?;
        ensure!(answers.len() == texts.len(), "{program:?} ended early");
        for ((text, server), answer) in texts.iter().zip(&servers).zip(&answers) {
            assert_eq!(answer, server, "{program:?}: {text}");
        }
    }
    Ok(())
}
