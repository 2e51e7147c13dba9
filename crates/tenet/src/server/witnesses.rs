//! Having each checkpoint cosigned. In rounds: what the log signed last is sent to every witness at once; once the
//! quorum cosigned it, it is published, and the next round begins. A witness that is slow is left behind by a round
//! and takes part in a later one; one that was away is brought up to date by its own answers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base::{Context, Duration, Timestamp};
use ledger::{Act, Activity, LogVerifier, ObjectRef, WitnessPolicy};
use store::{SignedHead, Store, SystemScope, Witnessed, Witnessing};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    failure::{Exit, Failure},
    witnesses::{SubmitError, Verdict, WitnessClient},
};

/// How often the log is looked at for something to have cosigned.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
/// How often a server that does not sequence looks at what the one that does has published.
const FOLLOW: Duration = Duration::from_seconds(1);
/// After how long a round without a quorum makes way for a newer checkpoint.
const PATIENCE: Duration = Duration::from_seconds(5);
/// How long a start waits for the witnesses' copies.
const START_SECONDS: u64 = 10;
/// From what age on cosigned checkpoints are thinned out, and how often.
const THIN_AGE: Duration = Duration::from_days(7);
const THIN_EVERY: Duration = Duration::from_seconds(3_600);

/// The witnesses of this server's log, and how far they got.
pub(crate) struct Witnesses {
    policy: WitnessPolicy,
    clients: Vec<(usize, Arc<WitnessClient>)>,
    store: Store,
    log: LogVerifier,
    scope: SystemScope,
    context: Context,
    /// How old the newest cosignature may be.
    limit: Duration,
    /// What each witness was last said to lack: told once, not at each attempt.
    said: Mutex<HashMap<usize, String>>,
}

/// One checkpoint on its way.
struct Round {
    head: SignedHead,
    began: Timestamp,
    /// Each witness's line and its time.
    lines: Vec<Option<(String, u64)>>,
    published: Option<u64>,
}

type Outcome = (usize, SignedHead, Result<(String, u64), SubmitError>);

impl Witnesses {
    pub(crate) fn new(
        policy: WitnessPolicy,
        clients: Vec<(usize, WitnessClient)>,
        store: Store,
        log: LogVerifier,
        scope: SystemScope,
        limit: Duration,
    ) -> Self {
        let clients = clients.into_iter().map(|(place, client)| (place, Arc::new(client))).collect();
        let context = store.context().clone();
        Self { policy, clients, store, log, scope, context, limit, said: Mutex::default() }
    }

    /// Holds this server's log against the witnesses' copies, before anything is signed. One that was rolled back
    /// or rewritten is not gone on with. A witness that does not answer says nothing: while none does,
    /// administrative acts wait all the same.
    pub(crate) async fn check_at_start(&self) -> Result<(), Failure> {
        let mut asked = JoinSet::new();
        for (_, client) in &self.clients {
            let (client, store, log) = (Arc::clone(client), self.store.clone(), self.log.clone());
            asked.spawn(async move {
                let limit = std::time::Duration::from_secs(START_SECONDS);
                let outcome = tokio::time::timeout(limit, client.compare(&store, &log)).await;
                (client, outcome)
            });
        }
        let mut found = None;
        while let Some(Ok((client, outcome))) = asked.join_next().await {
            let name = client.name();
            match outcome {
                Ok(Ok(Some(Verdict::Behind(theirs)))) => {
                    let what = "this server's log was rolled back";
                    let why = format!(
                        "the witness `{name}` keeps {} entries that this log signed; here there are fewer: the database is an older copy",
                        theirs.size
                    );
                    let remedy = format!(
                        "take the missing entries back with `tenet log recover --from {}`, or restore the newest database",
                        client.copy_of(&self.log)
                    );
                    found = Some((what, why, remedy));
                }
                Ok(Ok(Some(Verdict::Forked(theirs)))) => {
                    let what = "this server's log is a fork";
                    let why = format!(
                        "the witness `{name}` keeps {} other entries that this log signed: entries were changed, or two servers went on from one copy",
                        theirs.size
                    );
                    let remedy = "keep both as evidence; `tenet log verify` says which entry differs first; restore a database whose log the witness continues".to_owned();
                    found = Some((what, why, remedy));
                }
                Ok(Ok(Some(Verdict::Agrees(size)))) => {
                    tracing::info!(witness = name, size, "the witness's copy agrees")
                }
                Ok(Ok(None)) => tracing::info!(witness = name, "the witness has no copy yet"),
                Ok(Err(error)) => {
                    tracing::warn!(witness = name, %error, "the witness's copy can't be looked at")
                }
                Err(_) => tracing::warn!(witness = name, "the witness does not answer in time"),
            }
        }
        let Some((what, why, remedy)) = found else { return Ok(()) };
        self.record(Activity::LogFork, &why).await;
        Err(Failure::new(Exit::NotVerified, "log-forked", what).why(why).remedy(remedy))
    }

