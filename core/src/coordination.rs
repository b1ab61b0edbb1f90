//! What becomes of an envelope: who controls a parameter, who gives way, and what the audit says of it.
//!
//! An envelope asks for control of one parameter of a subsystem. Its class says who gives way: safety before reliability before cost before
//! performance. The rules, in the order in which they are asked:
//!
//! 1. while the kill switch is active nothing is applied;
//! 2. without a class nothing is applied;
//! 3. an envelope that is active just as it asks to be stands, and nothing is written; active in any other way it is rejected, by itself;
//! 4. a parameter that is held by an equal or a higher class stays with its holder;
//! 5. otherwise the envelope is applied, and every envelope of a strictly lower class in the same subsystem is preempted, the holder of the
//!    parameter among them.
//!
//! They promise, over any sequence of calls: never two active envelopes on one parameter; none displaced by an equal or a lower class; one entry for
//! each transition; none active under the kill switch. They do not know who else decides: whoever asks keeps others away.

use sha2::{Digest as _, Sha256};

use crate::audit::{Class, Decision};

/// What stands in the place of an envelope where the kill switch has ended one. No envelope bears that name.
pub const KILL_SWITCH: &str = "kill_switch";

/// An envelope that is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// The number of its row.
    pub id: i64,
    /// What its owner calls it.
    pub envelope_id: String,
    /// Where it is active.
    pub subsystem: String,
    /// What it controls there.
    pub parameter: String,
    /// What gives way to it.
    pub class: Class,
    /// Whether it sets the parameter to what is asked for now.
    pub has_that_value: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What its owner calls it.
    pub envelope_id: &'a str,
    /// Its class, as it was given.
    pub class: Option<&'a str>,
    /// Where it is to be active.
    pub subsystem: &'a str,
    /// What it is to control there.
    pub parameter: &'a str,
    /// Why, in its owner's words.
    pub reason: Option<&'a str>,
}

/// What decides about a request.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Whether everything is to stay as it would be without any envelope.
    pub is_killed: bool,
    /// What is active in the subsystem, and the envelope itself wherever it is.
    pub active: Vec<Active>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It is active as it asks to be.
    Stands,
    /// It is not applied.
    Rejected {
        /// Its class, if it has one.
        class: Option<Class>,
        /// The envelope that is in its way.
        conflicting: Option<String>,
        /// Why not.
        reason: String,
    },
    /// It is active from now on.
    Applied {
        /// Its class.
        class: Class,
        /// Those that give way, in the order in which they were applied.
        displaced: Vec<Active>,
        /// What it does.
        reason: String,
    },
}

/// What the audit says of one envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The envelope.
    pub envelope_id: String,
    /// Its class; none for what was rejected for want of one.
    pub class: Option<Class>,
    /// What became of it.
    pub decision: Decision,
    /// Why.
    pub reason: String,
    /// The envelope that was in its way.
    pub conflicting: Option<String>,
    /// The envelope that it gave way to, or the kill switch.
    pub preempting: Option<String>,
}

/// What only one at a time may decide about, within a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm<'a> {
    /// An envelope, wherever it is active.
    Envelope(&'a str),
    /// All that is active in a subsystem.
    Subsystem(&'a str),
}

impl Realm<'_> {
    /// The key of its lock. That two realms have one key happens to one pair in 2^64, and costs no more than a wait.
    pub fn key(self, tenant_id: Option<&str>) -> i64 {
        let (kind, name) = match self {
            Self::Envelope(name) => (b'e', name),
            Self::Subsystem(name) => (b's', name),
        };
        // A tenant's name is never empty, and no text holds the byte that ends it here.
        let digest = Sha256::new()
            .chain_update([kind])
            .chain_update(tenant_id.unwrap_or_default())
            .chain_update([0])
            .chain_update(name)
            .finalize();
        digest.iter().take(8).fold(0, |key: i64, &byte| (key << 8) | i64::from(byte))
    }
}

