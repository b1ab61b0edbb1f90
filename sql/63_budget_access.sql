-- Who may call what of budgets, and what each function means.

REVOKE ALL ON FUNCTION
    costsim_set_budget(text, text, text, numeric, numeric, numeric, boolean, boolean),
    costsim_delete_budget(text, text, text)
    FROM PUBLIC;

COMMENT ON FUNCTION costsim_set_budget(text, text, text, numeric, numeric, numeric, boolean, boolean) IS 'Gives a tenant (budget_type tenant, without an entity), or one of its features, users or models, a budget, and answers its row. There is one per entity: the one there was gets all these settings, and keeps its id. Limits are in cents, at six decimals; NULL is no limit. A hard limit is exact for what is recorded with enforce, in all sessions and at every isolation level, against all that is committed. Three things can take the spend past it: records without enforce, which wait for nobody, so that those not yet committed are not counted; decisions that were made before the budget was committed, whose records commit after; and a change of the time zone. It runs with the rights of the caller. Errors: 22004 an argument without which it cannot be; 22023 a type that is none, an entity where there must be none or none where there must be one, a limit that is negative, not a number or 10^14 and more, a threshold that is not above 0 and at most 100; 25006 read-only or standby; 40001 under REPEATABLE READ or SERIALIZABLE, where somebody else has changed it since the transaction began.';
COMMENT ON FUNCTION costsim_delete_budget(text, text, text) IS 'Deletes a budget: whether there was one. It runs with the rights of the caller. Errors: 22004 tenant or type null; 25006 read-only or standby; 40001 as costsim_set_budget.';
