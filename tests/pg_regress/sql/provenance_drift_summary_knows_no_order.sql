-- Whatever the order and the grouping, equal pairs have an equal summary, to the last byte.
CREATE TEMP TABLE pair AS SELECT i, i % 7 AS grp, (i * 61 % 997) / 8.0 AS v1, (i * 37 % 1009) / 7.0::float8 AS v2 FROM generate_series(1, 3000) i;
INSERT INTO pair VALUES (0, 0, 'NaN', 1), (0, 0, -0.0, 0.0), (0, 0, 1e-200, 1e200), (0, 0, NULL, 1);
CREATE TEMP TABLE whole AS SELECT costsim_drift(v1, v2) AS s FROM pair;
SELECT costsim_drift_count(s), costsim_drift_not_finite(s), pg_column_size(s) < 20000 AS is_small FROM whole;
SELECT costsim_drift(v1, v2 ORDER BY v2 DESC, v1)::text = (SELECT s::text FROM whole) AS other_order FROM pair;
SELECT costsim_drift_merge(s)::text = (SELECT s::text FROM whole) AS by_groups FROM (SELECT costsim_drift(v1, v2) AS s FROM pair GROUP BY grp) o;
SELECT costsim_drift_merge(s ORDER BY k DESC)::text = (SELECT s::text FROM whole) AS one_by_one FROM (SELECT i % 400 AS k, costsim_drift(v1, v2) AS s FROM pair GROUP BY i % 400) o;
SELECT costsim_drift_merge(s)::text = (SELECT s::text FROM whole) AS groups_of_groups
  FROM (SELECT costsim_drift_merge(s) AS s FROM (SELECT i % 60 AS k, costsim_drift(v1, v2) AS s FROM pair GROUP BY i % 60) o GROUP BY k % 6) o;
SELECT s::text::costsim_drift_summary::text = s::text AS text_round_trip FROM whole;
