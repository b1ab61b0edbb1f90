//! The simulate room's memory: models with their skills.

use costsim_core::simulate::{Formula, Model, Shape, Skill};
use pgrx::pg_sys::BuiltinOid::{TEXTARRAYOID, TEXTOID};

use super::models::Asked;
use crate::db::{Row, Statement, column, nullable};
use crate::error::{Error, Result};

/// Models with their skills in one statement, so that they are of one moment. A version that is null is the active one.
const MODELS: &str =
    "SELECT a.place, m.model, m.version, m.formula, m.cost_decimals, m.risk_threshold, m.significant_risk,
        s.skill, s.shape, s.cost_cents, s.cost_per_1k_input, s.cost_per_1k_output,
        s.latency_ms, s.latency_variance_ms, s.latency_per_1k, s.confidence, s.risk, s.risk_type
   FROM unnest($1, $2) WITH ORDINALITY AS a (model, version, place)
   JOIN @schema@.costsim_cost_models m
     ON m.model = a.model AND CASE WHEN a.version IS NULL THEN m.is_active ELSE m.version = a.version END
   LEFT JOIN @schema@.costsim_skill_costs s ON s.model = m.model AND s.version = m.version";

static LATEST: Statement = Statement::looking(MODELS, &[TEXTARRAYOID, TEXTARRAYOID]);

static OF_THIS_SNAPSHOT: Statement = Statement::reading(MODELS, &[TEXTARRAYOID, TEXTARRAYOID]);

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

/// Reads models: as they are committed, or as the snapshot at hand shows them. What is wrong with one says nothing of the others.
pub fn models(asked: &[Asked<'_>], as_of_snapshot: bool) -> Result<Vec<Result<Option<Model>>>> {
    let statement = if as_of_snapshot { &OF_THIS_SNAPSHOT } else { &LATEST };
    let (names, versions): (Vec<&str>, Vec<Option<&str>>) = asked.iter().copied().unzip();
    let mut models: Vec<Result<Option<Model>>> = asked.iter().map(|_| Ok(None)).collect();
    statement.rows(&[names.into(), versions.into()], |row| {
        let place: i64 = column(row, 1)?;
        let slot = usize::try_from(place - 1).ok().and_then(|place| models.get_mut(place));
        let slot = slot.ok_or_else(|| Error::Internal(format!("nobody asked for model {place}")))?;
        if let Ok(model) = slot
            && let Err(refused) = add(model, row)
        {
            *slot = Err(refused);
        }
        Ok(())
    })?;
    Ok(models)
}

/// Adds what a row says of a model.
fn add(model: &mut Option<Model>, row: &Row<'_>) -> Result<()> {
    let model = match model {
        Some(model) => model,
        none => none.insert(head(row)?),
    };
    if let Some(skill) = nullable::<String>(row, 8)? {
        model.skills.insert(skill, costs(row)?);
    }
    Ok(())
}

fn head(row: &Row<'_>) -> Result<Model> {
    let formula: String = column(row, 4)?;
    Ok(Model {
        name: column(row, 2)?,
        version: column(row, 3)?,
        formula: Formula::of(&formula).ok_or_else(|| unknown("formula", &formula))?,
        cost_decimals: u8::try_from(column::<i16>(row, 5)?).unwrap_or_default(),
        risk_threshold: column(row, 6)?,
        significant_risk: column(row, 7)?,
        skills: Default::default(),
    })
}

fn costs(row: &Row<'_>) -> Result<Skill> {
    let shape: String = column(row, 9)?;
    Ok(Skill {
        shape: Shape::of(&shape).ok_or_else(|| unknown("shape", &shape))?,
        cost: column(row, 10)?,
        cost_per_1k_input: column(row, 11)?,
        cost_per_1k_output: column(row, 12)?,
        latency_ms: column(row, 13)?,
        latency_variance_ms: column(row, 14)?,
        latency_per_1k: column(row, 15)?,
        confidence: column(row, 16)?,
        risk: column(row, 17)?,
        risk_type: column(row, 18)?,
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
