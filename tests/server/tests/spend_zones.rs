//! What the reads of spend answer is what plain SQL over the records answers, in every zone, however much of it is rolled up.

use anyhow::{Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::one;
use fastrand::Rng;
use postgres::Client;

/// The tenants are named after their zones: a day ahead, a day behind, days of 23, 23.5, 24.5 and 25 hours, days that have midnight twice, an offset
/// of quarters.
const ZONES: [&str; 9] = [
    "Pacific/Tongatapu",
    "Pacific/Apia",
    "Pacific/Pago_Pago",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Atlantic/Azores",
    "Asia/Kathmandu",
    "UTC",
];

/// Days around which records lie: clocks change in New York and Havana, on Lord Howe, and on the Azores.
const AROUND: [&str; 5] = ["2026-03-08", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"];

/// Where a bucket begins. Where clocks go back over midnight the server truncates to the second one: the first is found by looking around.
const BUCKET_OF: &str = "CREATE FUNCTION bucket_of(bucket text, at timestamptz, zone text) RETURNS timestamptz LANGUAGE sql STABLE AS $f$
     SELECT CASE bucket WHEN 'hour' THEN date_trunc('hour', at, zone)
            ELSE (SELECT min(m) FROM generate_series(-4, 0) n,
                         LATERAL (SELECT (date_trunc(bucket, at AT TIME ZONE zone) AT TIME ZONE zone) + n * interval '15 minutes') s (m)
                   WHERE date_trunc(bucket, m AT TIME ZONE zone) = date_trunc(bucket, at AT TIME ZONE zone)) END $f$";

/// Some records of every tenant around one of those days, from three weeks before to two after.
fn fill(client: &mut Client, rng: &mut Rng, count: usize) -> Result<()> {
    client.batch_execute(&format!("SELECT setseed({})", rng.f64()))?;
    for zone in ZONES {
        let day = AROUND[rng.usize(..AROUND.len())];
        client.batch_execute(&format!(
            "INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, workflow_id, model, input_tokens, output_tokens, cached_tokens,
                                               reasoning_tokens, cost_cents, is_retry, created_at)
             SELECT '{zone}', (ARRAY['u1', 'u2', NULL, 'anonymous', 'Ü'])[1 + floor(random() * 5)],
                    (ARRAY['a.b', 'c.d', NULL, 'unclassified'])[1 + floor(random() * 4)], CASE WHEN random() < 0.3 THEN 'w' END,
                    (ARRAY['m1', 'm2', 'unknown'])[1 + floor(random() * 3)], floor(random() * 1000), floor(random() * 1000), 10, 5,
                    round((random() * random() * 30)::numeric, 6), random() < 0.2,
                    timestamptz '{day} 00:00+00' + random() * interval '35 days' - interval '21 days'
               FROM generate_series(1, {count})"
        ))?;
    }
    Ok(())
}

/// A database in which a part is rolled up, a part is pending, and a part was corrected or deleted.
fn filled(cluster: &Cluster, name: &str, rng: &mut Rng) -> Result<Client> {
    let mut client = cluster.create_database_with_extension(name)?;
    client.batch_execute(BUCKET_OF)?;
    for zone in ZONES {
        client.batch_execute(&format!(
            "SELECT costsim_set_cost_time_zone('{zone}', '{zone}'), costsim_create_feature_tag('{zone}', 'a.b', 'AB', budget_cents => 77),
                    costsim_set_budget('{zone}', daily_limit_cents => 31.5, monthly_limit_cents => 900),
                    costsim_set_budget('{zone}', 'user', 'u1', monthly_limit_cents => 100),
                    costsim_set_budget('{zone}', 'user', 'anonymous', daily_limit_cents => 9, warn_threshold_pct => 10),
                    costsim_set_budget('{zone}', 'feature', 'unclassified', daily_limit_cents => 9),
                    costsim_set_budget('{zone}', 'model', 'm1', daily_limit_cents => 0, is_active => false)"
        ))?;
    }
    for day in 0..AROUND.len() {
        fill(&mut client, rng, 250)?;
        if day % 2 == 0 {
            client.batch_execute("SELECT costsim_refresh_costs()")?;
        }
    }
    client.batch_execute(
        "UPDATE costsim_cost_records SET cost_cents = cost_cents + 1, created_at = created_at + interval '7 hours' WHERE id % 11 = 0;
         DELETE FROM costsim_cost_records WHERE id % 13 = 0",
    )?;
    Ok(client)
}

/// Records with the names they are counted under and the day they belong to; `$z` is the tenant's zone.
const RECORDS: &str = "(SELECT r.*, coalesce(feature_tag, 'unclassified') AS feature, coalesce(user_id, 'anonymous') AS who,
                               (created_at AT TIME ZONE $t)::date AS day FROM costsim_cost_records r WHERE tenant_id = $t) r";

