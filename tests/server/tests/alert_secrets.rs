//! What goes out is the operator's alone: no ordinary role changes or reads where alerts are sent and what opens the door
//! there, and what opens it is seen nowhere but there.

use anyhow::{Context, Result, bail, ensure};
use costsim_harness::{Authority, Cluster, Deed, HostileEndpoint, wait_until};
use costsim_server_tests::secrets::{
    belongs_to_the_server, beside_the_data, everything_shown, is_shown_nowhere, secret_file,
};
use costsim_server_tests::{LIMIT, Site, one, run_tool, set, sqlstate, sqlstate_of, wait_for};
use postgres::{Client, NoTls};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// What decides where alerts go, as whom, and over which way.
const OUTBOUND: [&str; 8] = [
    "costsim.alertmanager_url",
    "costsim.alertmanager_timeout",
    "costsim.alertmanager_connect_timeout",
    "costsim.alertmanager_auth_file",
    "costsim.alertmanager_ca_file",
    "costsim.alertmanager_cert_file",
    "costsim.alertmanager_key_file",
    "costsim.alertmanager_proxy",
];

const ENQUEUE: &str = r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test')"#;

/// The command line and the environment of every process of the server.
fn told_at_start(cluster: &Cluster) -> Result<Vec<String>> {
    let postmaster = cluster.postmaster_pid()?;
    let mut told = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
        let is_own = entry.file_name().to_str() == Some(&postmaster.to_string());
        if !is_own && parent != Some(postmaster) {
            continue;
        }
        for name in ["cmdline", "environ"] {
            // One that has just ended tells nothing any more.
            if let Ok(bytes) = fs::read(entry.path().join(name)) {
                told.push(String::from_utf8_lossy(&bytes).replace('\0', " "));
            }
        }
    }
    Ok(told)
}

