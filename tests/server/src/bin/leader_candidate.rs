//! A candidate of the chaos test, as a process that can be stopped and killed. Never ends by itself.

use anyhow::Result;
use costsim_server_tests::chaos::{Role, run_candidate};

fn main() -> Result<()> {
    run_candidate(&Role::from_arguments(std::env::args().skip(1))?)
}
