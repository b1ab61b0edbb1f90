//! The divergence report over a million pairs, and a plain aggregate of the reference's fields.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Load, asking, is_chosen};
use crate::provenance::{Race, Stage};

/// Pairs in one row; pairs of two rows.
pub const NAMES: [&str; 2] = ["canary_divergence_rows", "canary_divergence_apart"];

/// Thirty days, evenly, in the order of time, of four tenants and three versions.
fn together(pairs: usize) -> String {
    format!(
        "INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, source, model_version, input_hash, v1_cost, v2_cost, cost_delta, created_at)
         SELECT 'run', 'tenant-' || n % 4, 'v2', 'sandbox', '2.0.' || n % 3, lpad(to_hex(n), 16, '0'), c.v1, c.v2, c.v2 - c.v1,
                now() - interval '30 days' + n * (interval '30 days' / {pairs})
           FROM generate_series(0::bigint, {pairs} - 1) n,
                LATERAL (SELECT 1 + n * 7919 % 100000 / 100.0::float8 AS v1) AS first,
                LATERAL (SELECT first.v1, first.v1 * (0.8 + n * 104729 % 4000 / 10000.0::float8) AS v2) AS c"
    )
}

/// Twenty V2 rows for each baseline, which is older.
fn apart(pairs: usize) -> String {
    format!(
        "INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, source, input_hash, v1_cost, created_at)
         SELECT 'run', 'tenant-' || n % 4, 'v1', 'backfill', lpad(to_hex(n), 16, '0'), 1 + n * 7919 % 100000 / 100.0::float8, now() - interval '90 days'
           FROM generate_series(0::bigint, {pairs} / 20) n;
         INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, source, model_version, input_hash, v2_cost, created_at)
         SELECT 'run', 'tenant-' || k % 4, 'v2', 'sandbox', '2.0.' || n % 3, lpad(to_hex(k), 16, '0'),
                (1 + k * 7919 % 100000 / 100.0::float8) * (0.8 + n * 104729 % 4000 / 10000.0::float8),
                now() - interval '30 days' + n * (interval '30 days' / {pairs})
           FROM generate_series(0::bigint, {pairs} - 1) n, LATERAL (SELECT n * 104729 % ({pairs} / 20) AS k) b"
    )
}

const OURS: &str =
    "SELECT sample_count, delta_p50, delta_p90, kl_divergence, outlier_count, fail_ratio, matching_rate
  FROM costsim_divergence_report(now() - interval '31 days', max_samples => NULL)";

/// The fields that plain SQL has without a loop over bins, of the pairs (v1, v2) of a query.
fn plain(pairs: &str) -> String {
    format!(
        "SELECT count(*), avg(d), percentile_disc(0.5) WITHIN GROUP (ORDER BY abs(d)), percentile_disc(0.9) WITHIN GROUP (ORDER BY abs(d)),
                count(*) FILTER (WHERE s > 0.5), (count(*) FILTER (WHERE s > 0.2))::float8 / count(*), (count(*) FILTER (WHERE s <= 0.05))::float8 / count(*)
           FROM (SELECT v2 - v1 AS d, CASE WHEN v1 > 0 THEN 0.6 * least(abs(v2 - v1) / greatest(v1, 1), 1) ELSE 0 END AS s FROM ({pairs}) p) t"
    )
}

const OF_ROWS: &str = "SELECT v1_cost AS v1, v2_cost AS v2 FROM costsim_provenance
  WHERE created_at >= now() - interval '31 days' AND created_at <= now() AND v1_cost IS NOT NULL AND v2_cost IS NOT NULL";

/// The latest baseline of every input, joined as a whole.
const OF_TWO_ROWS: &str = "SELECT b.v1_cost AS v1, p.v2_cost AS v2
  FROM costsim_provenance p
  JOIN (SELECT DISTINCT ON (input_hash, coalesce(tenant_id, ''), coalesce(hash_version, 0))
               input_hash, coalesce(tenant_id, '') AS tenant, coalesce(hash_version, 0) AS version, v1_cost
          FROM costsim_provenance WHERE v1_cost IS NOT NULL AND v2_cost IS NULL AND input_hash IS NOT NULL
         ORDER BY input_hash, coalesce(tenant_id, ''), coalesce(hash_version, 0), created_at DESC, id DESC) b
    ON b.input_hash = p.input_hash AND b.tenant = coalesce(p.tenant_id, '') AND b.version = coalesce(p.hash_version, 0)
 WHERE p.created_at >= now() - interval '31 days' AND p.created_at <= now() AND p.v1_cost IS NULL AND p.v2_cost IS NOT NULL";

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    let pairs = load.divergence_pairs;
    let mut races = Vec::new();
    for (name, fill, theirs) in
        [(NAMES[0], together(pairs), plain(OF_ROWS)), (NAMES[1], apart(pairs), plain(OF_TWO_ROWS))]
    {
        if !is_chosen(name, only) {
            continue;
        }
        let mut client = stage.connect()?;
        client.batch_execute("TRUNCATE costsim_provenance")?;
        let start = Instant::now();
        client.batch_execute(&fill)?;
        println!("{pairs} pairs written in {:.0} s", start.elapsed().as_secs_f64());
        client.batch_execute("VACUUM ANALYZE costsim_provenance")?;
        client.batch_execute("CHECKPOINT")?;
        // Both sides mean the same pairs.
        let same = format!(
            "SELECT r.sample_count = t.count AND abs(r.mean_delta - t.avg) <= 1e-9 * abs(t.avg) + 1e-9 AND r.fail_ratio = round(t.share::numeric, 4)
               FROM costsim_divergence_report(now() - interval '31 days', max_samples => NULL) r, ({theirs}) t (count, avg, p50, p90, outliers, share, matching)"
        );
        ensure!(client.query_one(&same, &[])?.get::<_, bool>(0), "{name}: the two sides answer differently");
        let runners = vec![
            asking(stage.connect()?, "costsim_divergence_report, all of it", None, OURS, pairs)?,
            // Twice the time is half the rate.
            asking(
                stage.connect()?,
                "count, avg, percentile_disc twice, three filters",
                Some(0.5),
                &theirs,
                pairs,
            )?,
        ];
        races.push(Race::run(name, "pairs/s", load.canary_turns, runners)?);
    }
    Ok(races)
}
