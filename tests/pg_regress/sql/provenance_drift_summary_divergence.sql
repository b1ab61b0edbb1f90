-- The raw divergence of two lists, as the reference computes and rounds it, and the bounded one beside it; also when there are too many pairs to keep.
CREATE TEMP TABLE list (id int, v1 float8[], v2 float8[]);
INSERT INTO list VALUES
 (1, array_fill(100::float8, ARRAY[5]), array_fill(100::float8, ARRAY[5])), (2, array_fill(100::float8, ARRAY[5]), '{50,150,75,125,100}'),
 (3, '{1,2,3,4,5,6,7,8,9,10}', '{2,3,4,5,6,7,8,9,10,11}'), (4, array_fill(5::float8, ARRAY[10]), array_fill(6::float8, ARRAY[10])),
 (5, '{10,20,30,40}', '{12,18,33,41}'), (6, '{100,100,100}', '{100,105,150}'), (7, '{0,0,0}', '{0,0,10}'), (8, '{0,5,5,10}', '{0,4,4,25}');
SELECT id, costsim_drift_kl(s) AS kl, round(costsim_drift_js(s)::numeric, 6) AS js, round(costsim_drift_js(t)::numeric, 6) AS swapped
  FROM (SELECT id, costsim_drift(a, b) AS s, costsim_drift(b, a) AS t FROM list, unnest(v1, v2) p (a, b) GROUP BY id) o ORDER BY id;
SELECT id, costsim_drift_count(s) AS count, costsim_drift_kl(s) AS kl, round(costsim_drift_js(s)::numeric, 6) AS js
  FROM (SELECT id, costsim_drift(a, b) AS s FROM list, unnest(v1, v2) p (a, b), generate_series(1, 50) WHERE id IN (1, 4, 5) GROUP BY id) o ORDER BY id;
