-- An application whose ORM knows costsim_cb_state and costsim_cb_incidents finds every column, default and index it knows.
-- Columns of ours never need a value. The id of an incident, which the application makes itself, may also be left out.
CREATE TEMP TABLE reference (table_name text, column_name text);
INSERT INTO reference
SELECT 'costsim_cb_state', unnest(ARRAY['id', 'name', 'disabled', 'disabled_by', 'disabled_reason', 'disabled_until', 'incident_id',
                                        'consecutive_failures', 'last_failure_at', 'updated_at', 'created_at'])
UNION ALL
SELECT 'costsim_cb_incidents', unnest(ARRAY['id', 'circuit_breaker_name', 'timestamp', 'reason', 'severity', 'drift_score', 'sample_count',
                                            'details_json', 'resolved', 'resolved_at', 'resolved_by', 'resolution_notes', 'alert_sent',
                                            'alert_sent_at', 'alert_response']);
SELECT table_name, column_name, data_type, is_nullable,
       CASE WHEN identity_generation IS NOT NULL THEN 'identity ' || identity_generation ELSE column_default END AS fills_itself
  FROM reference LEFT JOIN information_schema.columns USING (table_name, column_name)
 WHERE table_schema = 'public'
 ORDER BY table_name DESC, ordinal_position;

SELECT table_name, column_name AS ours_that_an_insert_would_have_to_name
  FROM information_schema.columns c
 WHERE table_schema = 'public' AND table_name IN (SELECT r.table_name FROM reference r) AND is_nullable = 'NO' AND column_default IS NULL
   AND NOT EXISTS (SELECT FROM reference r WHERE (r.table_name, r.column_name) = (c.table_name, c.column_name));

SELECT indexname, regexp_replace(indexdef, '^.* USING ', '') AS definition
  FROM pg_indexes
 WHERE schemaname = 'public' AND tablename LIKE 'costsim\_cb\_%' AND indexname ~ '^(idx|uq)_costsim_cb_'
 ORDER BY indexname;
SELECT conname, contype FROM pg_constraint WHERE conname = 'uq_costsim_cb_state_name';
