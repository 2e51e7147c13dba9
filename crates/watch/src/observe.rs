//! Observations: what a check saw, by a probe or by a person. Each is an event; a row finds it again. A check that failed and
//! had not before opens a finding; one that passes again closes it.

use access::{Action, Principal, Resource};
use base::Timestamp;
use ledger::{Act, Activity, Event, ObjectRef};
use policy::{CheckKind, Latest, OWN_WORDING, Observation, Seen};
use store::{Committed, Row, SystemScope, platform};

use crate::{Sight, Watch, WatchError, events, line};

const NOUN: &str = "check";
/// Most observations on a page.
pub const MAX_OBSERVATIONS: usize = 500;
/// Rows that are read at once if the first one counts for nothing.
const AT_ONCE: i64 = 64;

/// What a person attests.
#[derive(Clone, Debug)]
pub struct Attestation {
    /// Which check.
    pub check: String,
    /// As of when it is true; now, if none is given.
    pub effective: Option<Timestamp>,
    /// When they looked; now, if none is given.
    pub collected: Option<Timestamp>,
    /// Whether it is so.
    pub holds: bool,
    /// How many things they looked at.
    pub examined: u64,
    /// How many of them were not so.
    pub failed: u64,
    /// In words.
    pub summary: String,
    /// SHA-256 of a document that they looked at, in hexadecimal digits.
    pub document: Option<String>,
}

/// A page of observations, the newest first: so many as were asked for, and those of the last one's instant.
#[derive(Clone, Debug, Default)]
pub struct ObservationPage {
    /// The observations.
    pub items: Vec<Observation>,
    /// Where the next page begins: before this.
    pub next: Option<Timestamp>,
}

/// What the newest observation saw that could tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Failed,
    DidNotFail,
}

/// When something is true, and when it was looked at.
#[derive(Clone, Copy)]
struct Times {
    effective: Timestamp,
    collected: Timestamp,
}

impl Watch {
    /// Records what a probe saw now.
    pub async fn observe(
        &self,
        scope: &SystemScope,
        check: &str,
        sight: &Sight,
    ) -> Result<Committed<()>, WatchError> {
        let now = self.now();
        let act = Act::new(Activity::EvidenceObserve, ObjectRef::new(NOUN, check));
        self.add(scope, check, sight, Times { effective: now, collected: now }, act).await
    }

    async fn add(
        &self,
        scope: &SystemScope,
        check: &str,
        sight: &Sight,
        times: Times,
        act: Act,
    ) -> Result<Committed<()>, WatchError> {
        let add = platform!(
            "INSERT INTO observation (check_id, definite, effective, received, event) VALUES ($1, $2, $3, $4, $5)"
        );
        let before = self.before(scope, check, sight, times).await?;
        let mut tx = self.0.store.system(scope).await?;
        let event = tx.event_id()?;
        let definite = sight.seen != Seen::Unknown;
        let values =
            [check.into(), definite.into(), times.effective.into(), self.now().into(), (&event).into()];
        tx.execute(add, &values).await?;
        let mut acts = vec![
            act.detail("seen", sight.seen.as_str())
                .detail("examined", sight.examined)
                .detail("failed", sight.failed)
                .detail("summary", sight.summary.clone())
                .detail("effective", times.effective.to_string())
                .detail("collected", times.collected.to_string()),
        ];
        match (sight.seen, before) {
            (Seen::Fail, Some(before)) => {
                let open = platform!(
                    "INSERT INTO open_finding (check_id, event, at) VALUES ($1, $2, $3) ON CONFLICT (check_id) DO NOTHING"
                );
                let is_new =
                    tx.execute(open, &[check.into(), (&event).into(), self.now().into()]).await? == 1;
                // Whoever planted the row keeps no finding from being opened.
                if is_new || before != Before::Failed {
                    let act = Act::new(Activity::FindingOpen, ObjectRef::new(NOUN, check));
                    acts.push(act.detail("observation", event).detail("summary", sight.summary.clone()));
                }
            }
            (Seen::Pass, Some(before)) => {
                let close = platform!("DELETE FROM open_finding WHERE check_id = $1");
                if tx.execute(close, &[check.into()]).await? == 1 || before == Before::Failed {
                    let act = Act::new(Activity::FindingClose, ObjectRef::new(NOUN, check));
                    acts.push(act.detail("observation", event));
                }
            }
            _ => {}
        }
        Ok(tx.commit_all((), acts).await?)
    }

