-- Simulation: what plans cost by a model, and the models, which are rows.
--
-- The formulas are code; every number in them is here. A model has versions, and one of them is active: that is the one asked when no
-- version is named. Rows that came with the extension are seeds: they are not dumped, as the extension brings them along, until somebody edits them.

CREATE TABLE costsim_cost_models (
    model            text             NOT NULL CHECK (model <> ''),
    version          text             NOT NULL CHECK (version <> ''),
    formula          text             NOT NULL CHECK (formula IN ('v1', 'v2')),
    is_active        boolean          NOT NULL DEFAULT false,
    cost_decimals    smallint         NOT NULL DEFAULT 0 CHECK (cost_decimals BETWEEN '0' AND '6'),
    risk_threshold   double precision NOT NULL DEFAULT 0.5 CHECK (risk_threshold BETWEEN '0' AND '1'),
    significant_risk double precision NOT NULL DEFAULT 0.05 CHECK (significant_risk BETWEEN '0' AND '1'),
    description      text,
    created_at       timestamptz      NOT NULL DEFAULT now(),
    origin           text             NOT NULL DEFAULT 'user' CHECK (origin IN ('seed', 'superseded', 'edited', 'user')),
    PRIMARY KEY (model, version)
);
CREATE UNIQUE INDEX costsim_cost_models_one_active ON costsim_cost_models (model) WHERE is_active;

COMMENT ON TABLE costsim_cost_models IS 'Cost models by version. Edit a version, or insert another one and costsim_activate_model it; every session computes with it from its next statement on. A seed that was deleted is there again after a restore; switch it off instead.';
COMMENT ON COLUMN costsim_cost_models.formula IS 'How the numbers of costsim_skill_costs make a cost, a duration, a risk: v1 or v2.';
COMMENT ON COLUMN costsim_cost_models.is_active IS 'Whether this is the version that is asked when none is named. At most one of a model. A row that comes or becomes active, of the same name as before, switches the version before it off. Switch with costsim_activate_model, which waits for others that do; or change the row that is to be active, and no other. A statement that changes several versions may fail with 27000, and the second of two sessions that write this column at once with 23505: nothing is changed then.';
COMMENT ON COLUMN costsim_cost_models.cost_decimals IS 'To how many decimals of a cent a total is rounded, half to even. Default 0, whole cents.';
COMMENT ON COLUMN costsim_cost_models.risk_threshold IS 'A plan whose cumulative risk is above it is infeasible. Default 0.5.';
COMMENT ON COLUMN costsim_cost_models.significant_risk IS 'Formula v1: a step''s risk is listed if the skill''s is above it, and counts in any case. Formula v2: it counts, and is listed, only above it. Seeds: 0.05 and 0.02.';
COMMENT ON COLUMN costsim_cost_models.created_at IS 'When the row was inserted; of a seed, a day that never changes.';
COMMENT ON COLUMN costsim_cost_models.origin IS 'Where the row comes from: seed, it came with the extension, is as it came, and is not dumped; superseded, the same, but another version was made active instead; edited, any other row with the key of a seed; user, everything else. Kept by a trigger, whatever a statement says. An inserted row that is said to be edited or superseded, as in a dump, takes the place of the seed with its key.';

CREATE TABLE costsim_skill_costs (
    model              text             NOT NULL,
    version            text             NOT NULL,
    skill              text             NOT NULL CHECK (skill <> ''),
    shape              text             NOT NULL DEFAULT 'flat' CHECK (shape IN ('flat', 'llm', 'http', 'shell')),
    cost_cents         double precision NOT NULL DEFAULT 0 CHECK (cost_cents >= '0' AND cost_cents < 'Infinity'),
    cost_per_1k_input  double precision NOT NULL DEFAULT 0 CHECK (cost_per_1k_input >= '0' AND cost_per_1k_input < 'Infinity'),
    cost_per_1k_output double precision NOT NULL DEFAULT 0 CHECK (cost_per_1k_output >= '0' AND cost_per_1k_output < 'Infinity'),
    latency_ms         double precision NOT NULL DEFAULT 0 CHECK (latency_ms >= '0' AND latency_ms < 'Infinity'),
    latency_variance_ms double precision NOT NULL DEFAULT 0 CHECK (latency_variance_ms >= '0' AND latency_variance_ms < 'Infinity'),
    latency_per_1k     double precision NOT NULL DEFAULT 0 CHECK (latency_per_1k >= '0' AND latency_per_1k < 'Infinity'),
    confidence         double precision NOT NULL DEFAULT 1 CHECK (confidence BETWEEN '0' AND '1'),
    risk               double precision NOT NULL DEFAULT 0 CHECK (risk BETWEEN '0' AND '1'),
    risk_type          text             NOT NULL DEFAULT 'unknown',
    origin             text             NOT NULL DEFAULT 'user' CHECK (origin IN ('seed', 'edited', 'user')),
    PRIMARY KEY (model, version, skill),
    FOREIGN KEY (model, version) REFERENCES costsim_cost_models ON UPDATE CASCADE ON DELETE CASCADE
);

