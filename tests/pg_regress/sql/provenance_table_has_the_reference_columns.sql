-- An application whose ORM knows costsim_provenance finds every column and index it knows, and no other column to fill.
SELECT column_name, data_type, is_nullable,
       CASE WHEN identity_generation IS NOT NULL THEN 'identity ' || identity_generation ELSE column_default END AS fills_itself
  FROM information_schema.columns
 WHERE table_schema = 'public' AND table_name = 'costsim_provenance'
   AND column_name IN ('id', 'run_id', 'tenant_id', 'variant_slug', 'source', 'model_version', 'adapter_version', 'commit_sha', 'input_hash',
                       'output_hash', 'v1_cost', 'v2_cost', 'cost_delta', 'payload', 'runtime_ms', 'created_at')
 ORDER BY ordinal_position;
SELECT column_name AS ours_that_an_insert_would_have_to_name
  FROM information_schema.columns
 WHERE table_schema = 'public' AND table_name = 'costsim_provenance' AND is_nullable = 'NO' AND column_default IS NULL
   AND column_name <> 'id';
SELECT indexname, regexp_replace(indexdef, '^.* USING ', '') AS definition
  FROM pg_indexes
 WHERE schemaname = 'public' AND tablename = 'costsim_provenance' AND indexname LIKE 'idx\_costsim\_prov\_%'
 ORDER BY indexname;
