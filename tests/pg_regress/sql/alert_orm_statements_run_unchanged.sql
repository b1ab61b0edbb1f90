-- The statements by which the Python alert worker uses the queue, with exactly its columns, as its ORM sends them.
BEGIN;
PREPARE enqueue AS
    INSERT INTO costsim_alert_queue (payload, alert_type, circuit_breaker_name, incident_id, attempts, max_attempts,
                                     last_attempt_at, next_attempt_at, last_error, status, created_at)
    VALUES ($1::JSONB, $2::VARCHAR, $3::VARCHAR, $4::VARCHAR, $5::INTEGER, $6::INTEGER, $7::TIMESTAMP WITH TIME ZONE,
            $8::TIMESTAMP WITH TIME ZONE, $9::VARCHAR, $10::VARCHAR, $11::TIMESTAMP WITH TIME ZONE)
    RETURNING costsim_alert_queue.id;
EXECUTE enqueue('[{"labels": {"alertname": "CostSimV2Disabled"}}]', 'disable', 'costsim_v2', 'a1b2c3d4-e5f', 0, 10,
                NULL, '2025-03-01 12:00:00+00', NULL, 'pending', '2025-03-01 12:00:00+00') \gset first_
EXECUTE enqueue('[{"labels": {"alertname": "CostSimV2Reenabled"}}]', 'enable', 'costsim_v2', NULL, 10, 10,
                '2025-03-01 13:00:00+00', '2025-03-01 13:05:00+00', 'Timeout: read', 'failed', '2025-03-01 12:30:00+00') \gset second_
SELECT :second_id > :first_id AS has_real_ids;

-- the columns with defaults may be left out
INSERT INTO costsim_alert_queue (payload, alert_type) VALUES ('[]', NULL)
    RETURNING attempts, max_attempts, status, next_attempt_at = now() AS is_due, created_at = now() AS is_new, sent_at \gset third_
\echo :third_attempts :third_max_attempts :third_status :third_is_due :third_is_new
DELETE FROM costsim_alert_queue WHERE alert_type IS NULL;

-- our functions see its rows
SELECT pending, sent, failed, oldest_pending = '2025-03-01 12:00:00+00' AS is_oldest, last_error FROM costsim_alert_queue_stats();

-- our functions work with its rows: an external deliverer, the operator
SELECT count(*) AS claimed, count(*) FILTER (WHERE id = :first_id) AS the_pending_one FROM costsim_claim_alerts('pager');
SELECT costsim_retry_alert(:second_id) AS brought_back, costsim_cancel_alert(:second_id) AS cancelled;
UPDATE costsim_alert_queue SET status = 'failed' WHERE id = :second_id;

-- process_batch, which knows nothing of claims
SELECT costsim_alert_queue.id = :first_id AS is_first, costsim_alert_queue.payload, costsim_alert_queue.attempts
  FROM costsim_alert_queue
 WHERE costsim_alert_queue.status = 'pending' AND costsim_alert_queue.next_attempt_at <= now()
 ORDER BY costsim_alert_queue.next_attempt_at ASC
 LIMIT 10 FOR UPDATE SKIP LOCKED;
UPDATE costsim_alert_queue
   SET attempts = 1, last_attempt_at = now(), next_attempt_at = now() + '2 seconds', last_error = 'HTTP 503: '
 WHERE costsim_alert_queue.id = :first_id;
UPDATE costsim_alert_queue SET status = 'sent', sent_at = now() WHERE costsim_alert_queue.id = :first_id;

-- retry_failed_alerts, purge_old_alerts
UPDATE costsim_alert_queue
   SET status = 'pending', max_attempts = (costsim_alert_queue.max_attempts + 3), next_attempt_at = now()
 WHERE costsim_alert_queue.status = 'failed' AND costsim_alert_queue.attempts < costsim_alert_queue.max_attempts + 3;
SELECT pending, sent, failed FROM costsim_alert_queue_stats();
DELETE FROM costsim_alert_queue
 WHERE costsim_alert_queue.created_at < now() - '30 days'::interval AND costsim_alert_queue.status IN ('sent', 'failed');
SELECT pending, sent, failed FROM costsim_alert_queue_stats();
ROLLBACK;
