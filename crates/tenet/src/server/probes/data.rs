//! Checks of what is stored: of every account, by counts alone.

use base::{AccountId, Duration, ObjectId, RecordId};
use ledger::{Activity, EventQuery, OutcomeWord};
use store::{EventOrder, Survey, SystemScope};
use vault::{Counted, Surveyed};
use watch::Sight;

use super::{Grounds, Looked, why};

const DAY: Duration = Duration::from_days(1);
/// Most erasures that are looked at: the newest.
const MOST_ERASED: usize = 500;

async fn survey(grounds: &Grounds) -> Result<Surveyed, String> {
    let survey = Survey::new(grounds.data.clone()).map_err(why)?;
    grounds.vault.survey(&survey).await.map_err(why)
}

fn sight(counted: Counted, what: &str) -> Sight {
    let Counted { examined, failed } = counted;
    Sight::counted(examined, failed, format!("{examined} {what}, {failed} of them without"))
}

pub(super) async fn classified(grounds: &Grounds, _: &SystemScope) -> Looked {
    Ok(sight(
        survey(grounds).await?.classified,
        "repositories were looked at for a classification of the scheme",
    ))
}

pub(super) async fn scheduled(grounds: &Grounds, _: &SystemScope) -> Looked {
    Ok(sight(survey(grounds).await?.scheduled, "repositories were looked at for a retention schedule"))
}

pub(super) async fn nothing_overdue(grounds: &Grounds, _: &SystemScope) -> Looked {
    let seen = survey(grounds).await?;
    let Counted { examined, failed } = seen.timely;
    let summary = format!(
        "{examined} repositories without a hold, {failed} of them with something whose period ended over two days ago: {} things",
        seen.overdue
    );
    Ok(Sight::counted(examined, failed, summary))
}

pub(super) async fn encrypted(grounds: &Grounds, _: &SystemScope) -> Looked {
    let data = Survey::new(grounds.data.clone()).map_err(why)?;
    let keys = Survey::new(grounds.keys_store.clone()).map_err(why)?;
    let counted = grounds.vault.survey_keys(&data, &keys).await.map_err(why)?;
    Ok(sight(counted, "of the newest records and objects were looked at for a live data key"))
}

pub(super) async fn erasures_certified(grounds: &Grounds, _: &SystemScope) -> Looked {
    let survey = Survey::new(grounds.data.clone()).map_err(why)?;
    let mut counted = Counted::default();
    for activity in [Activity::RecordErase, Activity::ObjectErase] {
        let query = EventQuery {
            activity: Some(activity.name().to_owned()),
            outcome: Some(OutcomeWord::Success),
            from: Some(grounds.context.now().minus(DAY)),
            ..EventQuery::default()
        };
        let page = grounds
            .data
            .search_events(&query, EventOrder::NewestFirst, None, MOST_ERASED)
            .await
            .map_err(why)?;
        for one in page.found {
            let (account, id) = (one.event.object.account, bytes(&one.event.object.id));
            let (Some(account), Some(id)): (Option<AccountId>, _) = (account, id) else { continue };
            let is_there = grounds.vault.survey_certificate(&survey, account, &id).await.map_err(why)?;
            counted.examined += 1;
            counted.failed += u64::from(!is_there);
        }
    }
    Ok(sight(counted, "erasures within a day were looked at for a certificate that verifies"))
}

/// The bytes of a record's or an object's id.
fn bytes(id: &str) -> Option<[u8; 16]> {
    let record = id.parse::<RecordId>().map(|id| *id.as_bytes());
    record.or_else(|_| id.parse::<ObjectId>().map(|id| *id.as_bytes())).ok()
}
