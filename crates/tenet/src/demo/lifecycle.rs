//! What happens to data and accounts in the story: a legal hold, erasures and their certificates, a suspension, rotations
//! of keys, an application too many. And sign-ins that fail.

use access::{AccessError, Action, Resource, ScopeSet};
use base::{ClientId, Duration, EventId, HoldId, RecordId};
use vault::{HoldDecision, HoldTarget, Target, VaultError};

use super::{
    customers::{Customer, Repository, register},
    dice::Dice,
    failed,
    people::{Person, new_key},
    work,
};
use crate::{
    failure::{Exit, Failure},
    server::stage::Stage,
};

const COUNSEL: &str = "R. Abernathy, counsel";

fn unexpected(what: &str) -> Failure {
    Failure::new(Exit::Failure, "demo", format!("the demonstration found that {what}"))
}

/// A letter is put under a legal hold; erasing it is refused. The hold, and what it keeps.
pub(crate) async fn hold(
    stage: &Stage,
    customer: &Customer,
    day: u32,
) -> Result<(HoldId, RecordId), Failure> {
    let letters = customer.repository("correspondence")?;
    let mut dice = Dice::of("hold", day);
    let record = work::store_one(stage, customer, letters, &mut dice).await?;
    letters.forget(record);
    stage.pass(Duration::from_seconds(200)).await?;
    let target = Target::Record(letters.id, record);
    let (scope, decided) = customer.within(stage, letters, Action::HoldSet).await?;
    let why = HoldDecision { person: COUNSEL, reason: "inquiry 2207 of the medical board" };
    let set = stage.vault.hold_set(&scope, HoldTarget::One(target), why, &decided).await;
    let hold = set.map_err(|error| failed(&error))?.into_inner().id;
    stage.pass(Duration::from_seconds(3_000)).await?;
    let (scope, decided) = customer.within(stage, letters, Action::RecordErase).await?;
    match stage.vault.erase(&scope, target, None, &decided).await {
        Err(VaultError::Held) => Ok((hold, record)),
        Err(error) => Err(failed(&error)),
        Ok(_) => Err(unexpected("what a legal hold keeps was erased")),
    }
}

/// The hold is lifted, and what it kept is erased.
pub(crate) async fn lift(
    stage: &Stage,
    customer: &Customer,
    (hold, record): (HoldId, RecordId),
) -> Result<(), Failure> {
    let letters = customer.repository("correspondence")?;
    let (scope, decided) = customer.within(stage, letters, Action::HoldLift).await?;
    let why = HoldDecision { person: COUNSEL, reason: "the inquiry was closed" };
    stage.vault.hold_lift(&scope, hold, why, &decided).await.map_err(|error| failed(&error))?.into_inner();
    stage.pass(Duration::from_seconds(120)).await?;
    erase_one(stage, customer, letters, record).await
}

async fn erase_one(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    record: RecordId,
) -> Result<(), Failure> {
    let (scope, decided) = customer.within(stage, repository, Action::RecordErase).await?;
    let target = Target::Record(repository.id, record);
    stage.vault.erase(&scope, target, None, &decided).await.map_err(|error| failed(&error))?.into_inner();
    repository.forget(record);
    Ok(())
}

/// Patients ask for letters to be erased; each leaves a certificate, which is read.
pub(crate) async fn erase_some(
    stage: &Stage,
    customer: &Customer,
    day: u32,
    count: u32,
) -> Result<(), Failure> {
    let letters = customer.repository("correspondence")?;
    let mut dice = Dice::of("erasures", day);
    for _ in 0..count {
        let record = work::store_one(stage, customer, letters, &mut dice).await?;
        stage.pass(Duration::from_seconds(70)).await?;
        erase_one(stage, customer, letters, record).await?;
        let (scope, decided) = customer.within(stage, letters, Action::CertificateRead).await?;
        let read = stage.vault.certificate_of(&scope, Target::Record(letters.id, record), &decided).await;
        read.map_err(|error| failed(&error))?;
        stage.pass(Duration::from_seconds(240)).await?;
    }
    Ok(())
}

/// Somebody asks for a patient's file to be erased, which the law says to keep: refused.
pub(crate) async fn ask_to_erase_what_law_keeps(
    stage: &Stage,
    customer: &Customer,
    day: u32,
) -> Result<(), Failure> {
    let papers = customer.repository("patient-files")?;
    let mut dice = Dice::of("law", day);
    let Some((record, _)) = papers.some_record(stage, &mut dice) else { return Ok(()) };
    let (scope, decided) = customer.within(stage, papers, Action::RecordErase).await?;
    match stage.vault.erase(&scope, Target::Record(papers.id, record), None, &decided).await {
        Err(VaultError::Retained { .. }) => Ok(()),
        Err(error) => Err(failed(&error)),
        Ok(_) => Err(unexpected("what the law keeps was erased")),
    }
}

