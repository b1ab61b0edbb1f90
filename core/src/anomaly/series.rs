//! Daily spends, counted back from a last day, and what a day is measured against.

use super::Micros;

/// What was spent on each day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    /// By how many days ago.
    days: Vec<i64>,
    /// How many days ago the first spend was; as many as the series is long, where that was before it.
    first: Option<usize>,
}

impl Series {
    /// A series of so many days, of spends by how many days ago. What is further away is left out; days may come more than once.
    pub fn new(length: usize, spends: impl IntoIterator<Item = (usize, i64)>, is_older: bool) -> Self {
        let mut days = vec![0_i64; length];
        for (ago, spend) in spends {
            if let Some(day) = days.get_mut(ago) {
                *day = day.saturating_add(spend);
            }
        }
        days.iter_mut().for_each(|day| *day = (*day).max(0));
        let first = if is_older { Some(length) } else { days.iter().rposition(|day| *day > 0) };
        Self { days, first }
    }

    /// As it is seen so many days before its last one.
    pub fn seen(&self, ago: usize) -> View<'_> {
        View { days: self.days.get(ago..).unwrap_or(&[]), first: self.first }.aged(ago)
    }

    /// As it is seen on its last day.
    pub fn today(&self) -> View<'_> {
        self.seen(0)
    }
}

/// A series up to one of its days.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    days: &'a [i64],
    first: Option<usize>,
}

impl View<'_> {
    /// The same so many days before.
    pub fn before(&self, ago: usize) -> Self {
        Self { days: self.days.get(ago..).unwrap_or(&[]), first: self.first }.aged(ago)
    }

    /// What was spent so many days ago.
    pub fn spend(&self, ago: usize) -> Micros {
        self.days.get(ago).copied().unwrap_or(0).into()
    }

    /// What was spent from so many days ago to so many, both included.
    pub fn sum(&self, from: usize, to: usize) -> Micros {
        (to..=from).map(|ago| self.spend(ago)).sum()
    }

    /// On how many of them anything was.
    fn active(&self, from: usize, to: usize) -> u32 {
        (to..=from).map(|ago| u32::from(self.spend(ago) > 0)).sum()
    }

    /// How many of them are not before the first spend.
    fn known(&self, from: usize, to: usize) -> u32 {
        let first = self.first.map_or(0, |first| (first + 1).saturating_sub(to));
        u32::try_from(first.min(from + 1 - to)).unwrap_or(u32::MAX)
    }

    fn aged(self, ago: usize) -> Self {
        Self { first: self.first.and_then(|first| first.checked_sub(ago)), ..self }
    }
}

/// A mean that is not divided yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mean {
    /// Of so much.
    pub sum: Micros,
    /// Over so many days.
    pub days: u32,
}

impl Mean {
    /// Nothing of it is lost.
    pub fn of(sum: Micros) -> Self {
        Self { sum, days: 1 }
    }

    /// To the nearest millionth of a cent.
    pub fn rounded(self) -> Micros {
        let days = Micros::from(self.days.max(1));
        (2 * self.sum + days).div_euclid(2 * days)
    }

    /// Whether `spend` is at least so many percent of it.
    pub(super) fn is_reached(self, spend: Mean, percent: u32) -> bool {
        spend.sum * Micros::from(self.days) * 100
            >= self.sum * Micros::from(spend.days) * Micros::from(percent)
    }

    /// How many percent of it `spend` is.
    pub(super) fn percentage(self, spend: Mean) -> f64 {
        (spend.sum * Micros::from(self.days) * 100) as f64 / (self.sum * Micros::from(spend.days)) as f64
    }

    /// How many percent `spend` is above it.
    pub(super) fn deviation(self, spend: Mean) -> f64 {
        let above = spend.sum * Micros::from(self.days) - self.sum * Micros::from(spend.days);
        (above * 100) as f64 / (self.sum * Micros::from(spend.days)) as f64
    }

    /// Whether `spend` is above it by less than that.
    pub(super) fn is_near(self, spend: Mean, floor: Micros) -> bool {
        let above = spend.sum * Micros::from(self.days) - self.sum * Micros::from(spend.days);
        above < floor * Micros::from(self.days) * Micros::from(spend.days)
    }
}

/// Why nothing can be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Days there are.
    pub days: u32,
    /// Days there must be.
    pub needed: u32,
}

/// What the last day of a view is measured against. The one place where history becomes an expectation.
pub trait Baseline {
    /// What is to be expected; never nothing.
    fn expected(&self, history: View<'_>) -> Result<Mean, Missing>;
}

/// The mean of the days on which anything was spent.
pub struct OfActiveDays {
    from: usize,
    to: usize,
    least: u32,
}

/// The mean of all days since the first spend.
pub struct OfCalendarDays {
    from: usize,
    to: usize,
    least: u32,
}

/// Of a spike: from 14 to 2 days before. Yesterday is left out, so that the second day of a spike is measured as the first was.
pub const ACTIVE_DAYS: OfActiveDays = OfActiveDays { from: 14, to: 2, least: 3 };

/// Of drift: from 28 to 8 days before, next to the week that is compared.
pub const CALENDAR_DAYS: OfCalendarDays = OfCalendarDays { from: 28, to: 8, least: 7 };

impl Baseline for OfActiveDays {
    fn expected(&self, history: View<'_>) -> Result<Mean, Missing> {
        let days = history.active(self.from, self.to);
        if days < self.least {
            return Err(Missing { days, needed: self.least });
        }
        Ok(Mean { sum: history.sum(self.from, self.to), days })
    }
}

impl Baseline for OfCalendarDays {
    fn expected(&self, history: View<'_>) -> Result<Mean, Missing> {
        let days = history.known(self.from, self.to);
        let sum = history.sum(self.from, self.to);
        if days < self.least || sum == 0 {
            return Err(Missing { days: if sum == 0 { 0 } else { days }, needed: self.least });
        }
        Ok(Mean { sum, days })
    }
}
