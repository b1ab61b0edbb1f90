-- A filter that is a constant is all that is left of the filters, so the planner finds the index.
SET enable_seqscan = off; -- the table is empty
EXPLAIN (COSTS OFF) SELECT * FROM costsim_query_provenance(tenant_id => 'x');
EXPLAIN (COSTS OFF) SELECT * FROM costsim_query_provenance(input_hash => 'x', "limit" => NULL);
EXPLAIN (COSTS OFF) SELECT * FROM costsim_query_provenance(before_created_at => '2025-03-01 00:00+00', before_id => 7);
RESET enable_seqscan;
