//! The story: on which day what happens. It is told over six weeks, and shortened or stretched to as many days as are
//! asked for; whatever is due in days of its own (a review, a retention period) keeps to those.

use access::{ScopeSet, Verdict};
use base::{Duration, EventId, HoldId, RecordId, Timestamp};

use super::{
    customers::{CUSTOMERS, Customer},
    dice::Dice,
    governance, lifecycle,
    people::{People, Person},
    reviews, work,
};
use crate::{
    client::ClientKey,
    failure::{Exit, Failure},
    server::stage::{self, Stage},
};

/// The days that the story is written for.
pub(crate) const DAYS: u32 = 42;
const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
/// Hours at which applications work, on working days.
const SESSIONS: [i64; 3] = [9, 11, 15];
/// The hour of the days' reviews.
const REVIEWS: i64 = 10;
/// How long the late review is left lying: half a day longer than it may be, and then until the next reviews.
const LATE: Duration = Duration::from_seconds(7 * 24 * HOUR + 12 * HOUR);
/// How long ago media were last looked at: longer than that counts.
const LOOKED_AT_MEDIA: Duration = Duration::from_days(110);

/// Something that happens once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Arrive,
    Come(usize),
    Propose(u32),
    Approve(u32),
    Acknowledge(u32, Name),
    AttestMedia,
    AttestWording,
    ExceptMonitoring,
    EndException,
    ExceptRegions,
    LeaveLying,
    FailToSignIn,
    Erase(u32),
    Suspend,
    Resume,
    Rotate,
    Retire,
    RotateProvider,
    Hold,
    Lift,
    TooMuch,
    Object,
    Restore,
    AskLaw,
    AskAnothers,
    Leave,
    Audit,
    ForTheVisitor,
}

/// One of the people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Lead,
    Jonas,
    Priya,
    Tomasz,
    Elena,
    Samuel,
}

/// Day of the story, minute of the day, and what happens. In order.
const PLOT: [(u32, i64, Scene); 49] = [
    (0, 540, Scene::Arrive),
    (0, 615, Scene::Come(0)),
    (0, 660, Scene::Come(1)),
    (1, 570, Scene::Propose(1)),
    (1, 840, Scene::Approve(1)),
    (1, 900, Scene::Acknowledge(1, Name::Lead)),
    (2, 545, Scene::Acknowledge(1, Name::Priya)),
    (2, 550, Scene::Acknowledge(1, Name::Jonas)),
    (2, 635, Scene::AttestMedia),
    (3, 565, Scene::Acknowledge(1, Name::Tomasz)),
    (3, 566, Scene::Acknowledge(1, Name::Samuel)),
    (3, 640, Scene::Come(2)),
    (4, 580, Scene::Acknowledge(1, Name::Elena)),
    (4, 620, Scene::Come(3)),
    (5, 705, Scene::ExceptMonitoring),
    (6, 665, Scene::LeaveLying),
    (7, 815, Scene::AskAnothers),
    (8, 1_290, Scene::FailToSignIn),
    (9, 620, Scene::Erase(2)),
    (10, 570, Scene::Suspend),
    (12, 570, Scene::Resume),
    (13, 640, Scene::Rotate),
    (15, 590, Scene::Hold),
    (16, 650, Scene::Retire),
    (17, 615, Scene::TooMuch),
    (18, 560, Scene::Object),
    (18, 705, Scene::EndException),
    (19, 640, Scene::Restore),
    (20, 645, Scene::RotateProvider),
    (21, 620, Scene::AskLaw),
    (22, 620, Scene::Leave),
    (23, 830, Scene::AskAnothers),
    (24, 590, Scene::Lift),
    (25, 615, Scene::Audit),
    (27, 610, Scene::Propose(2)),
    (28, 630, Scene::Approve(2)),
    (28, 700, Scene::Acknowledge(2, Name::Jonas)),
    (29, 590, Scene::Acknowledge(2, Name::Tomasz)),
    (30, 640, Scene::AttestWording),
    (31, 600, Scene::Acknowledge(2, Name::Priya)),
    (31, 1_310, Scene::FailToSignIn),
    (32, 615, Scene::Acknowledge(2, Name::Elena)),
    (33, 615, Scene::Audit),
    (35, 640, Scene::ExceptRegions),
    (36, 620, Scene::Erase(3)),
    (37, 820, Scene::AskAnothers),
    (39, 615, Scene::Audit),
    (40, 625, Scene::Erase(1)),
    (41, 640, Scene::ForTheVisitor),
];

/// What is on the agenda of a day.
#[derive(Clone, Copy)]
enum Item {
    Scene(Scene),
    Session(i64),
    Reviews,
}

