-- Pages by (created_at, id) show every row once, whatever is written between two of them, also where many rows have the same time.
BEGIN;
INSERT INTO costsim_provenance (run_id, tenant_id, created_at) SELECT 'run-' || i, 'acme', '2025-03-01 00:00:00+00'::timestamptz + (i / 40) * interval '1 s' FROM generate_series(1, 100) i;
CREATE TEMP TABLE seen (id bigint, page int);
CREATE TEMP TABLE last (created_at timestamptz, id bigint);
INSERT INTO last VALUES (NULL, NULL);
PREPARE page(int) AS WITH page AS MATERIALIZED (SELECT q.* FROM last l, costsim_query_provenance('acme', "limit" => 7, before_created_at => l.created_at, before_id => l.id) q),
    noted AS (INSERT INTO seen SELECT id, $1 FROM page),
    moved AS (UPDATE last SET (created_at, id) = (SELECT created_at, id FROM page ORDER BY created_at, id LIMIT 1) WHERE EXISTS (SELECT FROM page)),
    -- newer rows, and rows of the very time at which the page ends
    written AS (INSERT INTO costsim_provenance (run_id, tenant_id, created_at) SELECT 'new', 'acme', t FROM (SELECT min(created_at) AS t FROM page UNION ALL SELECT now()) x WHERE t IS NOT NULL)
    SELECT count(*) FROM page;
\set ECHO none
SELECT format('EXECUTE page(%s)', n) FROM generate_series(1, 17) n \gexec
\set ECHO all
SELECT count(*) AS seen, count(DISTINCT seen.id) AS once, count(DISTINCT p.id) FILTER (WHERE p.run_id LIKE 'run-%') AS of_the_first_hundred FROM seen JOIN costsim_provenance p USING (id);
-- pages come in order
SELECT bool_and(later.created_at < p.created_at OR later.created_at = p.created_at AND later.id < p.id) AS in_order
  FROM seen s JOIN costsim_provenance p USING (id) JOIN seen t ON t.page > s.page JOIN costsim_provenance later ON later.id = t.id;
-- a time alone is what is older
SELECT count(*) FROM costsim_query_provenance('acme', before_created_at => '2025-03-01 00:00:01+00') q JOIN costsim_provenance p USING (id) WHERE p.run_id LIKE 'run-%';
-- an id alone is what comes after that row, from a constant, from a parameter and from another row alike
SELECT id AS middle, created_at AS at FROM costsim_provenance WHERE run_id = 'run-60' \gset
SELECT count(*) AS rows, bool_and(p.created_at < :'at' OR p.created_at = :'at' AND p.id < :middle) AS all_after
  FROM costsim_query_provenance('acme', "limit" => NULL, before_id => :middle) p;
PREPARE after_id(bigint) AS SELECT count(*) AS rows FROM costsim_query_provenance('acme', "limit" => NULL, before_id => $1);
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE after_id(:middle);
SELECT count(*) AS rows FROM (VALUES (:middle)) v (id), costsim_query_provenance('acme', "limit" => NULL, before_id => v.id);
SELECT (SELECT array_agg(q.id) FROM costsim_query_provenance('acme', "limit" => 5, before_id => :middle) q)
     = (SELECT array_agg(q.id) FROM costsim_query_provenance('acme', "limit" => 5, before_created_at => :'at', before_id => :middle) q) AS same_page;
-- and nothing when the row is gone
DELETE FROM costsim_provenance WHERE id = :middle;
SELECT count(*) AS rows FROM costsim_query_provenance('acme', "limit" => NULL, before_id => :middle);
EXECUTE after_id(:middle);
ROLLBACK;
