-- [B-83] A prediction expires, is replaced by one that says otherwise, and ends where the risk does; said again it stays one row. An earlier look changes nothing.
BEGIN;
CREATE FUNCTION pg_temp.runs(worker text, failures integer, completed integer, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at)
    SELECT 'acme', worker, CASE WHEN nth <= failures THEN 'failed' ELSE 'completed' END, at FROM generate_series(1, failures + completed) nth $$;
CREATE TEMP VIEW kept AS
    SELECT rank() OVER (ORDER BY id) AS nth, method, prediction_value ->> 'failures' AS failures, now() - created_at AS age, expires_at - created_at AS held, superseded_at - created_at AS after,
           (SELECT count(*) FROM costsim_predictions o WHERE o.id <= p.superseded_by) AS superseded_by FROM costsim_predictions p;
SELECT pg_temp.runs('w', 8, 2, now() - interval '5 hours');
SELECT is_new, expires_at - now() AS holds FROM costsim_predict('acme', as_of => now() - interval '4 hours', valid_for => '6 hours');
SELECT is_new FROM costsim_predict('acme', as_of => now() - interval '3 hours');
SELECT is_new FROM costsim_predict(as_of => now() - interval '4 hours');
SELECT * FROM kept;
-- the reference's is a row of its own
SELECT is_new FROM costsim_predict('acme', 'reference', now() - interval '3 hours');
-- another value takes its place
SELECT pg_temp.runs('w', 4, 0, now() - interval '150 minutes');
SELECT is_new FROM costsim_predict('acme', as_of => now() - interval '2 hours');
SELECT * FROM kept;
-- an earlier look answers, and does not write
SELECT prediction_id IS NULL AS unwritten, is_new, prediction_value ->> 'failures' AS failures FROM costsim_predict('acme', as_of => now() - interval '4 hours');
SELECT count(*) FROM kept;
-- no more at risk: superseded, by nothing; and an earlier look does not bring it back
SELECT pg_temp.runs('w', 0, 100, now() - interval '90 minutes');
SELECT count(*) FROM costsim_predict('acme', as_of => now() - interval '1 hour');
SELECT * FROM kept;
SELECT prediction_id IS NULL AS unwritten, is_new FROM costsim_predict('acme', as_of => now() - interval '2 hours');
SELECT count(*) FROM costsim_query_predictions('acme');
SELECT method, count(*) FROM costsim_query_predictions('acme', include_superseded => true) GROUP BY 1 ORDER BY 1;
-- what would be over already is answered, and not written
SELECT prediction_id IS NULL AS unwritten FROM costsim_predict('acme', as_of => now() - interval '2 hours', valid_for => '1 hour');
-- said again after it expired it is a new row
SELECT pg_temp.runs('v', 9, 1, now() - interval '5 hours');
SELECT is_new FROM costsim_predict('acme', as_of => now() - interval '50 minutes');
UPDATE costsim_predictions SET expires_at = now() - interval '1 minute' WHERE subject_id = 'v';
SELECT count(*) FROM costsim_query_predictions('acme', subject_type => 'worker', subject_id => 'v');
SELECT count(*) FROM costsim_query_predictions('acme', subject_id => 'v', include_expired => true);
SELECT is_new FROM costsim_predict('acme', as_of => now() - interval '40 minutes') WHERE subject_id = 'v';
SELECT superseded_by IS NOT NULL AS has_successor, count(*) FROM costsim_predictions WHERE subject_id = 'v' GROUP BY 1 ORDER BY 1;
-- lists go page by page
SELECT count(*) FROM costsim_query_predictions('acme', include_expired => true, include_superseded => true) a,
       costsim_query_predictions('acme', include_expired => true, include_superseded => true, "limit" => 1, before_created_at => a.created_at, before_id => a.id) b
 WHERE (b.created_at, b.id) < (a.created_at, a.id);
SELECT count(*) FROM costsim_query_predictions('acme', 'nothing', include_expired => true);
SELECT costsim_purge_predictions('0');
SELECT count(*) FROM costsim_predictions WHERE expires_at < now();
-- a look at all tenants, too, takes back nothing that a later one knew to be no risk; and a later look does not end what was said as of later
SELECT pg_temp.runs('u', 9, 1, now() - interval '35 minutes');
SELECT pg_temp.runs('u', 0, 90, now() - interval '25 minutes');
SELECT count(*) FROM costsim_predict(as_of => now() - interval '20 minutes') WHERE subject_id = 'u';
SELECT prediction_id IS NULL AS unwritten, is_new FROM costsim_predict('acme', as_of => now() - interval '30 minutes') WHERE subject_id = 'u';
SELECT tenant_id, method, now() - as_of AS ago FROM costsim_prediction_looks ORDER BY 1, 2;
-- what is said again in the second half of its time is a row that lasts longer, and takes its place
SELECT pg_temp.runs('t', 9, 1, now() - interval '19 minutes');
SELECT is_new FROM costsim_predict('acme', as_of => now() - interval '18 minutes', valid_for => '30 minutes') WHERE subject_id = 't';
SELECT is_new, expires_at - now() AS holds FROM costsim_predict('acme', as_of => now() - interval '10 minutes', valid_for => '1 hour') WHERE subject_id = 't';
SELECT is_new, expires_at - now() AS holds FROM costsim_predict('acme', as_of => now() - interval '2 minutes', valid_for => '10 minutes') WHERE subject_id = 't';
SELECT is_new, expires_at - now() AS holds FROM costsim_predict('acme', as_of => now() - interval '1 minute', valid_for => '1 hour') WHERE subject_id = 't';
SELECT superseded_by IS NOT NULL AS has_successor, expires_at - now() AS holds FROM costsim_predictions WHERE subject_id = 't' ORDER BY id;
-- as good as the same is the same, whatever others of the tenant do
SELECT pg_temp.runs('many', 500, 500, now() - interval '1 hour');
SELECT is_new FROM costsim_predict('acme') WHERE subject_id = 'many';
SELECT pg_temp.runs('many', 1, 0, now() - interval '1 hour');
SELECT count(pg_temp.runs('healthy ' || nth, 0, 20, now() - interval '1 hour')::text) FROM generate_series(1, 50) nth;
SELECT count(*), count(*) FILTER (WHERE is_new) AS new FROM costsim_predict('acme');
SELECT pg_temp.runs('many', 60, 0, now() - interval '1 hour');
SELECT is_new FROM costsim_predict('acme') WHERE subject_id = 'many';
SELECT task, last_rows FROM costsim_maintenance WHERE task = 'purge_predictions';
ROLLBACK;
