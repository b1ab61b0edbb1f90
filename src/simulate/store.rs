//! The simulate room's memory: models with their skills.

use costsim_core::simulate::{Formula, Model, Shape, Skill};
use pgrx::pg_sys::BuiltinOid::TEXTOID;

use crate::db::{Row, Statement, column, nullable};
use crate::error::{Error, Result};

/// A model and its skills in one statement, so that they are of one moment. A version that is null is the active one.
const MODEL: &str = "SELECT m.version, m.formula, m.cost_decimals, m.risk_threshold, m.significant_risk,
        s.skill, s.shape, s.cost_cents, s.cost_per_1k_input, s.cost_per_1k_output,
        s.latency_ms, s.latency_variance_ms, s.latency_per_1k, s.confidence, s.risk, s.risk_type
   FROM @schema@.costsim_cost_models m
   LEFT JOIN @schema@.costsim_skill_costs s ON s.model = m.model AND s.version = m.version
  WHERE m.model = $1 AND CASE WHEN $2 IS NULL THEN m.is_active ELSE m.version = $2 END";

static LATEST: Statement = Statement::looking(MODEL, &[TEXTOID, TEXTOID]);

static OF_THIS_QUERY: Statement = Statement::reading(MODEL, &[TEXTOID, TEXTOID]);

static KNOWN: Statement = Statement::looking(
    "SELECT coalesce(string_agg(m.model || ' ' || m.version || CASE WHEN m.is_active THEN ' (active)' ELSE '' END, ', '), 'none')
       FROM (SELECT l.model, l.version, l.is_active FROM @schema@.costsim_cost_models l
              ORDER BY l.model, l.version LIMIT 20) m",
    &[],
);

/// The rows of a model, so that of those who activate a version one comes after the other: whether this version is there, and is the one.
static VERSIONS: Statement = Statement::deciding(
    "SELECT m.version, m.is_active FROM @schema@.costsim_cost_models m WHERE m.model OPERATOR(pg_catalog.=) $1
      ORDER BY m.version FOR NO KEY UPDATE",
    &[TEXTOID],
);

static ACTIVATE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cost_models AS m SET is_active = true
      WHERE m.model OPERATOR(pg_catalog.=) $1 AND m.version OPERATOR(pg_catalog.=) $2",
    &[TEXTOID, TEXTOID],
);

/// Reads a model: as it is committed, or as this query sees it.
pub fn model(name: &str, version: Option<&str>, as_of_query: bool) -> Result<Option<Model>> {
    let statement = if as_of_query { &OF_THIS_QUERY } else { &LATEST };
    let mut model: Option<Model> = None;
    statement.rows(&[name.into(), version.into()], |row| {
        let model = match &mut model {
            Some(model) => model,
            none => none.insert(head(name, row)?),
        };
        if let Some(skill) = nullable::<String>(row, 6)? {
            model.skills.insert(skill, costs(row)?);
        }
        Ok(())
    })?;
    Ok(model)
}

fn head(name: &str, row: &Row<'_>) -> Result<Model> {
    let formula: String = column(row, 2)?;
    Ok(Model {
        name: name.to_owned(),
        version: column(row, 1)?,
        formula: Formula::of(&formula).ok_or_else(|| unknown("formula", &formula))?,
        cost_decimals: u8::try_from(column::<i16>(row, 3)?).unwrap_or_default(),
        risk_threshold: column(row, 4)?,
        significant_risk: column(row, 5)?,
        skills: Default::default(),
    })
}

fn costs(row: &Row<'_>) -> Result<Skill> {
    let shape: String = column(row, 7)?;
    Ok(Skill {
        shape: Shape::of(&shape).ok_or_else(|| unknown("shape", &shape))?,
        cost: column(row, 8)?,
        cost_per_1k_input: column(row, 9)?,
        cost_per_1k_output: column(row, 10)?,
        latency_ms: column(row, 11)?,
        latency_variance_ms: column(row, 12)?,
        latency_per_1k: column(row, 13)?,
        confidence: column(row, 14)?,
        risk: column(row, 15)?,
        risk_type: column(row, 16)?,
    })
}

/// A word that the table's CHECK lets pass and core does not know.
fn unknown(what: &str, word: &str) -> Error {
    Error::Internal(format!("the cost models' tables hold the {what} \"{word}\", which nobody knows"))
}

/// The models that there are, in words.
pub fn known() -> Result<String> {
    Ok(KNOWN.row(&[], |row| column(row, 1))?.unwrap_or_default())
}

/// Locks a model's versions: of the one that is asked for, if it is there, whether it is active.
pub fn lock_version(model: &str, version: &str) -> Result<Option<bool>> {
    let versions = VERSIONS.rows(&[model.into()], |row| Ok((column::<String>(row, 1)?, column(row, 2)?)))?;
    Ok(versions.into_iter().find(|(found, _)| found == version).map(|(_, is_active)| is_active))
}

/// Makes a version the active one; the trigger takes that from the one before.
pub fn activate(model: &str, version: &str) -> Result<()> {
    ACTIVATE.run(&[model.into(), version.into()]).map(drop)
}
