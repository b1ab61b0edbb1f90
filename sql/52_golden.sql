-- Golden sets: plans whose right answer is written down, what each says of a model, and what it said.

CREATE TABLE costsim_golden_sets (
    name               text             NOT NULL CHECK (name <> ''),
    version            integer          NOT NULL CHECK (version > '0'),
    model              text             NOT NULL DEFAULT 'v2',
    model_version      text,
    description        text,
    max_mean_error     double precision NOT NULL DEFAULT 5    CHECK (max_mean_error >= '0' AND max_mean_error < 'Infinity'),
    max_median_error   double precision NOT NULL DEFAULT 3    CHECK (max_median_error >= '0' AND max_median_error < 'Infinity'),
    max_std_deviation  double precision NOT NULL DEFAULT 10   CHECK (max_std_deviation >= '0' AND max_std_deviation < 'Infinity'),
    max_outlier_pct    double precision NOT NULL DEFAULT 0.05 CHECK (max_outlier_pct >= '0' AND max_outlier_pct <= '1'),
    max_drift_score    double precision NOT NULL DEFAULT 0.1  CHECK (max_drift_score >= '0' AND max_drift_score <= '1'),
    is_exact           boolean          NOT NULL DEFAULT false,
    in_canary          boolean          NOT NULL DEFAULT true,
    is_current         boolean          NOT NULL DEFAULT false,
    created_at         timestamptz      NOT NULL DEFAULT now(),
    origin             text             NOT NULL DEFAULT 'user' CHECK (origin IN ('seed', 'superseded', 'edited', 'user')),
    PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX costsim_golden_sets_one_current ON costsim_golden_sets (name) WHERE is_current;

COMMENT ON TABLE costsim_golden_sets IS 'Golden sets: lists of plans with what a model ought to say of each. A version is never changed, but for is_current and in_canary: load a new one with costsim_load_golden_set. Sets that come with the extension and were deleted come back with a restore.';
COMMENT ON COLUMN costsim_golden_sets.version IS 'Counted from 1 for each name; of a set that came with the extension, from 2, though it was deleted.';
COMMENT ON COLUMN costsim_golden_sets.model IS 'The cost model it was written for.';
COMMENT ON COLUMN costsim_golden_sets.model_version IS 'The version of the model it was written for; NULL for every version.';
COMMENT ON COLUMN costsim_golden_sets.description IS 'What it is for.';
COMMENT ON COLUMN costsim_golden_sets.max_mean_error IS 'How large the mean of |cost - expected cost| may be, in cents.';
COMMENT ON COLUMN costsim_golden_sets.max_median_error IS 'How large their upper median may be.';
COMMENT ON COLUMN costsim_golden_sets.max_std_deviation IS 'How large their population standard deviation may be.';
COMMENT ON COLUMN costsim_golden_sets.max_outlier_pct IS 'How large the share of outliers may be, from 0 to 1.';
COMMENT ON COLUMN costsim_golden_sets.max_drift_score IS 'How large the drift score may be, from 0 to 1, for reference_verdict. It decides nothing else.';
COMMENT ON COLUMN costsim_golden_sets.is_exact IS 'Whether every answer must be the very one that is written down, but for a billionth; of confidence and risk the four decimals that are shown do as well.';
COMMENT ON COLUMN costsim_golden_sets.in_canary IS 'Whether a canary asks it.';
COMMENT ON COLUMN costsim_golden_sets.is_current IS 'Whether it is the version that is asked when none is named. A version that comes or becomes current takes that from the one before. Change the row that is to be current, and no other: a statement that changes several versions may fail with 27000, and the second of two sessions that write this column at once with 23505: nothing is changed then. costsim_load_golden_set waits for others.';
COMMENT ON COLUMN costsim_golden_sets.created_at IS 'When it was loaded; of a seed, a day that never changes.';
COMMENT ON COLUMN costsim_golden_sets.origin IS 'seed: came with the extension, is as it came, and is left out of a dump; superseded: the same, but another version is current instead; edited: any other row with the key of a seed; user: everything else. Kept by a trigger, whatever a statement says. An inserted row that is said to be edited or superseded, as in a dump, takes the place of the seed with its key.';

CREATE TABLE costsim_golden_samples (
    name                 text             NOT NULL,
    version              integer          NOT NULL,
    position             integer          NOT NULL CHECK (position >= '0'),
    plan                 jsonb            NOT NULL CHECK (jsonb_typeof(plan) = 'array'),
    budget_cents         double precision NOT NULL DEFAULT 1000 CHECK (budget_cents >= '0' AND budget_cents < 'Infinity'),
    expected_cost_cents  double precision CHECK (expected_cost_cents >= '0' AND expected_cost_cents < 'Infinity'),
    expected_feasible    boolean,
    min_confidence       double precision CHECK (min_confidence >= '0' AND min_confidence <= '1'),
    expected_confidence  double precision CHECK (expected_confidence >= '0' AND expected_confidence <= '1'),
    expected_duration_ms double precision CHECK (expected_duration_ms >= '0' AND expected_duration_ms < 'Infinity'),
    expected_risk        double precision CHECK (expected_risk >= '0' AND expected_risk <= '1'),
    note                 text,
    origin               text             NOT NULL DEFAULT 'user' CHECK (origin IN ('seed', 'edited', 'user')),
    PRIMARY KEY (name, version, position),
    FOREIGN KEY (name, version) REFERENCES costsim_golden_sets (name, version) ON DELETE CASCADE ON UPDATE CASCADE
);

COMMENT ON TABLE costsim_golden_samples IS 'The plans of golden sets, and what a model ought to say of each. What is NULL is not compared. Never changed: load a new version of the set.';
COMMENT ON COLUMN costsim_golden_samples.position IS 'The place in the set, counted from 0.';
COMMENT ON COLUMN costsim_golden_samples.plan IS 'The steps, as costsim_simulate takes them.';
COMMENT ON COLUMN costsim_golden_samples.budget_cents IS 'The budget that the plan is priced within.';
COMMENT ON COLUMN costsim_golden_samples.expected_feasible IS 'Whether the plan can run.';
COMMENT ON COLUMN costsim_golden_samples.min_confidence IS 'An answer that is less sure, or does not say how sure it is, is an outlier.';
COMMENT ON COLUMN costsim_golden_samples.expected_confidence IS 'How sure the model is. This, duration and risk are asked of exact sets only.';
COMMENT ON COLUMN costsim_golden_samples.expected_risk IS 'How likely the plan fails, from 0 to 1.';
COMMENT ON COLUMN costsim_golden_samples.note IS 'What the sample is there for.';
COMMENT ON COLUMN costsim_golden_samples.origin IS 'As that of costsim_golden_sets.';

CREATE TABLE costsim_golden_results (
    id                bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name              text             NOT NULL,
    version           integer          NOT NULL,
    model             text             NOT NULL,
    model_version     text             NOT NULL,
    run_id            text,
    validated_at      timestamptz      NOT NULL DEFAULT clock_timestamp(),
    sample_count      integer          NOT NULL,
    mean_error        double precision NOT NULL,
    median_error      double precision NOT NULL,
    std_deviation     double precision NOT NULL,
    outlier_pct       double precision NOT NULL,
    drift_score       double precision NOT NULL,
    verdict           text             NOT NULL CHECK (verdict IN ('acceptable', 'not_acceptable')),
    reference_verdict text             NOT NULL CHECK (reference_verdict IN ('acceptable', 'not_acceptable')),
    changed_samples   integer          NOT NULL,
    details           jsonb            NOT NULL
);
CREATE INDEX costsim_golden_results_name_idx ON costsim_golden_results (name, validated_at);
-- For the purge.
CREATE INDEX costsim_golden_results_validated_at_idx ON costsim_golden_results (validated_at);
CREATE INDEX costsim_golden_results_run_id_idx ON costsim_golden_results (run_id) WHERE run_id IS NOT NULL;

COMMENT ON TABLE costsim_golden_results IS 'What golden sets said of models, one row for each time one was asked. It stays when its set is deleted.';
COMMENT ON SEQUENCE costsim_golden_results_id_seq IS 'Ids of costsim_golden_results.';
COMMENT ON COLUMN costsim_golden_results.name IS 'Of the set.';
COMMENT ON COLUMN costsim_golden_results.version IS 'Of the set.';
COMMENT ON COLUMN costsim_golden_results.model IS 'Who was asked.';
COMMENT ON COLUMN costsim_golden_results.model_version IS 'And which version.';
COMMENT ON COLUMN costsim_golden_results.run_id IS 'The canary that asked; NULL when somebody did by hand.';
COMMENT ON COLUMN costsim_golden_results.mean_error IS 'The mean of |cost - expected cost|, in cents, over samples that expect a cost and got one.';
COMMENT ON COLUMN costsim_golden_results.median_error IS 'Their median, the upper of two middle ones.';
COMMENT ON COLUMN costsim_golden_results.std_deviation IS 'Their population standard deviation.';
COMMENT ON COLUMN costsim_golden_results.outlier_pct IS 'The share of samples whose feasibility is another, that are less sure than they must be, or at which the model failed. A sample counts once.';
COMMENT ON COLUMN costsim_golden_results.drift_score IS 'least(1, 0.3 mean_error / max_mean_error + 0.3 median_error / max_median_error + 0.2 std_deviation / max_std_deviation + 0.2 outlier_pct / max_outlier_pct), at four decimals.';
COMMENT ON COLUMN costsim_golden_results.verdict IS 'acceptable: mean, median, deviation and share of outliers are within the limits of the set, and no sample of an exact one has changed.';
COMMENT ON COLUMN costsim_golden_results.reference_verdict IS 'By the rule of the system before: those four and drift_score are within the limits. Decides nothing.';
COMMENT ON COLUMN costsim_golden_results.changed_samples IS 'Samples that were not answered as they were written down, of any set.';
COMMENT ON COLUMN costsim_golden_results.details IS 'thresholds: the limits of the set; errors_count: samples whose cost was compared; outliers_count; failed_count: samples at which the model failed; changed and failed: their places and errors, the first 100; reasons: why it is not acceptable.';

-- The five sets that come with the extension, of version 2.0.0 of the model v2. Each skill is asked by a combination of sets that is its own:
-- the sets that fail after a change name the skill that was changed. A seed is the same row wherever the extension is made, whenever.
INSERT INTO costsim_golden_sets (name, version, model, model_version, description, max_mean_error, max_median_error, max_std_deviation,
                                 max_outlier_pct, max_drift_score, is_exact, is_current, created_at, origin)
VALUES
    ('low_variance', 1, 'v2', '2.0.0', 'Cheap steps, whose price hardly varies: json_transform, kv_get, kv_set, fs_read, fs_write, email_send.',
     1.0, 0.5, 2.0, 0.02, 0.05, true, true, '2026-01-01 00:00+00', 'seed'),
    ('high_variance', 1, 'v2', '2.0.0', 'From four cents to twenty dollars: llm_invoke, http_call, shell_lite.',
     10, 5, 15, 0.10, 0.15, true, true, '2026-01-01 00:00+00', 'seed'),
    ('mixed_city', 1, 'v2', '2.0.0', 'A day in the services of a city: http_call, llm_invoke, json_transform, kv_get, webhook_send, email_send.',
     5, 3, 10, 0.05, 0.10, true, true, '2026-01-01 00:00+00', 'seed'),
    ('noise_injected', 1, 'v2', '2.0.0', 'Odd names, addresses and commands, steps done no time: unknown, http_call, shell_lite, fs_write, email_send.',
     20, 10, 25, 0.30, 0.25, true, true, '2026-01-01 00:00+00', 'seed'),
    ('historical', 1, 'v2', '2.0.0', 'What the first canaries asked, and a file: http_call, llm_invoke, kv_get, fs_read.',
     5, 3, 8, 0.05, 0.10, true, true, '2026-01-01 00:00+00', 'seed');

INSERT INTO costsim_golden_samples (name, version, position, plan, budget_cents, expected_cost_cents, expected_feasible, min_confidence,
                                    expected_confidence, expected_duration_ms, expected_risk, note, origin)
SELECT 'low_variance', 1, s.position, s.plan::jsonb, s.budget, s.cost, s.feasible, s.least, s.confidence, s.duration, s.risk, s.note, 'seed' FROM (VALUES
    (0, '[{"skill": "json_transform"}]',
     1000, 0, true, 0.93, 0.98, 5, 0, 'one transformation'),
    (1, '[{"skill": "json_transform", "iterations": 10}]',
     1000, 0, true, 0.93, 0.98, 50, 0, 'ten times the same'),
    (2, '[{"skill": "json_transform"}, {"skill": "json_transform"}]',
     1000, 0, true, 0.91, 0.9604, 10, 0, 'two steps are not two iterations'),
    (3, '[{"skill": "kv_get"}]',
     1000, 0, true, 0.92, 0.97, 3, 0, 'one look-up'),
    (4, '[{"skill": "kv_get", "iterations": 100}]',
     1000, 0, true, 0.92, 0.97, 300, 0, 'a hundred look-ups'),
    (5, '[{"skill": "kv_set"}]',
     1000, 0, true, 0.92, 0.97, 5, 0, 'one write'),
    (6, '[{"skill": "kv_set", "iterations": 20}]',
     1000, 0, true, 0.92, 0.97, 100, 0, 'twenty writes'),
    (7, '[{"skill": "kv_get"}, {"skill": "json_transform"}, {"skill": "kv_set"}]',
     1000, 0, true, 0.87, 0.922082, 13, 0, 'read, change, write'),
    (8, '[{"skill": "kv_get", "iterations": 5}, {"skill": "json_transform", "iterations": 5}, {"skill": "kv_set", "iterations": 5}]',
     1000, 0, true, 0.87, 0.922082, 65, 0, 'the same five times'),
    (9, '[{"skill": "fs_read"}]',
     1000, 0, true, 0.9, 0.95, 30, 0.03, 'one file'),
    (10, '[{"skill": "fs_read", "iterations": 3}]',
     1000, 0, true, 0.9, 0.95, 90, 0.087327, 'three files'),
    (11, '[{"skill": "fs_read", "iterations": 23}]',
     1000, 0, false, 0.9, 0.95, 690, 0.503693585658, 'as many as are just too risky'),
    (12, '[{"skill": "fs_read", "iterations": 22}]',
     1000, 0, true, 0.9, 0.95, 660, 0.48834390274, 'and one fewer'),
    (13, '[{"skill": "fs_write"}]',
     1000, 0, true, 0.89, 0.94, 50, 0, 'one file written: its risk is just not counted'),
    (14, '[{"skill": "fs_write", "iterations": 40}]',
     1000, 0, true, 0.89, 0.94, 2000, 0, 'and however often it is written'),
    (15, '[{"skill": "fs_read"}, {"skill": "json_transform"}, {"skill": "fs_write"}]',
     1000, 0, true, 0.83, 0.87514, 85, 0.03, 'from file to file'),
    (16, '[{"skill": "fs_read", "iterations": 4}, {"skill": "json_transform", "iterations": 4}, {"skill": "fs_write", "iterations": 4}]',
     1000, 0, true, 0.83, 0.87514, 340, 0.11470719, 'four of them'),
    (17, '[{"skill": "fs_read"}, {"skill": "kv_set"}]',
     1000, 0, true, 0.87, 0.9215, 35, 0.03, 'a file into the store'),
    (18, '[{"skill": "kv_get"}, {"skill": "fs_write"}]',
     1000, 0, true, 0.86, 0.9118, 53, 0, 'and back'),
    (19, '[{"skill": "email_send"}]',
     1000, 1, true, 0.88, 0.93, 350, 0.03, 'one message: 0.8 cents are 1'),
    (20, '[{"skill": "email_send", "iterations": 2}]',
     1000, 2, true, 0.88, 0.93, 700, 0.0591, '1.6 are 2'),
    (21, '[{"skill": "email_send", "iterations": 3}]',
     1000, 2, true, 0.88, 0.93, 1050, 0.087327, '2.4 are 2'),
    (22, '[{"skill": "email_send", "iterations": 5}]',
     1000, 4, true, 0.88, 0.93, 1750, 0.1412659743, '4 cents'),
    (23, '[{"skill": "kv_get"}, {"skill": "email_send"}]',
     1000, 1, true, 0.85, 0.9021, 353, 0.03, 'look up whom, tell'),
    (24, '[{"skill": "kv_get"}, {"skill": "json_transform"}, {"skill": "email_send"}]',
     1000, 1, true, 0.83, 0.884058, 358, 0.03, 'look up, render, tell'),
    (25, '[{"skill": "fs_read"}, {"skill": "json_transform"}, {"skill": "email_send", "iterations": 2}]',
     1000, 2, true, 0.82, 0.86583, 735, 0.087327, 'a report to two'),
    (26, '[{"skill": "fs_read"}, {"skill": "json_transform"}, {"skill": "kv_set"}, {"skill": "email_send"}]',
     1000, 1, true, 0.79, 0.8398551, 390, 0.0591, 'a report, kept and sent'),
    (27, '[{"skill": "email_send"}]',
     1, 1, true, 0.88, 0.93, 350, 0.03, 'a budget that is just enough'),
    (28, '[{"skill": "email_send", "iterations": 2}]',
     1, 2, false, 0.88, 0.93, 700, 0.0591, 'and one that is not'),
    (29, '[{"skill": "json_transform"}, {"skill": "kv_get"}, {"skill": "kv_set"}, {"skill": "fs_read"}, {"skill": "fs_write"}, {"skill": "email_send"}]',
     1000, 1, true, 0.72, 0.76577988018, 443, 0.0591, 'one of each')
) AS s (position, plan, budget, cost, feasible, least, confidence, duration, risk, note);

INSERT INTO costsim_golden_samples (name, version, position, plan, budget_cents, expected_cost_cents, expected_feasible, min_confidence,
                                    expected_confidence, expected_duration_ms, expected_risk, note, origin)
SELECT 'high_variance', 1, s.position, s.plan::jsonb, s.budget, s.cost, s.feasible, s.least, s.confidence, s.duration, s.risk, s.note, 'seed' FROM (VALUES
    (0, '[{"skill": "llm_invoke"}]',
     1000, 4, true, 0.87, 0.92, 1800, 0.03, 'an empty prompt'),
    (1, '[{"skill": "llm_invoke", "params": {"prompt": "Say hello."}}]',
     1000, 4, true, 0.87, 0.92, 1802, 0.03, 'a short one'),
    (2, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 100}}]',
     1000, 4, true, 0.87, 0.92, 1820, 0.03, 'a hundred tokens'),
    (3, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 1000}}]',
     1000, 7, true, 0.87, 0.92, 2000, 0.03, 'a thousand'),
    (4, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 2000}}]',
     1000, 10, true, 0.87, 0.92, 2200, 0.03, 'as long as is sure'),
    (5, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 2001}}]',
     1000, 10, true, 0.83, 0.874, 2200, 0.03, 'and longer'),
    (6, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 4001}}]',
     1000, 12, true, 0.74, 0.7866, 2600, 0.03, 'longer still'),
    (7, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 20000}}]',
     1000, 24, true, 0.74, 0.7866, 5800, 0.03, 'a document'),
    (8, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 120000, "completion_tokens": 500}}]',
     1000, 100, true, 0.74, 0.7866, 25800, 0.03, 'a long context, a short answer'),
    (9, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 500, "completion_tokens": 16000}}]',
     1000, 23, true, 0.87, 0.92, 1900, 0.03, 'a short question, a long answer'),
    (10, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 120000, "completion_tokens": 4000}, "iterations": 20}]',
     5000, 2086, true, 0.74, 0.7866, 516000, 0.456205657073, 'twenty of them'),
    (11, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 120000, "completion_tokens": 4000}, "iterations": 20}]',
     1000, 2086, false, 0.74, 0.7866, 516000, 0.456205657073, 'beyond the budget'),
    (12, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 800}, "iterations": 24}]',
     1000, 145, false, 0.87, 0.92, 47040, 0.518582778088, 'too often to go well'),
    (13, '[{"skill": "http_call", "params": {"url": "https://api.example.com/v1/items"}}, {"skill": "llm_invoke", "params": {"prompt_tokens": 6000}}, {"skill": "shell_lite", "params": {"command": "pytest -q"}}]',
     1000, 13, true, 0.53, 0.55895796, 3650, 0.206152, 'fetch, write, test'),
    (14, '[{"skill": "shell_lite", "params": {"command": "make"}}, {"skill": "shell_lite", "params": {"command": "tar --create --gzip --file /var/backups/items.tar.gz --directory /srv/items --exclude cache --exclude tmp ."}}, {"skill": "llm_invoke", "params": {"prompt_tokens": 300}, "iterations": 3}]',
     1000, 13, true, 0.64, 0.6768256, 5880, 0.22251212476, 'a long command is riskier'),
    (15, '[{"skill": "http_call", "params": {"url": "https://api.example.com/v1/items"}, "iterations": 8}, {"skill": "llm_invoke", "params": {"prompt_tokens": 1500}, "iterations": 4}, {"skill": "shell_lite", "params": {"command": "ls"}, "iterations": 2}]',
     1000, 33, false, 0.62, 0.653752, 12700, 0.724631530118, 'risk above one half')
) AS s (position, plan, budget, cost, feasible, least, confidence, duration, risk, note);

