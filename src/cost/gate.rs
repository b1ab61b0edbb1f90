//! Stands in for the budgets' gate until they are there: everything is let through.

use chrono::{DateTime, Utc};

use crate::error::Result;

pub struct Labels<'a> {
    pub feature: &'a str,
    pub user: &'a str,
    pub model: &'a str,
    pub at: DateTime<Utc>,
}

pub struct Refusal {
    pub budget_id: i64,
    pub reason: String,
}

pub struct Gate;

impl Gate {
    pub fn open(_tenant_id: &str, _records: &[Labels<'_>]) -> Result<Self> {
        Ok(Self)
    }

    pub fn admit(&mut self, _index: usize, _cost: &str) -> Result<Option<Refusal>> {
        Ok(None)
    }
}
