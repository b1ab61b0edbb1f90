-- A difference that is NaN or infinite is counted by itself and does not spoil the rest.
SELECT costsim_drift_count(s), costsim_drift_not_finite(s), costsim_drift_mean(s), costsim_drift_max(s), costsim_drift_kl(s)
  FROM (SELECT costsim_drift(v1, v2) AS s
          FROM (VALUES (1.0::float8, 2.0::float8), ('NaN', 1), (1, 'NaN'), (1, 'Infinity'), ('-Infinity', 1), ('Infinity', 'Infinity'), (-1.7e308, 1.7e308), (3, 7)) p (v1, v2)) o;
-- in a window too, and when it leaves
SELECT i, costsim_drift_not_finite(s) AS not_finite, costsim_drift_count(s) AS count, costsim_drift_mean(s) AS mean
  FROM (SELECT i, costsim_drift(1, v2) OVER (ORDER BY i ROWS 1 PRECEDING) AS s FROM unnest(ARRAY[2, 'NaN', NULL, 4, 'Infinity', 5]::float8[]) WITH ORDINALITY p (v2, i)) o;
-- a deviation beyond the largest double; a ratio beyond it counts as the largest
SELECT costsim_drift_mean(s), costsim_drift_stddev(s) FROM (SELECT costsim_drift(0, v2) AS s FROM (VALUES (1.7976931348623157e308), (-1.7976931348623157e308)) p (v2)) o;
SELECT costsim_drift_rel_max(s), costsim_drift_rel_mean(s) FROM (SELECT costsim_drift(5e-324, 1) AS s) o;