/// What a function answers, and what plain SQL does. `$t` tenant and its zone, `$f` and `$e` a window, `$a` a moment, `$b` a bucket, `$z` a zone, `$r` records, `$d` the day of `$a`.
const READS: [(&str, &str, &str); 15] = [
    (
        "cost_spend",
        "SELECT * FROM costsim_cost_spend($t, $f, $e, $b, $z)",
        "SELECT bucket_of($b, created_at, coalesce($z, $t)), sum(cost_cents), count(*), sum(input_tokens), sum(output_tokens)
           FROM $r WHERE created_at >= $f AND created_at < $e GROUP BY 1",
    ),
    (
        "cost_spend of days, by the tenant's clock",
        "SELECT (bucket_start AT TIME ZONE $t)::date, spend_cents FROM costsim_cost_spend($t, $f, $e)",
        "SELECT day, sum(cost_cents) FROM $r WHERE created_at >= $f AND created_at < $e GROUP BY 1",
    ),
    (
        "cost_metrics",
        "SELECT * FROM costsim_cost_metrics($t, $f, $e, $b, $z)",
        "SELECT bucket_of($b, created_at, coalesce($z, $t)), count(*), sum(input_tokens + output_tokens)
           FROM $r WHERE created_at >= $f AND created_at < $e GROUP BY 1",
    ),
    (
        "llm_usage",
        "SELECT * FROM costsim_llm_usage($t, $f, $e, $b, $z)",
        "SELECT bucket_of($b, created_at, coalesce($z, $t)), count(*), sum(input_tokens + output_tokens), sum(input_tokens), sum(output_tokens),
                sum(cached_tokens), sum(reasoning_tokens), count(*) FILTER (WHERE is_retry)
           FROM $r WHERE created_at >= $f AND created_at < $e GROUP BY 1",
    ),
    (
        "worker_execution",
        "SELECT * FROM costsim_worker_execution($t, $f, $e, $b, $z)",
        "SELECT bucket_of($b, created_at, coalesce($z, $t)), count(*)
           FROM $r WHERE created_at >= $f AND created_at < $e AND (workflow_id IS NOT NULL OR skill_id IS NOT NULL) GROUP BY 1",
    ),
    (
        "cost_spend with empty buckets",
        "SELECT bucket_start, spend_cents FROM costsim_cost_spend($t, $f, $e, $b, $z, true)",
        "SELECT m.b, coalesce(sum(r.cost_cents), 0)
           FROM (SELECT DISTINCT bucket_of($b, g, coalesce($z, $t)) AS b
                   FROM (SELECT generate_series($f, $e - interval '1 microsecond', '5 minutes') UNION ALL SELECT $e - interval '1 microsecond' WHERE $f < $e) g (g)) m
           LEFT JOIN $r ON bucket_of($b, r.created_at, coalesce($z, $t)) = m.b AND r.created_at >= $f AND r.created_at < $e
          GROUP BY 1",
    ),
    (
        "cost_by_model",
        "SELECT * FROM costsim_cost_by_model($t, $f, $e)",
        "SELECT model, sum(cost_cents), count(*), sum(input_tokens), sum(output_tokens), round(sum(cost_cents) * 100 / sum(sum(cost_cents)) OVER (), 2)
           FROM $r WHERE created_at >= $f AND created_at < $e GROUP BY 1",
    ),
    (
        "cost_by_feature",
        "SELECT * FROM costsim_cost_by_feature($t, $f, $e)",
        "SELECT feature, CASE feature WHEN 'a.b' THEN 'AB' ELSE feature END, CASE feature WHEN 'a.b' THEN 77 END,
                CASE feature WHEN 'a.b' THEN round(sum(cost_cents) * 100 / 77, 2) END, sum(cost_cents), count(*), sum(input_tokens), sum(output_tokens),
                round(sum(cost_cents) * 100 / sum(sum(cost_cents)) OVER (), 2)
           FROM $r WHERE created_at >= $f AND created_at < $e GROUP BY 1",
    ),
    (
        "cost_by_user",
        "SELECT * FROM costsim_cost_by_user($t, $f, $e)",
        "SELECT who, sum(cost_cents) > 2 * avg(sum(cost_cents)) OVER (), sum(cost_cents), count(*), sum(input_tokens), sum(output_tokens),
                round(sum(cost_cents) * 100 / sum(sum(cost_cents)) OVER (), 2)
           FROM $r WHERE created_at >= $f AND created_at < $e GROUP BY 1",
    ),
    (
        "cost_summary",
        "SELECT spend_cents, requests, input_tokens, output_tokens, budget_cents, budget_used_pct, month_to_date_cents, monthly_limit_cents, days_until_exhausted
           FROM costsim_cost_summary($t, $f, $e, $a)",
        "SELECT w.cents, w.requests, w.input, w.output, round(b.cents, 6), round(w.cents * 100 / nullif(b.cents, 0), 2), m.month, 900::numeric,
                round(greatest(900 - m.month, 0) / nullif(m.week / 7, 0), 2)
           FROM (SELECT coalesce(sum(cost_cents), 0) AS cents, count(*) AS requests, coalesce(sum(input_tokens), 0) AS input, coalesce(sum(output_tokens), 0) AS output
                   FROM $r WHERE created_at >= $f AND created_at < $e) w,
                (SELECT 31.5 * extract(epoch FROM $e - $f) / 86400 AS cents) b,
                (SELECT coalesce(sum(cost_cents) FILTER (WHERE date_trunc('month', day) = date_trunc('month', $d) AND created_at < $a), 0) AS month,
                        coalesce(sum(cost_cents) FILTER (WHERE day >= $d - 7 AND day < $d), 0) AS week FROM $r) m",
    ),
    (
        "cost_baseline",
        "SELECT 'user', * FROM costsim_cost_baseline($t, 'user', $a) UNION ALL SELECT 'tenant', * FROM costsim_cost_baseline($t, as_of => $a)",
        "SELECT dimension, entity, round(sum(cost_cents) FILTER (WHERE day BETWEEN $d - 14 AND $d - 2)
                    / nullif(count(DISTINCT day) FILTER (WHERE day BETWEEN $d - 14 AND $d - 2), 0), 6),
                count(DISTINCT day) FILTER (WHERE day BETWEEN $d - 14 AND $d - 2)::integer, coalesce(sum(cost_cents) FILTER (WHERE day = $d), 0),
                round(coalesce(sum(cost_cents) FILTER (WHERE day BETWEEN $d - 7 AND $d - 1), 0) / 7, 6),
                CASE WHEN first <= $d - 8 THEN round(coalesce(sum(cost_cents) FILTER (WHERE day BETWEEN $d - 28 AND $d - 8), 0) / ($d - 7 - greatest(first, $d - 28)), 6) END
           FROM (SELECT x.dimension, x.entity, r.day, r.cost_cents, r.created_at, min(r.day) OVER (PARTITION BY x.dimension, x.entity) AS first
                   FROM $r CROSS JOIN LATERAL (VALUES ('user', who), ('tenant', '')) x (dimension, entity)) s
          WHERE created_at < $a AND day >= $d - 28
          GROUP BY dimension, entity, first",
    ),
    (
        "cost_comparison",
        "SELECT 'model', * FROM costsim_cost_comparison($t, 'model', 'm1', $a) UNION ALL SELECT 'tenant', * FROM costsim_cost_comparison($t, as_of => $a)",
        "SELECT dimension, count(*) FILTER (WHERE is_today), count(*) FILTER (WHERE was_yesterday),
                round(avg(is_retry::integer) FILTER (WHERE is_today), 6), round(avg(is_retry::integer) FILTER (WHERE was_yesterday), 6),
                round(avg(input_tokens) FILTER (WHERE is_today), 6), round(avg(input_tokens) FILTER (WHERE was_yesterday), 6), f.feature, round(f.share, 6)
           FROM (VALUES ('model'), ('tenant')) x (dimension)
           LEFT JOIN (SELECT r.*, day = $d AND created_at < $a AS is_today,
                             created_at >= bucket_of('day', ($d - 1)::timestamp AT TIME ZONE $t, $t) AND created_at < ($a AT TIME ZONE $t - interval '1 day') AT TIME ZONE $t AS was_yesterday
                        FROM $r) r ON dimension = 'tenant' OR model = 'm1'
           LEFT JOIN (SELECT feature, sum(cost_cents) / sum(sum(cost_cents)) OVER () AS share FROM $r
                       WHERE day = $d AND created_at < $a AND feature <> 'unclassified' GROUP BY feature ORDER BY 2 DESC, 1 LIMIT 1) f ON dimension = 'tenant'
          GROUP BY dimension, f.feature, f.share",
    ),
    (
        "current_spend",
        "SELECT 'u', * FROM costsim_current_spend($t, 'user', 'anonymous', $a) UNION ALL SELECT 't', * FROM costsim_current_spend($t, as_of => $a)",
        "SELECT x, coalesce(sum(cost_cents) FILTER (WHERE day = $d), 0), coalesce(sum(cost_cents), 0)
           FROM (VALUES ('u'), ('t')) x (x) LEFT JOIN $r
             ON created_at < $a AND date_trunc('month', day) = date_trunc('month', $d) AND (x = 't' OR who = 'anonymous') GROUP BY x",
    ),
    (
        "budget_status",
        "SELECT budget_type, entity_id, period, period_start, period_end, spent_cents, used_pct, remaining_cents, status FROM costsim_budget_status($t, $a)",
        "SELECT s.budget_type, s.entity_id, s.period, s.start, s.until, s.cents, round(s.cents * 100 / s.cap, 4), greatest(s.cap - s.cents, 0),
                CASE WHEN s.cents >= s.cap THEN 'exceeded' WHEN s.cents * 100 >= s.cap * warn THEN 'warning' ELSE 'ok' END
           FROM (SELECT b.*, l.start::date, (l.start + ('1 ' || b.period)::interval)::date AS until,
                        (SELECT coalesce(sum(cost_cents), 0) FROM $r WHERE created_at < $a AND date_trunc(b.period, day::timestamp) = l.start
                            AND CASE budget_type WHEN 'tenant' THEN true WHEN 'user' THEN who = entity_id WHEN 'feature' THEN feature = entity_id END) AS cents
                   FROM (VALUES ('tenant', NULL, 'day', 31.5, 80), ('tenant', NULL, 'month', 900, 80), ('user', 'u1', 'month', 100, 80),
                                ('user', 'anonymous', 'day', 9, 10), ('feature', 'unclassified', 'day', 9, 80)) b (budget_type, entity_id, period, cap, warn)
                  CROSS JOIN LATERAL (SELECT date_trunc(b.period, $d::timestamp) AS start) l) s",
    ),
    (
        "query_cost_records",
        "SELECT id FROM costsim_query_cost_records($t, $f, $e, 'unclassified', 'anonymous', \"limit\" => 1000000)",
        "SELECT id FROM $r WHERE created_at >= $f AND created_at < $e AND feature = 'unclassified' AND who = 'anonymous'",
    ),
];

