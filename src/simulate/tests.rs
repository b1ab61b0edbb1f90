//! Tests of the room inside a server: what only Rust can see of the models' memory.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::rc::Rc;

    use pgrx::prelude::*;

    use crate::simulate::models;

    #[pg_test]
    fn simulate_model_is_read_once_until_it_changes() {
        let first = models::look("v1", None).unwrap();
        let again = models::look("v1", None).unwrap();
        assert!(Rc::ptr_eq(&first, &again));
        Spi::run("UPDATE costsim_skill_costs SET cost_cents = 77 WHERE model = 'v1' AND skill = 'unknown'")
            .unwrap();
        Spi::run("SELECT 1").unwrap();
        let changed = models::look("v1", None).unwrap();
        assert!(Rc::ptr_eq(&changed, &models::look("v1", None).unwrap()));
    }
}
