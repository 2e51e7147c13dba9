//! A part of a working day of a customer's applications: records are stored, read, searched, changed and deleted, objects
//! are stored and read, and now and then something is asked for that is refused.

use std::collections::BTreeMap;

use access::{AccessError, Action, Resource};
use base::{Duration, Fault as _};
use bytes::Bytes;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use vault::{ListRecords, NewObject, NewRecord, SearchRecords, Target, VaultError};

use super::{
    customers::{Customer, Repository},
    dice::Dice,
    failed,
};
use crate::{
    failure::{Exit, Failure},
    server::stage::Stage,
};

/// Most records of a repository that an application remembers.
const REMEMBERED: usize = 120;

const FIRST_NAMES: [&str; 16] = [
    "Aino", "Bram", "Chiara", "Dario", "Emeka", "Freya", "Goran", "Hana", "Ines", "Jorge", "Katya", "Liam",
    "Maeve", "Noor", "Oskar", "Petra",
];
const LAST_NAMES: [&str; 16] = [
    "Almeida",
    "Brandt",
    "Castell",
    "Duval",
    "Eriksen",
    "Farrow",
    "Gallo",
    "Hofer",
    "Ivanova",
    "Jansen",
    "Kowal",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Olsen",
    "Petrov",
];
const FINDINGS: [&str; 6] =
    ["blood count", "lipid panel", "glucose", "thyroid", "vitamin D", "liver enzymes"];
const PAGES: [&str; 5] = ["opening-hours", "flu-season", "new-practice", "parking", "online-booking"];

/// What an application does with its records.
#[derive(Clone, Copy)]
enum Deed {
    Store,
    Read,
    Search,
    List,
    Change,
    Explain,
    Delete,
    StoreObject,
    ReadObject,
    AskBeyond,
}

/// Of a hundred deeds, so many of each.
const DEEDS: [(Deed, u64); 10] = [
    (Deed::Store, 34),
    (Deed::Read, 27),
    (Deed::Search, 13),
    (Deed::List, 4),
    (Deed::Change, 10),
    (Deed::Explain, 2),
    (Deed::Delete, 2),
    (Deed::StoreObject, 3),
    (Deed::ReadObject, 3),
    (Deed::AskBeyond, 2),
];

fn deed(dice: &mut Dice) -> Deed {
    let mut rolled = dice.between(0, DEEDS.iter().map(|(_, weight)| weight).sum());
    for (deed, weight) in DEEDS {
        if rolled < weight {
            return deed;
        }
        rolled -= weight;
    }
    Deed::Read
}

/// What an application does from here on, for a few minutes.
pub(crate) async fn session(stage: &Stage, customer: &Customer, day: u32, hour: i64) -> Result<(), Failure> {
    let mut dice = Dice::of(&format!("{}/{hour}", customer.plan.name), day);
    let kinds: Vec<&Repository> = customer.repositories.values().collect();
    for _ in 0..dice.between(customer.plan.busy / 2, customer.plan.busy + 1) {
        let Some(repository) = dice.pick(&kinds) else { return Ok(()) };
        act(stage, customer, repository, &mut dice).await?;
        let span = i64::try_from(dice.between(2, 14)).unwrap_or(2);
        stage.pass(Duration::from_seconds(span)).await?;
    }
    Ok(())
}

async fn act(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    match deed(dice) {
        Deed::Store => store(stage, customer, repository, dice).await,
        Deed::Read => read(stage, customer, repository, dice).await,
        Deed::Search => search(stage, customer, repository, dice).await,
        Deed::List => list(stage, customer, repository).await,
        Deed::Change => change(stage, customer, repository, dice).await,
        Deed::Explain => explain(stage, customer, repository, dice).await,
        Deed::Delete => delete(stage, customer, repository, dice).await,
        Deed::StoreObject => store_object(stage, customer, repository, dice).await,
        Deed::ReadObject => read_object(stage, customer, repository, dice).await,
        Deed::AskBeyond => ask_beyond(stage, customer, repository, dice).await,
    }
}

fn person(dice: &mut Dice) -> String {
    let first = dice.pick(&FIRST_NAMES).copied().unwrap_or_default();
    let last = dice.pick(&LAST_NAMES).copied().unwrap_or_default();
    format!("{first} {last}")
}