/// Literals in the places of the names.
fn put(query: &str, places: &[(&str, String)]) -> String {
    let query = query.replace("$r", RECORDS);
    places.iter().fold(query, |query, (name, value)| query.replace(name, value))
}

#[test]
fn spend_reads_equal_plain_sql_over_the_records() -> Result<()> {
    let cluster = Cluster::builder().conf("timezone", "Asia/Tokyo").start()?;
    let seed = std::env::var("COSTSIM_SPEND_SEED").map_or(Ok(11), |text| text.parse())?;
    let rounds = std::env::var("COSTSIM_SPEND_ROUNDS").map_or(Ok(40), |text| text.parse())?;
    let mut rng = Rng::with_seed(seed);
    let mut client = filled(&cluster, "reads", &mut rng)?;
    let mut answered = [0_i64; READS.len()];
    for round in 0..rounds {
        if round == rounds / 2 {
            client.batch_execute("SELECT costsim_refresh_costs()")?;
        }
        let zone = ZONES[rng.usize(..ZONES.len())];
        let day = AROUND[rng.usize(..AROUND.len())];
        // Windows of hours and of weeks, cut anywhere or at a midnight.
        let moment = |rng: &mut Rng| match rng.u8(..3) {
            0 => format!("(timestamp '{day}' + interval '{} days') AT TIME ZONE '{zone}'", rng.i32(-20..10)),
            1 => {
                format!("(timestamptz '{day} 00:00+00' + interval '{} minutes')", 15 * rng.i32(-1_800..1_300))
            }
            _ => format!(
                "(timestamptz '{day} 00:00+00' + interval '{}.{:06} seconds')",
                rng.i32(-1_700_000..1_200_000),
                rng.u32(..1_000_000)
            ),
        };
        let (from, to, at) = (moment(&mut rng), moment(&mut rng), moment(&mut rng));
        let bucket = ["hour", "day", "week", "month"][rng.usize(..4)];
        let other = ["NULL", "'Asia/Kathmandu'", "'Australia/Lord_Howe'", "'America/Havana'"][rng.usize(..4)];
        let places = [
            ("$t", format!("'{zone}'")),
            ("$f", format!("least({from}, {to})")),
            ("$e", format!("greatest({from}, {to})")),
            ("$a", at.clone()),
            ("$b", format!("'{bucket}'")),
            ("$z", format!("{other}::text")),
            ("$d", format!("({at} AT TIME ZONE '{zone}')::date")),
        ];
        for ((name, got, want), answered) in READS.iter().zip(&mut answered) {
            let (got, want) = (put(got, &places), put(want, &places));
            let differ: i64 = one(
                &mut client,
                &format!(
                    "SELECT count(*) FROM (({got}) EXCEPT ALL ({want})) a FULL JOIN (({want}) EXCEPT ALL ({got})) b ON false"
                ),
            )?;
            ensure!(differ == 0, "seed {seed}, round {round}, {name}: {differ} rows differ\n{got};\n{want};");
            *answered += one::<i64>(&mut client, &format!("SELECT count(*) FROM ({got}) g"))?;
        }
        projection(&mut client, &places)?;
    }
    for ((name, ..), answered) in READS.iter().zip(answered) {
        ensure!(answered > i64::from(rounds) / 2, "{name} has answered {answered} rows in all");
    }
    Ok(())
}

