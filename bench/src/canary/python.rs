//! CPython, as a client runs it: the same two models, in a process that has the plans or fetches each of them.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::python::Python;

/// The program that a test holds against ours.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/server/tests/simulate_cpython.py");

/// A client of the database at `connection`, where the plans are a table of the same order. A pass is of its own texts or fetched ones.
pub fn start(plans: &[String], connection: &str) -> Result<Python> {
    let python = Python::run(&[PROGRAM, "bench"], &json!([plans, connection]).to_string())?;
    ensure!(python.answer == "ready", "python3 is not ready");
    Ok(python)
}