/// The keys that stay with the visitor.
pub(crate) struct VisitorsKeys {
    /// Of the security lead.
    pub(crate) operator: ClientKey,
    /// Of the first two customers' applications.
    pub(crate) applications: Vec<ClientKey>,
}

/// The story under way.
pub(crate) struct Story<'a> {
    stage: &'a Stage,
    start: Timestamp,
    end: Timestamp,
    days: u32,
    /// Keys that stay with the visitor, until they are given out.
    leads_key: Option<ClientKey>,
    applications_keys: Vec<ClientKey>,
    people: Option<People>,
    customers: Vec<Customer>,
    /// Hashes of the policy's versions, by number.
    versions: Vec<String>,
    exception: Option<EventId>,
    hold: Option<(HoldId, RecordId)>,
    too_much: Option<(EventId, base::ClientId)>,
    late: Option<(EventId, Timestamp)>,
    /// Acts whose review is left for later, or for the visitor.
    left: Vec<EventId>,
    is_suspended: bool,
}

/// On which day of a history of so many days a day of the story is.
pub(crate) fn day_of(day: u32, days: u32) -> u32 {
    day.saturating_mul(days).checked_div(DAYS).unwrap_or(0)
}

fn missing(what: &str) -> Failure {
    Failure::new(Exit::Failure, "demo", format!("the story has no {what} yet"))
}

impl<'a> Story<'a> {
    /// From a midnight to now.
    pub(crate) fn new(
        stage: &'a Stage,
        (start, end): (Timestamp, Timestamp),
        days: u32,
        keys: VisitorsKeys,
    ) -> Self {
        Self {
            stage,
            start,
            end,
            days,
            leads_key: Some(keys.operator),
            applications_keys: keys.applications,
            people: None,
            customers: Vec::new(),
            versions: Vec::new(),
            exception: None,
            hold: None,
            too_much: None,
            late: None,
            left: Vec::new(),
            is_suspended: false,
        }
    }

    /// Tells it to its end. `told` hears of each day.
    pub(crate) async fn tell(&mut self, mut told: impl FnMut(u32)) -> Result<(), Failure> {
        for day in 0..=self.days {
            let midnight = self.start + Duration::from_days(i64::from(day));
            for (minute, item) in self.agenda(day, midnight) {
                let at = midnight + Duration::from_seconds(minute * MINUTE);
                if at >= self.end {
                    break;
                }
                self.stage.reach(at).await?;
                match item {
                    Item::Scene(scene) => self.play(scene, day).await?,
                    Item::Session(hour) => self.work(day, hour).await?,
                    Item::Reviews => self.review(day).await?,
                }
            }
            told(day);
        }
        self.stage.reach(self.end).await
    }

    fn agenda(&self, day: u32, midnight: Timestamp) -> Vec<(i64, Item)> {
        // 1970-01-01 was a Thursday.
        let weekday = (midnight.seconds().div_euclid(24 * HOUR) + 3).rem_euclid(7);
        let mut agenda: Vec<(i64, Item)> = PLOT
            .iter()
            .filter(|(of_story, _, _)| day_of(*of_story, self.days) == day)
            .map(|(_, minute, scene)| (*minute, Item::Scene(*scene)))
            .collect();
        // Of several days of the story on one day, the earlier go first.
        let mut latest = 0;
        for (minute, _) in &mut agenda {
            latest = (*minute).max(latest);
            *minute = latest;
        }
        let mut dice = Dice::of("agenda", day);
        for hour in SESSIONS {
            if weekday < 5 || hour == 11 {
                let minute = i64::try_from(dice.between(0, 20)).unwrap_or(0);
                agenda.push((hour * 60 + minute, Item::Session(hour)));
            }
        }
        if weekday < 5 {
            agenda.push((REVIEWS * 60, Item::Reviews));
        }
        agenda.sort_by_key(|(minute, _)| *minute);
        agenda
    }

    fn people(&self) -> Result<&People, Failure> {
        self.people.as_ref().ok_or_else(|| missing("people"))
    }

    fn person(&self, name: Name) -> Result<&Person, Failure> {
        let people = self.people()?;
        Ok(match name {
            Name::Lead => &people.lead,
            Name::Jonas => &people.jonas,
            Name::Priya => &people.priya,
            Name::Tomasz => &people.tomasz,
            Name::Elena => &people.elena,
            Name::Samuel => &people.samuel,
        })
    }

    fn customer(&self, at: usize) -> Result<&Customer, Failure> {
        self.customers.get(at).ok_or_else(|| missing("customer"))
    }

