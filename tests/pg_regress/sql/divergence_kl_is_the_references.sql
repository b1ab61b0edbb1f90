-- The reference's vectors of the raw divergence; beside it one that knows a bound. A shift that separates the bins drives the one to 23.
BEGIN;
CREATE TEMP TABLE vector (n int, v1 float8[], v2 float8[], kl float8);
INSERT INTO vector VALUES
    (1, '{100,100,100,100,100}', '{100,100,100,100,100}', 0.0), (2, '{100,100,100,100,100}', '{50,150,75,125,100}', 1.6094),
    (3, '{1,2,3,4,5,6,7,8,9,10}', '{2,3,4,5,6,7,8,9,10,11}', 2.003), (4, '{5,5,5,5,5,5,5,5,5,5}', '{6,6,6,6,6,6,6,6,6,6}', 23.0259),
    (5, '{10,20,30,40}', '{12,18,33,41}', 10.8198), (6, '{100,100,100}', '{100,105,150}', 1.0986), (7, '{0,0,0}', '{0,0,10}', 0.4055),
    (8, '{0,5,5,10}', '{0,4,4,25}', 5.4099);
INSERT INTO costsim_provenance (tenant_id, v1_cost, v2_cost, created_at)
SELECT n::text, p.v1, p.v2, '2025-05-01 UTC' FROM vector v, unnest(v.v1, v.v2) p (v1, v2);
SELECT n, kl_divergence, kl_divergence = kl AS is_the_references, round(js_divergence::numeric, 4) AS js
  FROM vector, costsim_divergence_report('2025-05-01 UTC', '2025-05-01 UTC', n::text) ORDER BY n;
ROLLBACK;
