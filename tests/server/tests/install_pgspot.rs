//! What pgspot finds in the scripts that CREATE and ALTER EXTENSION run: nothing, and it is told to ignore nothing.
//!
//! pgspot 0.9 stops at a function with a body in standard SQL (BEGIN ATOMIC), takes no path for safe that holds the extension's schema, and does
//! not know what a script before has made. So it reads a normal form (`.ci/update-script --normal`): every object that the script makes is named with its schema, as
//! the server resolves it there; the bodies stand as strings, and the path is pg_catalog alone. The update script pins that path itself and
//! is read as it is, but for what it replaces: CREATE OR REPLACE of what the release before has made, which the server refuses for anything that
//! is not the extension's own.
//!
//! What it finds: CREATE OR REPLACE and IF NOT EXISTS, by which a planted object would be taken over; functions with their owner's rights and
//! no path, or a bad one; functions whose text is resolved by whoever calls them; casts and CASE of unknown schemas. What it does not: an
//! operator or function planted in the extension's own schema, which fits better than the server's. Nothing of that kind is found
//! by names. tests/pg_regress/sql/install_over_hostile_objects.sql installs over thousands of them, and install_shadow.rs runs among them.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::{Command, Output};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Runs a command with the project's tools; `$1` and so on are the arguments.
fn run(command: &str, arguments: &[&Path]) -> Result<Output> {
    let command = format!(". .ci/env && folder=$(echo \"$COSTSIM_HOME\"/clients/pgspot-*) && {command}");
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", &command, "bash"])
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .context("running bash")
}

/// The normal form of a script; `before` has made what it replaces.
fn normal(script: &Path, before: Option<&Path>, to: &Path) -> Result<()> {
    let arguments: Vec<&Path> = [Some(script), before].into_iter().flatten().collect();
    let output = run("\"$folder/bin/python\" .ci/update-script --normal \"$@\"", &arguments)?;
    ensure!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    ensure!(output.stdout.len() > 60, "{} comes to nothing", script.display());
    std::fs::write(to, output.stdout)?;
    Ok(())
}

/// What pgspot says of a file, and whether it is content.
fn pgspot(file: &Path) -> Result<(bool, String)> {
    let output = run("\"$folder/bin/pgspot\" \"$1\"", &[file])?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(said.contains("Errors:"), "pgspot did not run: {said}");
    Ok((output.status.success(), said))
}

/// The scripts that `make build` has laid out: those that install, and those that update.
fn scripts() -> Result<(Vec<std::path::PathBuf>, Vec<std::path::PathBuf>)> {
    let stage =
        std::env::var_os("COSTSIM_STAGE").map_or_else(|| Path::new(ROOT).join("target/stage"), Into::into);
    let (mut installs, mut updates) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(stage.join("extension"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match (name.ends_with(".sql"), name.matches("--").count()) {
            (true, 1) => installs.push(path),
            (true, 2) => updates.push(path),
            _ => {}
        }
    }
    Ok((installs, updates))
}

fn scratch(name: &str) -> Result<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pgspot");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}

#[test]
fn pgspot_finds_nothing_in_the_install_script() -> Result<()> {
    let (installs, _) = scripts()?;
    ensure!(installs.len() == 1, "{installs:?}");
    let file = scratch("install.sql")?;
    normal(&installs[0], None, &file)?;
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.matches("CREATE FUNCTION extschema.").count() > 200, "it has lost its functions");
    let (is_content, said) = pgspot(&file)?;
    assert!(is_content, "{said}");
    Ok(())
}

#[test]
fn pgspot_finds_nothing_in_the_update_scripts() -> Result<()> {
    let (_, updates) = scripts()?;
    ensure!(!updates.is_empty(), "no update script is built");
    for update in updates {
        let name = update.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let from = name.split("--").nth(1).context("a version")?;
        let before = Path::new(ROOT).join(format!("sql/released/costsim_pg--{from}.sql"));
        let file = scratch(&name)?;
        normal(&update, Some(&before), &file)?;
        let (is_content, said) = pgspot(&file)?;
        assert!(is_content, "{name}: {said}");
    }
    Ok(())
}

/// The same way finds what it is there for.
#[test]
fn pgspot_finds_what_is_planted_for_it() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let traps = [
        ("PS002", "CREATE OR REPLACE FUNCTION costsim_f() RETURNS int LANGUAGE c AS 'x', 'y';"),
        ("PS003", "CREATE FUNCTION costsim_f() RETURNS int LANGUAGE c SECURITY DEFINER AS 'x', 'y';"),
        (
            "PS004",
            "CREATE FUNCTION costsim_f() RETURNS int LANGUAGE c SECURITY DEFINER SET search_path = public, pg_catalog AS 'x', 'y';",
        ),
        // Its body is put into the normal form, and that must not give it the path it lacks.
        (
            "PS003",
            "CREATE FUNCTION costsim_f() RETURNS int LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC SELECT 1; END;",
        ),
        ("PS005", "CREATE FUNCTION costsim_f() RETURNS int LANGUAGE sql AS 'SELECT 1';"),
        ("PS010", "CREATE SCHEMA IF NOT EXISTS elsewhere;"),
        ("PS012", "CREATE TABLE IF NOT EXISTS costsim_t (id int);"),
        ("PS014", "CREATE TABLE costsim_t (id int); CREATE INDEX IF NOT EXISTS costsim_i ON costsim_t (id);"),
        ("PS015", "CREATE OR REPLACE VIEW costsim_v AS SELECT 1 AS one;"),
    ];
    let (script, file) = (scratch(&format!("trap--{version}.sql"))?, scratch("trap.sql")?);
    for (code, trap) in traps {
        std::fs::write(&script, trap)?;
        normal(&script, None, &file)?;
        let (is_content, said) = pgspot(&file)?;
        assert!(!is_content && said.contains(code), "{code} was not found in {trap}: {said}");
    }
    Ok(())
}
