//! Feature tags: the names that a tenant's records may bear, and what people are shown of them.

use costsim_core::cost::{LONGEST_TEXT, cost_fault, is_feature_tag, text_fault};
use pgrx::pg_sys::BuiltinOid::{JSONBOID, NUMERICOID, TEXTOID};
use pgrx::prelude::*;

use crate::access::scope;
use crate::convert::{self, Jsonb, JsonbWalk, row_type};
use crate::db::{self, Statement, column};
use crate::error::{Answer, Error, Result, required};

row_type!(FeatureTag, "costsim_feature_tags");

/// The most bytes of a description.
const LONGEST_DESCRIPTION: usize = 65_536;

static CREATE: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_feature_tags AS t (tenant_id, tag, display_name, description, budget_cents)
     VALUES ($1, $2, coalesce($3, $2), $4, $5)
     ON CONFLICT (tenant_id, tag) DO NOTHING
     RETURNING t",
    &[TEXTOID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID],
);

static UPDATE: Statement = Statement::current(
    "UPDATE @schema@.costsim_feature_tags AS t
        SET display_name = coalesce($3 ->> 'display_name', display_name),
            description = CASE WHEN $3 ? 'description' THEN $3 ->> 'description' ELSE description END,
            budget_cents = CASE WHEN $3 ? 'budget_cents' THEN ($3 ->> 'budget_cents')::numeric ELSE budget_cents END,
            is_active = coalesce(($3 ->> 'is_active')::boolean, is_active),
            updated_at = clock_timestamp()
      WHERE tenant_id = $1 AND tag = $2
     RETURNING t",
    &[TEXTOID, TEXTOID, JSONBOID],
);

/// Makes a feature tag and answers its row.
#[pg_extern(volatile, parallel_unsafe, requires = ["cost"])]
fn costsim_create_feature_tag(
    tenant_id: Option<&str>,
    tag: Option<&str>,
    display_name: default!(Option<&str>, "NULL"),
    description: default!(Option<&str>, "NULL"),
    budget_cents: default!(Option<AnyNumeric>, "NULL"),
) -> Answer<FeatureTag> {
    db::require_writable(c"costsim_create_feature_tag()");
    let (tenant_id, tag) = (required(tenant_id, "tenant_id")?, required(tag, "tag")?);
    refuse("tenant_id", text_fault(tenant_id.as_bytes()))?;
    if !is_feature_tag(tag) {
        return Err(Error::invalid(
            "tag must have the form namespace.action",
            "Letters, digits, underscores and hyphens, in two or more parts with a dot between them, as in support.summarise.",
        )
        .into());
    }
    refuse("display_name", display_name.and_then(|name| text_fault(name.as_bytes())))?;
    refuse("description", description.and_then(|text| description_fault(text.as_bytes())))?;
    refuse("budget_cents", budget_cents.as_ref().and_then(|cents| cost_fault(&cents.to_string())))?;
    let arguments =
        [tenant_id.into(), tag.into(), display_name.into(), description.into(), budget_cents.into()];
    scope::require(c"costsim_feature_tags", Some(tenant_id))?;
    let made = db::as_owner(|| CREATE.row(&arguments, |row| column(row, 1)))?;
    let taken = || Error::AlreadyExists { what: format!("feature tag \"{tag}\" already exists") };
    Ok(made.ok_or_else(taken)?)
}

/// Changes what the keys of `changes` name, and answers the row.
#[pg_extern(volatile, parallel_unsafe, requires = ["cost"])]
fn costsim_update_feature_tag(
    tenant_id: Option<&str>,
    tag: Option<&str>,
    changes: Option<Jsonb>,
) -> Answer<FeatureTag> {
    db::require_writable(c"costsim_update_feature_tag()");
    let (tenant_id, tag) = (required(tenant_id, "tenant_id")?, required(tag, "tag")?);
    let changes = required(changes, "changes")?.flat();
    check(&changes)?;
    let arguments = [tenant_id.into(), tag.into(), Jsonb::argument(Some(changes))];
    let changed = if scope::admits(c"costsim_feature_tags", Some(tenant_id))? {
        db::as_owner(|| UPDATE.row(&arguments, |row| column(row, 1)))?
    } else {
        None
    };
    Ok(changed.ok_or_else(|| Error::no_such_feature_tag(tag))?)
}

/// Refuses changes that cannot be made.
fn check(changes: &Jsonb) -> Result<()> {
    let mut walk = JsonbWalk::new(changes);
    if walk.next(false) != pgrx::pg_sys::JsonbIteratorToken::WJB_BEGIN_OBJECT {
        return Err(unfit("changes must be an object".into()));
    }
    while let Some(Some(key)) = walk.key() {
        let has_value = walk.value().is_some();
        let fault = match key {
            _ if !has_value => Some("must not be an array or an object".into()),
            b"description" | b"budget_cents" if walk.is_null() => None,
            b"display_name" => walk.string().map_or(Some("must be a string".into()), text_fault),
            b"description" => {
                walk.string().map_or(Some("must be a string or null".into()), description_fault)
            }
            b"budget_cents" => walk
                .number_by(|cents| Some(cost_fault(cents)))
                .unwrap_or(Some("must be a number or null".into())),
            b"is_active" => walk.boolean().is_none().then(|| "must be true or false".into()),
            _ => Some("is not a key of the changes".into()),
        };
        if let Some(fault) = fault {
            let key = String::from_utf8_lossy(key);
            return Err(unfit(format!("{} {fault}", convert::beginning(&key, 100))));
        }
    }
    Ok(())
}

fn description_fault(text: &[u8]) -> Option<String> {
    (text.len() > LONGEST_DESCRIPTION)
        .then(|| format!("has {} bytes, more than {LONGEST_DESCRIPTION}", text.len()))
}

fn refuse(name: &str, fault: Option<String>) -> Result<()> {
    fault.map_or(Ok(()), |fault| Err(unfit(format!("{name} {fault}"))))
}

fn unfit(what: String) -> Error {
    Error::invalid(
        what,
        format!(
            "Keys are display_name, description, budget_cents and is_active; names have 1 to {LONGEST_TEXT} bytes; null takes description or budget_cents away."
        ),
    )
}
