-- A V2 row finds a baseline of its own tenant and of its own kind of hash alone; no tenant and an empty one are the same.
BEGIN;
INSERT INTO costsim_provenance (run_id, tenant_id, input_hash, hash_version, v1_cost, v2_cost, created_at) VALUES
    ('acme-1', 'acme', 'aaaaaaaaaaaaaaaa', 1, 1, NULL, '2025-05-01 01:00 UTC'),
    ('acme-3', 'acme', 'aaaaaaaaaaaaaaaa', 3, 3, NULL, '2025-05-01 02:00 UTC'),
    ('none-1', NULL,   'aaaaaaaaaaaaaaaa', 1, 7, NULL, '2025-05-01 03:00 UTC'),
    ('unkn',   'unkn', 'some-hash',     NULL, 8, NULL, '2025-05-01 03:00 UTC'),
    ('acme-v2',   'acme', 'aaaaaaaaaaaaaaaa', 1, NULL, 2, '2025-05-01 04:00 UTC'),
    ('acme-v2-3', 'acme', 'aaaaaaaaaaaaaaaa', 3, NULL, 4, '2025-05-01 05:00 UTC'),
    ('acme-v2-2', 'acme', 'aaaaaaaaaaaaaaaa', 2, NULL, 5, '2025-05-01 06:00 UTC'),
    ('beta-v2',   'beta', 'aaaaaaaaaaaaaaaa', 1, NULL, 6, '2025-05-01 07:00 UTC'),
    ('none-v2',   NULL,   'aaaaaaaaaaaaaaaa', 1, NULL, 9, '2025-05-01 08:00 UTC'),
    ('empty-v2',  '',     'aaaaaaaaaaaaaaaa', 1, NULL, 10, '2025-05-01 09:00 UTC'),
    ('unkn-v2',   'unkn', 'some-hash',     NULL, NULL, 11, '2025-05-01 10:00 UTC'),
    ('other-v2',  'unkn', 'some-hash',        3, NULL, 12, '2025-05-01 11:00 UTC');
SELECT v2.run_id AS v2, v1.run_id AS v1, s.v1_cost_cents AS v1_cost, s.v2_cost_cents AS v2_cost
  FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC') s
  JOIN costsim_provenance v2 ON v2.id = s.id JOIN costsim_provenance v1 ON v1.id = s.v1_id
 ORDER BY s.v2_cost_cents;
-- as a filter, an empty text is none
SELECT t.tenant_id, (SELECT count(*) FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC', t.tenant_id)) AS pairs,
       r.sample_count
  FROM (VALUES ('acme'), ('beta'), ('unkn'), (''), (NULL)) t (tenant_id), costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC', t.tenant_id) r;
ROLLBACK;