COMMENT ON TABLE costsim_skill_costs IS 'What a step of each skill costs, by model and version. The skill unknown is what a skill costs that is not listed; a model without it cannot price such a plan (skill_unavailable). A seed that was deleted is there again after a restore.';
COMMENT ON COLUMN costsim_skill_costs.shape IS 'What of a step''s params counts besides: flat nothing; llm the size of the prompt; http timeout and url; shell the length of the command.';
COMMENT ON COLUMN costsim_skill_costs.cost_cents IS 'Cents per iteration; of shape llm in formula v1 the least it costs, in formula v2 the part that does not depend on sizes.';
COMMENT ON COLUMN costsim_skill_costs.cost_per_1k_input IS 'Cents per 1,000 characters of the prompt, or per 1,000 of its tokens where the step says prompt_tokens.';
COMMENT ON COLUMN costsim_skill_costs.cost_per_1k_output IS 'Cents per 1,000 characters or tokens of the answer; formula v2.';
COMMENT ON COLUMN costsim_skill_costs.latency_ms IS 'Milliseconds per iteration.';
COMMENT ON COLUMN costsim_skill_costs.latency_variance_ms IS 'Added to latency_ms for shape http; formula v2.';
COMMENT ON COLUMN costsim_skill_costs.latency_per_1k IS 'Milliseconds per 1,000 characters or tokens of the prompt; formula v2, shape llm.';
COMMENT ON COLUMN costsim_skill_costs.confidence IS 'How sure the estimate of one step is, 0 to 1; a plan''s is the product. Formula v2.';
COMMENT ON COLUMN costsim_skill_costs.risk IS 'The probability that one iteration fails, 0 to 1.';
COMMENT ON COLUMN costsim_skill_costs.risk_type IS 'How it fails, in a word.';
COMMENT ON COLUMN costsim_skill_costs.origin IS 'Where the row comes from: seed, edited or user, as in costsim_cost_models.';

-- A seed is the same row wherever the extension is made, whenever.
INSERT INTO costsim_cost_models (model, version, formula, is_active, significant_risk, description, created_at, origin) VALUES
    ('v1', '1.0.0', 'v1', true, 0.05, 'The baseline: a price per skill.', '2026-01-01 00:00+00', 'seed'),
    ('v2', '2.0.0', 'v2', true, 0.02, 'The candidate: sizes, confidence, context.', '2026-01-01 00:00+00', 'seed');

INSERT INTO costsim_skill_costs (model, version, skill, shape, cost_cents, cost_per_1k_input, latency_ms, risk, risk_type, origin) VALUES
    ('v1', '1.0.0', 'http_call',      'http',  0, 0,  500, 0.10, 'timeout',         'seed'),
    ('v1', '1.0.0', 'llm_invoke',     'llm',   5, 1, 2000, 0.05, 'rate_limit',      'seed'),
    ('v1', '1.0.0', 'json_transform', 'flat',  0, 0,   10, 0.01, 'transform_error', 'seed'),
    ('v1', '1.0.0', 'fs_read',        'flat',  0, 0,   50, 0.05, 'not_found',       'seed'),
    ('v1', '1.0.0', 'fs_write',       'flat',  0, 0,  100, 0.05, 'permission',      'seed'),
    ('v1', '1.0.0', 'shell_lite',     'flat',  0, 0,  200, 0.10, 'timeout',         'seed'),
    ('v1', '1.0.0', 'kv_get',         'flat',  0, 0,    5, 0.02, 'not_found',       'seed'),
    ('v1', '1.0.0', 'kv_set',         'flat',  0, 0,   10, 0.02, 'quota',           'seed'),
    ('v1', '1.0.0', 'webhook_send',   'flat',  0, 0,  300, 0.10, 'timeout',         'seed'),
    ('v1', '1.0.0', 'email_send',     'flat',  1, 0,  500, 0.05, 'delivery',        'seed'),
    ('v1', '1.0.0', 'unknown',        'flat', 10, 0, 1000, 0.20, 'unknown',         'seed');

