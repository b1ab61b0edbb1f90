-- A filter that is a constant is all that is left of the filters, so the planner finds the index.
BEGIN;
INSERT INTO costsim_provenance (tenant_id, input_hash, created_at)
SELECT i % 500, i, timestamptz '2025-03-01 UTC' + i * interval '1 minute' FROM generate_series(1, 20000) i;
ANALYZE costsim_provenance;
CREATE FUNCTION pg_temp.indexes(question text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT * FROM costsim_query_provenance(' || question || ')' LOOP
        IF line ~ 'Seq Scan|idx_|Function Scan' THEN RETURN NEXT regexp_replace(line, '^.*(Seq Scan|Function Scan|idx_\w+).*$', '\1'); END IF;
    END LOOP;
END $$;
SELECT * FROM pg_temp.indexes('tenant_id => ''7'', "limit" => NULL');
SELECT * FROM pg_temp.indexes('input_hash => ''7'', "limit" => NULL');
SELECT * FROM pg_temp.indexes('before_created_at => ''2025-03-10 00:00+00'', before_id => 7');
SELECT * FROM pg_temp.indexes('before_id => 7');
SELECT * FROM pg_temp.indexes('"limit" => NULL');
ROLLBACK;