/// Against the server's own regression.
fn projection(client: &mut Client, places: &[(&str, String)]) -> Result<()> {
    let want = put(
        "WITH days AS (
             SELECT g.n - min(g.n) OVER () AS x, coalesce((SELECT sum(cost_cents) FROM $r WHERE day = $d - 28 + g.n), 0)::float8 AS y
               FROM generate_series(0, 27) g (n) WHERE $d - 28 + g.n >= (SELECT min(day) FROM $r)
         ), line AS (
             SELECT count(*) AS n, coalesce(avg(y), 0) AS mean, CASE WHEN count(*) < 3 THEN 0 ELSE regr_slope(y, x) END AS slope FROM days
         )
         SELECT n::float8, mean, slope, (SELECT sum(greatest(0, mean + slope * (n + k - (n - 1) / 2.0))) FROM generate_series(0, 6) k) FROM line",
        places,
    );
    let got = put(
        "SELECT days_used::float8, daily_mean_cents::float8, slope_cents_per_day::float8, projected_cents::float8, lower_cents::float8, upper_cents::float8
           FROM costsim_cost_projection($t, as_of => $a)",
        places,
    );
    let (got, want) = (client.query_one(&got, &[])?, client.query_one(&want, &[])?);
    for column in 0..4 {
        let (got, want): (f64, f64) = (got.get(column), want.get(column));
        ensure!(
            (got - want).abs() < 1e-4,
            "column {column} of the projection: {got}, not {want}; {places:?}"
        );
    }
    let (sum, low, high): (f64, Option<f64>, Option<f64>) = (got.get(3), got.get(4), got.get(5));
    ensure!(
        low.is_none_or(|low| low <= sum) && high.is_none_or(|high| sum <= high),
        "{low:?} {sum} {high:?}"
    );
    Ok(())
}