    /// The applications of all customers work at once, each for a few minutes.
    async fn work(&self, day: u32, hour: i64) -> Result<(), Failure> {
        let at_work = self.customers.iter().enumerate().filter(|(at, _)| *at != 3 || !self.is_suspended);
        let sessions = at_work.map(|(_, customer)| work::session(self.stage, customer, day, hour));
        futures::future::try_join_all(sessions).await.map(|_| ())
    }

    async fn review(&mut self, day: u32) -> Result<(), Failure> {
        let (stage, people) = (self.stage, self.people()?);
        let mut reviewers = vec![&people.jonas, &people.priya, &people.lead, &people.tomasz];
        reviewers.rotate_left(usize::try_from(day % 2).unwrap_or(0));
        reviews::sign_open(stage, &reviewers, &self.left).await?;
        if let Some((event, done)) = self.late
            && stage.now() >= done.plus(LATE)
        {
            let note = "found at the end of a vacation; in order";
            reviews::sign(stage, &people.jonas, event, Verdict::InOrder, note).await?;
            self.late = None;
        }
        Ok(())
    }

    async fn play(&mut self, scene: Scene, day: u32) -> Result<(), Failure> {
        let stage = self.stage;
        match scene {
            Scene::Arrive | Scene::Come(_) | Scene::Leave => self.come_and_go(scene).await,
            Scene::Propose(_)
            | Scene::Approve(_)
            | Scene::Acknowledge(..)
            | Scene::AttestMedia
            | Scene::AttestWording
            | Scene::ExceptMonitoring
            | Scene::EndException
            | Scene::ExceptRegions
            | Scene::Audit => self.govern(scene).await,
            Scene::LeaveLying | Scene::TooMuch | Scene::Object | Scene::ForTheVisitor => {
                self.register(scene).await
            }
            Scene::FailToSignIn => lifecycle::fail_to_sign_in(stage, self.customer(0)?, 4).await,
            Scene::Erase(count) => lifecycle::erase_some(stage, self.customer(0)?, day, count).await,
            Scene::Restore => lifecycle::restore(stage, self.customer(0)?, day).await,
            Scene::AskLaw => lifecycle::ask_to_erase_what_law_keeps(stage, self.customer(0)?, day).await,
            Scene::AskAnothers => {
                let mut dice = Dice::of("another's", day);
                let anothers = self.customer(0)?.repository("patient-files")?;
                work::ask_for_anothers(stage, self.customer(1)?, anothers, &mut dice).await
            }
            Scene::Suspend => {
                self.is_suspended = true;
                lifecycle::suspend(stage, self.person(Name::Priya)?, self.customer(3)?).await
            }
            Scene::Resume => {
                self.is_suspended = false;
                lifecycle::resume(stage, self.person(Name::Priya)?, self.customer(3)?).await
            }
            Scene::Rotate => {
                let (by, of) = (self.person(Name::Tomasz)?, self.customer(0)?);
                lifecycle::rotate_account(stage, by, of).await.map(|_| ())
            }
            Scene::Retire => {
                lifecycle::retire_account(stage, self.person(Name::Tomasz)?, self.customer(0)?, 1).await
            }
            Scene::RotateProvider => lifecycle::rotate_provider(stage, self.person(Name::Lead)?).await,
            Scene::Hold => {
                self.hold = Some(lifecycle::hold(stage, self.customer(0)?, day).await?);
                Ok(())
            }
            Scene::Lift => {
                let held = self.hold.take().ok_or_else(|| missing("hold"))?;
                lifecycle::lift(stage, self.customer(0)?, held).await
            }
        }
    }

    async fn come_and_go(&mut self, scene: Scene) -> Result<(), Failure> {
        let stage = self.stage;
        match scene {
            Scene::Arrive => {
                let key = self.leads_key.take().ok_or_else(|| missing("visitor"))?;
                let link = stage::first_link(&stage.access).await?;
                self.people = Some(People::arrive(stage, link, key).await?);
            }
            Scene::Come(at) => {
                let plan = CUSTOMERS.get(at).ok_or_else(|| missing("customer"))?;
                let key = self.applications_keys.pop();
                let by = self.person(if at % 2 == 0 { Name::Jonas } else { Name::Priya })?;
                let customer = Customer::come(stage, plan, by, key).await?;
                self.customers.push(customer);
            }
            _ => {
                let (lead, samuel) = (self.person(Name::Lead)?, self.person(Name::Samuel)?);
                let operator = lead.principal(stage).await?;
                let revoked = stage.access.operator_revoke(&operator, samuel.id).await;
                revoked.map_err(|error| super::failed(&error))?.into_inner();
            }
        }
        Ok(())
    }

