//! The canary of the demo: would the price tables have been trusted, had a canary looked at these requests?
//!
//! The tables become versions of the extension's own cost models, and the last requests become plans. A canary over them must fail
//! with the wrong prices and pass with those that are put right.

use anyhow::{Context, Result};
use postgres::Client;

use crate::prices::{Edition, PriceTable};

/// So many of the last requests are compared.
const SAMPLES: i64 = 500;

/// What a canary said.
pub struct Verdict {
    pub status: String,
    /// The mean relative difference of the costs.
    pub drift: f64,
}

/// What the canary says of the wrong prices, and of those put right.
pub struct Trial {
    pub wrong: Verdict,
    pub corrected: Verdict,
}

impl Trial {
    /// Runs the canary twice.
    pub fn run(client: &mut Client, prices: &PriceTable) -> Result<Self> {
        publish(client, "v1", &prices.v1)?;
        let mut verdict = |edition: &Edition| {
            publish(client, "v2", edition)?;
            run(client)
        };
        Ok(Self { wrong: verdict(&prices.wrong)?, corrected: verdict(&prices.corrected)? })
    }
}

/// Makes an edition the active version of a cost model.
fn publish(client: &mut Client, model: &str, edition: &Edition) -> Result<()> {
    let mut transaction = client.transaction()?;
    transaction.execute(
        "INSERT INTO costsim_cost_models (model, version, formula, cost_decimals, description) VALUES ($1, $2, 'v2', 6, $3)",
        &[&model, &edition.name, &edition.note],
    )?;
    transaction.execute(
        "INSERT INTO costsim_skill_costs (model, version, skill, shape, cost_per_1k_input, cost_per_1k_output)
         VALUES ($1, $2, 'llm_invoke', 'llm', $3, $4)",
        &[&model, &edition.name, &edition.prices.input_per_1k, &edition.prices.output_per_1k],
    )?;
    transaction.query_one("SELECT costsim_activate_model($1, $2)", &[&model, &edition.name])?;
    Ok(transaction.commit()?)
}

fn run(client: &mut Client) -> Result<Verdict> {
    let row = client.query_one(
        "SELECT status, drift_score
           FROM costsim_run_canary(plans => (
                SELECT jsonb_agg(jsonb_build_array(jsonb_build_object(
                           'skill', 'llm_invoke',
                           'params', jsonb_build_object('prompt_tokens', context_tokens, 'completion_tokens', generated_tokens))))
                  FROM (SELECT context_tokens, generated_tokens FROM demo_requests ORDER BY seq DESC LIMIT $1) AS last))",
        &[&SAMPLES],
    )?;
    Ok(Verdict { status: row.get(0), drift: row.get::<_, Option<f64>>(1).context("nothing was compared")? })
}