INSERT INTO costsim_golden_samples (name, version, position, plan, budget_cents, expected_cost_cents, expected_feasible, min_confidence,
                                    expected_confidence, expected_duration_ms, expected_risk, note, origin)
SELECT 'mixed_city', 1, s.position, s.plan::jsonb, s.budget, s.cost, s.feasible, s.least, s.confidence, s.duration, s.risk, s.note, 'seed' FROM (VALUES
    (0, '[{"skill": "http_call", "params": {"url": "https://city.example.com/air"}}]',
     1000, 0, true, 0.76, 0.8075, 500, 0.12, 'a sensor is read'),
    (1, '[{"skill": "http_call", "params": {"url": "https://city.example.com/air", "timeout": 0.2}}]',
     1000, 0, true, 0.76, 0.8075, 200, 0.12, 'given up early'),
    (2, '[{"skill": "http_call", "params": {"url": "http://localhost:8080/health"}}]',
     1000, 0, true, 0.8, 0.85, 500, 0.08, 'a service on the same machine'),
    (3, '[{"skill": "http_call", "params": {"url": "https://city.example.com/air"}}, {"skill": "json_transform"}]',
     1000, 0, true, 0.75, 0.79135, 505, 0.12, 'and converted'),
    (4, '[{"skill": "http_call", "params": {"url": "https://city.example.com/air"}}, {"skill": "json_transform"}, {"skill": "kv_get"}]',
     1000, 0, true, 0.72, 0.7676095, 508, 0.12, 'and compared with the last'),
    (5, '[{"skill": "http_call", "params": {"url": "https://city.example.com/bus/7"}}, {"skill": "json_transform"}, {"skill": "webhook_send"}]',
     1000, 0, true, 0.67, 0.712215, 705, 0.1904, 'a delay is told'),
    (6, '[{"skill": "kv_get"}, {"skill": "webhook_send"}]',
     1000, 0, true, 0.82, 0.873, 203, 0.08, 'a subscriber is told'),
    (7, '[{"skill": "kv_get", "iterations": 10}, {"skill": "webhook_send", "iterations": 6}]',
     1000, 0, true, 0.82, 0.873, 1230, 0.393644998656, 'six of ten are told'),
    (8, '[{"skill": "webhook_send", "iterations": 9}]',
     1000, 0, false, 0.85, 0.9, 1800, 0.527838636713, 'nine calls: too risky'),
    (9, '[{"skill": "kv_get"}, {"skill": "json_transform"}, {"skill": "email_send"}]',
     1000, 1, true, 0.83, 0.884058, 358, 0.03, 'a receipt'),
    (10, '[{"skill": "email_send", "iterations": 12}]',
     1000, 10, true, 0.88, 0.93, 4200, 0.306157639005, 'a dozen receipts'),
    (11, '[{"skill": "llm_invoke", "params": {"prompt": "Summarise the council''s minutes in three sentences."}}]',
     1000, 4, true, 0.87, 0.92, 1810, 0.03, 'minutes'),
    (12, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 3200}}, {"skill": "email_send"}]',
     1000, 12, true, 0.77, 0.81282, 2790, 0.0591, 'longer ones, sent'),
    (13, '[{"skill": "http_call", "params": {"url": "https://city.example.com/minutes"}}, {"skill": "llm_invoke", "params": {"prompt_tokens": 3200}}, {"skill": "email_send", "iterations": 4}]',
     1000, 14, true, 0.62, 0.65635215, 4340, 0.244314057384, 'fetched, summarised, sent to four'),
    (14, '[{"skill": "kv_get"}, {"skill": "llm_invoke", "params": {"prompt_tokens": 150}}, {"skill": "json_transform"}]',
     1000, 4, true, 0.83, 0.874552, 1838, 0.03, 'an answer from memory'),
    (15, '[{"skill": "kv_get", "iterations": 3}, {"skill": "llm_invoke", "params": {"prompt_tokens": 900}, "iterations": 3}, {"skill": "json_transform", "iterations": 3}]',
     1000, 19, true, 0.83, 0.874552, 5964, 0.087327, 'three answers'),
    (16, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 900, "completion_tokens": 120}}, {"skill": "json_transform"}]',
     1000, 4, true, 0.85, 0.9016, 1985, 0.03, 'a classification'),
    (17, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 40, "completion_tokens": 5}, "iterations": 10}, {"skill": "json_transform", "iterations": 10}]',
     1000, 35, true, 0.85, 0.9016, 18130, 0.262575873105, 'ten short ones'),
    (18, '[{"skill": "http_call", "params": {"url": "http://127.0.0.1:9000/metrics"}}, {"skill": "json_transform"}, {"skill": "kv_get"}, {"skill": "llm_invoke", "params": {"prompt_tokens": 500}}, {"skill": "webhook_send"}]',
     1000, 5, true, 0.63, 0.66903228, 2608, 0.178992, 'watch, judge, tell'),
    (19, '[{"skill": "http_call", "params": {"url": "https://city.example.com/parking"}, "iterations": 2}, {"skill": "json_transform", "iterations": 2}, {"skill": "webhook_send"}]',
     1000, 0, true, 0.67, 0.712215, 1210, 0.287552, 'two car parks'),
    (20, '[{"skill": "http_call", "params": {"url": "https://city.example.com/events"}}, {"skill": "llm_invoke", "params": {"prompt_tokens": 2500}}, {"skill": "json_transform"}, {"skill": "email_send"}, {"skill": "webhook_send"}]',
     1000, 11, true, 0.54, 0.5789025963, 3355, 0.23824736, 'the day''s events'),
    (21, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 5000}}, {"skill": "llm_invoke", "params": {"prompt_tokens": 5000}}]',
     20, 25, false, 0.58, 0.61873956, 5600, 0.0591, 'more than there is'),
    (22, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 5000}}]',
     20, 12, true, 0.74, 0.7866, 2800, 0.03, 'half of it'),
    (23, '[{"skill": "http_call", "params": {"url": "https://city.example.com/weather"}}, {"skill": "kv_get"}, {"skill": "json_transform"}, {"skill": "email_send"}, {"skill": "webhook_send"}]',
     1000, 1, true, 0.61, 0.6424891515, 1058, 0.214688, 'a warning'),
    (24, '[{"skill": "json_transform"}, {"skill": "kv_get"}, {"skill": "http_call", "params": {"url": "https://city.example.com/air"}}, {"skill": "llm_invoke", "params": {"prompt_tokens": 700}}, {"skill": "webhook_send"}, {"skill": "email_send"}]',
     1000, 7, true, 0.56, 0.59109001938, 2998, 0.23824736, 'one of each')
) AS s (position, plan, budget, cost, feasible, least, confidence, duration, risk, note);

