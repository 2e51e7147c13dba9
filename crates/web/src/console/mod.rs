//! The console: pages for people. Rendered here, from the same domain calls as the API, with the same decisions and the same
//! events; a session's cookie takes the place of a token. A page is a struct with a template; what goes wrong is a page too.
//! Nothing here decides what is allowed.

mod accounts;
mod alarms;
mod assets;
mod audit;
mod away;
mod check;
mod customers;
mod deletions;
mod enrol;
mod exceptions;
mod findings;
mod frame;
mod keys;
mod live;
mod log;
mod me;
mod own_account;
mod own_events;
mod page;
mod people;
mod person;
mod policy;
mod reviews;
mod sign_in;
mod time;
mod versions;
mod visitor;
mod who;

use access::Action;
use ledger::Activity as Did;

pub use audit::{PackFuture, Packer};
pub(crate) use page::failure;

use crate::route::{
    Callers::{Anyone, SigningIn, Visitor},
    Route, page,
};

/// Every page. What is not here is not served; the tests hold this list against a table.
pub(crate) fn all() -> Vec<Route> {
    [open(), policy(), evidence(), platform(), customers(), own()].into_iter().flatten().collect()
}

fn open() -> Vec<Route> {
    vec![
        page("GET", "/assets/{file}", Anyone, assets::asset),
        page("GET", "/sign-in", Anyone, sign_in::show),
        page("POST", "/sign-in/code", SigningIn, sign_in::by_code).events(&[
            Did::SessionBegin,
            Did::AuthSucceed,
            Did::AuthFail,
        ]),
        page("POST", "/sign-in/passkey", SigningIn, sign_in::by_passkey).events(&[
            Did::SessionBegin,
            Did::AuthSucceed,
            Did::AuthFail,
        ]),
        page("POST", "/sign-in/password", SigningIn, sign_in::by_password).events(&[
            Did::SessionBegin,
            Did::AuthSucceed,
            Did::AuthFail,
            Did::LimitExceed,
        ]),
        page("GET", "/sign-in/provider", SigningIn, away::sign_in).events(&[Did::AuthFail]),
        page("GET", "/sign-in/back", SigningIn, away::back).events(&[
            Did::OperatorEnrol,
            Did::IdentityAdd,
            Did::SessionBegin,
            Did::AuthSucceed,
            Did::AuthFail,
        ]),
        page("GET", "/enrol", Anyone, enrol::show),
        page("POST", "/enrol/password", SigningIn, enrol::enrol_by_password).events(&[
            Did::OperatorEnrol,
            Did::PasswordSet,
            Did::SessionBegin,
            Did::AuthSucceed,
            Did::AuthFail,
        ]),
        page("POST", "/enrol/provider", SigningIn, away::enrol).events(&[Did::AuthFail]),
        page("POST", "/enrol", SigningIn, enrol::enrol).events(&[
            Did::OperatorEnrol,
            Did::PasskeyAdd,
            Did::SessionBegin,
            Did::AuthSucceed,
            Did::AuthFail,
        ]),
    ]
}

fn policy() -> Vec<Route> {
    vec![
        page("GET", "/", Visitor(Action::EvidenceRead), policy::show)
            .events(&[Did::EvidenceRead, Did::PolicyRead]),
        page("GET", "/clauses/{clause}", Visitor(Action::EvidenceRead), policy::clause)
            .finds()
            .events(&[Did::EvidenceRead, Did::PolicyRead]),
        page("GET", "/versions", Visitor(Action::PolicyRead), versions::list).events(&[Did::PolicyRead]),
        page("GET", "/versions/{version}", Visitor(Action::PolicyRead), versions::show)
            .finds()
            .events(&[Did::PolicyRead]),
        page("POST", "/versions/{version}/approve", Visitor(Action::PolicyApprove), versions::approve)
            .finds()
            .events(&[Did::PolicyApprove, Did::PolicyAdopt]),
        page(
            "POST",
            "/versions/{version}/acknowledge",
            Visitor(Action::PolicyAcknowledge),
            versions::acknowledge,
        )
        .finds()
        .events(&[Did::PolicyAcknowledge]),
        page("GET", "/setup", Visitor(Action::PolicyPropose), versions::setup).events(&[Did::PolicyRead]),
        page("POST", "/setup", Visitor(Action::PolicyPropose), versions::propose)
            .events(&[Did::PolicyPropose]),
    ]
}

