//! Files with secrets, and every place where one could be seen.

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use postgres::Client;
use rustix::process::getuid;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Writes a file of the server's user that only it may read, and answers with its path. It goes with the cluster.
pub fn secret_file(cluster: &Cluster, name: &str, content: &str) -> Result<String> {
    let path = beside_the_data(cluster, name)?;
    // Another file by the same name: whoever has the old one open goes on with that.
    let fresh = path.with_extension("new");
    fs::write(&fresh, content)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    belongs_to_the_server(cluster, &fresh)?;
    fs::rename(&fresh, &path)?;
    Ok(path.display().to_string())
}

/// Where the cluster keeps its own files, so that this one is removed with them. Only the server's user may enter.
pub fn beside_the_data(cluster: &Cluster, name: &str) -> Result<PathBuf> {
    Ok(cluster.data_dir().parent().context("a cluster has a folder")?.join(name))
}

/// Makes it the server's own, if the tests run as somebody else.
pub fn belongs_to_the_server(cluster: &Cluster, path: &Path) -> Result<()> {
    let owner = fs::metadata(cluster.data_dir()).context("the data directory")?;
    if getuid().as_raw() != owner.uid() {
        chown(path, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// Every row of every table and view of the extension, what its functions tell of alerts and workers, and what the
/// server tells of its sessions and settings: name and text.
pub fn everything_shown(client: &mut Client) -> Result<Vec<(String, String)>> {
    let query = "SELECT n.nspname::text, c.relname::text FROM pg_depend d
                   JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')
                    AND d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'v', 'm') ORDER BY 1, 2";
    let own: Vec<String> = client
        .query(query, &[])?
        .iter()
        .map(|row| format!("\"{}\".\"{}\"", row.get::<_, &str>(0), row.get::<_, &str>(1)))
        .collect();
    let is_there = |name: &str| own.iter().any(|known| known.ends_with(&format!("\"{name}\"")));
    ensure!(is_there("costsim_alert_queue") && is_there("costsim_alert_status"), "{own:?}");
    let others = [
        "costsim_worker_status()",
        "costsim_alert_queue_stats()",
        "pg_stat_activity",
        "pg_settings",
        "pg_file_settings",
        "pg_db_role_setting",
    ];
    let mut shown = Vec::new();
    for source in own.iter().map(String::as_str).chain(others) {
        for row in client.query(&format!("SELECT x::text FROM {source} x"), &[]).context(source.to_owned())? {
            shown.push((source.to_owned(), row.get(0)));
        }
    }
    for row in client.simple_query("SHOW ALL")? {
        if let postgres::SimpleQueryMessage::Row(row) = row {
            shown.push(("SHOW ALL".into(), format!("{:?} {:?}", row.get(0), row.get(1))));
        }
    }
    Ok(shown)
}

/// Fails if one of the secrets is shown anywhere, or in the server's log.
pub fn is_shown_nowhere(cluster: &Cluster, client: &mut Client, secrets: &[&str]) -> Result<()> {
    let shown = everything_shown(client)?;
    let log = cluster.log()?;
    for secret in secrets {
        for (source, text) in &shown {
            ensure!(!text.contains(secret), "{source} shows {secret}: {text}");
        }
        let line = log.lines().find(|line| line.contains(secret));
        ensure!(line.is_none(), "the log shows {secret}: {line:?}");
    }
    Ok(())
}
