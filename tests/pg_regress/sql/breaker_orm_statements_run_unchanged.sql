-- The statements by which the Python breaker uses its two tables, with exactly its columns, as its ORM sends them.
BEGIN;
-- get or create
PREPARE create_state AS
    INSERT INTO costsim_cb_state (name, disabled, disabled_by, disabled_reason, disabled_until, incident_id,
                                  consecutive_failures, last_failure_at, updated_at, created_at)
    VALUES ($1::VARCHAR, $2::BOOLEAN, $3::VARCHAR, $4::VARCHAR, $5::TIMESTAMP WITH TIME ZONE, $6::VARCHAR,
            $7::INTEGER, $8::TIMESTAMP WITH TIME ZONE, $9::TIMESTAMP WITH TIME ZONE, $10::TIMESTAMP WITH TIME ZONE)
    RETURNING costsim_cb_state.id;
EXECUTE create_state('costsim_v2', false, NULL, NULL, NULL, NULL, 0, NULL, now(), now()) \gset
SELECT costsim_cb_state.name, costsim_cb_state.disabled, costsim_cb_state.consecutive_failures
  FROM costsim_cb_state WHERE costsim_cb_state.name = 'costsim_v2' FOR UPDATE;
-- the migration's seed row
INSERT INTO costsim_cb_state (name, disabled, consecutive_failures) VALUES ('costsim_v2', false, 0) ON CONFLICT (name) DO NOTHING;

-- a failure is counted
UPDATE costsim_cb_state SET consecutive_failures = 1, last_failure_at = now(), updated_at = now() WHERE costsim_cb_state.id = :id;

-- trip
PREPARE create_incident AS
    INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, timestamp, reason, severity, drift_score, sample_count, details_json,
                                      resolved, resolved_at, resolved_by, resolution_notes, alert_sent, alert_sent_at, alert_response)
    VALUES ($1::VARCHAR, $2::VARCHAR, $3::TIMESTAMP WITH TIME ZONE, $4::VARCHAR, $5::VARCHAR, $6::FLOAT, $7::INTEGER, $8::VARCHAR,
            $9::BOOLEAN, $10::TIMESTAMP WITH TIME ZONE, $11::VARCHAR, $12::VARCHAR, $13::BOOLEAN, $14::TIMESTAMP WITH TIME ZONE, $15::VARCHAR);
EXECUTE create_incident('a1b2c3d4-e5f', 'costsim_v2', now(), 'Drift score 0.3100 exceeds threshold 0.2', 'P1', 0.31, 40, '{"window": 7}',
                        false, NULL, NULL, NULL, false, NULL, NULL);
UPDATE costsim_cb_state
   SET disabled = true, disabled_by = 'circuit_breaker', disabled_reason = 'Drift score 0.3100 exceeds threshold 0.2',
       disabled_until = now() + '24 hours'::interval, incident_id = 'a1b2c3d4-e5f', updated_at = now()
 WHERE costsim_cb_state.id = :id;

-- the alert went out
UPDATE costsim_cb_incidents SET alert_sent = true, alert_sent_at = now() WHERE costsim_cb_incidents.id = 'a1b2c3d4-e5f';

-- get_incidents
SELECT costsim_cb_incidents.id, costsim_cb_incidents.severity, costsim_cb_incidents.details_json
  FROM costsim_cb_incidents
 WHERE costsim_cb_incidents.circuit_breaker_name = 'costsim_v2' AND costsim_cb_incidents.resolved = false
 ORDER BY costsim_cb_incidents.timestamp DESC LIMIT 10;

-- enable, then resolve
UPDATE costsim_cb_state
   SET disabled = false, disabled_by = NULL, disabled_reason = NULL, disabled_until = NULL, incident_id = NULL,
       consecutive_failures = 0, updated_at = now()
 WHERE costsim_cb_state.id = :id;
UPDATE costsim_cb_incidents
   SET resolved = true, resolved_at = now(), resolved_by = 'ops', resolution_notes = 'Manual reset'
 WHERE costsim_cb_incidents.id = 'a1b2c3d4-e5f';
SELECT costsim_is_open();
SELECT id, resolved, resolved_by FROM costsim_incidents(include_resolved => true);
ROLLBACK;
