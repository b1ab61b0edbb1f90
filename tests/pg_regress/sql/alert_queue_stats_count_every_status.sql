-- True depth, whatever the batch size; the oldest is the oldest pending one; the latest error is shown, but not that of a row that was sent or cancelled.
BEGIN;
INSERT INTO costsim_alert_queue (payload, status, created_at, last_error, last_attempt_at)
SELECT '[]'::jsonb, 'pending', timestamptz '2025-01-02 UTC' + i * interval '1 minute', NULL, NULL::timestamptz FROM generate_series(1, 300) i
UNION ALL SELECT '[]', 'sent', '2025-01-01 UTC', 'was slow', '2025-06-01 UTC' FROM generate_series(1, 20)
UNION ALL SELECT '[]', 'cancelled', '2025-01-01 UTC', 'was in vain', '2025-06-01 UTC' FROM generate_series(1, 7)
UNION ALL SELECT '[]', 'failed', '2025-01-01 UTC', 'HTTP 400: bad', '2025-05-01 UTC' FROM generate_series(1, 3);
INSERT INTO costsim_alerts (fingerprint, labels, starts_at, resolved_at, revision, sent_revision)
VALUES ('1', '{}', now(), NULL, 1, 0), ('2', '{}', now(), NULL, 2, 2), ('3', '{}', now(), now(), 2, 1);
SELECT pending, sent, failed, cancelled, oldest_pending AT TIME ZONE 'UTC' AS oldest_pending, firing, unsent, last_error FROM costsim_alert_queue_stats();
UPDATE costsim_alerts SET last_error = 'HTTP 503: ill', last_attempt_at = '2025-05-02 UTC' WHERE fingerprint = '1';
SELECT last_error FROM costsim_alert_queue_stats();
ROLLBACK;