INSERT INTO costsim_golden_samples (name, version, position, plan, budget_cents, expected_cost_cents, expected_feasible, min_confidence,
                                    expected_confidence, expected_duration_ms, expected_risk, note, origin)
SELECT 'noise_injected', 1, s.position, s.plan::jsonb, s.budget, s.cost, s.feasible, s.least, s.confidence, s.duration, s.risk, s.note, 'seed' FROM (VALUES
    (0, '[]',
     1000, 0, false, 0.95, 1, 0, 0, 'no steps'),
    (1, '[{"skill": "quantum_anneal"}]',
     1000, 5, true, 0.57, 0.6, 500, 0.15, 'a skill that nobody has heard of'),
    (2, '[{"skill": "Http_Call", "params": {"url": "http://localhost:8080/health"}}]',
     1000, 5, true, 0.57, 0.6, 500, 0.15, 'a misspelt one'),
    (3, '[{"skill": "http_call", "params": {"url": "ftp://example.com/file"}}]',
     1000, 0, true, 0.76, 0.8075, 500, 0.12, 'an address of another kind'),
    (4, '[{"skill": "shell_lite", "params": {"command": ""}}, {"skill": "shell_lite", "params": {"command": "tar --create --gzip --file /var/backups/items.tar.gz --directory /srv/items --exclude cache --exclude tmp ."}}, {"skill": "fs_write"}]',
     1000, 0, true, 0.65, 0.6915392, 350, 0.14812, 'commands of no length and of much'),
    (5, '[{"skill": "unknown", "iterations": 3}, {"skill": "email_send", "iterations": 0}]',
     1000, 15, true, 0.53, 0.6, 1500, 0.385875, 'the unknown by its name, and a step that is done no time'),
    (6, '[{"skill": "übersetzen", "params": {"text": "Grüße"}, "iterations": 2}, {"skill": "fs_write", "iterations": 2}, {"skill": "email_send", "iterations": 3}]',
     1000, 12, true, 0.49, 0.52452, 2150, 0.3405937575, 'a name beyond ASCII'),
    (7, '[{"skill": "http_call", "params": {"url": "http://localhost.example.com/", "timeout": 0}}, {"skill": "noop"}, {"skill": "shell_lite", "params": {"command": "true"}, "iterations": 4}]',
     12, 5, true, 0.42, 0.4488, 1100, 0.41502332818, 'no time to wait, and nearly no budget')
) AS s (position, plan, budget, cost, feasible, least, confidence, duration, risk, note);

