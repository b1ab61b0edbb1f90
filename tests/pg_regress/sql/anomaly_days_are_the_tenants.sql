-- Every tenant's days begin in its own zone, whatever the session's; the day on which clocks change is one day.
BEGIN;
SELECT costsim_set_cost_time_zone('east', 'Pacific/Tongatapu'), costsim_set_cost_time_zone('west', 'Pacific/Pago_Pago'), costsim_set_cost_time_zone('berlin', 'Europe/Berlin');
-- one record a day, at each tenant's noon
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT t, 'ada', 'chat.answer', 'm', 1000, ('2025-03-31 12:00'::timestamp - d * interval '1 day') AT TIME ZONE z
  FROM (VALUES ('east', 'Pacific/Tongatapu'), ('west', 'Pacific/Pago_Pago'), ('berlin', 'Europe/Berlin')) v (t, z), generate_series(1, 20) d;
-- half an hour before midnight, and half an hour after it
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT t, 'ada', 'chat.answer', 'm', c, ts AT TIME ZONE z
  FROM (VALUES ('east', 'Pacific/Tongatapu'), ('west', 'Pacific/Pago_Pago'), ('berlin', 'Europe/Berlin')) v (t, z),
       (VALUES (2000, '2025-03-30 23:30'::timestamp), (5000, '2025-03-31 00:30')) w (c, ts);
SET TimeZone = 'Pacific/Kiritimati';
SELECT tenant_id, period_start, current_value_cents FROM costsim_detect_anomalies('east', '2025-03-30 10:59 UTC') WHERE entity_type = 'tenant'
UNION ALL SELECT tenant_id, period_start, current_value_cents FROM costsim_detect_anomalies('west', '2025-03-31 10:59 UTC') WHERE entity_type = 'tenant'
UNION ALL SELECT tenant_id, period_start, current_value_cents FROM costsim_detect_anomalies('berlin', '2025-03-30 21:59 UTC') WHERE entity_type = 'tenant';
SET TimeZone = 'America/Los_Angeles';
SET DateStyle = 'SQL, DMY';
SELECT tenant_id, to_char(period_start, 'YYYY-MM-DD') AS day, current_value_cents, breach_count FROM costsim_detect_anomalies(as_of => '2025-03-31 10:59 UTC') WHERE entity_type = 'tenant';
SELECT tenant_id, to_char(breach_date, 'YYYY-MM-DD') AS day, current_value_cents FROM costsim_cost_breaches WHERE entity_type = 'tenant' ORDER BY 1, 2;
RESET TimeZone;
RESET DateStyle;
ROLLBACK;
