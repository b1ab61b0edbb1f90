-- An application whose ORM knows costsim_alert_queue finds every column it knows, with the type, nullability and default it knows.
-- Columns of ours never need a value.
SELECT column_name, data_type, is_nullable,
       CASE WHEN identity_generation IS NOT NULL THEN 'identity ' || identity_generation
            ELSE replace(column_default, '::text', '') END AS fills_itself
  FROM information_schema.columns
 WHERE table_schema = 'public' AND table_name = 'costsim_alert_queue'
   AND column_name IN ('id', 'payload', 'alert_type', 'circuit_breaker_name', 'incident_id', 'attempts', 'max_attempts',
                       'last_attempt_at', 'next_attempt_at', 'last_error', 'status', 'created_at', 'sent_at')
 ORDER BY ordinal_position;

SELECT column_name AS ours_that_an_insert_would_have_to_name
  FROM information_schema.columns
 WHERE table_schema = 'public' AND table_name = 'costsim_alert_queue'
   AND column_name NOT IN ('id', 'payload', 'alert_type', 'circuit_breaker_name', 'incident_id', 'attempts', 'max_attempts',
                           'last_attempt_at', 'next_attempt_at', 'last_error', 'status', 'created_at', 'sent_at')
   AND is_nullable = 'NO' AND column_default IS NULL;

SELECT regexp_replace(indexdef, '^.* USING ', '') AS definition, indexname
  FROM pg_indexes
 WHERE schemaname = 'public' AND tablename = 'costsim_alert_queue' AND indexname LIKE 'idx\_costsim\_%'
 ORDER BY indexname;