    /// What was seen before; none if this observation says nothing of how it is now: it could not tell, or there is one of
    /// what was so later. So late evidence neither opens a finding nor closes one.
    async fn before(
        &self,
        scope: &SystemScope,
        check: &str,
        sight: &Sight,
        times: Times,
    ) -> Result<Option<Before>, WatchError> {
        if sight.seen == Seen::Unknown {
            return Ok(None);
        }
        let mut read = self.0.store.system_read(scope).await?;
        let newest = self.newest_of(&mut read, check, true, self.now()).await?;
        Ok(match newest {
            Some(one) if one.effective > times.effective => None,
            Some(one) if one.seen == Seen::Fail => Some(Before::Failed),
            _ => Some(Before::DidNotFail),
        })
    }

    /// Records what a person saw of a check that a person makes, or of a clause in the organisation's own words. An
    /// operator's act. It counts from when it is true, not from when it was written down; neither is in the future.
    ///
    /// # Errors
    /// [`WatchError::NotFound`], [`WatchError::NotManual`], [`WatchError::OwnWording`], [`WatchError::Invalid`].
    pub async fn attest(&self, by: &Principal, given: &Attestation) -> Result<Committed<()>, WatchError> {
        let resource = Resource::new().id(&given.check);
        let (scope, decision) = self.0.access.operate(by, Action::EvidenceAttest, &resource).await?;
        let now = self.now();
        let times =
            Times { effective: given.effective.unwrap_or(now), collected: given.collected.unwrap_or(now) };
        if let Err(error) = self.attestable(given, times, &scope.actor().to_string(), now).await {
            let reason = base::Fault::code(&error);
            let act =
                Act::refused(Activity::EvidenceObserve, ObjectRef::new(NOUN, &given.check), reason, None);
            self.0.store.record_system(scope, act).await?;
            return Err(error);
        }
        let act = Act::new(Activity::EvidenceObserve, ObjectRef::new(NOUN, &given.check))
            .decided_by(decision.policies());
        let act = match &given.document {
            Some(document) => act.detail("document", document.clone()),
            None => act,
        };
        let seen = if given.holds { Seen::Pass } else { Seen::Fail };
        let sight =
            Sight { seen, examined: given.examined, failed: given.failed, summary: given.summary.clone() };
        self.add(scope, &given.check, &sight, times, act).await
    }

    /// Whether it can be recorded.
    async fn attestable(
        &self,
        given: &Attestation,
        times: Times,
        me: &str,
        now: Timestamp,
    ) -> Result<(), WatchError> {
        let invalid = |field, reason| Err(WatchError::Invalid { field, reason });
        if !self.is_check(&given.check) {
            return Err(WatchError::NotFound("check"));
        }
        if given.check.starts_with(OWN_WORDING) {
            let adoption = self.adoption(now).await?;
            if adoption.current(now).is_some_and(|one| one.proposed_by == me) {
                return Err(WatchError::OwnWording);
            }
        } else if self.0.registry.check(&given.check).is_none_or(|check| check.kind != CheckKind::Manual) {
            return Err(WatchError::NotManual { check: given.check.clone() });
        }
        line("summary", &given.summary)?;
        if times.effective > now {
            return invalid("effective", "it lies in the future: give when it was so");
        }
        if times.collected > now || times.collected < times.effective {
            return invalid("collected", "it lies in the future, or before when it was so");
        }
        if given.examined == 0 {
            return invalid("examined", "nothing was looked at: give how many things were");
        }
        if given.failed > given.examined || (given.holds && given.failed > 0) {
            return invalid(
                "failed",
                "more failed than were looked at, or some failed and it is said to hold",
            );
        }
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if given.document.as_ref().is_some_and(|hex| hex.len() != 64 || !hex.bytes().all(is_digit)) {
            return invalid("document", "expected SHA-256 in 64 lower-case hexadecimal digits");
        }
        Ok(())
    }

    /// The newest observations of a check, of what was recorded until then. A row that no event confirms is none, and does
    /// not stand before one that is.
    pub(crate) async fn newest(
        &self,
        read: &mut store::SystemReadTx,
        check: &str,
        until: Timestamp,
    ) -> Result<Latest, WatchError> {
        let definite = self.newest_of(read, check, true, until).await?;
        let unknown = self.newest_of(read, check, false, until).await?;
        Ok(Latest { definite, unknown })
    }

