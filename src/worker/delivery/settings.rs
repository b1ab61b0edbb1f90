//! To whom, by which client, and whether at all: what the settings say, taken over at a reload.

use std::time::{Duration, Instant};

use costsim_core::alertmanager;

use super::{Delivery, LATER, Next, PATIENCE, poll};
use crate::alert::store::upkeep::{self, Debts};
use crate::error::Result;
use crate::guc::{self, AlertPolicy};
use crate::worker::http::{Client, Setup};
use crate::worker::process;
use crate::worker::target::Target;
use crate::{db, lock};

/// When a long piece of work goes on.
const SHORTLY: Duration = Duration::from_millis(10);

/// How long requests may go on after a reload that they know nothing of.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Why there are no targets yet.
const LOCKED: &str = "costsim_alert_targets is locked";

/// Rows that are put right at once after the list of targets has changed.
const SOME: i64 = 1_000;

impl Delivery {
    /// Takes over the settings and becomes the one deliverer: what stands in the way, if something does.
    pub(super) fn prepare(&mut self) -> Result<Option<Next>> {
        let poll = poll();
        let list = guc::alertmanager_url().unwrap_or_default();
        let current = (list, process::settings_version());
        let blocked = |why: String| Ok(Some(Next::Blocked { why, pause: poll }));
        if self.list.as_ref() != Some(&current) && !self.may_refresh() {
            return Ok(None);
        }
        if self.checked_at.is_none_or(|at| at.elapsed() >= LATER) && !self.is_busy() {
            self.outdated = db::transaction(db::version_trouble)?;
            self.checked_at = Some(Instant::now());
        }
        if current.0.is_empty() {
            self.stop();
            let nowhere = "costsim.alertmanager_url is empty: alerts stay pending";
            return blocked(match &self.outdated {
                Some(outdated) => format!("{outdated}; {nowhere}"),
                None => nowhere.to_owned(),
            });
        }
        if !self.is_alone {
            self.is_alone = db::transaction(|| Ok(lock::try_be_the_only_deliverer()))?;
            if !self.is_alone {
                let why = "another worker or an external deliverer serves this database".to_owned();
                return Ok(Some(Next::Blocked { why, pause: LATER }));
            }
        }
        if self.list.as_ref() != Some(&current) {
            if let Err(why) = self.refresh(&current.0)? {
                self.list = None;
                let pause = if why == LOCKED { LATER } else { poll };
                return Ok(Some(Next::Blocked { why, pause }));
            }
            self.list = Some(current);
        }
        self.settle_debts()?;
        self.hurry()?;
        Ok(None)
    }

    /// Puts some of the rows right that the list of targets, or the policy, has overtaken.
    fn settle_debts(&mut self) -> Result<()> {
        if self.debts_at.is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        let ids: Vec<i32> = self.targets.iter().map(|target| target.id).collect();
        let needs_all = guc::alert_policy() == AlertPolicy::All;
        let pause = match db::transaction_within(PATIENCE, || upkeep::settle_debts(&ids, needs_all, SOME))? {
            Some(Debts::None) => None,
            Some(Debts::More) => {
                // What they have become may be due.
                self.wake();
                Some(SHORTLY)
            }
            Some(Debts::Held) | None => Some(LATER),
        };
        self.debts_at = pause.map(|pause| Instant::now() + pause);
        Ok(())
    }

    /// After new settings nothing need wait because something went wrong by the old ones. The rows first: what is owed after a failure
    /// must not be overtaken by what came later.
    fn hurry(&mut self) -> Result<()> {
        if self.hurry_at.is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        self.hurry_at = match db::transaction_within(PATIENCE, upkeep::hurry)? {
            Some(()) => {
                self.targets.iter_mut().for_each(Target::try_again);
                self.wake();
                None
            }
            None => Some(Instant::now() + LATER),
        };
        Ok(())
    }

    pub(super) fn is_refreshing(&self) -> bool {
        self.refresh_by.is_some()
    }

    /// Requests of the old settings are let end for a moment.
    fn may_refresh(&mut self) -> bool {
        let by = *self.refresh_by.get_or_insert_with(|| Instant::now() + LAST_CALL);
        let may = !self.is_busy() || by <= Instant::now();
        if may {
            self.refresh_by = None;
        }
        may
    }

    /// Delivers nothing from now on, and lets others.
    fn stop(&mut self) {
        for target in &mut self.targets {
            target.give_up();
        }
        (self.client, self.list) = (None, None);
        self.targets.clear();
        if std::mem::take(&mut self.is_alone) {
            lock::stop_being_the_only_deliverer();
        }
    }

    /// Makes client and targets anew by the settings; a target that stays keeps what is known of it.
    fn refresh(&mut self, list: &str) -> Result<std::result::Result<(), String>> {
        let endpoints = match alertmanager::endpoints(list) {
            Ok(endpoints) => endpoints,
            Err(bad) => return Ok(Err(format!("costsim.alertmanager_url: {bad}"))),
        };
        let setup = Setup {
            auth_file: guc::alertmanager_auth_file(),
            ca_file: guc::alertmanager_ca_file(),
            cert_file: guc::alertmanager_cert_file(),
            key_file: guc::alertmanager_key_file(),
            proxy: guc::alertmanager_proxy(),
            connect_timeout: guc::alertmanager_connect_timeout().to_std().unwrap_or(LATER),
        };
        for target in &mut self.targets {
            target.give_up();
        }
        self.client = None;
        let client = match Client::new(&setup) {
            Ok(client) => client,
            Err(why) => return Ok(Err(why)),
        };
        let ids = db::transaction_within(PATIENCE, || {
            let ids = endpoints.iter().map(|url| upkeep::target(url)).collect::<Result<Vec<i32>>>()?;
            upkeep::keep_targets(&ids)?;
            Ok(ids)
        })?;
        let Some(ids) = ids else { return Ok(Err(LOCKED.into())) };
        self.client = Some(client);
        let mut known = std::mem::take(&mut self.targets);
        self.targets = ids
            .into_iter()
            .zip(endpoints)
            .map(|(id, url)| match known.iter().position(|target| target.id == id && target.url == url) {
                Some(at) => known.swap_remove(at),
                None => Target::new(id, url),
            })
            .collect();
        (self.debts_at, self.hurry_at) = (Some(Instant::now()), Some(Instant::now()));
        Ok(Ok(()))
    }
}