/// A minute before and after midnight, of one instant in each zone, and on days of which some are longer or shorter.
#[test]
fn spend_of_a_day_is_that_of_the_tenants_own() -> Result<()> {
    let cluster = Cluster::builder().conf("timezone", "America/Los_Angeles").start()?;
    let mut client = cluster.create_database_with_extension("days")?;
    client.batch_execute(BUCKET_OF)?;
    for zone in ZONES {
        client.batch_execute(&format!("SELECT costsim_set_cost_time_zone('{zone}', '{zone}')"))?;
        for (number, day) in AROUND.iter().enumerate() {
            // One cent in the last minute of the day before, ten in the first of the day, a hundred in its last, a thousand in the next.
            client.batch_execute(&format!(
                "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
                 SELECT '{zone}', 'm', v.cents, bucket_of('day', v.local AT TIME ZONE '{zone}', '{zone}') + v.back
                   FROM (VALUES (1, timestamp '{day}', interval '-1 minute'), (10, timestamp '{day}', '0'),
                                (100, timestamp '{day}' + interval '1 day', '-1 minute'), (1000, timestamp '{day}' + interval '1 day', '0'))
                     AS v (cents, local, back)"
            ))?;
            if number == 1 {
                client.batch_execute("SELECT costsim_refresh_costs()")?;
            }
        }
        for is_folded in [false, true] {
            if is_folded {
                client.batch_execute("SELECT costsim_refresh_costs()")?;
            }
            for day in AROUND {
                for zone_asked in ["NULL", &format!("'{zone}'")] {
                    let sums: String = one(
                        &mut client,
                        &format!(
                            "SELECT string_agg(spend_cents::integer::text, ' ' ORDER BY bucket_start)
                               FROM costsim_cost_spend('{zone}', (timestamp '{day}' - interval '1 day') AT TIME ZONE '{zone}',
                                                       (timestamp '{day}' + interval '2 days') AT TIME ZONE '{zone}', time_zone => {zone_asked})"
                        ),
                    )?;
                    ensure!(sums == "1 110 1000", "{zone}, {day}: {sums}");
                }
                let by_daily: String = one(
                    &mut client,
                    &format!(
                        "SELECT sum(cost_cents)::integer::text FROM _costsim_cost_days('{zone}', 'model', 'm', date '{day}', date '{day}' + 1)"
                    ),
                )?;
                let by_quarters: String = one(
                    &mut client,
                    &format!(
                        "SELECT sum(cost_cents)::integer::text FROM _costsim_cost_pieces('{zone}', 'model', 'm', bucket_of('day', date '{day}'::timestamp AT TIME ZONE '{zone}', '{zone}'),
                                                                                         bucket_of('day', (date '{day}' + 1)::timestamp AT TIME ZONE '{zone}', '{zone}'))"
                    ),
                )?;
                ensure!(
                    by_daily == "110" && by_quarters == "110",
                    "{zone}, {day}: {by_daily} by days, {by_quarters} by quarters"
                );
            }
        }
    }
    // The days of these two never begin together: what is today for one is yesterday, or tomorrow, for the other.
    client.batch_execute("SELECT costsim_set_budget(t, daily_limit_cents => 1) FROM unnest(ARRAY['Pacific/Tongatapu', 'Pacific/Pago_Pago']) t")?;
    let days: String = one(
        &mut client,
        "SELECT string_agg(tenant_id || ' ' || period_start, ', ' ORDER BY tenant_id) FROM costsim_budget_status(as_of => '2026-06-15 11:00+00')",
    )?;
    ensure!(days == "Pacific/Pago_Pago 2026-06-15, Pacific/Tongatapu 2026-06-16", "{days}");
    Ok(())
}
