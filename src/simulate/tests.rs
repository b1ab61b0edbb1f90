//! Tests of the room inside a server: what only Rust can see of the models' memory.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::rc::Rc;

    use pgrx::prelude::*;

    use crate::simulate::models;

    /// The test is one query of its client's; what it runs by SPI are queries of their own.
    #[pg_test]
    fn simulate_model_is_read_once_and_stays_for_a_query() {
        let first = models::look("v1", None).unwrap();
        assert!(Rc::ptr_eq(&first, &models::look("v1", None).unwrap()));
        Spi::run("UPDATE costsim_skill_costs SET cost_cents = 77 WHERE (model, skill) = ('v1', 'unknown')")
            .unwrap();
        assert_eq!(models::look("v1", None).unwrap().skill("x").unwrap().cost, 10.0);
        let inner = Spi::get_one::<f64>("SELECT costsim_estimate_cost('[{\"skill\": \"x\"}]')");
        assert_eq!(inner.unwrap(), Some(77.0));
    }
}
