-- What has ended stays, and nothing goes back, by whatever hand.
SET client_min_messages = warning;
TRUNCATE costsim_worker_runs;
SELECT is_changed FROM costsim_record_run('acme', 'w', 'failed', 'e', run_id => 'over');
SELECT is_changed FROM costsim_record_run('acme', 'w', 'running', run_id => 'open');
UPDATE costsim_worker_runs SET error = 'another' WHERE id = 'over';
\echo :LAST_ERROR_SQLSTATE
UPDATE costsim_worker_runs SET status = 'running' WHERE id = 'over';
UPDATE costsim_worker_runs SET tenant_id = 'globex' WHERE id = 'over';
UPDATE costsim_worker_runs SET status = 'queued' WHERE id = 'open';
MERGE INTO costsim_worker_runs r USING (VALUES (1)) x ON r.id = 'over' WHEN MATCHED THEN UPDATE SET cost_cents = 1;
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status) VALUES ('over', 'acme', 'w', 'failed')
    ON CONFLICT (tenant_id, id) DO UPDATE SET tokens = 1;
SET session_replication_role = replica;
UPDATE costsim_worker_runs SET error = 'another' WHERE id = 'over';
RESET session_replication_role;
-- A trigger of somebody's own is looked at too.
CREATE FUNCTION pg_temp.changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := 'queued'; RETURN NEW; END $$;
CREATE TRIGGER zzz BEFORE UPDATE ON costsim_worker_runs FOR EACH ROW EXECUTE FUNCTION pg_temp.changes();
UPDATE costsim_worker_runs SET tokens = 5 WHERE id = 'open';
DROP TRIGGER zzz ON costsim_worker_runs;
-- What changes nothing passes, and so does what is open.
UPDATE costsim_worker_runs SET error = 'e' WHERE id = 'over';
UPDATE costsim_worker_runs SET tokens = 5 WHERE id = 'open';
SELECT id, status, error, tokens FROM costsim_worker_runs ORDER BY id;
TRUNCATE costsim_worker_runs;
-- Called by hand it is no defect.
SELECT _costsim_worker_runs_stay();
\echo :LAST_ERROR_SQLSTATE
