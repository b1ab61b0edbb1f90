//! A week that is dearer than the weeks before, for days.

use super::spike::aside;
use super::{Baseline, CALENDAR_DAYS, Judgement, Mean, Micros, Rule, Severity, View, days, gravest, shown};

/// So many days in a row make it last.
pub const DRIFT_DAYS: u32 = 3;

/// No drift is followed further back than this many days before the last one: after four weeks the baseline has caught up with any step.
pub const LONGEST_DRIFT: usize = 27;

/// The mean of the last seven whole days.
fn rolling(series: View<'_>) -> Mean {
    Mean { sum: series.sum(7, 1), days: 7 }
}

/// Whether a tenant's last seven whole days are dearer on the mean than the three weeks before, seen from each of several days.
pub fn drift(series: View<'_>, floor: Micros) -> Judgement {
    let week = rolling(series);
    let current = week.rounded();
    let mut judgement =
        Judgement { days_needed: DRIFT_DAYS, ..Judgement::new(Rule::SustainedDrift, current) };
    judgement.threshold_pct = f64::from(100 + Severity::Low.threshold());
    let expected = match CALENDAR_DAYS.expected(series) {
        Ok(expected) => expected,
        Err(missing) => {
            judgement.reason = format!(
                "{} a day in the last week; too little history: {} from 28 to 8 days before, {} are needed",
                shown(current),
                days(missing.days),
                missing.needed
            );
            return judgement;
        }
    };
    let run = |percent: u32| {
        let is_so = |ago: &usize| {
            let day = series.before(*ago);
            CALENDAR_DAYS.expected(day).is_ok_and(|expected| expected.is_reached(rolling(day), 100 + percent))
        };
        u32::try_from((0..=LONGEST_DRIFT).take_while(is_so).count()).unwrap_or(u32::MAX)
    };
    let (severity, band, count) = gravest(DRIFT_DAYS, run);
    let deviation = expected.deviation(week);
    judgement.expected = Some(expected);
    judgement.deviation_pct = Some(deviation);
    judgement.threshold_pct = f64::from(100 + band.threshold());
    judgement.days = count;
    judgement.watched_days = run(Severity::Low.threshold());
    let facts = format!(
        "{} a day in the last week, {} the {} expected (mean of {} before it)",
        shown(current),
        aside(deviation),
        shown(expected.rounded()),
        days(expected.days)
    );
    judgement.is_small = expected.is_near(week, floor);
    judgement.reason = match severity {
        _ if judgement.is_small && count > 0 => {
            format!("{facts}: less than {} above, which is the least that counts", shown(floor))
        }
        Some(_) => format!("{facts}: for {} at least {} % above", days(count), band.threshold()),
        None if count > 0 => format!(
            "{facts}: for {} at least {} % above, {DRIFT_DAYS} are needed",
            days(count),
            band.threshold()
        ),
        None => format!("{facts}: below {} %", band.threshold()),
    };
    judgement.severity = severity.filter(|_| !judgement.is_small);
    judgement
}
