-- What workers did: one row for each run of a job, from its beginning to its end. An application that has such a table of its own need not copy it:
-- costsim_use_runs makes a view over it, and patterns and predictions read that.

CREATE TABLE costsim_worker_runs (
    id            text NOT NULL DEFAULT gen_random_uuid()::text CHECK (id <> '' AND octet_length(id) <= 512),
    tenant_id     text NOT NULL CHECK (tenant_id <> '' AND octet_length(tenant_id) <= 512),
    worker_id     text NOT NULL CHECK (worker_id <> '' AND octet_length(worker_id) <= 512),
    status        text NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'crashed')),
    error         text,
    cost_cents    numeric(20,6) CHECK (cost_cents >= 0::numeric AND cost_cents <> 'NaN'),
    tokens        bigint CHECK (tokens >= 0),
    is_retry      boolean NOT NULL DEFAULT false,
    attempt       integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    parent_run_id text CHECK (parent_run_id <> '' AND octet_length(parent_run_id) <= 512),
    created_at    timestamptz NOT NULL DEFAULT now()
                  CHECK (created_at >= TIMESTAMPTZ '2000-01-01 00:00:00+00' AND created_at < TIMESTAMPTZ '9999-01-01 00:00:00+00'),
    finished_at   timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK (finished_at >= created_at AND finished_at < 'infinity')
);
CREATE INDEX costsim_worker_runs_tenant_created_at_idx ON costsim_worker_runs (tenant_id, created_at);
-- For a look at every tenant, and for the purge, which would read runs that never end each time.
CREATE INDEX costsim_worker_runs_created_at_idx ON costsim_worker_runs (created_at);
CREATE INDEX costsim_worker_runs_ended_idx ON costsim_worker_runs (created_at) WHERE status IN ('completed', 'failed', 'crashed');

COMMENT ON TABLE costsim_worker_runs IS 'One row per run of a worker. Written by costsim_record_run; what has ended stays as it is.';
COMMENT ON COLUMN costsim_worker_runs.id IS 'The caller''s own name for the run, once per tenant: of two tenants neither learns what the other''s are called.';
COMMENT ON COLUMN costsim_worker_runs.worker_id IS 'Which worker, or kind of worker: what patterns of cost and predictions are about.';
COMMENT ON COLUMN costsim_worker_runs.status IS 'queued, running; completed, failed, crashed, which are ends.';
COMMENT ON COLUMN costsim_worker_runs.error IS 'Why it failed, as it was told.';
COMMENT ON COLUMN costsim_worker_runs.cost_cents IS 'What it cost; NULL unknown.';
COMMENT ON COLUMN costsim_worker_runs.tokens IS 'Tokens read and written; NULL unknown.';
COMMENT ON COLUMN costsim_worker_runs.is_retry IS 'Whether it repeats one that failed.';
COMMENT ON COLUMN costsim_worker_runs.attempt IS 'Which attempt it is, from 1.';
COMMENT ON COLUMN costsim_worker_runs.parent_run_id IS 'The run that it repeats, or is a part of.';
COMMENT ON COLUMN costsim_worker_runs.created_at IS 'When it was asked for, which decides in which windows it counts.';
COMMENT ON COLUMN costsim_worker_runs.finished_at IS 'When it ended, which is not before created_at.';

SELECT pg_catalog.pg_extension_config_dump('costsim_worker_runs', '');

-- What has ended stays, by whatever hand, and nothing goes back. After the row: what a trigger of somebody's own has made of it is looked at.
-- A subscriber of logical replication applies rows with triggers off, unless they are ALWAYS on.
CREATE FUNCTION _costsim_worker_runs_stay() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME';
CREATE TRIGGER costsim_worker_runs_stay AFTER UPDATE ON costsim_worker_runs
    FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'crashed') AND OLD.* *<> NEW.*
          OR OLD.status = 'running' AND NEW.status = 'queued')
    EXECUTE FUNCTION _costsim_worker_runs_stay();
ALTER TABLE costsim_worker_runs ENABLE ALWAYS TRIGGER costsim_worker_runs_stay;
COMMENT ON TRIGGER costsim_worker_runs_stay ON costsim_worker_runs IS 'Refuses an UPDATE of what has ended, or from running back to queued.';