#[test]
fn secret_is_seen_at_the_receiver_and_nowhere_else() -> Result<()> {
    let authority = Authority::new("own")?;
    let endpoint = HostileEndpoint::start_tls(|host| authority.server(host), Some(&authority))?;
    let site = Site::start(
        Site::builder("")
            .conf("log_min_messages", "debug5")
            .conf("log_statement", "all")
            .conf("log_error_verbosity", "verbose")
            .conf("debug_print_plan", "on"),
    )?;
    let mut client = site.connect()?;
    let identity = authority.client("costsim")?;
    let cluster = &site.cluster;
    let (ca, cert) = (beside_the_data(cluster, "ca.pem")?, beside_the_data(cluster, "cert.pem")?);
    fs::write(&ca, authority.pem())?;
    fs::write(&cert, &identity.certificate)?;
    let key = secret_file(cluster, "key.pem", &identity.key)?;
    let auth =
        secret_file(cluster, "auth", "basic ann:c4n4ry-of-a-password\nheader X-Key: c4n4ry-of-a-header")?;
    for (name, value) in [
        ("auth_file", auth.as_str()),
        ("ca_file", &ca.display().to_string()),
        ("cert_file", &cert.display().to_string()),
        ("key_file", &key),
        ("url", &endpoint.url()),
    ] {
        set(&mut client, &format!("costsim.alertmanager_{name}"), value)?;
    }
    // Refused first, so that there are errors to tell of, then taken.
    endpoint.does(Deed::status(500).body("c4n4ry-of-a-password"));
    client.batch_execute(&format!(r#"{ENQUEUE}; SELECT costsim_fire_alert('{{"alertname": "b"}}')"#))?;
    wait_for(&mut client, "a failed attempt", "SELECT failures > 0 FROM costsim_alert_targets")?;
    endpoint.does(200);
    wait_for(&mut client, "delivery", "SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()")?;
    let encoded = "YW5uOmM0bjRyeS1vZi1hLXBhc3N3b3Jk";
    for request in endpoint.requests() {
        assert_eq!(request.header("authorization"), Some(format!("Basic {encoded}").as_str()));
        assert_eq!(request.header("x-key"), Some("c4n4ry-of-a-header"));
    }

    let mut secrets = vec!["c4n4ry", encoded];
    secrets.extend(identity.key.lines().filter(|line| !line.starts_with('-')));
    assert!(secrets.len() >= 4, "the key has lines");
    is_shown_nowhere(cluster, &mut client, &secrets)?;
    // The places that were searched are those where it would be.
    let shown = everything_shown(&mut client)?;
    for path in [&auth, &key] {
        assert!(shown.iter().any(|(source, text)| source == "SHOW ALL" && text.contains(path.as_str())));
        assert!(shown.iter().any(|(source, text)| source == "pg_settings" && text.contains(path.as_str())));
    }
    assert!(cluster.log()?.contains("DEBUG:"), "the log tells everything");
    let dump = run_tool(cluster, "pg_dump", ["--dbname", &cluster.conn_string("app")])?;
    assert!(dump.contains("costsim_alert_queue"));
    let dump_of_all = run_tool(cluster, "pg_dumpall", ["--dbname", &cluster.conn_string("postgres")])?;
    let told = told_at_start(cluster)?;
    assert!(told.len() > 4, "{told:?}");
    for secret in secrets {
        for text in told.iter().chain([&dump, &dump_of_all]) {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    Ok(())
}

/// A session of a role that may do no more than any other, and owns the database `app`.
fn owner(cluster: &Cluster) -> Result<Client> {
    let mut config = cluster.config("app");
    Ok(config.user("ann").connect(NoTls)?)
}

fn make_owner(client: &mut Client) -> Result<()> {
    client.batch_execute("CREATE ROLE ann LOGIN CREATEROLE CREATEDB; ALTER DATABASE app OWNER TO ann")?;
    Ok(())
}

#[test]
fn ordinary_role_cannot_change_what_goes_out() -> Result<()> {
    let endpoint = HostileEndpoint::start()?;
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let mut superuser = site.connect()?;
    make_owner(&mut superuser)?;
    let mut ann = owner(&site.cluster)?;
    let query = "SELECT name, setting, context FROM pg_settings WHERE name LIKE 'costsim.%' ORDER BY 1";
    let before: Vec<(String, String, String)> =
        superuser.query(query, &[])?.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    for name in OUTBOUND {
        let known =
            before.iter().find(|known| known.0 == name).with_context(|| format!("no setting {name}"))?;
        assert_eq!(known.2, "sighup", "{name}");
    }
    // What the other settings of the worker say goes for everybody in the database, too. One is of a session: whose rows it sees.
    for (name, _, context) in &before {
        if context == "user" && name != "costsim.tenant_id" {
            bail!("{name} can be changed by anybody");
        }
    }
    for name in OUTBOUND {
        for value in ["'http://127.0.0.1:1'", "DEFAULT"] {
            for statement in [
                format!("SET {name} = {value}"),
                format!("SET LOCAL {name} = {value}"),
                format!("ALTER ROLE ann SET {name} = {value}"),
                format!("ALTER DATABASE app SET {name} = {value}"),
                format!("ALTER ROLE ann IN DATABASE app SET {name} = {value}"),
                format!("ALTER SYSTEM SET {name} = {value}"),
            ] {
                let outcome = sqlstate_of(&mut ann, &statement);
                // A default of a role or a database is none that somebody has set.
                let is_nothing = outcome.is_err() && value == "DEFAULT" && statement.starts_with("ALTER");
                let is_refused =
                    outcome.as_ref().is_ok_and(|code| code == "55P02" || code == "42501" || code == "22023");
                ensure!(is_refused || is_nothing, "{statement}: {outcome:?}");
            }
        }
        for statement in [
            format!("SELECT set_config('{name}', 'http://127.0.0.1:1', false)"),
            format!("SELECT set_config('{name}', 'http://127.0.0.1:1', true)"),
            format!("UPDATE pg_settings SET setting = 'http://127.0.0.1:1' WHERE name = '{name}'"),
            format!("RESET {name}"),
            format!(
                "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET {name} = 'http://127.0.0.1:1' AS 'SELECT 1'"
            ),
        ] {
            match sqlstate_of(&mut ann, &statement) {
                Ok(code) => {
                    ensure!(code == "55P02" || code == "42501" || code == "22023", "{statement}: {code}")
                }
                // The row is hidden from the role, so that there is nothing to update.
                Err(_) => ensure!(statement.starts_with("UPDATE"), "{statement}: no error"),
            }
        }
        let mut config = site.cluster.config("app");
        config.user("ann").options(&format!("-c {name}=1"));
        let refused = config.connect(NoTls).err().with_context(|| format!("a connection with {name}"))?;
        ensure!(["55P02", "42501"].contains(&sqlstate(&refused).as_str()), "{name}: {refused:?}");
        // A superuser's session is no other place: there is one worker, and the file says what it does.
        let code = sqlstate_of(&mut superuser, &format!("SET {name} = '1'"))?;
        assert_eq!(code, "55P02", "{name}");
    }
    // Nothing of this has stayed.
    let after: Vec<(String, String, String)> =
        superuser.query(query, &[])?.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(before, after);
    assert!(one::<bool>(&mut superuser, "SELECT NOT EXISTS (SELECT FROM pg_db_role_setting)")?);
    superuser.batch_execute(ENQUEUE)?;
    wait_for(&mut superuser, "delivery", "SELECT sent = 1 FROM costsim_alert_queue_stats()")?;
    assert_eq!(endpoint.count(), 1);
    Ok(())
}

#[test]
fn ordinary_role_cannot_read_what_goes_out() -> Result<()> {
    let site = Site::start(Site::builder("http://127.0.0.1:1"))?;
    let mut superuser = site.connect()?;
    make_owner(&mut superuser)?;
    let mut ann = owner(&site.cluster)?;
    for name in OUTBOUND {
        for statement in [format!("SHOW {name}"), format!("SELECT current_setting('{name}')")] {
            assert_eq!(sqlstate_of(&mut ann, &statement)?, "42501", "{statement}");
        }
        let query = format!("SELECT count(*) FROM pg_settings WHERE name = '{name}'");
        assert_eq!(one::<i64>(&mut ann, &query)?, 0, "{name}");
        assert_eq!(one::<i64>(&mut superuser, &query)?, 1, "{name}");
        assert!(
            one::<Option<String>>(&mut superuser, &format!("SELECT current_setting('{name}')"))?.is_some()
        );
    }
    for function in ["pg_read_file('postgresql.conf')", "pg_file_settings"] {
        assert_eq!(sqlstate_of(&mut ann, &format!("SELECT * FROM {function}"))?, "42501", "{function}");
    }
    Ok(())
}

#[test]
fn owner_of_a_database_cannot_steer_a_worker_that_is_started_by_hand() -> Result<()> {
    let (endpoint, elsewhere) = (HostileEndpoint::start()?, HostileEndpoint::start()?);
    let cluster = Cluster::builder()
        .preload(false)
        .conf("costsim.alertmanager_url", &endpoint.url())
        .conf("costsim.alertmanager_auth_file", "")
        .start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    make_owner(&mut client)?;
    let mut ann = owner(&cluster)?;
    // The server does not know these settings before the library is loaded, and may let anybody have a wish.
    let url = elsewhere.url();
    for statement in [
        format!("ALTER DATABASE app SET costsim.alertmanager_url = '{url}'"),
        format!("ALTER ROLE ann SET costsim.alertmanager_url = '{url}'"),
        format!("SET costsim.alertmanager_url = '{url}'"),
        format!("SELECT set_config('costsim.alertmanager_url', '{url}', false)"),
    ] {
        // Refused or not: what counts is where the alert goes.
        ann.simple_query(&statement).ok();
    }
    let mut client = cluster.connect("app")?;
    assert!(one::<bool>(&mut client, "SELECT costsim_worker_start()")?);
    client.batch_execute(ENQUEUE)?;
    wait_for(&mut client, "delivery", "SELECT sent = 1 FROM costsim_alert_queue_stats()")?;
    assert_eq!((endpoint.count(), elsewhere.connections()), (1, 0));
    assert!(one::<bool>(&mut client, "SELECT costsim_worker_stop()")?);
    Ok(())
}

/// Waits until the worker is blocked, and says why in words that hold all of these.
fn wait_until_blocked(client: &mut Client, words: &[&str]) -> Result<()> {
    wait_until(LIMIT, &format!("the worker to be blocked by {words:?}"), || {
        let status = Site::worker_status(client)?;
        let trouble = status.trouble.clone().unwrap_or_default();
        if status.state != "blocked" || !words.iter().all(|word| trouble.contains(word)) {
            bail!("{status:?}");
        }
        Ok(Some(()))
    })
}

#[test]
fn file_that_others_could_have_a_hand_in_is_not_used() -> Result<()> {
    let endpoint = HostileEndpoint::start()?;
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let cluster = &site.cluster;
    let mut client = site.connect()?;
    let canary = "bearer c4n4ry-of-a-file";
    let link = beside_the_data(cluster, "link")?;
    symlink(secret_file(cluster, "behind-the-link", canary)?, &link)?;
    let folder = beside_the_data(cluster, "folder")?;
    fs::create_dir(&folder)?;
    belongs_to_the_server(cluster, &folder)?;
    let with_mode = |name: &str, mode: u32| -> Result<String> {
        let path = secret_file(cluster, name, canary)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    };
    let missing = beside_the_data(cluster, "missing")?.display().to_string();
    let (link, folder) = (link.display().to_string(), folder.display().to_string());
    let cases = [
        (link, "symbolic link"),
        (with_mode("group-reads", 0o640)?, "group and others"),
        (with_mode("others-read", 0o604)?, "group and others"),
        (with_mode("group-writes", 0o620)?, "group and others"),
        (folder, "regular file"),
        (missing, "no such file"),
        // The superuser's of the machine, who is never the server's.
        ("/etc/passwd".to_owned(), "owned by the server's user"),
        (
            secret_file(cluster, "two-words", "# ours\nbearer c4n4ry of-a-file")?,
            "line 2: a token has no blanks",
        ),
        (secret_file(cluster, "no-word", "c4n4ry-of-a-file")?, "line 1: a line begins with"),
        (
            secret_file(cluster, "not-ours", "header Host: c4n4ry")?,
            "line 1: this header is set by the client",
        ),
        (
            secret_file(cluster, "two", "bearer c4n4ry\nbasic ann:c4n4ry")?,
            "line 2: there is an authorization",
        ),
        (secret_file(cluster, "control", "header X-A: c4n4ry\u{0}x")?, "line 1: control characters"),
        (secret_file(cluster, "comments", "# c4n4ry")?, "no credentials"),
        (secret_file(cluster, "empty", "")?, "no credentials"),
        (secret_file(cluster, "large", &"# c4n4ry\n".repeat(8000))?, "at most 64 kB"),
    ];
    for (number, (path, rule)) in cases.iter().enumerate() {
        set(&mut client, "costsim.alertmanager_auth_file", path)?;
        wait_until_blocked(&mut client, &["costsim.alertmanager_auth_file", path, rule])?;
        client.batch_execute(&format!(
            r#"{ENQUEUE}; SELECT costsim_fire_alert('{{"alertname": "{number}"}}')"#
        ))?;
        // A reload has it look again; nothing has changed.
        assert!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
        wait_until_blocked(&mut client, &[rule])?;
    }
    let binary = beside_the_data(cluster, "binary")?;
    fs::write(&binary, [b'b', 0xff, 0xfe])?;
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o600))?;
    belongs_to_the_server(cluster, &binary)?;
    set(&mut client, "costsim.alertmanager_auth_file", &binary.display().to_string())?;
    wait_until_blocked(&mut client, &["UTF-8"])?;

    let count = i64::try_from(cases.len())?;
    let waiting = format!(
        "SELECT pending = {count} AND unsent = {count} AND failed = 0 FROM costsim_alert_queue_stats()"
    );
    assert!(one::<bool>(&mut client, &waiting)?, "everything waits");
    let attempts =
        "SELECT (SELECT sum(attempts) FROM costsim_alert_queue) + (SELECT sum(attempts) FROM costsim_alerts)";
    assert_eq!(one::<i64>(&mut client, attempts)?, 0);
    assert_eq!(endpoint.connections(), 0);
    is_shown_nowhere(cluster, &mut client, &["c4n4ry"])?;
    // The file is mended where it is, by those who may.
    secret_file(cluster, "binary", "bearer mended")?;
    assert!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    wait_for(&mut client, "delivery", "SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()")?;
    assert!(
        endpoint.requests().iter().all(|request| request.header("authorization") == Some("Bearer mended"))
    );
    Ok(())
}

#[test]
fn key_that_others_may_read_and_a_proxy_with_a_password_are_not_used() -> Result<()> {
    let authority = Authority::new("own")?;
    let endpoint = HostileEndpoint::start()?;
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let cluster = &site.cluster;
    let mut client = site.connect()?;
    let (identity, other) = (authority.client("costsim")?, authority.client("other")?);
    let cert = beside_the_data(cluster, "cert.pem")?;
    fs::write(&cert, &identity.certificate)?;
    set(&mut client, "costsim.alertmanager_cert_file", &cert.display().to_string())?;
    let open = secret_file(cluster, "open.pem", &identity.key)?;
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644))?;
    let garbage = secret_file(cluster, "garbage.pem", "c4n4ry")?;
    let foreign = secret_file(cluster, "foreign.pem", &other.key)?;
    for (path, rule) in [
        (&open, "group and others"),
        (&garbage, "a certificate and its unencrypted key"),
        (&foreign, "cannot be used with this key"),
    ] {
        set(&mut client, "costsim.alertmanager_key_file", path)?;
        wait_until_blocked(&mut client, &["costsim.alertmanager_key_file", path, rule])?;
    }
    set(&mut client, "costsim.alertmanager_cert_file", "")?;
    set(&mut client, "costsim.alertmanager_key_file", "")?;
    set(&mut client, "costsim.alertmanager_ca_file", &garbage)?;
    wait_until_blocked(&mut client, &["costsim.alertmanager_ca_file", &garbage, "no certificate"])?;
    set(&mut client, "costsim.alertmanager_ca_file", "")?;
    client.batch_execute(ENQUEUE)?;
    wait_for(&mut client, "delivery", "SELECT pending = 0 FROM costsim_alert_queue_stats()")?;
    for (proxy, rule) in [
        ("http://ann:c4n4ry@127.0.0.1:1", "must not carry a user or a password"),
        ("socks5://127.0.0.1:1", "must begin with http"),
        ("here", "not a valid URL"),
    ] {
        set(&mut client, "costsim.alertmanager_proxy", proxy)?;
        wait_until_blocked(&mut client, &["costsim.alertmanager_proxy", rule])?;
        let trouble = Site::worker_status(&mut client)?.trouble.unwrap_or_default();
        assert!(!trouble.contains("c4n4ry"), "{trouble}");
    }
    let keys = [&identity.key, &other.key];
    let lines: Vec<&str> =
        keys.iter().flat_map(|key| key.lines().filter(|line| !line.starts_with('-'))).collect();
    is_shown_nowhere(cluster, &mut client, &lines)?;
    assert_eq!(endpoint.count(), 1);
    Ok(())
}

