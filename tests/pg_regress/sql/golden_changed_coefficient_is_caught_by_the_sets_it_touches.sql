-- Every coefficient of every skill is changed in turn: the sets that hold the skill are no longer acceptable, and all others are. Each skill has a
-- combination of sets that is its own.
BEGIN;
SELECT s.name, array_agg(DISTINCT coalesce(c.skill, 'unknown') ORDER BY coalesce(c.skill, 'unknown')) AS skills
  FROM costsim_golden_samples s CROSS JOIN jsonb_array_elements(s.plan) e
  LEFT JOIN costsim_skill_costs c ON (c.model, c.version, c.skill) = ('v2', '2.0.0', e ->> 'skill')
 GROUP BY s.name ORDER BY s.name;
\set ECHO none
\pset format unaligned
\pset tuples_only
SELECT format($$SAVEPOINT one;
       UPDATE costsim_skill_costs SET %1$s = %1$s %2$s WHERE (model, version, skill) = ('v2', '2.0.0', %3$L);
       SELECT %3$L, %1$L, string_agg(v.name, ' ' ORDER BY v.name) FILTER (WHERE v.verdict = 'not_acceptable')
         FROM costsim_golden_sets s, costsim_validate_golden(s.name) v;
       ROLLBACK TO one$$, k.name, k.change, c.skill)
  FROM costsim_skill_costs c,
       (VALUES (1, '', 'cost_cents', '+ 1'), (2, '', 'latency_ms', '+ 1'), (3, '', 'confidence', '* 0.99'), (4, '', 'risk', '+ 0.05'),
               (5, 'llm', 'cost_per_1k_input', '* 1.2'), (6, 'llm', 'cost_per_1k_output', '* 1.2'), (7, 'llm', 'latency_per_1k', '* 1.01'),
               (8, 'http', 'latency_variance_ms', '+ 1')) k (nth, shape, name, change)
 WHERE (c.model, c.version) = ('v2', '2.0.0') AND k.shape IN ('', c.shape)
 ORDER BY c.skill, k.nth
\gexec
\set ECHO all
\pset tuples_only off
\pset format aligned
-- And all is well again.
SELECT bool_and(v.verdict = 'acceptable') AS is_well FROM costsim_golden_sets s, costsim_validate_golden(s.name) v;
ROLLBACK;