fn evidence() -> Vec<Route> {
    vec![
        page("GET", "/checks/{check}", Visitor(Action::EvidenceRead), check::show)
            .finds()
            .events(&[Did::EvidenceRead]),
        page("POST", "/checks/{check}/run", Visitor(Action::EvidenceAsk), check::run)
            .finds()
            .events(&[Did::EvidenceAsk]),
        page("POST", "/checks/{check}/attest", Visitor(Action::EvidenceAttest), check::attest)
            .finds()
            .events(&[Did::EvidenceObserve, Did::FindingOpen, Did::FindingClose]),
        page("GET", "/findings", Visitor(Action::EvidenceRead), findings::show).events(&[Did::EvidenceRead]),
        page("GET", "/exceptions", Visitor(Action::EvidenceRead), exceptions::show)
            .events(&[Did::EvidenceRead]),
        page("POST", "/exceptions", Visitor(Action::ExceptionSet), exceptions::set)
            .events(&[Did::ExceptionSet]),
        page("POST", "/exceptions/{exception}/end", Visitor(Action::ExceptionEnd), exceptions::end)
            .finds()
            .events(&[Did::ExceptionEnd]),
        page("GET", "/alarms", Visitor(Action::AlarmList), alarms::show).events(&[Did::AlarmList]),
        page("POST", "/alarms/test", Visitor(Action::AlarmTest), alarms::test).events(&[Did::AlarmTest]),
        page("POST", "/alarms/{alarm}/acknowledge", Visitor(Action::AlarmAcknowledge), alarms::acknowledge)
            .finds()
            .events(&[Did::AlarmAcknowledge]),
        page("POST", "/alarms/{alarm}/resolve", Visitor(Action::AlarmResolve), alarms::resolve)
            .finds()
            .events(&[Did::AlarmResolve]),
        page("GET", "/audit", Visitor(Action::LogRead), audit::show).events(&[Did::LogSearch]),
        page("GET", "/audit/pack", Visitor(Action::LogRead), audit::pack).lasting().events(&[
            Did::EvidenceRead,
            Did::PolicyRead,
            Did::LogSearch,
        ]),
        page("GET", "/live", Visitor(Action::EvidenceRead), live::live).lasting(),
    ]
}

fn platform() -> Vec<Route> {
    vec![
        page("GET", "/events", Visitor(Action::LogRead), log::show).events(&[Did::LogSearch]),
        page("GET", "/accounts", Visitor(Action::AccountList), accounts::list).events(&[Did::AccountList]),
        page("GET", "/accounts/{account}", Visitor(Action::AccountRead), accounts::show).finds().events(&[
            Did::AccountRead,
            Did::ClientList,
            Did::KeyStatus,
            Did::AccountSurvey,
            Did::OperatorList,
        ]),
        page("POST", "/accounts", Visitor(Action::AccountCreate), accounts::create)
            .events(&[Did::AccountCreate]),
        page("POST", "/accounts/{account}/suspend", Visitor(Action::AccountSuspend), accounts::suspend)
            .finds()
            .events(&[Did::AccountSuspend]),
        page("POST", "/accounts/{account}/resume", Visitor(Action::AccountResume), accounts::resume)
            .finds()
            .events(&[Did::AccountResume]),
        page("GET", "/keys", Visitor(Action::KeyStatus), keys::show).events(&[Did::KeyStatus]),
        page("GET", "/deletions", Visitor(Action::LogRead), deletions::show).events(&[Did::LogSearch]),
        page("GET", "/people", Visitor(Action::OperatorList), people::show)
            .events(&[Did::OperatorList, Did::PolicyRead]),
        page("POST", "/people/invite", Visitor(Action::OperatorInvite), people::invite)
            .events(&[Did::OperatorLinkCreate]),
        page("POST", "/people/{operator}/revoke", Visitor(Action::OperatorRevoke), people::revoke)
            .finds()
            .events(&[Did::OperatorRevoke]),
        page("GET", "/people/{operator}", Visitor(Action::OperatorRead), person::show)
            .finds()
            .events(&[Did::OperatorRead, Did::PolicyRead]),
        page(
            "POST",
            "/people/{operator}/sessions/end",
            Visitor(Action::OperatorSessionsEnd),
            person::end_sessions,
        )
        .finds()
        .events(&[Did::OperatorSessionsEnd]),
        page("GET", "/reviews", Visitor(Action::ReviewList), reviews::show).events(&[Did::ReviewList]),
        page("POST", "/reviews/{event}/sign", Visitor(Action::ReviewSign), reviews::sign)
            .finds()
            .events(&[Did::ReviewSign, Did::ReviewObject]),
    ]
}

