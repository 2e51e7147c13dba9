//! The routes, all of them, in one list.

mod accounts;
mod alarms;
mod batch;
mod certificates;
mod clients;
mod console_codes;
mod customers;
pub(crate) mod enrol;
pub(crate) mod events;
mod evidence;
mod health;
mod holds;
mod keys;
mod lifecycle;
mod log;
mod objects;
mod operator_sessions;
mod operators;
mod page;
mod policy;
mod reconcile;
mod record_lists;
mod records;
mod repositories;
mod reviews;
mod revoke;
mod safeguards;
mod subjects;
pub(crate) mod token;

use access::Action;
use ledger::Activity as Did;

use crate::route::{
    Callers::{Anyone, Client, Either, Operator, SigningIn},
    Route, route,
};

/// Every route. What is not here is not served; the tests hold this list against a table.
pub(crate) fn all() -> Vec<Route> {
    [
        open(),
        tokens(),
        operators(),
        policies(),
        alarms(),
        accounts(),
        keys(),
        repositories(),
        records(),
        objects(),
        holds(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn open() -> Vec<Route> {
    vec![
        route::<health::__path_healthz, _, _>("health", Anyone, health::healthz).probe(),
        route::<health::__path_readyz, _, _>("health", Anyone, health::readyz).probe(),
        route::<health::__path_metrics, _, _>("health", Anyone, health::metrics),
        route::<health::__path_openapi, _, _>("health", Anyone, health::openapi),
        route::<log::__path_checkpoint, _, _>("log", Anyone, log::checkpoint).finds(),
        route::<log::__path_tile, _, _>("log", Anyone, log::tile).finds().rest(),
        route::<log::__path_key, _, _>("log", Anyone, log::key),
        route::<log::__path_proof, _, _>("log", Anyone, log::proof).finds(),
    ]
}

fn tokens() -> Vec<Route> {
    vec![
        route::<token::__path_jwks, _, _>("tokens", Anyone, token::jwks),
        route::<token::__path_issue, _, _>("tokens", SigningIn, token::issue).document().oauth().events(&[
            Did::AuthSucceed,
            Did::TokenIssue,
            Did::AuthFail,
            Did::TokenRefuse,
        ]),
        route::<revoke::__path_revoke, _, _>("tokens", Either, revoke::revoke)
            .document()
            .finds()
            .changes()
            .events(&[Did::TokenRevoke]),
    ]
}

fn operators() -> Vec<Route> {
    vec![
        route::<enrol::__path_enrol, _, _>("operators", SigningIn, enrol::enrol)
            .document()
            .changes()
            .events(&[Did::OperatorEnrol, Did::AuthFail]),
        route::<console_codes::__path_create, _, _>(
            "operators",
            Operator(Action::SessionOpen),
            console_codes::create,
        )
        .changes()
        .events(&[Did::SessionCode]),
        route::<operators::__path_invite, _, _>(
            "operators",
            Operator(Action::OperatorInvite),
            operators::invite,
        )
        .document()
        .changes()
        .events(&[Did::OperatorLinkCreate]),
        route::<operators::__path_list, _, _>("operators", Operator(Action::OperatorList), operators::list)
            .events(&[Did::OperatorList]),
        route::<operators::__path_revoke, _, _>(
            "operators",
            Operator(Action::OperatorRevoke),
            operators::revoke,
        )
        .finds()
        .changes()
        .events(&[Did::OperatorRevoke]),
        route::<operator_sessions::__path_list, _, _>(
            "operators",
            Operator(Action::OperatorRead),
            operator_sessions::list,
        )
        .finds()
        .events(&[Did::OperatorRead]),
        route::<operator_sessions::__path_end, _, _>(
            "operators",
            Operator(Action::OperatorSessionsEnd),
            operator_sessions::end,
        )
        .finds()
        .changes()
        .events(&[Did::OperatorSessionsEnd]),
        route::<events::__path_search, _, _>("log", Operator(Action::LogRead), events::search)
            .events(&[Did::LogSearch]),
        route::<reconcile::__path_start, _, _>("log", Operator(Action::LogReconcile), reconcile::start)
            .events(&[Did::LogReconcileAsk]),
        route::<subjects::__path_source, _, _>("log", Operator(Action::LogSource), subjects::source)
            .finds()
            .events(&[Did::LogSourceRead, Did::KeyUse]),
        route::<subjects::__path_erase, _, _>("operators", Operator(Action::SubjectErase), subjects::erase)
            .changes()
            .events(&[Did::SubjectErase, Did::KeyDestroy]),
        route::<safeguards::__path_list, _, _>("log", Operator(Action::SafeguardList), safeguards::list)
            .events(&[Did::SafeguardList]),
        route::<safeguards::__path_approve, _, _>(
            "log",
            Operator(Action::SafeguardApprove),
            safeguards::approve,
        )
        .document()
        .finds()
        .changes()
        .events(&[Did::SafeguardApprove]),
        route::<reviews::__path_list, _, _>("reviews", Operator(Action::ReviewList), reviews::list)
            .events(&[Did::ReviewList]),
        route::<reviews::__path_sign, _, _>("reviews", Operator(Action::ReviewSign), reviews::sign)
            .document()
            .finds()
            .changes()
            .events(&[Did::ReviewSign, Did::ReviewObject]),
    ]
}

fn policies() -> Vec<Route> {
    let subsystem = "policy";
    vec![
        route::<policy::__path_current, _, _>(subsystem, Operator(Action::PolicyRead), policy::current)
            .finds()
            .events(&[Did::PolicyRead]),
        route::<policy::__path_list, _, _>(subsystem, Operator(Action::PolicyRead), policy::list)
            .events(&[Did::PolicyRead]),
        route::<policy::__path_propose, _, _>(subsystem, Operator(Action::PolicyPropose), policy::propose)
            .document()
            .changes()
            .events(&[Did::PolicyPropose]),
        route::<policy::__path_read, _, _>(subsystem, Operator(Action::PolicyRead), policy::read)
            .finds()
            .events(&[Did::PolicyRead]),
        route::<policy::__path_approve, _, _>(subsystem, Operator(Action::PolicyApprove), policy::approve)
            .document()
            .finds()
            .changes()
            .events(&[Did::PolicyApprove, Did::PolicyAdopt]),
        route::<policy::__path_acknowledge, _, _>(
            subsystem,
            Operator(Action::PolicyAcknowledge),
            policy::acknowledge,
        )
        .document()
        .finds()
        .changes()
        .events(&[Did::PolicyAcknowledge]),
        route::<evidence::__path_assess, _, _>(subsystem, Operator(Action::EvidenceRead), evidence::assess)
            .finds()
            .events(&[Did::EvidenceRead]),
        route::<evidence::__path_observations, _, _>(
            subsystem,
            Operator(Action::EvidenceRead),
            evidence::observations,
        )
        .finds()
        .events(&[Did::EvidenceRead]),
        route::<evidence::__path_attest, _, _>(subsystem, Operator(Action::EvidenceAttest), evidence::attest)
            .document()
            .finds()
            .changes()
            .events(&[Did::EvidenceObserve, Did::FindingOpen, Did::FindingClose]),
        route::<evidence::__path_ask, _, _>(subsystem, Operator(Action::EvidenceAsk), evidence::ask)
            .document()
            .finds()
            .events(&[Did::EvidenceAsk]),
        route::<evidence::__path_except, _, _>(subsystem, Operator(Action::ExceptionSet), evidence::except)
            .document()
            .finds()
            .changes()
            .events(&[Did::ExceptionSet]),
        route::<evidence::__path_end, _, _>(subsystem, Operator(Action::ExceptionEnd), evidence::end)
            .finds()
            .changes()
            .events(&[Did::ExceptionEnd]),
    ]
}

fn alarms() -> Vec<Route> {
    let subsystem = "alarms";
    vec![
        route::<alarms::__path_list, _, _>(subsystem, Operator(Action::AlarmList), alarms::list)
            .events(&[Did::AlarmList]),
        route::<alarms::__path_show, _, _>(subsystem, Operator(Action::AlarmList), alarms::show)
            .finds()
            .events(&[Did::AlarmList]),
        route::<alarms::__path_acknowledge, _, _>(
            subsystem,
            Operator(Action::AlarmAcknowledge),
            alarms::acknowledge,
        )
        .document()
        .finds()
        .changes()
        .events(&[Did::AlarmAcknowledge]),
        route::<alarms::__path_resolve, _, _>(subsystem, Operator(Action::AlarmResolve), alarms::resolve)
            .document()
            .finds()
            .changes()
            .events(&[Did::AlarmResolve]),
        route::<alarms::__path_test, _, _>(subsystem, Operator(Action::AlarmTest), alarms::test)
            .changes()
            .events(&[Did::AlarmTest]),
        route::<alarms::__path_routes, _, _>(subsystem, Operator(Action::AlarmList), alarms::routes)
            .events(&[Did::AlarmList]),
    ]
}

fn accounts() -> Vec<Route> {
    vec![
        route::<accounts::__path_create, _, _>("accounts", Operator(Action::AccountCreate), accounts::create)
            .document()
            .changes()
            .events(&[Did::AccountCreate, Did::KeyCreate]),
        route::<accounts::__path_list, _, _>("accounts", Operator(Action::AccountList), accounts::list)
            .events(&[Did::AccountList]),
        route::<accounts::__path_suspend, _, _>(
            "accounts",
            Operator(Action::AccountSuspend),
            accounts::suspend,
        )
        .finds()
        .changes()
        .events(&[Did::AccountSuspend]),
        route::<accounts::__path_resume, _, _>("accounts", Operator(Action::AccountResume), accounts::resume)
            .finds()
            .changes()
            .events(&[Did::AccountResume]),
        route::<customers::__path_invite, _, _>(
            "accounts",
            Operator(Action::CustomerInvite),
            customers::invite,
        )
        .document()
        .finds()
        .changes()
        .events(&[Did::OperatorLinkCreate]),
        route::<customers::__path_list, _, _>("accounts", Operator(Action::CustomerList), customers::list)
            .finds()
            .events(&[Did::OperatorList]),
        route::<clients::__path_create, _, _>("accounts", Operator(Action::ClientCreate), clients::create)
            .document()
            .finds()
            .changes()
            .events(&[Did::ClientCreate]),
        route::<clients::__path_list, _, _>("accounts", Operator(Action::ClientList), clients::list)
            .finds()
            .events(&[Did::ClientList]),
        route::<clients::__path_revoke, _, _>("accounts", Operator(Action::ClientRevoke), clients::revoke)
            .finds()
            .changes()
            .events(&[Did::ClientRevoke]),
    ]
}

fn keys() -> Vec<Route> {
    vec![
        route::<keys::__path_status, _, _>("keys", Operator(Action::KeyStatus), keys::status)
            .events(&[Did::KeyStatus]),
        route::<keys::__path_rotate, _, _>("keys", Operator(Action::KeyRotate), keys::rotate)
            .changes()
            .events(&[Did::KeyRotate]),
        route::<keys::__path_retire, _, _>("keys", Operator(Action::KeyRetire), keys::retire)
            .finds()
            .changes()
            .events(&[Did::KeyRetire]),
        route::<keys::__path_account_status, _, _>("keys", Operator(Action::KeyStatus), keys::account_status)
            .finds()
            .events(&[Did::KeyStatus]),
        route::<keys::__path_rotate_account, _, _>("keys", Operator(Action::KeyRotate), keys::rotate_account)
            .finds()
            .changes()
            .events(&[Did::KeyRotate]),
        route::<keys::__path_retire_account, _, _>("keys", Operator(Action::KeyRetire), keys::retire_account)
            .finds()
            .changes()
            .events(&[Did::KeyRetire]),
    ]
}

fn repositories() -> Vec<Route> {
    vec![
        route::<repositories::__path_create, _, _>(
            "repositories",
            Client(Action::RepositoryCreate),
            repositories::create,
        )
        .document()
        .changes()
        .events(&[Did::RepositoryCreate]),
        route::<repositories::__path_list, _, _>(
            "repositories",
            Client(Action::RepositoryList),
            repositories::list,
        )
        .events(&[Did::RepositoryList]),
        route::<repositories::__path_read, _, _>(
            "repositories",
            Client(Action::RepositoryRead),
            repositories::read,
        )
        .finds()
        .events(&[Did::RepositoryRead]),
        route::<repositories::__path_change, _, _>(
            "repositories",
            Client(Action::RepositoryUpdate),
            repositories::change,
        )
        .document()
        .finds()
        .changes()
        .if_match()
        .events(&[Did::RepositoryUpdate]),
    ]
}

fn records() -> Vec<Route> {
    let subsystem = "records";
    vec![
        route::<records::__path_create, _, _>(subsystem, Client(Action::RecordCreate), records::create)
            .document()
            .finds()
            .changes()
            .once()
            .events(&[Did::RecordCreate, Did::IdempotencyReplay]),
        route::<records::__path_read, _, _>(subsystem, Client(Action::RecordRead), records::read)
            .finds()
            .events(&[Did::RecordRead]),
        route::<records::__path_replace, _, _>(subsystem, Client(Action::RecordUpdate), records::replace)
            .document()
            .finds()
            .changes()
            .if_match()
            .once()
            .events(&[Did::RecordUpdate, Did::IdempotencyReplay]),
        route::<records::__path_patch, _, _>(subsystem, Client(Action::RecordPatch), records::patch)
            .document()
            .finds()
            .changes()
            .if_match()
            .once()
            .events(&[Did::RecordPatch, Did::IdempotencyReplay]),
        route::<record_lists::__path_list, _, _>(subsystem, Client(Action::RecordList), record_lists::list)
            .finds()
            .events(&[Did::RecordList]),
        route::<record_lists::__path_search, _, _>(
            subsystem,
            Client(Action::RecordSearch),
            record_lists::search,
        )
        .document()
        .finds()
        .events(&[Did::RecordSearch]),
        route::<record_lists::__path_versions, _, _>(
            subsystem,
            Client(Action::RecordVersions),
            record_lists::versions,
        )
        .finds()
        .events(&[Did::RecordVersions]),
        route::<batch::__path_write, _, _>(subsystem, Client(Action::RecordBatch), batch::write)
            .document()
            .finds()
            .changes()
            .preconditions()
            .once()
            .events(&[
                Did::RecordBatch,
                Did::RecordCreate,
                Did::RecordUpdate,
                Did::RecordPatch,
                Did::RecordDelete,
                Did::IdempotencyReplay,
            ]),
        route::<lifecycle::__path_delete_record, _, _>(
            subsystem,
            Client(Action::RecordDelete),
            lifecycle::delete_record,
        )
        .finds()
        .changes()
        .if_match()
        .once()
        .events(&[Did::RecordDelete, Did::IdempotencyReplay]),
        route::<lifecycle::__path_restore_record, _, _>(
            subsystem,
            Client(Action::RecordRestore),
            lifecycle::restore_record,
        )
        .finds()
        .changes()
        .if_match()
        .once()
        .events(&[Did::RecordRestore, Did::IdempotencyReplay]),
        route::<lifecycle::__path_erase_record, _, _>(
            subsystem,
            Client(Action::RecordErase),
            lifecycle::erase_record,
        )
        .finds()
        .changes()
        .if_match()
        // Of a record with many versions, each step is a `retention.act`.
        .events(&[
            Did::RecordEraseStart,
            Did::KeyDestroy,
            Did::RetentionAct,
            Did::RecordErase,
            Did::CertificateIssue,
        ]),
        route::<lifecycle::__path_explain_record, _, _>(
            subsystem,
            Client(Action::RecordExplain),
            lifecycle::explain_record,
        )
        .finds()
        .events(&[Did::RecordExplain]),
        route::<lifecycle::__path_record_certificate, _, _>(
            "certificates",
            Client(Action::CertificateRead),
            lifecycle::record_certificate,
        )
        .finds()
        .events(&[Did::CertificateRead]),
    ]
}

fn objects() -> Vec<Route> {
    let subsystem = "objects";
    vec![
        route::<objects::__path_create, _, _>(subsystem, Client(Action::ObjectCreate), objects::create)
            .stream()
            .finds()
            .changes()
            .events(&[Did::ObjectCreate]),
        route::<objects::__path_read, _, _>(subsystem, Client(Action::ObjectRead), objects::read)
            .finds()
            .ranges()
            .events(&[Did::ObjectRead]),
        route::<objects::__path_describe, _, _>(subsystem, Client(Action::ObjectRead), objects::describe)
            .finds()
            .events(&[Did::ObjectRead]),
        route::<objects::__path_list, _, _>(subsystem, Client(Action::ObjectList), objects::list)
            .finds()
            .events(&[Did::ObjectList]),
        route::<lifecycle::__path_delete_object, _, _>(
            subsystem,
            Client(Action::ObjectDelete),
            lifecycle::delete_object,
        )
        .finds()
        .changes()
        .once()
        .events(&[Did::ObjectDelete, Did::IdempotencyReplay]),
        route::<lifecycle::__path_restore_object, _, _>(
            subsystem,
            Client(Action::ObjectRestore),
            lifecycle::restore_object,
        )
        .finds()
        .changes()
        .once()
        .events(&[Did::ObjectRestore, Did::IdempotencyReplay]),
        route::<lifecycle::__path_erase_object, _, _>(
            subsystem,
            Client(Action::ObjectErase),
            lifecycle::erase_object,
        )
        .finds()
        .changes()
        .events(&[Did::ObjectEraseStart, Did::KeyDestroy, Did::ObjectErase, Did::CertificateIssue]),
        route::<lifecycle::__path_explain_object, _, _>(
            subsystem,
            Client(Action::ObjectExplain),
            lifecycle::explain_object,
        )
        .finds()
        .events(&[Did::ObjectExplain]),
        route::<lifecycle::__path_object_certificate, _, _>(
            "certificates",
            Client(Action::CertificateRead),
            lifecycle::object_certificate,
        )
        .finds()
        .events(&[Did::CertificateRead]),
    ]
}

fn holds() -> Vec<Route> {
    vec![
        route::<holds::__path_set, _, _>("holds", Client(Action::HoldSet), holds::set)
            .document()
            .finds()
            .changes()
            .events(&[Did::HoldSet]),
        route::<holds::__path_list, _, _>("holds", Client(Action::HoldList), holds::list)
            .finds()
            .events(&[Did::HoldList]),
        route::<holds::__path_lift, _, _>("holds", Client(Action::HoldLift), holds::lift)
            .document()
            .finds()
            .changes()
            .events(&[Did::HoldLift]),
        route::<certificates::__path_read, _, _>(
            "certificates",
            Client(Action::CertificateRead),
            certificates::read,
        )
        .finds()
        .events(&[Did::CertificateRead]),
    ]
}