INSERT INTO costsim_skill_costs (model, version, skill, shape, cost_cents, cost_per_1k_input, cost_per_1k_output,
                                 latency_ms, latency_variance_ms, latency_per_1k, confidence, risk, risk_type, origin) VALUES
    ('v2', '2.0.0', 'http_call',      'http',  0,   0,   0,    350, 150,   0, 0.85, 0.08,  'timeout',         'seed'),
    ('v2', '2.0.0', 'llm_invoke',     'llm',   3.5, 0.8, 1.2, 1800,   0, 200, 0.92, 0.03,  'rate_limit',      'seed'),
    ('v2', '2.0.0', 'json_transform', 'flat',  0,   0,   0,      5,   0,   0, 0.98, 0.005, 'transform_error', 'seed'),
    ('v2', '2.0.0', 'fs_read',        'flat',  0,   0,   0,     30,   0,   0, 0.95, 0.03,  'read',            'seed'),
    ('v2', '2.0.0', 'fs_write',       'flat',  0,   0,   0,     50,   0,   0, 0.94, 0.02,  'write',           'seed'),
    ('v2', '2.0.0', 'shell_lite',     'shell', 0,   0,   0,    150,   0,   0, 0.88, 0.07,  'timeout',         'seed'),
    ('v2', '2.0.0', 'kv_get',         'flat',  0,   0,   0,      3,   0,   0, 0.97, 0.01,  'get',             'seed'),
    ('v2', '2.0.0', 'kv_set',         'flat',  0,   0,   0,      5,   0,   0, 0.97, 0.01,  'set',             'seed'),
    ('v2', '2.0.0', 'webhook_send',   'flat',  0,   0,   0,    200,   0,   0, 0.90, 0.08,  'timeout',         'seed'),
    ('v2', '2.0.0', 'email_send',     'flat',  0.8, 0,   0,    350,   0,   0, 0.93, 0.03,  'delivery',        'seed'),
    ('v2', '2.0.0', 'unknown',        'flat',  5,   0,   0,    500,   0,   0, 0.60, 0.15,  'unknown',         'seed');

-- Before a row: what becomes of seeds. After it: every session reads the models anew. A subscriber of logical replication applies rows with
-- triggers off, unless they are ALWAYS on.
CREATE TRIGGER costsim_cost_models_seed BEFORE INSERT OR UPDATE ON costsim_cost_models
    FOR EACH ROW EXECUTE FUNCTION _costsim_seed_row('is_active', 'model', 'version');
CREATE TRIGGER costsim_skill_costs_seed BEFORE INSERT OR UPDATE ON costsim_skill_costs
    FOR EACH ROW EXECUTE FUNCTION _costsim_seed_row('', 'model', 'version', 'skill');
CREATE TRIGGER costsim_cost_models_changed AFTER INSERT OR UPDATE OR DELETE ON costsim_cost_models
    FOR EACH ROW EXECUTE FUNCTION _costsim_models_changed();
CREATE TRIGGER costsim_cost_models_truncated AFTER TRUNCATE ON costsim_cost_models
    FOR EACH STATEMENT EXECUTE FUNCTION _costsim_models_changed();
CREATE TRIGGER costsim_skill_costs_changed AFTER INSERT OR UPDATE OR DELETE ON costsim_skill_costs
    FOR EACH ROW EXECUTE FUNCTION _costsim_models_changed();
CREATE TRIGGER costsim_skill_costs_truncated AFTER TRUNCATE ON costsim_skill_costs
    FOR EACH STATEMENT EXECUTE FUNCTION _costsim_models_changed();
ALTER TABLE costsim_cost_models
    ENABLE ALWAYS TRIGGER costsim_cost_models_seed,
    ENABLE ALWAYS TRIGGER costsim_cost_models_changed,
    ENABLE ALWAYS TRIGGER costsim_cost_models_truncated;
ALTER TABLE costsim_skill_costs
    ENABLE ALWAYS TRIGGER costsim_skill_costs_seed,
    ENABLE ALWAYS TRIGGER costsim_skill_costs_changed,
    ENABLE ALWAYS TRIGGER costsim_skill_costs_truncated;

-- A table is dumped after those it refers to.
SELECT pg_catalog.pg_extension_config_dump('costsim_cost_models', 'WHERE origin <> ''seed''');
SELECT pg_catalog.pg_extension_config_dump('costsim_skill_costs', 'WHERE origin <> ''seed''');