    async fn govern(&mut self, scene: Scene) -> Result<(), Failure> {
        let stage = self.stage;
        let hash = |version: u32| {
            let at = usize::try_from(version).unwrap_or(0).checked_sub(1);
            at.and_then(|at| self.versions.get(at)).cloned().ok_or_else(|| missing("version"))
        };
        match scene {
            Scene::Propose(version) => {
                let hash = governance::propose(stage, self.person(Name::Tomasz)?, version).await?;
                self.versions.push(hash);
            }
            Scene::Approve(version) => {
                governance::approve(stage, self.person(Name::Jonas)?, version, &hash(version)?).await?;
            }
            Scene::Acknowledge(version, name) => {
                governance::acknowledge(stage, self.person(name)?, version, &hash(version)?).await?;
            }
            Scene::AttestMedia => {
                let looked = Some(self.end.minus(LOOKED_AT_MEDIA));
                let what = (7, "seven disks of imaging devices were shredded, by the disposer's receipts");
                governance::attest(stage, self.person(Name::Priya)?, "media-disposed", what, looked).await?;
            }
            Scene::AttestWording => {
                let what =
                    (4, "each of four customers signs in for its own account, and was refused another's");
                governance::attest(stage, self.person(Name::Jonas)?, "wording/CD-8", what, None).await?;
            }
            Scene::ExceptMonitoring => {
                let until = self.end + Duration::from_days(14);
                let who = (self.person(Name::Tomasz)?, self.person(Name::Tomasz)?);
                let reason = "alarms reach one person alone until the rota is staffed";
                self.exception = Some(governance::except(stage, who, "MS-1", reason, until).await?);
            }
            Scene::EndException => {
                let id = self.exception.take().ok_or_else(|| missing("exception"))?;
                governance::end_exception(stage, self.person(Name::Priya)?, id).await?;
            }
            Scene::ExceptRegions => {
                let until = self.end + Duration::from_days(30);
                let who = (self.person(Name::Tomasz)?, self.person(Name::Priya)?);
                let reason = "the second region is contracted for, and nothing is replicated to it yet";
                governance::except(stage, who, "CD-1", reason, until).await?;
            }
            _ => {
                let account = self.customer(0)?.account;
                governance::audit(stage, self.person(Name::Elena)?, account).await?;
            }
        }
        Ok(())
    }

    /// Applications that are registered, and what a second person makes of that.
    async fn register(&mut self, scene: Scene) -> Result<(), Failure> {
        let stage = self.stage;
        let reads = ScopeSet::parse("records:read").map_err(|error| Failure::usage(error.to_string()))?;
        match scene {
            Scene::LeaveLying => {
                let (by, of) = (self.person(Name::Tomasz)?, self.customer(2)?);
                let (event, _) = lifecycle::one_more_application(stage, by, of, ("export", reads)).await?;
                self.late = Some((event, stage.now()));
                self.left.push(event);
            }
            Scene::TooMuch => {
                let (by, of) = (self.person(Name::Samuel)?, self.customer(1)?);
                let what = ("migration", ScopeSet::all());
                let made = lifecycle::one_more_application(stage, by, of, what).await?;
                self.left.push(made.0);
                self.too_much = Some(made);
            }
            Scene::Object => {
                let (event, client) = self.too_much.take().ok_or_else(|| missing("application"))?;
                let jonas = self.person(Name::Jonas)?;
                let note = "nobody at globex asked for it, and it may do everything";
                reviews::sign(stage, jonas, event, Verdict::Objection, note).await?;
                stage.pass(Duration::from_seconds(90)).await?;
                lifecycle::revoke(stage, jonas, client).await?;
            }
            _ => {
                let (by, of) = (self.person(Name::Priya)?, self.customer(2)?);
                let (event, _) = lifecycle::one_more_application(stage, by, of, ("reports", reads)).await?;
                self.left.push(event);
                let (by, of) = (self.person(Name::Tomasz)?, self.customer(1)?);
                stage.pass(Duration::from_seconds(1_200)).await?;
                let event = lifecycle::rotate_account(stage, by, of).await?;
                self.left.push(event);
            }
        }
        Ok(())
    }

    /// What the visitor's profiles are of: the security lead, and the applications of the first two customers.
    pub(crate) fn visitor(&self) -> Result<(&Person, Vec<&Customer>), Failure> {
        Ok((self.person(Name::Lead)?, self.customers.iter().take(2).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plot_is_in_order_at_each_length() {
        assert!(PLOT.is_sorted_by_key(|(day, minute, _)| (*day, *minute)));
        for days in [14, 20, 42, 90] {
            let last = PLOT.iter().map(|(day, _, _)| day_of(*day, days)).max();
            assert!(last.is_some_and(|last| last < days), "{days}");
        }
        assert_eq!((day_of(41, 42), day_of(41, 14), day_of(41, 84)), (41, 13, 82));
    }
}
