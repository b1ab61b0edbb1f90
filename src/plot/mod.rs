//! Plots for a terminal: spend and drift as lines of text. The plots are SQL functions (`sql/80_plot.sql`) over what dashboards read; here is the one
//! line that is drawn ([`costsim_core::sparkline`]).

use costsim_core::sparkline::sparkline;
use pgrx::prelude::*;

use crate::error::{Answer, Error, Result, required};

/// No terminal is wider.
const WIDEST: i32 = 1_000;

/// Nobody sees more in a line; each is computed all the same.
const MOST_BUCKETS: f64 = 10_000.0;

/// Numbers as block characters.
#[pg_extern(immutable, parallel_safe)]
fn costsim_sparkline(values: Option<Vec<Option<f64>>>, width: default!(Option<i32>, "60")) -> Answer<String> {
    let values = required(values, "values")?;
    let width = required(width, "width")?;
    check_width(width)?;
    Ok(sparkline(&values, usize::try_from(width).unwrap_or_default()))
}

/// Whether a plot can be drawn, before anything is read for it. Moments in seconds; buckets of an unknown length, or of none, are refused by
/// who makes them.
#[pg_extern(stable, parallel_safe)]
fn _costsim_plot_check(
    from_ts: Option<f64>,
    to_ts: Option<f64>,
    seconds: Option<f64>,
    width: Option<i32>,
) -> Answer<bool> {
    let window = end(to_ts, "to_ts")? - end(from_ts, "from_ts")?;
    check_width(required(width, "width")?)?;
    match seconds {
        Some(seconds) if seconds > 0.0 && window / seconds > MOST_BUCKETS => Err(Error::Beyond {
            what: format!("a plot of more than {MOST_BUCKETS} buckets"),
            hint: "Ask for a shorter time, or for longer buckets.",
        }
        .into()),
        _ => Ok(true),
    }
}

fn end(moment: Option<f64>, argument: &'static str) -> Result<f64> {
    let moment = required(moment, argument)?;
    if moment.is_finite() {
        return Ok(moment);
    }
    Err(Error::invalid(format!("{argument} must not be infinite"), "A plot goes from one moment to another."))
}

fn check_width(width: i32) -> Result<()> {
    if (1..=WIDEST).contains(&width) {
        return Ok(());
    }
    Err(Error::invalid(format!("width must be from 1 to {WIDEST}"), "Leave it out for 60 columns."))
}
