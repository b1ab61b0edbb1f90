-- The aggregates with FILTER, DISTINCT, ORDER BY, HAVING and grouping sets, hashed and sorted, and as window functions beside plain ones.
CREATE TEMP TABLE pair AS SELECT i, i % 4 AS tenant, i % 3 AS variant, (i % 19)::float8 AS v1, (i * 7 % 23)::float8 AS v2 FROM generate_series(1, 2000) i;
SELECT costsim_drift_count(costsim_drift(v1, v2) FILTER (WHERE i <= 10)) AS filtered, costsim_drift_count(costsim_drift(DISTINCT v1, v2)) AS distinct_pairs,
       (SELECT count(DISTINCT (v1, v2)) FROM pair) AS expected, costsim_drift(v1, v2 ORDER BY i DESC)::text = costsim_drift(v1, v2)::text AS any_order FROM pair;
SELECT tenant, variant, costsim_drift_count(costsim_drift(v1, v2)) = count(*) AS count, costsim_drift_max(costsim_drift(v1, v2)) = max(v2 - v1) AS max
  FROM pair GROUP BY ROLLUP (tenant, variant) HAVING costsim_drift_count(costsim_drift(v1, v2)) > 160 ORDER BY tenant, variant;
SET enable_hashagg = off;
CREATE TEMP TABLE sorted AS SELECT v1, costsim_drift(v1, v2) AS s FROM pair GROUP BY v1;
SET enable_hashagg = on;
SET enable_sort = off;
SELECT count(*), bool_and(s::text = o.t) AS sorted_equals_hashed FROM (SELECT v1, costsim_drift(v1, v2)::text AS t FROM pair GROUP BY v1) o JOIN sorted USING (v1);
RESET ALL;
-- groups enough to spill
SET work_mem = '64kB';
SELECT count(*) AS groups, sum(costsim_drift_count(s)) AS pairs FROM (SELECT costsim_drift(v1, v2) AS s FROM pair, generate_series(1, 10) k GROUP BY i, k) o;
RESET work_mem;
-- a window that grows, one that is the whole partition, and one that moves
SELECT count(*) AS rows, bool_and(costsim_drift_count(grown) = n) AS grown, bool_and(costsim_drift_count(whole) = 500) AS whole,
       bool_and(costsim_drift_count(moved) = least(n, 3) AND costsim_drift_max(moved) = m) AS moved
  FROM (SELECT costsim_drift(v1, v2) OVER w AS grown, row_number() OVER w AS n, costsim_drift(v1, v2) OVER (PARTITION BY tenant) AS whole,
               costsim_drift(v1, v2) OVER (w ROWS 2 PRECEDING) AS moved, max(v2 - v1) OVER (w ROWS 2 PRECEDING) AS m
          FROM pair WINDOW w AS (PARTITION BY tenant ORDER BY i)) o;