/// Decides about a request.
pub fn coordinate(scope: &Scope, request: &Request<'_>) -> Ruling {
    let declared = request.class.map(str::trim).filter(|name| !name.is_empty());
    let class = declared.and_then(Class::parse);
    let rejected = |conflicting: Option<&Active>, reason: String| Ruling::Rejected {
        class,
        conflicting: conflicting.map(|envelope| envelope.envelope_id.clone()),
        reason,
    };
    if scope.is_killed {
        return rejected(None, "the kill switch is active".into());
    }
    let Some(class) = class else {
        return rejected(
            None,
            declared.map_or_else(
                || "the envelope declares no class".into(),
                |name| format!("the envelope declares a class that is none: \"{}\"", beginning(name)),
            ),
        );
    };
    let is_asked_for = |envelope: &Active| {
        envelope.subsystem == request.subsystem && envelope.parameter == request.parameter
    };
    if let Some(itself) = scope.active.iter().find(|envelope| envelope.envelope_id == request.envelope_id) {
        if is_asked_for(itself) && itself.class == class && itself.has_that_value {
            return Ruling::Stands;
        }
        let how = match is_asked_for(itself) {
            false => String::new(),
            true if itself.class == class => " with another value".into(),
            true => format!(" with class {}", itself.class.name()),
        };
        let place = place(&itself.subsystem, &itself.parameter);
        return rejected(Some(itself), format!("the envelope is active already on {place}{how}"));
    }
    let place = place(request.subsystem, request.parameter);
    if let Some(holder) =
        scope.active.iter().find(|envelope| is_asked_for(envelope) && envelope.class >= class)
    {
        let reason = format!("{place} is controlled by {}", named(holder.class, &holder.envelope_id));
        return rejected(Some(holder), reason);
    }
    let mut displaced: Vec<Active> = scope
        .active
        .iter()
        .filter(|envelope| envelope.subsystem == request.subsystem && envelope.class < class)
        .cloned()
        .collect();
    displaced.sort_unstable_by_key(|envelope| envelope.id);
    let mut reason = format!("takes control of {place}");
    if !displaced.is_empty() {
        reason.push_str(&format!(" and preempts {}", counted(displaced.len())));
    }
    Ruling::Applied { class, displaced, reason: with_words(reason, request.reason) }
}

impl Ruling {
    /// What the caller is told.
    pub fn decision(&self) -> Decision {
        match self {
            Self::Stands | Self::Applied { .. } => Decision::Applied,
            Self::Rejected { .. } => Decision::Rejected,
        }
    }

    /// Why.
    pub fn reason(&self) -> &str {
        match self {
            Self::Stands => "the envelope is active already",
            Self::Rejected { reason, .. } | Self::Applied { reason, .. } => reason,
        }
    }

    /// What the audit says: of those that give way first, of the request itself last. Nothing where nothing changes and nothing is refused.
    pub fn entries(&self, request: &Request<'_>) -> Vec<Entry> {
        let own = |class, conflicting: &Option<String>| Entry {
            envelope_id: request.envelope_id.into(),
            class,
            decision: self.decision(),
            reason: self.reason().into(),
            conflicting: conflicting.clone(),
            preempting: None,
        };
        match self {
            Self::Stands => Vec::new(),
            Self::Rejected { class, conflicting, .. } => vec![own(*class, conflicting)],
            Self::Applied { class, displaced, .. } => {
                let winner = named(*class, request.envelope_id);
                let place = place(request.subsystem, request.parameter);
                let mut entries: Vec<Entry> = displaced
                    .iter()
                    .map(|envelope| Entry {
                        envelope_id: envelope.envelope_id.clone(),
                        class: Some(envelope.class),
                        decision: Decision::Preempted,
                        reason: format!("gives way to {winner} on {place}"),
                        conflicting: None,
                        preempting: Some(request.envelope_id.into()),
                    })
                    .collect();
                entries.push(own(Some(*class), &None));
                entries
            }
        }
    }
}

/// What the audit says of an envelope that its owner ends.
pub fn release(envelope: &Active, by: &str, reason: Option<&str>) -> Entry {
    let place = place(&envelope.subsystem, &envelope.parameter);
    Entry {
        envelope_id: envelope.envelope_id.clone(),
        class: Some(envelope.class),
        decision: Decision::Reverted,
        reason: with_words(format!("{place} is released by {by}"), reason),
        conflicting: None,
        preempting: None,
    }
}

/// Turns the kill switch: what the audit says of each envelope that is reverted, in their order; `None` where it stands as it is asked to.
pub fn switch(
    was_active: bool,
    is_active: bool,
    active: &[Active],
    by: &str,
    reason: &str,
) -> Option<Vec<Entry>> {
    let reverted = |envelope: &Active| Entry {
        envelope_id: envelope.envelope_id.clone(),
        class: Some(envelope.class),
        decision: Decision::Reverted,
        reason: with_words(format!("the kill switch is activated by {by}"), Some(reason)),
        conflicting: None,
        preempting: Some(KILL_SWITCH.into()),
    };
    match (was_active, is_active) {
        (true, true) | (false, false) => None,
        // Nothing comes back by itself.
        (true, false) => Some(Vec::new()),
        (false, true) => Some(active.iter().map(reverted).collect()),
    }
}

fn place(subsystem: &str, parameter: &str) -> String {
    format!("{subsystem}.{parameter}")
}

fn named(class: Class, envelope_id: &str) -> String {
    format!("{} envelope \"{envelope_id}\"", class.name())
}

fn counted(envelopes: usize) -> String {
    if envelopes == 1 { "1 envelope".into() } else { format!("{envelopes} envelopes") }
}

fn with_words(reason: String, words: Option<&str>) -> String {
    match words {
        Some(words) => format!("{reason}: {words}"),
        None => reason,
    }
}

/// As much of a name as a reason needs.
fn beginning(name: &str) -> String {
    match name.char_indices().nth(100) {
        Some((cut, _)) => format!("{}...", &name[..cut]),
        None => name.into(),
    }
}
