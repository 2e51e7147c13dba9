//! What is looked at one by one: an account, an operator with sessions, names; and what a page may offer.

use access::{Action, OpenedSession, Principal, Resource, Role, SESSION_IDLE, Use};
use base::{AccountId, Duration, Fault, OperatorId, SessionId};
use testkit::on_both_engines;

use crate::support::House;

impl House {
    async fn open_session(&self, by: &Principal) -> OpenedSession {
        let code = self.access.session_code(by).await.unwrap().into_inner();
        let mut call = self.call();
        call.peer.address = Some([10, 0, 0, 7].into());
        self.access.session_by_code(&code.code, &call).await.unwrap().into_inner()
    }

    async fn works_in(&self, opened: &OpenedSession) -> Result<Principal, access::AccessError> {
        let mut call = self.call();
        call.peer.address = Some([10, 0, 0, 7].into());
        self.access.authenticate_session(&opened.secret, &call, Use::ByPage).await.map(|(by, _)| by)
    }
}

on_both_engines! {
    async fn one_account_is_read_as_it_is(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let made = house.access.account_create(&admin, "Acme").await.unwrap().into_inner();
        house.access.account_create(&admin, "Beta").await.unwrap().into_inner();
        let from = house.events().len();
        assert_eq!(house.access.account_get(&admin, made.id).await.unwrap(), made);
        house.access.account_suspend(&admin, made.id).await.unwrap().into_inner();
        assert!(house.access.account_get(&admin, made.id).await.unwrap().suspended.is_some());
        let unknown = AccountId::from_bytes([1; 16]);
        assert_eq!(house.access.account_get(&admin, unknown).await.unwrap_err().code(), "not-found");
        let employee = house.invite(Role::Employee, 2).await;
        let employee = house.principal(&employee).await;
        assert_eq!(house.access.account_get(&employee, made.id).await.unwrap_err().code(), "access-denied");
        let acts = house.acts_since(from);
        let read: Vec<_> = acts.iter().filter(|act| act.starts_with("account.read")).collect();
        assert_eq!(read, ["account.read ok", "account.read ok", "account.read refused account-unknown"]);
        assert_eq!(acts.last().unwrap(), "access.deny refused nothing-permits");
    }

    async fn sessions_of_somebody_are_seen_and_ended(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let engineer = house.invite(Role::Engineer, 2).await;
        let id: OperatorId = engineer.id.parse().unwrap();
        let by_engineer = house.principal(&engineer).await;
        let first = house.open_session(&by_engineer).await;
        house.h.clock.advance(Duration::from_seconds(1));
        let second = house.open_session(&by_engineer).await;
        let person = house.access.operator_get(&admin, id).await.unwrap();
        let open: Vec<_> = person.sessions.iter().map(|one| one.id).collect();
        assert_eq!(open, [second.session.id, first.session.id], "the newest first");
        assert_eq!(person.operator.role, Role::Engineer);
        assert_eq!(person.sessions[0].method, "code");
        // Nobody but an administrator ends them, and nobody but who may look sees them.
        let auditor = house.invite(Role::Auditor, 3).await;
        let auditor = house.principal(&auditor).await;
        assert_eq!(house.access.operator_get(&auditor, id).await.unwrap().sessions.len(), 2);
        assert_eq!(house.access.operator_sessions_end(&auditor, id).await.unwrap_err().code(), "access-denied");
        assert_eq!(house.access.operator_get(&by_engineer, id).await.unwrap_err().code(), "access-denied");
        assert!(house.works_in(&first).await.is_ok());
        let from = house.events().len();
        assert_eq!(house.access.operator_sessions_end(&admin, id).await.unwrap().into_inner(), 2);
        assert_eq!(house.acts_since(from), ["operator.sessions-end ok"]);
        for session in [&first, &second] {
            assert_eq!(house.works_in(session).await.unwrap_err().code(), "session-invalid");
        }
        assert!(house.access.operator_get(&admin, id).await.unwrap().sessions.is_empty());
        // Who can sign in can do so again.
        house.works_in(&house.open_session(&by_engineer).await).await.unwrap();
        let nobody = OperatorId::from_bytes([1; 16]);
        let from = house.events().len();
        assert_eq!(house.access.operator_get(&admin, nobody).await.unwrap_err().code(), "not-found");
        assert_eq!(house.access.operator_sessions_end(&admin, nobody).await.unwrap_err().code(), "not-found");
        assert_eq!(house.acts_since(from), [
            "operator.read refused operator-unknown",
            "operator.sessions-end refused operator-unknown",
        ]);
    }

    async fn what_is_over_is_no_open_session(h: Harness) {
        let house = House::open(h).await;
        let engineer = house.invite(Role::Engineer, 2).await;
        let id: OperatorId = engineer.id.parse().unwrap();
        house.open_session(&house.principal(&engineer).await).await;
        house.h.clock.advance(SESSION_IDLE);
        let admin = house.admin().await;
        assert!(house.access.operator_get(&admin, id).await.unwrap().sessions.is_empty(), "left alone");
        house.open_session(&house.principal(&engineer).await).await;
        house.access.operator_revoke(&admin, id).await.unwrap().into_inner();
        assert!(house.access.operator_get(&admin, id).await.unwrap().sessions.is_empty(), "revoked");
    }

    async fn ones_own_other_sessions_are_ended_one_by_one(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let (here, there) = (house.open_session(&admin).await, house.open_session(&admin).await);
        let by = house.works_in(&here).await.unwrap();
        assert_eq!(house.access.own_sessions(&by).await.unwrap().len(), 2);
        // A session of somebody else is none of one's own.
        let engineer = house.invite(Role::Engineer, 2).await;
        let theirs = house.open_session(&house.principal(&engineer).await).await;
        for not_mine in [theirs.session.id, SessionId::from_bytes([1; 16])] {
            assert_eq!(house.access.own_session_end(&by, not_mine).await.unwrap_err().code(), "not-found");
        }
        let from = house.events().len();
        house.access.own_session_end(&by, there.session.id).await.unwrap().into_inner();
        assert_eq!(house.acts_since(from), ["session.end ok"]);
        assert_eq!(house.works_in(&there).await.unwrap_err().code(), "session-invalid");
        assert!(house.works_in(&here).await.is_ok() && house.works_in(&theirs).await.is_ok());
    }

    async fn ending_sessions_of_others_asks_for_a_fresh_proof(h: Harness) {
        let house = House::open(h).await;
        let opened = house.open_session(&house.admin().await).await;
        house.h.clock.advance(access::FRESH);
        let by = house.works_in(&opened).await.unwrap();
        let id: OperatorId = house.administrator.id.parse().unwrap();
        assert!(house.access.operator_get(&by, id).await.is_ok(), "looking goes on");
        assert_eq!(house.access.operator_sessions_end(&by, id).await.unwrap_err().code(), "proof-needed");
        // One's own are ended without: it takes nothing from anybody else.
        house.access.own_session_end(&by, opened.session.id).await.unwrap().into_inner();
    }

    async fn names_are_for_whoever_may_know_them(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        let (account, client) = house.customer("Acme").await;
        let (who, whose, what) = (house.administrator.id.clone(), account.to_string(), client.client.id.to_string());
        let ids = [who.as_str(), whose.as_str(), what.as_str(), "evt_1", "", "opr_nonsense", "anonymous"];
        let from = house.events().len();
        let names = house.access.names(&admin, ids).await.unwrap();
        assert!(names.of(&who).is_some());
        assert_eq!((names.of(&whose), names.of(&what)), (Some("Acme"), Some("An application")));
        assert_eq!((names.of("evt_1"), names.of("anonymous")), (None, None));
        assert_eq!(house.acts_since(from), [""; 0], "what they stand beside has its own event");
        let employee = house.invite(Role::Employee, 2).await;
        let names = house.access.names(&house.principal(&employee).await, ids).await.unwrap();
        assert!(names.of(&who).is_some(), "people know one another");
        assert_eq!((names.of(&whose), names.of(&what)), (None, None), "and no customer");
        let client = house.authenticate(&house.client_token(&client).await.unwrap()).await.unwrap();
        assert!(house.access.names(&client, ids).await.unwrap().of(&who).is_none(), "a customer knows nobody");
        // However many there are: some have names, and nothing fails.
        let many: Vec<String> = (0..400u32).map(|one| OperatorId::from_bytes(u128::from(one).to_be_bytes()).to_string()).collect();
        house.access.names(&admin, many.iter().map(String::as_str)).await.unwrap();
    }

    async fn what_may_be_offered_is_what_is_then_allowed(h: Harness) {
        let house = House::open(h).await;
        for (role, seed) in Role::ALL.into_iter().zip(2u8..) {
            let person = house.invite(role, seed).await;
            let by = house.principal(&person).await;
            for action in Action::ALL {
                let from = house.events().len();
                let may = house.access.may(&by, *action);
                assert_eq!(house.events().len(), from, "asking is no attempt");
                let allowed = house.access.authorize(&by, *action, &Resource::new()).await.is_ok();
                assert_eq!(may, allowed, "{} {action}", role.as_str());
            }
        }
    }
}