    async fn newest_of(
        &self,
        read: &mut store::SystemReadTx,
        check: &str,
        definite: bool,
        until: Timestamp,
    ) -> Result<Option<Observation>, WatchError> {
        // What is recorded is never of the future: going back from then, the first that was known then is near.
        let newest = platform!(
            "SELECT o.event, e.leaf, o.definite, o.effective, o.received FROM observation o \
             LEFT JOIN event e ON e.id = o.event AND (EXISTS (SELECT 1 FROM log_entry l WHERE l.seq = e.seq) \
             OR EXISTS (SELECT 1 FROM outbox w WHERE w.seq = e.seq)) \
             WHERE o.check_id = $1 AND o.definite = $2 AND (o.effective, o.received, o.event) < ($3, $4, $5) \
             ORDER BY o.effective DESC, o.received DESC, o.event DESC LIMIT $6"
        );
        let last = Timestamp::from_micros(i64::MAX);
        let mut before = (until, last, vec![0xff; 17]);
        let mut limit = 1i64;
        loop {
            let (effective, received, event) = &before;
            let values = [
                check.into(),
                i64::from(definite).into(),
                (*effective).into(),
                (*received).into(),
                event.as_slice().into(),
                limit.into(),
            ];
            let rows = read.rows(newest, &values).await?;
            for row in &rows {
                if let Some(one) = confirmed(row, check)?.filter(|one| one.received <= until) {
                    return Ok(Some(one));
                }
            }
            let Some(row) = rows.last().filter(|_| rows.len() as i64 == limit) else { return Ok(None) };
            before = (row.time(3)?, row.time(4)?, row.blob(0)?.to_vec());
            limit = AT_ONCE;
        }
    }

    /// A page of the observations of a check, the newest first. An operator's act.
    pub async fn observations(
        &self,
        by: &Principal,
        check: &str,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<ObservationPage, WatchError> {
        let resource = Resource::new().id(check);
        let (scope, decision) = self.0.access.operate(by, Action::EvidenceRead, &resource).await?;
        if !self.is_check(check) {
            let object = ObjectRef::new(NOUN, check);
            let act = Act::refused(Activity::EvidenceRead, object, "not-found", None);
            self.0.store.record_system(scope, act).await?;
            return Err(WatchError::NotFound("check"));
        }
        let page = platform!(
            "SELECT o.event, e.leaf, o.definite, o.effective, o.received FROM observation o \
             LEFT JOIN event e ON e.id = o.event AND (EXISTS (SELECT 1 FROM log_entry l WHERE l.seq = e.seq) \
             OR EXISTS (SELECT 1 FROM outbox w WHERE w.seq = e.seq)) \
             WHERE o.check_id = $1 AND o.received < $2 AND o.received >= (SELECT MIN(p.received) FROM \
             (SELECT received FROM observation WHERE check_id = $1 AND received < $2 ORDER BY received DESC LIMIT $3) p) \
             ORDER BY o.received DESC, o.event DESC"
        );
        let more = platform!("SELECT 1 FROM observation WHERE check_id = $1 AND received < $2 LIMIT 1");
        let limit = limit.clamp(1, MAX_OBSERVATIONS);
        let before = before.unwrap_or(Timestamp::from_micros(i64::MAX));
        let mut read = self.0.store.system_read(scope).await?;
        let rows = read.rows(page, &[check.into(), before.into(), (limit as i64).into()]).await?;
        let mut next = rows.last().map(|row| row.time(4)).transpose()?;
        if let Some(last) = next
            && read.row(more, &[check.into(), last.into()]).await?.is_none()
        {
            next = None;
        }
        drop(read);
        let mut items: Vec<Observation> = Vec::new();
        for row in &rows {
            let one = confirmed(row, check)?;
            items.extend(one.filter(|one| items.iter().all(|other| other.event != one.event)));
        }
        let act = Act::new(Activity::EvidenceRead, ObjectRef::new(NOUN, check))
            .decided_by(decision.policies())
            .detail("count", items.len());
        self.0.store.record_system(scope, act).await?;
        Ok(ObservationPage { items, next })
    }
}

/// The observation that an event in the log records, or one that waits for it, if it is what the row says.
fn confirmed(row: &Row, check: &str) -> Result<Option<Observation>, WatchError> {
    // What somebody planted may be no id at all.
    let (id, definite, effective) = (row.blob(0)?, row.int(2)? != 0, row.time(3)?);
    let event = row.opt_blob(1)?.and_then(|leaf| Event::decode(leaf).ok());
    let found = event.filter(|event| event.id.as_bytes() == id).and_then(|event| events::observation(&event));
    let is_same = |one: &Observation| {
        one.check == check && one.effective == effective && (one.seen != Seen::Unknown) == definite
    };
    let found = found.filter(is_same);
    if found.is_none() {
        tracing::error!(event = ?id, check, "a row names an event that is no such observation: it counts for nothing");
    }
    Ok(found)
}