INSERT INTO costsim_golden_samples (name, version, position, plan, budget_cents, expected_cost_cents, expected_feasible, min_confidence,
                                    expected_confidence, expected_duration_ms, expected_risk, note, origin)
SELECT 'historical', 1, s.position, s.plan::jsonb, s.budget, s.cost, s.feasible, s.least, s.confidence, s.duration, s.risk, s.note, 'seed' FROM (VALUES
    (0, '[{"skill": "http_call", "params": {"url": "https://api.example.com/data"}}]',
     100, 0, true, 0.76, 0.8075, 500, 0.12, 'what the first canaries asked: a call'),
    (1, '[{"skill": "llm_invoke", "params": {"prompt": "Hello, world!"}}]',
     100, 4, true, 0.87, 0.92, 1803, 0.03, 'a short prompt'),
    (2, '[{"skill": "http_call", "params": {"url": "https://api.example.com/data"}}, {"skill": "llm_invoke", "params": {"prompt": "Summarise: {data}"}}, {"skill": "kv_get"}]',
     100, 4, true, 0.68, 0.720613, 2306, 0.1464, 'three steps'),
    (3, '[{"skill": "llm_invoke", "params": {"prompt_tokens": 5000}}, {"skill": "llm_invoke", "params": {"prompt_tokens": 5000}}]',
     5, 25, false, 0.58, 0.61873956, 5600, 0.0591, 'two long prompts, for which there is no budget'),
    (4, '[{"skill": "fs_read", "iterations": 2}, {"skill": "llm_invoke", "params": {"prompt_tokens": 1200}}, {"skill": "kv_get", "iterations": 4}]',
     100, 7, true, 0.8, 0.84778, 2112, 0.087327, 'a file and what is remembered of it')
) AS s (position, plan, budget, cost, feasible, least, confidence, duration, risk, note);

-- Before a row: what becomes of seeds, and of the version that was current.
CREATE TRIGGER costsim_golden_sets_seed BEFORE INSERT OR UPDATE ON costsim_golden_sets
    FOR EACH ROW EXECUTE FUNCTION _costsim_seed_row('is_current', 'name', 'version');
CREATE TRIGGER costsim_golden_samples_seed BEFORE INSERT OR UPDATE ON costsim_golden_samples
    FOR EACH ROW EXECUTE FUNCTION _costsim_seed_row('', 'name', 'version', 'position');
ALTER TABLE costsim_golden_sets ENABLE ALWAYS TRIGGER costsim_golden_sets_seed;
ALTER TABLE costsim_golden_samples ENABLE ALWAYS TRIGGER costsim_golden_samples_seed;

-- A table is dumped after those it refers to.
SELECT pg_catalog.pg_extension_config_dump('costsim_golden_sets', 'WHERE origin <> ''seed''');
SELECT pg_catalog.pg_extension_config_dump('costsim_golden_samples', 'WHERE origin <> ''seed''');
SELECT pg_catalog.pg_extension_config_dump('costsim_golden_results', '');
SELECT pg_catalog.pg_extension_config_dump('costsim_golden_results_id_seq', '');
