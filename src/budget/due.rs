//! Whoever changes a budget, by whatever statement, its tenant is looked at again.
//!
//! Promises: a look that has not read the new limit does not take the mark away, since whoever looks holds the tenant's row. Does not: mark tenants
//! that have never spent anything; their first spend does.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::db::{self, Statement};
use crate::error::{Error, Result};

/// In the order of the key, as whoever looks or folds locks them.
macro_rules! look_again_at {
    ($which:literal) => {
        concat!(
            "UPDATE @schema@.costsim_cost_detection AS n
                SET is_due = true
               FROM (SELECT h.tenant_id FROM @schema@.costsim_cost_detection AS h WHERE ",
            $which,
            "         ORDER BY h.tenant_id FOR NO KEY UPDATE) AS o
              WHERE n.tenant_id = o.tenant_id"
        )
    };
}

static ADDED: Statement =
    Statement::current(look_again_at!("h.tenant_id IN (SELECT x.tenant_id FROM added x)"), &[]);
static REMOVED: Statement =
    Statement::current(look_again_at!("h.tenant_id IN (SELECT x.tenant_id FROM removed x)"), &[]);
static BOTH: Statement = Statement::current(
    look_again_at!(
        "h.tenant_id IN (SELECT x.tenant_id FROM added x UNION SELECT x.tenant_id FROM removed x)"
    ),
    &[],
);
static ALL: Statement = Statement::current(look_again_at!("true"), &[]);

/// After a statement has changed costsim_cost_budgets.
#[pg_trigger]
fn _costsim_budget_changed<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    if let Err(error) = changed(trigger) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    Ok(None)
}

fn changed(trigger: &PgTrigger<'_>) -> Result<()> {
    let table = trigger.relid().map_err(|error| Error::Internal(error.to_string()))?;
    if table != db::relation(c"costsim_cost_budgets")? {
        return Err(Error::invalid(
            "_costsim_budget_changed() is for changes of costsim_cost_budgets",
            "Leave the extension's trigger functions to its own tables.",
        ));
    }
    let event = trigger.event();
    if event.fired_by_truncate() {
        ALL.run(&[])?;
    } else if event.fired_by_update() {
        BOTH.run_on(trigger, &[])?;
    } else if event.fired_by_delete() {
        REMOVED.run_on(trigger, &[])?;
    } else {
        ADDED.run_on(trigger, &[])?;
    }
    Ok(())
}
