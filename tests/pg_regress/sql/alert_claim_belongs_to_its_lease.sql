-- A deliverer that is not heard of loses its rows at the end of the lease: the next claim gets them, and the old token changes nothing any more.
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') AS q \gset
SELECT costsim_fire_alert('{"alertname": "F"}') IS NOT NULL AS fired;
SELECT id AS f FROM costsim_alerts \gset
SELECT DISTINCT claim_token AS first FROM costsim_claim_alerts('a', lease => '1 hour') \gset
SELECT count(*) AS still_claimed FROM costsim_claim_alerts('b');
UPDATE costsim_alert_queue SET claimed_until = clock_timestamp() - interval '1 s';
UPDATE costsim_alerts SET claimed_until = clock_timestamp() - interval '1 s';
CREATE TEMP TABLE claim AS SELECT * FROM costsim_claim_alerts('b');
SELECT kind FROM claim ORDER BY id;
SELECT DISTINCT claim_token AS second FROM claim \gset
SELECT :first <> :second AS is_another_token;

-- the one that was late
SELECT costsim_settle_alert(:q, :first, true, 200), costsim_settle_alert(:f, :first, true, 200);
SELECT costsim_settle_alert(:q, :first, false, 400, 'refused'), costsim_settle_alert(:f, :first, false, 503, 'ill');
SELECT status, attempts, last_error, response_code, claimed_by FROM costsim_alert_queue;
SELECT sent_revision, attempts, last_error, response_code, claimed_by FROM costsim_alerts;
-- a token that never was, one of the other row's kind of id, an id that is none
SELECT costsim_settle_alert(:q, 0, true), costsim_settle_alert(:f, -1, true), costsim_settle_alert(-1, :second, true);
-- the one whose they are
SELECT costsim_settle_alert(:q, :second, true, 200), costsim_settle_alert(:f, :second, true, 200);
SELECT costsim_settle_alert(:q, :second, true, 200), costsim_settle_alert(:f, :second, true, 200);
SELECT status, attempts, claimed_by, claim_token, claimed_until FROM costsim_alert_queue;
SELECT sent_revision, claimed_by, claim_token, claimed_until FROM costsim_alerts;

-- a lease that is over and that nobody has taken over can still be settled: the row is as it was
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') AS q \gset
SELECT claim_token AS token FROM costsim_claim_alerts('a') \gset
UPDATE costsim_alert_queue SET claimed_until = clock_timestamp() - interval '1 s' WHERE id = :q;
SELECT costsim_settle_alert(:q, :token, true, 200);
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
