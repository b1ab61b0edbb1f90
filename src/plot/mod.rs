//! Plots for a terminal: spend and drift as lines of text. The plots are SQL functions (`sql/80_plot.sql`) over what dashboards read; here is the one
//! line that is drawn ([`costsim_core::sparkline`]).

use costsim_core::sparkline::sparkline;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::{Error, required};

/// No terminal is wider.
const WIDEST: i32 = 1_000;

/// Numbers as block characters.
#[pg_extern(immutable, parallel_safe)]
fn costsim_sparkline(
    values: Option<Vec<Option<f64>>>,
    width: default!(Option<i32>, "60"),
) -> Result<String, ErrorReport> {
    let values = required(values, "values")?;
    let width = required(width, "width")?;
    if !(1..=WIDEST).contains(&width) {
        return Err(Error::invalid(
            format!("width must be from 1 to {WIDEST}"),
            "Leave it out for 60 columns.",
        )
        .into());
    }
    Ok(sparkline(&values, usize::try_from(width).unwrap_or_default()))
}
