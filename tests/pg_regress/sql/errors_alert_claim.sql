-- Every misuse of the external deliverer's functions: its SQLSTATE, what it says, and nothing claimed or settled.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') AS q \gset
SELECT costsim_fire_alert('{"alertname": "F"}') IS NOT NULL AS fired;

SELECT * FROM costsim_claim_alerts(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('a', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('a', 1, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts(E' \t');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('a', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('a', -1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('a', 10001);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('a', lease => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('a', lease => '-1 second');
\echo :LAST_ERROR_SQLSTATE
-- one that no calendar holds is refused alike
SELECT * FROM costsim_claim_alerts('a', lease => '-178000000 years');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('a', lease => '178000000 years');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT * FROM costsim_claim_alerts(repeat('x', 1000000));
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT claimed_by, claim_token, claimed_until FROM costsim_alert_queue UNION ALL SELECT claimed_by, claim_token, claimed_until FROM costsim_alerts;

SELECT id, claim_token AS token FROM costsim_claim_alerts('a') WHERE kind = 'queued' \gset
SELECT costsim_settle_alert(NULL, :token, true);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_settle_alert(:q, NULL, true);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_settle_alert(:q, :token, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_settle_alert(:q, :token, false, 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_settle_alert(:q, :token, false, 600);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_settle_alert(:q, :token, true, -200);
\echo :LAST_ERROR_SQLSTATE
SELECT status, attempts, claimed_by, claim_token = :token AS is_claimed FROM costsim_alert_queue;
-- the most that fits is taken
SELECT count(*) AS none_left FROM costsim_claim_alerts('a', 10000, '1 microsecond');
ROLLBACK;
SELECT count(*) FROM costsim_alert_queue;
