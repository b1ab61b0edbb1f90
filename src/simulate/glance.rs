//! A look at a plan that makes no text of it.
//!
//! Nearly all plans are fine, and what they cost can be read in the server's own form of the JSON, in a third of the time that printing and
//! parsing take. What is not plainly fine is none of the business of this file: it goes the long way, to be refused with its place.

use std::borrow::Cow;

use costsim_core::simulate::{Iterations, LARGEST_PLAN, Length, Locality, Params, Plan, Size, Step};
use pgrx::pg_sys::JsonbIteratorToken as token;

use crate::convert::{Jsonb, JsonbWalk};

/// The steps of a plan that is plainly one. The plan is neither compressed nor elsewhere, and outlives the steps.
pub fn plan(plan: &Jsonb) -> Option<Plan<'_>> {
    let mut walk = JsonbWalk::new(plan);
    if !walk.begins_array() {
        return None;
    }
    let mut steps = Vec::new();
    loop {
        match walk.next(false) {
            token::WJB_BEGIN_OBJECT if steps.len() < LARGEST_PLAN => steps.push(step(&mut walk)?),
            token::WJB_END_ARRAY => return Some(Plan { steps }),
            _ => return None,
        }
    }
}

fn step<'a>(walk: &mut JsonbWalk<'a>) -> Option<Step<'a>> {
    let (mut skill, mut given, mut iterations) = (None, None, None);
    while let Some(key) = walk.key()? {
        match key {
            b"skill" => {
                walk.value()?;
                skill = Some(std::str::from_utf8(walk.string()?).ok()?).filter(|skill| !skill.is_empty());
            }
            b"iterations" => {
                walk.value()?;
                iterations = if walk.is_null() { None } else { Some(Iterations::new(walk.number()?)?) };
            }
            b"params" => match walk.next(false) {
                token::WJB_BEGIN_OBJECT => given = Some(params(walk)?),
                token::WJB_VALUE if walk.is_null() => {}
                _ => return None,
            },
            _ => walk.value()?,
        }
    }
    Some(Step { skill: Cow::Borrowed(skill?), params: given, iterations })
}

fn params(walk: &mut JsonbWalk<'_>) -> Option<Params> {
    let mut params = Params::default();
    while let Some(key) = walk.key()? {
        walk.value()?;
        if walk.is_null() {
            continue;
        }
        match key {
            b"prompt" => params.prompt = Some(Length::of(walk.string()?)),
            b"prompt_tokens" => params.prompt_tokens = Some(Size::new(walk.number()?)?),
            b"completion_tokens" => params.completion_tokens = Some(Size::new(walk.number()?)?),
            b"timeout" => params.timeout = Some(Size::new(walk.number()?)?),
            b"url" => params.url = Some(Locality::of(walk.string()?)),
            b"command" => params.command = Some(Length::of(walk.string()?)),
            _ => {}
        }
    }
    Some(params)
}
