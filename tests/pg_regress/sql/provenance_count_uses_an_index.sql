-- Counting by run, hash or tenant reads what it counts and not the table, from a constant and from a parameter; the answer is that of plain SQL.
BEGIN;
INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, source, input_hash, created_at)
SELECT 'run-' || i, CASE WHEN i % 3 > 0 THEN 'tenant-' || i % 500 END, (ARRAY['v1', 'v2', ''])[1 + i % 3], (ARRAY['sandbox', 'backfill', NULL])[1 + i % 3], 'h' || i / 2,
       timestamptz '2025-03-01 UTC' + i * interval '1 minute'
  FROM generate_series(1, 20000) i;
ANALYZE costsim_provenance;
CREATE FUNCTION pg_temp.scans(question text) RETURNS TABLE (counted bigint, by_index boolean, whole_table boolean) LANGUAGE plpgsql AS $$
DECLARE was record;
BEGIN
    SELECT seq_scan, idx_scan INTO was FROM pg_stat_xact_user_tables WHERE relid = 'costsim_provenance'::regclass;
    EXECUTE 'SELECT costsim_count_provenance(' || question || ')' INTO counted;
    RETURN QUERY SELECT counted, s.idx_scan > was.idx_scan, s.seq_scan > was.seq_scan FROM pg_stat_xact_user_tables s WHERE relid = 'costsim_provenance'::regclass;
END $$;
SELECT * FROM pg_temp.scans('run_id => ''run-7''');
SELECT * FROM pg_temp.scans('input_hash => ''h7''');
SELECT * FROM pg_temp.scans('tenant_id => ''tenant-7''');
SELECT * FROM pg_temp.scans('tenant_id => ''tenant-7'', variant_slug => ''v2'', end_date => ''2025-03-08 00:00+00''');
SELECT * FROM pg_temp.scans('run_id => ''run-7'', input_hash => ''h7'', tenant_id => ''tenant-7''');
SELECT * FROM pg_temp.scans('run_id => v.run) FROM (VALUES (''run-7'')) v (run');
SELECT * FROM pg_temp.scans('');
SELECT * FROM pg_temp.scans('variant_slug => ''v2'', run_id => '''', input_hash => NULL, tenant_id => ''''');
-- every combination of filters, each none, empty, met by some rows and by none
CREATE TEMP TABLE few AS SELECT * FROM costsim_provenance ORDER BY created_at LIMIT 600;
TRUNCATE costsim_provenance;
INSERT INTO costsim_provenance SELECT * FROM few;
SELECT count(*) AS combinations, count(*) FILTER (WHERE n > 0) > 50 AS many_count_something, count(*) FILTER (WHERE n IS DISTINCT FROM plain) AS differing
  FROM (SELECT costsim_count_provenance(t, v, a, b, s, h, r) AS n, p.n AS plain
          FROM unnest(ARRAY[NULL, '', 'tenant-8', 'nobody']) t, unnest(ARRAY[NULL, '', 'v2']) v, unnest(ARRAY[NULL, '', 'backfill', 'sandbox']) s,
               unnest(ARRAY[NULL, '', 'h254', 'nothing']) h, unnest(ARRAY[NULL, '', 'run-508']) r,
               (VALUES (NULL::timestamptz, NULL::timestamptz), ('2025-03-01 08:28+00', NULL), (NULL, '2025-03-01 08:28+00')) d (a, b),
               LATERAL (SELECT count(*) AS n FROM costsim_provenance p
                         WHERE (nullif(t, '') IS NULL OR p.tenant_id = t) AND (nullif(v, '') IS NULL OR p.variant_slug = v) AND (nullif(s, '') IS NULL OR p.source = s)
                           AND (nullif(h, '') IS NULL OR p.input_hash = h) AND (nullif(r, '') IS NULL OR p.run_id = r)
                           AND (a IS NULL OR p.created_at >= a) AND (b IS NULL OR p.created_at <= b)) p) x;
ROLLBACK;
