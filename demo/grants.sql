-- What an application needs in order to lead, to price and to report, and what the worker needs, by the levels of costsim_grant. The extension grants
-- nothing to PUBLIC, and docs/security.md says what each level can reach.

CREATE ROLE demo_app LOGIN;
SELECT costsim_grant('demo_app', 'app');

-- costsim.worker_role names it: the worker does all it does as this role, and nothing as a superuser.
CREATE ROLE demo_worker NOLOGIN;
SELECT costsim_grant('demo_worker', 'worker');

-- The application's own tables.
GRANT SELECT ON demo_requests, demo_prices TO demo_app;
GRANT SELECT, INSERT ON demo_windows TO demo_app;

-- Not for an application: level operator, which decides for everybody, and what is the owner's alone (costsim_use_runs, costsim_grant).