/// A record is deleted by mistake, and restored.
pub(crate) async fn restore(stage: &Stage, customer: &Customer, day: u32) -> Result<(), Failure> {
    let letters = customer.repository("correspondence")?;
    let mut dice = Dice::of("restore", day);
    let Some((record, _)) = letters.some_record(stage, &mut dice) else { return Ok(()) };
    let target = Target::Record(letters.id, record);
    let (scope, decided) = customer.within(stage, letters, Action::RecordDelete).await?;
    stage
        .vault
        .delete(&scope, target, None, None, &decided)
        .await
        .map_err(|error| failed(&error))?
        .into_inner();
    stage.pass(Duration::from_seconds(600)).await?;
    let (scope, decided) = customer.within(stage, letters, Action::RecordRestore).await?;
    let restored = stage.vault.restore(&scope, target, None, None, &decided).await;
    restored.map(|_| ()).map_err(|error| failed(&error))
}

/// An account is suspended: its application can't sign in any more.
pub(crate) async fn suspend(stage: &Stage, by: &Person, customer: &Customer) -> Result<(), Failure> {
    let operator = by.principal(stage).await?;
    let suspended = stage.access.account_suspend(&operator, customer.account).await;
    suspended.map_err(|error| failed(&error))?.into_inner();
    for _ in 0..3 {
        stage.pass(Duration::from_seconds(600)).await?;
        match customer.application.who.sign_in(stage).await {
            Err(AccessError::Suspended) => {}
            Err(error) => return Err(failed(&error)),
            Ok(_) => return Err(unexpected("a suspended account's application signed in")),
        }
    }
    Ok(())
}

/// It is resumed.
pub(crate) async fn resume(stage: &Stage, by: &Person, customer: &Customer) -> Result<(), Failure> {
    let operator = by.principal(stage).await?;
    let resumed = stage.access.account_resume(&operator, customer.account).await;
    resumed.map(|_| ()).map_err(|error| failed(&error))
}

/// The key of an account is rotated: a job wraps its data keys anew, within the day. The event.
pub(crate) async fn rotate_account(
    stage: &Stage,
    by: &Person,
    customer: &Customer,
) -> Result<EventId, Failure> {
    let operator = by.principal(stage).await?;
    let resource = Resource::new().id(customer.account).in_account(customer.account);
    let asked = stage.access.operate(&operator, Action::KeyRotate, &resource).await;
    let (scope, decision) = asked.map_err(|error| failed(&error))?;
    let keys = stage.keys.decided_by(decision.policies());
    let begun = keys.rotate_account(scope, customer.account).await;
    Ok(begun.map_err(|error| failed(&error))?.event_id())
}

/// The old version of an account's key is retired.
pub(crate) async fn retire_account(
    stage: &Stage,
    by: &Person,
    customer: &Customer,
    version: u32,
) -> Result<(), Failure> {
    let operator = by.principal(stage).await?;
    let resource = Resource::new().id(customer.account).in_account(customer.account);
    let asked = stage.access.operate(&operator, Action::KeyRetire, &resource).await;
    let (scope, decision) = asked.map_err(|error| failed(&error))?;
    let keys = stage.keys.decided_by(decision.policies());
    keys.retire_account(scope, customer.account, version).await.map_err(|error| failed(&error))
}

/// The provider key is rotated.
pub(crate) async fn rotate_provider(stage: &Stage, by: &Person) -> Result<(), Failure> {
    let operator = by.principal(stage).await?;
    let asked = stage.access.operate(&operator, Action::KeyRotate, &Resource::new()).await;
    let (scope, decision) = asked.map_err(|error| failed(&error))?;
    let begun = stage.keys.decided_by(decision.policies()).rotate_provider(scope).await;
    begun.map_err(|error| failed(&error))?.into_inner();
    Ok(())
}

/// One more application of a customer, with every scope: its event, which a second person looks at, and its id.
pub(crate) async fn one_more_application(
    stage: &Stage,
    by: &Person,
    customer: &Customer,
    (name, scopes): (&str, ScopeSet),
) -> Result<(EventId, ClientId), Failure> {
    let key = new_key(stage)?;
    let made = register(stage, by, (customer.account, customer.plan), (name, scopes, None), key).await?;
    Ok((made.event, made.id))
}

/// An application is revoked for good.
pub(crate) async fn revoke(stage: &Stage, by: &Person, client: ClientId) -> Result<(), Failure> {
    let operator = by.principal(stage).await?;
    let revoked = stage.access.client_revoke(&operator, client).await;
    revoked.map(|_| ()).map_err(|error| failed(&error))
}

/// Somebody without the key tries to sign in as a customer's application.
pub(crate) async fn fail_to_sign_in(stage: &Stage, customer: &Customer, times: u32) -> Result<(), Failure> {
    for _ in 0..times {
        let key = new_key(stage)?;
        match customer.application.who.sign_in_with(stage, &key).await {
            Err(AccessError::InvalidClient) => {}
            Err(error) => return Err(failed(&error)),
            Ok(_) => return Err(unexpected("an application signed in with another's key")),
        }
        stage.pass(Duration::from_seconds(20)).await?;
    }
    Ok(())
}