    async fn record(&self, activity: Activity, why: &str) {
        let object = ObjectRef::new("log", self.log.origin());
        let act = Act::new(activity, object).detail("why", why.chars().take(300).collect::<String>());
        if let Err(error) = self.store.record_system(&self.scope, act).await {
            tracing::error!(%error, "the state of the witnesses could not be recorded");
        }
    }

    /// Until told to stop; then once more, so that the stop itself is cosigned if a witness is near.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut running: JoinSet<Outcome> = JoinSet::new();
        let mut busy = vec![false; self.policy.witnesses().len()];
        let mut round: Option<Round> = None;
        let began = self.context.now();
        let mut told = true;
        let (mut followed, mut thinned) = (began, began);
        while !*stop.borrow() && !self.store.is_log_broken() {
            let now = self.context.now();
            match self.store.signed_head().await {
                Ok(Some(head)) if head.ours => {
                    if self.is_due(round.as_ref(), &head, now) {
                        round = Some(self.begin(head, now));
                    }
                    self.send(round.as_ref(), &mut busy, &mut running);
                    told = self.tell(told, began).await;
                    if now.since(thinned) >= THIN_EVERY {
                        thinned = now;
                        if let Err(error) = self.store.thin_witnessed(&self.scope, THIN_AGE).await {
                            tracing::warn!(%error, "cosigned checkpoints are not thinned out");
                        }
                    }
                }
                Ok(_) if now.since(followed) >= FOLLOW => {
                    followed = now;
                    round = None;
                    if let Err(error) = self.store.refresh_witnessed().await {
                        tracing::warn!(%error, "what the witnesses cosigned can't be read");
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the witnesses wait for the store"),
            }
            tokio::select! {
                Some(Ok(outcome)) = running.join_next() => self.take(outcome, round.as_mut(), &mut busy).await,
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.changed() => {}
            }
        }
        running.shutdown().await;
        if !self.store.is_log_broken() {
            self.last_round().await;
        }
    }

    /// What was signed since: when the stop is in the log, it is sent once more, for a short while.
    async fn last_round(&self) {
        let Ok(Some(head)) = self.store.signed_head().await else { return };
        if !head.ours {
            return;
        }
        let mut round = self.begin(head, self.context.now());
        let mut busy = vec![false; self.policy.witnesses().len()];
        let mut running = JoinSet::new();
        self.send(Some(&round), &mut busy, &mut running);
        let limit = tokio::time::sleep(PATIENCE.into());
        tokio::pin!(limit);
        while round.published.is_none() {
            tokio::select! {
                Some(Ok(outcome)) = running.join_next() => self.take(outcome, Some(&mut round), &mut busy).await,
                () = &mut limit => break,
                else => break,
            }
        }
    }

    fn begin(&self, head: SignedHead, now: Timestamp) -> Round {
        Round { head, began: now, lines: vec![None; self.policy.witnesses().len()], published: None }
    }

    /// A round begins when there is something new and the last one came to its end, and now and then when there
    /// is nothing new, so that the newest cosignature stays fresh.
    fn is_due(&self, round: Option<&Round>, head: &SignedHead, now: Timestamp) -> bool {
        let Some(round) = round else { return true };
        let age = now.since(round.began);
        if head.size != round.head.size {
            round.published.is_some() || age >= PATIENCE
        } else {
            age >= Duration::from_micros(self.limit.micros() / 4)
        }
    }

    /// Sends the round's checkpoint to each witness that has not answered and is not busy with an older one.
    fn send(&self, round: Option<&Round>, busy: &mut [bool], running: &mut JoinSet<Outcome>) {
        let Some(round) = round else { return };
        for (place, client) in &self.clients {
            let asked = round.lines.get(*place).is_some_and(Option::is_some);
            let Some(busy) = busy.get_mut(*place).filter(|busy| !**busy && !asked) else { continue };
            *busy = true;
            let (place, client, head) = (*place, Arc::clone(client), round.head.clone());
            let (store, log) = (self.store.clone(), self.log.clone());
            running.spawn(async move {
                let outcome = client.submit(&store, &log, &head).await;
                if outcome.is_err() {
                    // One that does not cosign is not asked again at once.
                    tokio::time::sleep(LOOK * 10).await;
                }
                (place, head, outcome)
            });
        }
    }

    async fn take(&self, outcome: Outcome, round: Option<&mut Round>, busy: &mut [bool]) {
        let (place, head, outcome) = outcome;
        if let Some(busy) = busy.get_mut(place) {
            *busy = false;
        }
        let name = self.policy.witnesses().get(place).map_or("-", |witness| witness.name.as_str());
        let line = match outcome {
            Ok(line) => {
                if self.say(place, None) {
                    tracing::info!(witness = name, "the witness cosigns again");
                }
                line
            }
            Err(SubmitError::Fork(why)) => {
                if !self.store.log_broke() {
                    tracing::error!(witness = name, %why, "nothing is signed any more");
                    self.record(Activity::LogFork, &why).await;
                }
                return;
            }
            Err(error) => {
                if self.say(place, Some(error.to_string())) {
                    tracing::warn!(witness = name, %error, "a witness does not cosign");
                }
                return;
            }
        };
        let Some(round) = round.filter(|round| round.head.size == head.size) else { return };
        if let Some(slot) = round.lines.get_mut(place) {
            *slot = Some(line);
        }
        if let Err(error) = self.publish(round).await {
            tracing::warn!(%error, "a cosigned checkpoint can't be published");
        }
    }

    /// Whether it is news.
    fn say(&self, place: usize, what: Option<String>) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) if said.get(&place) == Some(&what) => false,
            Some(what) => {
                said.insert(place, what);
                true
            }
            None => said.remove(&place).is_some(),
        }
    }

    async fn publish(&self, round: &mut Round) -> Result<(), store::StoreError> {
        let times: Vec<Option<u64>> =
            round.lines.iter().map(|line| line.as_ref().map(|(_, time)| *time)).collect();
        let Some(at) = self.policy.quorum_at(&times) else { return Ok(()) };
        let lines: String = round.lines.iter().flatten().map(|(line, _)| line.as_str()).collect();
        let note = format!("{}{lines}", round.head.note);
        let at = Timestamp::from_seconds(i64::try_from(at).unwrap_or(i64::MAX));
        self.store.put_witnessed(&self.scope, &Witnessed { size: round.head.size, at, note }).await?;
        round.published = Some(round.head.size);
        Ok(())
    }

    /// Records when the witnesses are lost, and when they are back. At a start they have as long as the limit.
    async fn tell(&self, told: bool, began: Timestamp) -> bool {
        match self.store.witnessing() {
            Witnessing::Fresh if !told => {
                tracing::info!("the witnesses stand by the log again");
                self.record(Activity::LogWitnessed, "the quorum cosigned").await;
                true
            }
            Witnessing::Stale { last } if told && self.context.now().since(began) >= self.limit => {
                let last = last.map_or_else(|| "never".to_owned(), |last| last.to_string());
                tracing::error!(%last, "no quorum of witnesses stands by the log: administrative acts wait");
                self.record(Activity::LogUnwitnessed, &format!("cosigned last: {last}")).await;
                false
            }
            _ => told,
        }
    }
}