/// A record of that kind, and the value by which it is searched.
pub(crate) fn body(kind: &str, dice: &mut Dice) -> (Value, String) {
    let number = dice.between(10_000, 99_999);
    match kind {
        "patient-files" => {
            let patient = format!("P-{}", dice.between(100, 180));
            (
                json!({ "patient": patient, "name": person(dice), "entry": format!("consultation {number}") }),
                patient,
            )
        }
        "correspondence" => {
            let to = person(dice);
            (json!({ "to": to, "subject": "your appointment", "letter": number }), to)
        }
        "appointments" => {
            let patient = format!("P-{}", dice.between(100, 180));
            let at = format!("{:02}:{:02}", dice.between(8, 18), 15 * dice.between(0, 4));
            (json!({ "patient": patient, "at": at, "room": dice.between(1, 7) }), patient)
        }
        "lab-results" => {
            let order = format!("L-{number}");
            let test = dice.pick(&FINDINGS).copied().unwrap_or_default();
            (
                json!({ "order": order, "test": test, "value": dice.between(3, 240), "patient": person(dice) }),
                order,
            )
        }
        "orders" => {
            let order = format!("L-{number}");
            (json!({ "order": order, "tests": dice.between(1, 6), "practice": "north" }), order)
        }
        "claims" => {
            let claim = format!("C-{number}");
            (json!({ "claim": claim, "insured": person(dice), "amount": dice.between(40, 4_000) }), claim)
        }
        "newsletter" => {
            let slug = dice.pick(&PAGES).copied().unwrap_or_default().to_owned();
            (json!({ "slug": slug, "edition": number }), slug)
        }
        _ => {
            let page = dice.pick(&PAGES).copied().unwrap_or_default().to_owned();
            (json!({ "page": page, "seconds": dice.between(2, 300) }), page)
        }
    }
}

fn remembered<T>(of: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Repository {
    /// One of the records that are remembered, and surely still there.
    pub(crate) fn some_record(&self, stage: &Stage, dice: &mut Dice) -> Option<(base::RecordId, String)> {
        let left = Duration::from_days(i64::from(self.kind.days) - 1);
        let known: Vec<_> = remembered(&self.records)
            .iter()
            .filter(|(_, _, stored)| stage.now() < stored.plus(left))
            .map(|(id, value, _)| (*id, value.clone()))
            .collect();
        dice.pick(&known).cloned()
    }

    /// Forgets a record that is deleted.
    pub(crate) fn forget(&self, id: base::RecordId) {
        remembered(&self.records).retain(|(known, _, _)| *known != id);
    }
}

/// Stores a record; its id.
pub(crate) async fn store_one(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<base::RecordId, Failure> {
    let (scope, decided) = customer.within(stage, repository, Action::RecordCreate).await?;
    let (json, value) = body(repository.kind.name, dice);
    let json = json.to_string();
    let new = NewRecord { body: json.as_bytes(), classification: None };
    let stored = stage.vault.record_create(&scope, repository.id, new, None, &decided).await;
    let stored = stored.map_err(|error| failed(&error))?.into_inner();
    let mut records = remembered(&repository.records);
    records.push((stored.id, value, stored.created_at));
    if records.len() > REMEMBERED {
        records.remove(0);
    }
    Ok(stored.id)
}

async fn store(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    store_one(stage, customer, repository, dice).await.map(|_| ())
}

async fn read(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    let Some((id, _)) = repository.some_record(stage, dice) else { return Ok(()) };
    let (scope, decided) = customer.within(stage, repository, Action::RecordRead).await?;
    let found = stage.vault.record_get(&scope, (repository.id, id), None, &decided).await;
    found.map(|_| ()).map_err(|error| failed(&error))
}

async fn search(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    let Some((_, value)) = repository.some_record(stage, dice) else { return Ok(()) };
    let (scope, decided) = customer.within(stage, repository, Action::RecordSearch).await?;
    let equals = BTreeMap::from([(repository.kind.searchable.to_owned(), Value::String(value))]);
    let search =
        SearchRecords { repository: repository.id, equals: &equals, limit: 10, cursor: None, bodies: true };
    let found = stage.vault.record_search(&scope, search, &decided).await;
    found.map(|_| ()).map_err(|error| failed(&error))
}

async fn list(stage: &Stage, customer: &Customer, repository: &Repository) -> Result<(), Failure> {
    let (scope, decided) = customer.within(stage, repository, Action::RecordList).await?;
    let list =
        ListRecords { repository: repository.id, limit: 20, cursor: None, bodies: false, deleted: false };
    let found = stage.vault.record_list(&scope, list, &decided).await;
    found.map(|_| ()).map_err(|error| failed(&error))
}

async fn change(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    let Some((id, _)) = repository.some_record(stage, dice) else { return Ok(()) };
    let (scope, decided) = customer.within(stage, repository, Action::RecordPatch).await?;
    let patch = json!({ "note": format!("amended {}", dice.between(1, 1_000)) }).to_string();
    let change = NewRecord { body: patch.as_bytes(), classification: None };
    let target = (repository.id, id);
    let changed = stage.vault.record_patch(&scope, target, change, None, None, &decided).await;
    changed.map(|_| ()).map_err(|error| failed(&error))
}

async fn explain(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    let Some((id, _)) = repository.some_record(stage, dice) else { return Ok(()) };
    let (scope, decided) = customer.within(stage, repository, Action::RecordExplain).await?;
    let explained = stage.vault.explain(&scope, Target::Record(repository.id, id), &decided).await;
    explained.map(|_| ()).map_err(|error| failed(&error))
}

async fn delete(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    let Some((id, _)) = repository.some_record(stage, dice) else { return Ok(()) };
    let (scope, decided) = customer.within(stage, repository, Action::RecordDelete).await?;
    match stage.vault.delete(&scope, Target::Record(repository.id, id), None, None, &decided).await {
        Ok(_) => repository.forget(id),
        // A hold on it: the refusal is in the log.
        Err(VaultError::Held) => {}
        Err(error) => return Err(failed(&error)),
    }
    Ok(())
}

async fn store_object(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    let (scope, decided) = customer.within(stage, repository, Action::ObjectCreate).await?;
    let number = dice.between(1_000, 9_999);
    let text = format!("scan {number}\n").repeat(usize::try_from(dice.between(40, 400)).unwrap_or(40));
    let name = format!("scan-{number}.txt");
    let length = Some(text.len() as u64);
    let new = NewObject { name: &name, content_type: "text/plain", classification: None, length };
    let content = futures::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(text))]);
    let stored = stage.vault.object_put(&scope, repository.id, new, content, &decided).await;
    let id = stored.map_err(|error| failed(&error))?.into_inner().id;
    remembered(&repository.objects).push((id, stage.now()));
    Ok(())
}

