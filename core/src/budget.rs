//! Whether a record of cost may be written under hard limits: exact decimals, first come, first served.
//!
//! A [`Ledger`] holds what was spent against each limit when it was opened, and what it has admitted since. It promises that what it
//! admits never takes a limit past its amount, that it refuses nothing that would not, and that a refused record leaves no trace. It does not
//! know who else spends: whoever opens it keeps others away.

use std::fmt;

use rust_decimal::Decimal;

/// How long a limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// From midnight to midnight in the tenant's zone.
    Day,
    /// From the first midnight of a month to the next one's.
    Month,
}

impl Period {
    /// As it is stored and reported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The period of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Day, Self::Month].into_iter().find(|period| period.as_str() == name)
    }
}

/// What a budget allows in one of its periods, and what has been spent of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The budget.
    pub budget_id: i64,
    /// Whose it is, in words.
    pub owner: String,
    /// How long it holds.
    pub period: Period,
    /// The first day of the period, as 2026-03-01.
    pub start: String,
    /// What may be spent, in cents.
    pub amount: Decimal,
    /// What has been spent, in cents.
    pub spent: Decimal,
}

/// Why a record is not written: the limit that it would pass, as it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The limit.
    pub limit: Limit,
    /// What the record costs, in cents.
    pub cost: Decimal,
}

impl fmt::Display for Refusal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limit { owner, period, start, amount, spent, .. } = &self.limit;
        let (amount, spent, cost) = (amount.normalize(), spent.normalize(), self.cost.normalize());
        let when = match period {
            Period::Day => format!("on {start}"),
            // A month is told by its year and its number.
            Period::Month => format!("in {}", start.get(..7).unwrap_or(start)),
        };
        write!(
            to,
            "{cost} cents would pass the limit of {amount} cents of {owner} {when}: {spent} cents are spent"
        )
    }
}

/// Limits, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    limits: Vec<Limit>,
}

impl Ledger {
    /// With what has been spent so far.
    pub fn new(limits: Vec<Limit>) -> Self {
        Self { limits }
    }

    /// How much is spent by now of each limit.
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Counts a record against these limits, by their places, or refuses it by the first that it would pass. A sum beyond every
    /// decimal is past every limit.
    pub fn admit(&mut self, places: &[usize], cost: Decimal) -> Result<(), Box<Refusal>> {
        // What costs nothing takes no limit past its amount, not even one that others have passed.
        let passes = |limit: &&Limit| {
            !cost.is_zero() && limit.spent.checked_add(cost).is_none_or(|sum| sum > limit.amount)
        };
        if let Some(limit) = places.iter().filter_map(|&place| self.limits.get(place)).find(passes) {
            return Err(Box::new(Refusal { limit: limit.clone(), cost }));
        }
        for &place in places {
            if let Some(limit) = self.limits.get_mut(place) {
                limit.spent = limit.spent.saturating_add(cost);
            }
        }
        Ok(())
    }
}

/// An amount as the server prints a number. What is larger than a decimal holds is as good as its largest.
pub fn amount(text: &str) -> Option<Decimal> {
    if let Ok(amount) = text.parse() {
        return Some(amount);
    }
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let is_number = !digits.is_empty() && digits.chars().all(|each| each.is_ascii_digit() || each == '.');
    is_number.then_some(if sign < 0 { Decimal::MIN } else { Decimal::MAX })
}