/// Who governs an account; and, for those who do, the account itself.
fn customers() -> Vec<Route> {
    vec![
        page("POST", "/accounts/{account}/invite", Visitor(Action::CustomerInvite), customers::invite)
            .finds()
            .events(&[Did::OperatorLinkCreate]),
        page(
            "POST",
            "/accounts/{account}/people/{operator}/revoke",
            Visitor(Action::OperatorRevoke),
            customers::revoke,
        )
        .finds()
        .events(&[Did::OperatorRevoke]),
        page("GET", "/account", Visitor(Action::OwnRead), own_account::show).events(&[
            Did::AccountRead,
            Did::ClientList,
            Did::RepositoryList,
            Did::KeyStatus,
        ]),
        page("POST", "/account/clients", Visitor(Action::OwnClientCreate), own_account::create)
            .events(&[Did::ClientCreate]),
        page(
            "POST",
            "/account/clients/{client}/revoke",
            Visitor(Action::OwnClientRevoke),
            own_account::revoke,
        )
        .finds()
        .events(&[Did::ClientRevoke]),
        page("GET", "/account/events", Visitor(Action::OwnLog), own_events::show).events(&[Did::LogSearch]),
        page("GET", "/account/deletions", Visitor(Action::OwnLog), own_events::deletions)
            .events(&[Did::LogSearch]),
        page(
            "GET",
            "/account/certificates/{certificate}",
            Visitor(Action::CertificateRead),
            own_account::certificate,
        )
        .finds()
        .events(&[Did::CertificateRead]),
    ]
}

fn own() -> Vec<Route> {
    vec![
        page("GET", "/me", Visitor(Action::SessionOpen), me::show),
        page("POST", "/me/passkeys", Visitor(Action::PasskeyManage), me::add).events(&[Did::PasskeyAdd]),
        page("POST", "/me/passkeys/{passkey}/remove", Visitor(Action::PasskeyManage), me::remove)
            .finds()
            .events(&[Did::PasskeyRemove]),
        page("GET", "/me/password", Visitor(Action::PasswordManage), me::password_page),
        page("POST", "/me/password", Visitor(Action::PasswordManage), me::password_set)
            .events(&[Did::PasswordSet, Did::PasswordRemove]),
        page("POST", "/me/password/{password}/remove", Visitor(Action::PasswordManage), me::password_remove)
            .finds()
            .events(&[Did::PasswordRemove]),
        page("POST", "/me/identities", Visitor(Action::IdentityManage), away::add).events(&[Did::AuthFail]),
        page("POST", "/me/identities/{identity}/remove", Visitor(Action::IdentityManage), away::remove)
            .finds()
            .events(&[Did::IdentityRemove]),
        page("GET", "/me/back", Visitor(Action::SessionOpen), away::back_in_session).events(&[
            Did::IdentityAdd,
            Did::SessionProve,
            Did::AuthFail,
        ]),
        page("POST", "/prove/password", Visitor(Action::SessionOpen), sign_in::prove_by_password).events(&[
            Did::SessionProve,
            Did::AuthFail,
            Did::LimitExceed,
        ]),
        page("POST", "/prove/provider", Visitor(Action::SessionOpen), away::prove).events(&[Did::AuthFail]),
        page("POST", "/me/sessions/{session}/end", Visitor(Action::SessionOpen), me::end_session)
            .finds()
            .events(&[Did::SessionEnd]),
        page("GET", "/prove", Visitor(Action::SessionOpen), sign_in::prove_page),
        page("POST", "/prove", Visitor(Action::SessionOpen), sign_in::prove)
            .events(&[Did::SessionProve, Did::AuthFail]),
        page("POST", "/sign-out", Visitor(Action::SessionOpen), sign_in::sign_out).events(&[Did::SessionEnd]),
    ]
}