async fn read_object(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    let left = Duration::from_days(i64::from(repository.kind.days) - 1);
    let known: Vec<_> = remembered(&repository.objects)
        .iter()
        .filter(|(_, stored)| stage.now() < stored.plus(left))
        .map(|(id, _)| *id)
        .collect();
    let Some(id) = dice.pick(&known).copied() else { return Ok(()) };
    let (scope, decided) = customer.within(stage, repository, Action::ObjectRead).await?;
    let found = stage.vault.object_get(&scope, (repository.id, id), None, &decided).await;
    let content = found.map_err(|error| failed(&error))?;
    let taken = content.stream.try_fold(0, |bytes, some| async move { Ok(bytes + some.len()) }).await;
    taken.map(|_| ()).map_err(|error| failed(&error))
}

/// The portal asks for a record, whose repository may be above what it is cleared for.
async fn ask_beyond(
    stage: &Stage,
    customer: &Customer,
    repository: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    let Some((id, _)) = repository.some_record(stage, dice) else { return Ok(()) };
    let caller = customer.portal.who.principal(stage, "records").await?;
    let resource = Resource::new().id(id).in_repository(repository.id).classified(&repository.label);
    match stage.access.authorize(&caller, Action::RecordRead, &resource).await {
        Err(AccessError::Denied { .. }) => Ok(()),
        Err(error) => Err(failed(&error)),
        Ok(decision) => {
            let scope = caller.scope().ok_or_else(|| Failure::usage("an application without an account"))?;
            let decided = vault::Decided { policies: decision.policies() };
            let found = stage.vault.record_get(scope, (repository.id, id), None, &decided).await;
            found.map(|_| ()).map_err(|error| failed(&error))
        }
    }
}

/// The application of one customer asks for a record of another, knowing its ids: it is as if it were not there.
pub(crate) async fn ask_for_anothers(
    stage: &Stage,
    one: &Customer,
    other: &Repository,
    dice: &mut Dice,
) -> Result<(), Failure> {
    let Some((id, _)) = other.some_record(stage, dice) else { return Ok(()) };
    let (scope, decided) = one.within(stage, other, Action::RecordRead).await?;
    match stage.vault.record_get(&scope, (other.id, id), None, &decided).await {
        Err(error) if Exit::of(error.kind()) == Exit::NotFound => Ok(()),
        Err(error) => Err(failed(&error)),
        Ok(_) => Err(Failure::new(Exit::Failure, "demo", "one account was not kept from the other's record")),
    }
}
