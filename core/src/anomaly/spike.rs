//! A day of much spend: against the days before, or, where there are too few, against what the tenant spends.

use super::{ACTIVE_DAYS, Baseline, Judgement, Mean, Micros, Rule, Severity, View, days, gravest, shown};

/// So many days in a row make a spike.
pub const SPIKE_DAYS: u32 = 2;

/// From this deviation in percent on a single day does: a loop that runs away does not wait for tomorrow.
pub const AT_ONCE: u32 = 200;

/// No run is followed further back than this many days before the last one.
pub const LONGEST_RUN: usize = 7;

/// A new spender is one on its first day.
pub const NEW_DAYS: u32 = 1;

/// Whether the last day of a series is a spike: so far above the mean of its active days from 14 to 2 days before, for so many days. Each
/// day of the run is measured against a baseline of its own.
pub fn spike(series: View<'_>, floor: Micros) -> Judgement {
    let current = series.spend(0);
    let mut judgement = Judgement { days_needed: SPIKE_DAYS, ..Judgement::new(Rule::AbsoluteSpike, current) };
    let expected = match ACTIVE_DAYS.expected(series) {
        Ok(expected) => expected,
        Err(missing) => {
            judgement.threshold_pct = f64::from(100 + Severity::Low.threshold());
            judgement.reason = format!(
                "{} today; too little history: {} with spend from 14 to 2 days before, {} are needed",
                shown(current),
                days(missing.days),
                missing.needed
            );
            return judgement;
        }
    };
    let run = |percent: u32| {
        run(series, |day| {
            ACTIVE_DAYS
                .expected(day)
                .is_ok_and(|expected| expected.is_reached(Mean::of(day.spend(0)), 100 + percent))
        })
    };
    let is_at_once = expected.is_reached(Mean::of(current), 100 + AT_ONCE);
    let (mut severity, mut band, mut count) = gravest(SPIKE_DAYS, run);
    let mut threshold = band.threshold();
    if is_at_once && severity != Some(Severity::High) {
        (severity, band, count) = (Some(Severity::High), Severity::High, run(Severity::High.threshold()));
        (threshold, judgement.days_needed) = (AT_ONCE, 1);
    }
    let deviation = expected.deviation(Mean::of(current));
    judgement.expected = Some(expected);
    judgement.deviation_pct = Some(deviation);
    judgement.threshold_pct = f64::from(100 + threshold);
    judgement.days = count;
    judgement.watched_days = run(Severity::Low.threshold());
    let facts = format!(
        "{} today, {} the {} expected (mean of {} with spend)",
        shown(current),
        aside(deviation),
        shown(expected.rounded()),
        days(expected.days)
    );
    judgement.is_small = expected.is_near(Mean::of(current), floor);
    judgement.reason = match severity {
        _ if judgement.is_small && count > 0 => {
            format!("{facts}: less than {} above, which is the least that counts", shown(floor))
        }
        Some(_) if threshold == AT_ONCE => format!("{facts}: at {AT_ONCE} % above a single day is enough"),
        Some(_) => format!("{facts}: for {} in a row at least {} % above", days(count), band.threshold()),
        None if count > 0 => format!(
            "{facts}: for {} in a row at least {} % above, {SPIKE_DAYS} are needed",
            days(count),
            band.threshold()
        ),
        None => format!("{facts}: below {} %", Severity::Low.threshold()),
    };
    judgement.severity = severity.filter(|_| !judgement.is_small);
    judgement
}

/// Whether somebody without a history spends much of what its tenant does. The first day is enough: there is nothing to compare it with, and
/// no second one to wait for.
pub fn new_spender(series: View<'_>, tenant: View<'_>, floor: Micros) -> Judgement {
    let current = series.spend(0);
    let mut judgement = Judgement { days_needed: NEW_DAYS, ..Judgement::new(Rule::NewSpender, current) };
    judgement.threshold_pct = f64::from(Severity::Low.threshold());
    let missing = match ACTIVE_DAYS.expected(series) {
        Err(missing) => missing,
        Ok(expected) => {
            judgement.reason =
                format!("not new: {} with spend from 14 to 2 days before", days(expected.days));
            return judgement;
        }
    };
    let whole = match ACTIVE_DAYS.expected(tenant) {
        Ok(whole) => whole,
        Err(missing) => {
            judgement.reason = format!(
                "{} today; too little history of the tenant: {} with spend from 14 to 2 days before, {} are needed",
                shown(current),
                days(missing.days),
                missing.needed
            );
            return judgement;
        }
    };
    let run = |percent: u32| {
        let mut ago = 0;
        run(series, |day| {
            let whole = ACTIVE_DAYS.expected(tenant.before(ago));
            ago += 1;
            ACTIVE_DAYS.expected(day).is_err()
                && whole.is_ok_and(|whole| whole.is_reached(Mean::of(day.spend(0)), percent))
        })
    };
    let (severity, band, count) = gravest(NEW_DAYS, run);
    let share = whole.percentage(Mean::of(current));
    judgement.expected = Some(Mean::of(0));
    judgement.deviation_pct = Some(share);
    judgement.threshold_pct = f64::from(band.threshold());
    judgement.days = count;
    judgement.watched_days = run(Severity::Low.threshold());
    judgement.is_small = current < floor;
    let facts = format!(
        "{} today, with {} of history; {share:.1} % of the {} that the tenant spends on a day",
        shown(current),
        days(missing.days),
        shown(whole.rounded())
    );
    judgement.reason = match severity {
        Some(_) if judgement.is_small => {
            format!("{facts}: less than {}, which is the least that counts", shown(floor))
        }
        Some(_) => format!("{facts}: at least {} %", band.threshold()),
        None => format!("{facts}: below {} %", band.threshold()),
    };
    judgement.severity = severity.filter(|_| !judgement.is_small);
    judgement
}

/// How many days in a row, back from the last one, are so.
fn run(series: View<'_>, mut is_so: impl FnMut(View<'_>) -> bool) -> u32 {
    let run = (0..=LONGEST_RUN).take_while(|&ago| is_so(series.before(ago))).count();
    u32::try_from(run).unwrap_or(u32::MAX)
}

/// A deviation in words.
pub(super) fn aside(deviation: f64) -> String {
    if deviation < 0.0 { format!("{:.1} % below", -deviation) } else { format!("{deviation:.1} % above") }
}
