//! What LLM requests cost: feature tags, records, and what they come to.

mod pending;
