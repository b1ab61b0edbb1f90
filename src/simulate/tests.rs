//! Tests of the room inside a server: what only Rust can see of the models' memory.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::rc::Rc;

    use pgrx::prelude::*;

    use crate::simulate::models;

    fn raise(cents: i32) {
        let update = format!("UPDATE costsim_skill_costs SET cost_cents = {cents} WHERE skill = 'unknown'");
        Spi::run(&update).unwrap();
    }

    #[pg_test]
    fn simulate_model_is_read_once_until_it_changes() {
        let first = models::look("v1", None).unwrap();
        assert!(Rc::ptr_eq(&first, &models::look("v1", None).unwrap()));
        raise(77);
        assert_eq!(models::look("v1", None).unwrap().skill("x").unwrap().cost, 77.0);
    }

    /// Whichever was known before.
    #[pg_test]
    fn simulate_two_models_are_of_one_state() {
        models::look("v2", None).unwrap();
        for cents in [77, 78] {
            raise(cents);
            models::look("v1", None).unwrap();
            let pair = models::pair(("v1", None), ("v2", None)).unwrap();
            assert_eq!(pair.map(|model| model.skill("x").unwrap().cost), [f64::from(cents); 2]);
        }
        let [known, unknown] = models::each([("v1", None), ("v3", None)]).unwrap();
        assert!(known.is_ok() && unknown.is_err());
    }

    /// More than are remembered at once.
    #[pg_test]
    fn simulate_a_hundred_versions_are_each_what_they_are() {
        Spi::run(
            "INSERT INTO costsim_cost_models (model, version, formula, is_active)
                    SELECT 'many', n::text, 'v1', false FROM generate_series(1, 100) n;
             INSERT INTO costsim_skill_costs (model, version, skill, cost_cents)
                    SELECT 'many', n::text, 'x', n FROM generate_series(1, 100) n",
        )
        .unwrap();
        for _ in 0..2 {
            for version in 1..=100 {
                let model = models::look("many", Some(&version.to_string())).unwrap();
                assert_eq!(model.skill("x").unwrap().cost, f64::from(version));
            }
        }
    }
}
