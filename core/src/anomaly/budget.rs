//! A limit that is reached, or almost.

use super::{Judgement, Mean, Micros, Rule, Severity, shown};

/// A limit of a budget in one of its periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What may be spent; 0 is a budget that only refuses.
    pub limit: Micros,
    /// What was.
    pub spent: Micros,
    /// From how many hundredths of a percent on somebody should know.
    pub warn_at: u32,
}

/// Below this share of the limit, in percent, a warning is no more than that.
const URGENT: Micros = 90;

/// Whether a limit is reached, or the part of it at which its owner wants to be told.
pub fn budget(budget: &Budget, period: &str) -> Judgement {
    let Budget { limit, spent, warn_at } = *budget;
    let mut judgement = Judgement::new(Rule::BudgetWarning, spent);
    judgement.expected = Some(Mean::of(limit));
    judgement.threshold_pct = f64::from(warn_at) / 100.0;
    if limit <= 0 {
        judgement.reason =
            format!("{} spent this {period}; a limit of nothing has no share to warn of", shown(spent));
        return judgement;
    }
    let used = (spent * 100) as f64 / limit as f64;
    judgement.deviation_pct = Some(used);
    let facts = format!("{} of {} spent this {period}, {used:.1} %", shown(spent), shown(limit));
    if spent >= limit {
        judgement.rule = Rule::BudgetExceeded;
        judgement.severity = Some(Severity::High);
        judgement.threshold_pct = 100.0;
        judgement.reason = format!("{facts}: the limit is reached");
    } else if spent * 10_000 >= limit * Micros::from(warn_at) {
        let is_urgent = spent * 100 >= limit * URGENT;
        judgement.severity = Some(if is_urgent { Severity::High } else { Severity::Medium });
        judgement.reason = format!("{facts}: at {} % it warns", judgement.threshold_pct);
    } else {
        judgement.reason = format!("{facts}: below {} %", judgement.threshold_pct);
        return judgement;
    }
    (judgement.days, judgement.watched_days) = (1, 1);
    judgement
}
