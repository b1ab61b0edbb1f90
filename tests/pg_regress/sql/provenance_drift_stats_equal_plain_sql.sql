-- Count, mean, minimum, maximum, sample standard deviation and interpolated percentiles, over the rows with both costs; percentiles of more
-- than 128 rows within 1 %.
BEGIN;
INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, v1_cost, v2_cost, created_at)
SELECT i, CASE i % 3 WHEN 0 THEN 'acme' WHEN 1 THEN 'beta' END, CASE i % 2 WHEN 0 THEN 'v2' ELSE 'canary' END,
       nullif(i % 11, 7), nullif((i * 37) % 101 / 4.0, 3), timestamptz '2025-03-01 UTC' + i * interval '1 hour'
  FROM generate_series(1, 500) i;
CREATE TEMP VIEW plain AS
SELECT count(*) AS total, avg(d) AS avg_delta, min(d) AS min_delta, max(d) AS max_delta, stddev_samp(d) AS stddev_delta,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(d)) AS p50, percentile_cont(0.9) WITHIN GROUP (ORDER BY abs(d)) AS p90,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY abs(d)) AS p99,
       percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY abs(d) / nullif(v1_cost, 0)) AS relative,
       tenant_id, variant_slug, grouping(tenant_id) = 1 AS all_tenants, grouping(variant_slug) = 1 AS all_variants
  FROM (SELECT *, v2_cost - v1_cost AS d FROM costsim_provenance) p
 WHERE v1_cost IS NOT NULL AND v2_cost IS NOT NULL
 GROUP BY CUBE (tenant_id, variant_slug);
SELECT coalesce(p.tenant_id, '(all)') AS tenant_id, coalesce(p.variant_slug, '(all)') AS variant_slug, s.total,
       s.total = p.total AND s.avg_delta = p.avg_delta AND s.min_delta = p.min_delta AND s.max_delta = p.max_delta
       AND abs(s.stddev_delta - p.stddev_delta) < 1e-12 AS moments_agree,
       (SELECT bool_and(abs(a - b) <= e * b) FROM unnest(ARRAY[s.p50_abs_delta, s.p90_abs_delta, s.p99_abs_delta], ARRAY[p.p50, p.p90, p.p99]) u(a, b)) AS percentiles_agree,
       (SELECT bool_and(abs(a - b) <= e * b) FROM unnest(ARRAY[s.p50_rel_delta, s.p90_rel_delta, s.p99_rel_delta], p.relative) u(a, b)) AS ratios_agree
  FROM plain p, costsim_drift_stats(tenant_id => p.tenant_id, variant_slug => p.variant_slug) s,
       LATERAL (SELECT CASE WHEN p.total > 128 THEN 0.01 ELSE 0 END AS e) stated
 WHERE p.all_tenants = (p.tenant_id IS NULL) ORDER BY 1, 2;

-- both dates count themselves; an empty text is no filter
SELECT total FROM costsim_drift_stats('2025-03-01 02:00 UTC', '2025-03-01 05:00 UTC');
SELECT count(*) FROM costsim_provenance WHERE run_id::int BETWEEN 2 AND 5 AND v1_cost + v2_cost IS NOT NULL;
SELECT (SELECT total FROM costsim_drift_stats()) = (SELECT total FROM costsim_drift_stats(tenant_id => '', variant_slug => '')) AS empty_is_no_filter;
SELECT total FROM costsim_drift_stats(tenant_id => 'nobody');
ROLLBACK;
