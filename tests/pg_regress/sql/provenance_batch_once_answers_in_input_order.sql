-- One answer per record in input order: of records with the same key the first is inserted, the others answer its id.
BEGIN;
SELECT id AS known FROM costsim_write_provenance_once('known', 't', input_hash => 'k') \gset
CREATE TEMP TABLE answer AS
    SELECT * FROM costsim_write_provenance_batch_once(
        '[{"run_id": "a", "tenant_id": "t", "input_hash": "z", "v1_cost": 1.5, "v2_cost": 2},
          {"run_id": "b", "tenant_id": "t", "input_hash": "k"},
          {"run_id": "c", "tenant_id": "t", "input_hash": "z"},
          {"run_id": "d", "tenant_id": "u", "input_hash": "z", "payload": {"big": 12345678901234567890.10}},
          {"run_id": "e", "input_hash": "z", "variant_slug": null, "source": "manual", "payload": null},
          {"run_id": "f", "input_hash": "z", "tenant_id": "", "variant_slug": ""}]') WITH ORDINALITY AS a(id, inserted, ordinal);
SELECT a.ordinal, a.inserted, p.run_id, p.source, p.cost_delta, p.payload, a.id = :known AS was_known FROM answer a JOIN costsim_provenance p USING (id) ORDER BY a.ordinal;
SELECT count(*) AS rows FROM costsim_provenance;
SELECT count(*) AS answered FROM costsim_write_provenance_batch_once('[]');
-- many at once, half of them known, and then all of them
SELECT jsonb_agg(jsonb_build_object('tenant_id', 'many', 'input_hash', md5((i % 5000)::text)) ORDER BY i) AS many FROM generate_series(1, 10000) i \gset
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE inserted) AS inserted FROM costsim_write_provenance_batch_once(:'many');
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE inserted) AS inserted FROM costsim_write_provenance_batch_once(:'many');
SELECT count(*) FROM costsim_provenance WHERE tenant_id = 'many';
ROLLBACK;
