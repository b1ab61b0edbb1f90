-- The same answer before and after the roll-up, and whatever of it holds: by range, tenant, variant, bucket.
BEGIN;
INSERT INTO costsim_provenance (tenant_id, variant_slug, source, v1_cost, v2_cost, created_at)
SELECT CASE i % 3 WHEN 0 THEN 'acme' WHEN 1 THEN 'beta' END, CASE i % 2 WHEN 0 THEN 'v2' ELSE 'canary' END, 'sandbox',
       nullif(i % 97, 7) / 8.0, nullif((i * 37) % 101 / 4.0, 3), timestamptz '2025-03-01 UTC' + i * interval '7 minutes'
  FROM generate_series(0, 2999) i;
INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 'NaN', '2025-03-02 UTC'), (1, 3, '-infinity'), (1, 4, 'infinity'), (1, NULL, '2025-02-01 UTC');
CREATE TEMP TABLE asked (number int GENERATED ALWAYS AS IDENTITY, start_date timestamptz, end_date timestamptz, tenant_id text, variant_slug text);
INSERT INTO asked (start_date, end_date, tenant_id, variant_slug)
SELECT r.*, t.*, v.*
  FROM (VALUES (NULL::timestamptz, NULL::timestamptz), ('2025-03-01 00:00 UTC', NULL), (NULL, '2025-03-05 23:59:59.999999 UTC'),
               ('2025-03-02 UTC', '2025-03-04 UTC'), ('2025-03-02 10:15 UTC', '2025-03-06 17:45 UTC'), ('2025-03-02 10:15 UTC', '2025-03-02 10:45 UTC'),
               ('2025-03-02 10:00 UTC', '2025-03-02 10:59:59.999999 UTC'), ('2025-03-02 10:00 UTC', '2025-03-02 22:00 UTC'),
               ('2025-03-02 10:15 UTC', '2025-03-02 11:15 UTC'), ('2025-03-05 UTC', '2025-03-02 UTC'), ('infinity', NULL), (NULL, '-infinity'), ('-infinity', 'infinity'),
               ('2024-01-01 UTC', '2026-01-01 UTC')) r,
       (VALUES (NULL), ('acme'), ('nobody')) t, (VALUES (NULL), ('canary')) v;
CREATE TEMP VIEW answers AS SELECT a.number, s.* FROM asked a, costsim_drift_stats(a.start_date, a.end_date, a.tenant_id, a.variant_slug) s;
CREATE TEMP VIEW series AS SELECT a.number, b.bucket, s.bucket_start, s.total, s.summary::text
  FROM asked a, (VALUES (interval '1 hour'), ('1 day'), ('3 hours'), ('25 hours'), ('15 minutes'), ('90 minutes')) b(bucket),
       costsim_drift_series(a.start_date, a.end_date, b.bucket, a.tenant_id, a.variant_slug) s
 WHERE isfinite(s.bucket_start);
CREATE TEMP VIEW from_rows AS
SELECT a.number, s.summary
  FROM asked a, LATERAL (SELECT costsim_drift(v1_cost, v2_cost) AS summary FROM costsim_provenance p
                          WHERE (a.start_date IS NULL OR created_at >= a.start_date) AND (a.end_date IS NULL OR created_at <= a.end_date)
                            AND (a.tenant_id IS NULL OR p.tenant_id = a.tenant_id) AND (a.variant_slug IS NULL OR p.variant_slug = a.variant_slug)) s;
CREATE TEMP TABLE before AS SELECT * FROM answers;
CREATE TEMP TABLE series_before AS SELECT * FROM series;

SELECT costsim_refresh_drift(10) AS a_few_hours;
SELECT count(*) AS differing FROM (TABLE answers EXCEPT TABLE before) d;
SELECT costsim_refresh_drift(1000) > 300 AS the_others;
SELECT hours, count(*), count(DISTINCT bucket_start) AS buckets FROM costsim_drift_rollups GROUP BY hours ORDER BY hours;
SELECT hour FROM costsim_drift_changes WHERE isfinite(hour);
SELECT count(*) AS differing FROM (TABLE answers EXCEPT TABLE before) d;
SELECT count(*) AS differing FROM ((TABLE series EXCEPT TABLE series_before) UNION ALL (TABLE series_before EXCEPT TABLE series)) d;
SELECT count(*) AS asked, count(*) FILTER (WHERE b.total = costsim_drift_count(r.summary)
       AND coalesce(costsim_drift_mean(r.summary), 0) = b.avg_delta AND coalesce(costsim_drift_stddev(r.summary), 0) = b.stddev_delta
       AND costsim_drift_percentile(r.summary, 0.9) IS NOT DISTINCT FROM b.p90_abs_delta AND costsim_drift_not_finite(r.summary) = b.not_finite) AS as_the_rows_say
  FROM before b JOIN from_rows r USING (number);

-- corrections: a row moves, one goes, one comes
UPDATE costsim_provenance SET created_at = created_at + interval '3 days', v2_cost = v2_cost + 1 WHERE created_at = '2025-03-02 00:02 UTC';
DELETE FROM costsim_provenance WHERE created_at = '2025-03-03 00:04 UTC';
INSERT INTO costsim_provenance (tenant_id, variant_slug, v1_cost, v2_cost, created_at) VALUES ('acme', 'canary', 1, 100, '2025-03-04 12:00 UTC');
SELECT DISTINCT hour AT TIME ZONE 'UTC' AS changed FROM costsim_drift_changes WHERE isfinite(hour) ORDER BY 1;
TRUNCATE before; INSERT INTO before SELECT * FROM answers;
SELECT count(*) FILTER (WHERE b.total = costsim_drift_count(r.summary) AND coalesce(costsim_drift_mean(r.summary), 0) = b.avg_delta) = count(*) AS as_the_rows_say
  FROM before b JOIN from_rows r USING (number);
SELECT costsim_refresh_drift();
SELECT count(*) AS differing FROM (TABLE answers EXCEPT TABLE before) d;

-- all anew, and all gone
SELECT costsim_refresh_drift(1000, rebuild => true) > 300 AS all_hours;
SELECT count(*) AS differing FROM (TABLE answers EXCEPT TABLE before) d;
TRUNCATE costsim_provenance;
SELECT total, avg_delta, p50_abs_delta FROM costsim_drift_stats();
SELECT costsim_refresh_drift();
SELECT (SELECT count(*) FROM costsim_drift_rollups) AS rollups, (SELECT count(*) FROM costsim_drift_changes) AS changes;
ROLLBACK;