#[test]
fn proxy_is_used_if_it_is_set_and_never_that_of_the_environment() -> Result<()> {
    let (endpoint, proxy) = (HostileEndpoint::start()?, HostileEndpoint::start()?);
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let mut client = site.connect()?;
    set(&mut client, "costsim.alertmanager_proxy", &proxy.url())?;
    wait_until(LIMIT, "a request to the proxy", || {
        client.batch_execute(ENQUEUE)?;
        Ok((proxy.count() > 0).then_some(()))
    })?;
    assert_eq!(proxy.requests()[0].path, format!("{}/api/v2/alerts", endpoint.url()));
    wait_for(&mut client, "delivery", "SELECT pending = 0 FROM costsim_alert_queue_stats()")?;
    let direct = endpoint.count();
    set(&mut client, "costsim.alertmanager_proxy", "")?;
    wait_until(LIMIT, "a request without it", || {
        client.batch_execute(ENQUEUE)?;
        Ok((endpoint.count() > direct).then_some(()))
    })?;
    Ok(())
}

#[test]
fn rotated_token_is_sent_after_a_reload_and_the_old_one_no_more() -> Result<()> {
    let endpoint = HostileEndpoint::start()?;
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let mut client = site.connect()?;
    let auth = secret_file(&site.cluster, "auth", "bearer c4n4ry-1")?;
    set(&mut client, "costsim.alertmanager_auth_file", &auth)?;
    for (turn, next) in
        [("Bearer c4n4ry-1", "bearer c4n4ry-2"), ("Bearer c4n4ry-2", "header X-Token: c4n4ry-3")]
    {
        // The reload reaches the worker some time after it is told.
        wait_until(LIMIT, turn, || {
            client.batch_execute(ENQUEUE)?;
            let requests = endpoint.requests();
            Ok(requests.iter().any(|request| request.header("authorization") == Some(turn)).then_some(()))
        })?;
        secret_file(&site.cluster, "auth", next)?;
        assert!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    }
    wait_until(LIMIT, "the last one", || {
        client.batch_execute(ENQUEUE)?;
        let requests = endpoint.requests();
        Ok(requests.iter().any(|request| request.header("x-token") == Some("c4n4ry-3")).then_some(()))
    })?;
    wait_for(&mut client, "delivery", "SELECT pending = 0 FROM costsim_alert_queue_stats()")?;
    // In their order: nothing, the first, the second, the third, and none comes back.
    let mut seen: Vec<Option<String>> = Vec::new();
    for request in endpoint.requests() {
        let token = request.header("authorization").or(request.header("x-token")).map(str::to_owned);
        if seen.last() != Some(&token) {
            seen.push(token);
        }
    }
    let seen: Vec<&str> = seen.iter().flatten().map(String::as_str).collect();
    assert_eq!(seen, ["Bearer c4n4ry-1", "Bearer c4n4ry-2", "c4n4ry-3"]);
    is_shown_nowhere(&site.cluster, &mut client, &["c4n4ry"])
}
