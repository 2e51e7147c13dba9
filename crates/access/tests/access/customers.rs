//! Administrators of customers' accounts: each governs one account, for good, and reaches nothing else, whatever they ask for and
//! whatever somebody writes to the database.

use access::{
    AccessError, Action, OpenedSession, OwnEventQuery, Principal, PrincipalKind, Purpose, Resource,
    ReviewState, Role, Session, Standing, Use, Verdict, Who,
};
use base::{AccountId, ClientId, Duration, EventId, Fault, Kind, OperatorId, Secret};
use ledger::{EventQuery, LogSigner, OutcomeView};
use store::{EventOrder, Realm, Sequencer};
use testkit::on_both_engines;

use crate::support::{House, Person, call_from, enrol, new_client};

/// What a customer's administrator may do in their own account, all of it.
const OWN: [Action; 13] = [
    Action::RepositoryRead,
    Action::RepositoryList,
    Action::HoldList,
    Action::CertificateRead,
    Action::OwnRead,
    Action::OwnLog,
    Action::OwnKeys,
    Action::OwnClientList,
    Action::OwnClientCreate,
    Action::OwnClientRevoke,
    Action::SessionOpen,
    Action::PasskeyManage,
    Action::PasswordManage,
];

fn hex(of: &[u8]) -> String {
    of.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl House {
    /// Somebody who governs that account.
    async fn governor(&self, account: AccountId, seed: u8) -> Person {
        let link =
            self.access.customer_invite(&self.admin().await, account, None).await.unwrap().into_inner();
        assert_eq!(link.role, Standing::Customer(account));
        enrol(&self.h, &self.access, link.secret, seed).await.unwrap()
    }

    pub(crate) async fn principal(&self, person: &Person) -> Principal {
        self.authenticate(&self.sign_in(person).await.unwrap()).await.unwrap()
    }

    /// A session of theirs in the console.
    async fn session(&self, person: &Person) -> OpenedSession {
        let by = self.principal(person).await;
        let code = self.access.session_code(&by).await.unwrap().into_inner();
        self.access.session_by_code(&code.code, &self.nearby()).await.unwrap().into_inner()
    }

    fn nearby(&self) -> access::Call {
        let mut call = call_from(&self.h, 1);
        call.peer.address = Some([10, 0, 0, 7].into());
        call
    }

    async fn visit(&self, opened: &OpenedSession) -> Result<(Principal, Session), AccessError> {
        self.access.authenticate_session(&opened.secret, &self.nearby(), Use::ByPerson).await
    }

    async fn drain(&self) {
        let signer = std::sync::Arc::new(LogSigner::new("log.test/access", &Secret::new([7; 32])).unwrap());
        Sequencer::new(self.h.data.clone(), signer).unwrap().drain().await.unwrap();
    }

    fn set(&self, person: &Person, what: &str) {
        let id: OperatorId = person.id.parse().unwrap();
        self.h
            .tamper(Realm::Data, &format!("UPDATE operator SET {what} WHERE id = x'{}'", hex(id.as_bytes())));
    }
}

fn code<T: std::fmt::Debug>(of: Result<T, AccessError>) -> &'static str {
    of.unwrap_err().code()
}

on_both_engines! {
    async fn somebody_of_a_customer_has_the_scope_of_one_account_and_no_other(h: Harness) {
        let house = House::open(h).await;
        let (acme, _) = house.customer("Acme").await;
        let (globex, _) = house.customer("Globex").await;
        let cora = house.governor(acme, 2).await;
        let token = house.sign_in(&cora).await.unwrap();
        assert_eq!(token.account, Some(acme), "the account is signed into the token");
        let by = house.authenticate(&token).await.unwrap();
        let opened = house.session(&cora).await;
        assert_eq!(opened.session.role, Standing::Customer(acme));
        let (visiting, _) = house.visit(&opened).await.unwrap();
        let (from, mut refusals) = (house.events().len(), 0);
        for by in [&by, &visiting] {
            assert!(matches!(by.kind(), PrincipalKind::Customer { .. }));
            assert!(by.system().is_none(), "no scope of the platform");
            assert_eq!(by.scope().unwrap().account(), acme);
            for action in Action::ALL {
                for (resource, may) in [
                    (Resource::new(), OWN.contains(action)),
                    (Resource::new().in_account(acme), OWN.contains(action)),
                    (Resource::new().in_account(globex), matches!(action, Action::SessionOpen | Action::PasskeyManage | Action::PasswordManage)),
                ] {
                    let asked = house.access.authorize(by, *action, &resource).await;
                    assert_eq!(asked.is_ok(), may, "{action}: {asked:?}");
                    if let Err(error) = asked {
                        assert!(matches!(error, AccessError::NotOfAccount), "{action}: {error}");
                        refusals += 1;
                        assert_eq!(error.clause(), None, "nothing is told of how it was decided");
                    }
                }
            }
        }
        let acts = house.acts_since(from);
        assert_eq!(acts.len(), refusals, "each refusal is recorded");
        assert!(acts.iter().all(|act| act.starts_with("access.deny refused ")), "{acts:?}");
    }

    async fn nothing_of_the_platform_answers_them(h: Harness) {
        let house = House::open(h).await;
        let (acme, client) = house.customer("Acme").await;
        let (globex, foreign) = house.customer("Globex").await;
        let cora = house.governor(acme, 2).await;
        let by = &house.principal(&cora).await;
        let a = &house.access;
        let operator: OperatorId = house.administrator.id.parse().unwrap();
        let event = EventId::from_bytes([1; 16]);
        let everything = EventQuery::default();
        let answers = [
            ("account_list", code(a.account_list(by, None, 10).await)),
            ("account_create", code(a.account_create(by, "Mine").await)),
            ("account_suspend", code(a.account_suspend(by, globex).await)),
            ("account_suspend own", code(a.account_suspend(by, acme).await)),
            ("account_resume", code(a.account_resume(by, acme).await)),
            ("client_list", code(a.client_list(by, globex, None, 10).await)),
            ("client_list own", code(a.client_list(by, acme, None, 10).await)),
            ("client_create", code(a.client_create(by, globex, new_client("records:read")).await)),
            ("client_create own", code(a.client_create(by, acme, new_client("records:read")).await)),
            ("client_revoke", code(a.client_revoke(by, foreign.client.id).await)),
            ("client_revoke own", code(a.client_revoke(by, client.client.id).await)),
            ("customer_invite", code(a.customer_invite(by, acme, None).await)),
            ("customer_list", code(a.customer_list(by, acme).await)),
            ("link_create", code(a.link_create(by, Role::Auditor).await)),
            ("operator_list", code(a.operator_list(by, None, 10).await)),
            ("operator_revoke", code(a.operator_revoke(by, operator).await)),
            ("log_search", code(a.log_search(by, &everything, EventOrder::NewestFirst, None, 10).await)),
            ("log_reconcile", code(a.log_reconcile(by).await)),
            ("review_list", code(a.review_list(by, ReviewState::Open, None, 10).await)),
            ("review_sign", code(a.review_sign(by, event, Verdict::InOrder, "").await)),
        ];
        for (what, code) in answers {
            assert_eq!(code, "access-denied", "{what}");
        }
        let (scope, _) = house.access.within(by, Action::OwnKeys, &Resource::new()).await.unwrap();
        assert_eq!(house.keys.own_status(scope).await.unwrap().active, 1);
        assert!(house.access.operate(by, Action::OwnRead, &Resource::new()).await.is_err(), "no scope of the system comes out");
    }

    async fn they_connect_applications_of_their_own_account_alone(h: Harness) {
        let house = House::open(h).await;
        let (acme, own) = house.customer("Acme").await;
        let (_, foreign) = house.customer("Globex").await;
        let cora = house.governor(acme, 2).await;
        let by = house.principal(&cora).await;
        let listed = house.access.own_client_list(&by, None, 10).await.unwrap().items;
        assert_eq!(listed.iter().map(|one| one.id).collect::<Vec<_>>(), [own.client.id]);
        let made = house.access.own_client_create(&by, new_client("records:read")).await.unwrap().into_inner();
        assert_eq!(made.client.account, acme);
        let token = house.client_token(&made).await.unwrap();
        assert_eq!(house.authenticate(&token).await.unwrap().scope().unwrap().account(), acme);
        let created = house.events().into_iter().rfind(|one| one.activity == "client.create").unwrap();
        assert_eq!((created.account, created.actor.to_string()), (Some(acme), cora.id.clone()));
        // Another account's application, and one that never was: one answer.
        let never = ClientId::from_bytes([9; 16]);
        for client in [foreign.client.id, never] {
            assert_eq!(code(house.access.own_client_revoke(&by, client).await), "not-found");
            assert_eq!(house.last(), "client.revoke refused client-unknown");
        }
        house.client_token(&foreign).await.unwrap();
        house.access.own_client_revoke(&by, made.client.id).await.unwrap().into_inner();
        assert!(house.authenticate(&token).await.is_err(), "at once");
        assert_eq!(code(house.access.own_client_create(&by, new_client("")).await), "invalid");
        // An operator and an application govern no account.
        let client = house.authenticate(&house.client_token(&own).await.unwrap()).await.unwrap();
        for other in [house.admin().await, client] {
            assert_eq!(code(house.access.own_account(&other).await), "access-denied");
            assert_eq!(code(house.access.own_client_list(&other, None, 10).await), "access-denied");
            assert_eq!(code(house.access.own_client_create(&other, new_client("records:read")).await), "access-denied");
            assert_eq!(code(house.access.own_client_revoke(&other, own.client.id).await), "access-denied");
            assert_eq!(code(house.access.own_events(&other, &OwnEventQuery::default(), None, 10).await), "access-denied");
        }
    }

    async fn what_happened_is_told_of_their_account_and_names_nobody_else(h: Harness) {
        let house = House::open(h).await;
        let (acme, own) = house.customer("Acme").await;
        let (globex, foreign) = house.customer("Globex").await;
        let cora = house.governor(acme, 2).await;
        let dan = house.governor(acme, 3).await;
        let gil = house.governor(globex, 4).await;
        house.client_token(&own).await.unwrap();
        house.client_token(&foreign).await.unwrap();
        let by = house.principal(&cora).await;
        house.access.own_client_create(&house.principal(&dan).await, new_client("records:read")).await.unwrap().into_inner();
        house.access.own_account(&house.principal(&gil).await).await.unwrap();
        // Somebody of another account asks for what is this one's.
        let stranger = house.authenticate(&house.client_token(&foreign).await.unwrap()).await.unwrap();
        house.access.authorize(&stranger, Action::RecordRead, &Resource::new().in_account(acme)).await.unwrap_err();
        house.drain().await;
        let page = house.access.own_events(&by, &OwnEventQuery::default(), None, 1_000).await.unwrap();
        let of = |activity: &str, who: &Who| page.events.iter().any(|one| one.activity == activity && one.who == *who);
        assert!(of("client.create", &Who::Platform), "{:?}", page.events);
        assert!(of("client.create", &Who::Colleague("Operator 3".into())));
        assert!(of("operator.enrol", &Who::You));
        assert!(of("token.issue", &Who::Application(own.client.id, "An application".into())));
        assert!(of("access.deny", &Who::Outsider));
        // Every entry is of the account, as the log itself says; and none of those that are was left out.
        let log = house.events();
        let ours: Vec<_> = log.iter().filter(|one| one.account == Some(acme) || one.object.account == Some(acme)).collect();
        assert!(page.events.len() >= ours.len() - 1, "{} of {}", page.events.len(), ours.len());
        // Neither operators, nor another account, its people and its applications are in what is told.
        let told = format!("{:?}", page.events);
        for hidden in [house.administrator.id.clone(), gil.id, foreign.client.id.to_string(), globex.to_string(), "Operator 4".into()] {
            assert!(!told.contains(&hidden), "{hidden} in {told}");
        }
        assert!(!told.contains("policy-forbids") && !told.contains("CD-8"), "{told}");
        let refused = page.events.iter().find(|one| one.activity == "access.deny").unwrap();
        assert_eq!(refused.outcome, OutcomeView::Refused { reason: "not-allowed".into(), clause: None });
        // By parts: none is told twice, and none is left out.
        let mut cursor = None;
        let mut parts = Vec::new();
        loop {
            let part = house.access.own_events(&by, &OwnEventQuery::default(), cursor, 2).await.unwrap();
            parts.extend(part.events.iter().map(|one| one.index));
            cursor = part.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(parts, page.events.iter().map(|one| one.index).collect::<Vec<_>>());
        let people = house.access.own_account(&by).await.unwrap().people;
        let mut names: Vec<_> = people.iter().map(|one| one.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["Operator 2", "Operator 3"]);
        // The whole log, as an operator reads it, is longer.
        let admin = house.admin().await;
        let whole = house.access.log_search(&admin, &EventQuery::default(), EventOrder::NewestFirst, None, 1_000).await.unwrap();
        assert!(whole.found.len() > page.events.len());
    }

    async fn a_changed_database_gives_no_account_and_no_role(h: Harness) {
        let house = House::open(h).await;
        let (acme, _) = house.customer("Acme").await;
        let (globex, _) = house.customer("Globex").await;
        let cora = house.governor(acme, 2).await;
        let eve = house.invite(Role::Auditor, 3).await;
        let (token, opened) = (house.sign_in(&cora).await.unwrap(), house.session(&cora).await);
        let other = format!("account = x'{}'", hex(globex.as_bytes()));
        let own = format!("account = x'{}'", hex(acme.as_bytes()));
        for (wrong, token_reason, session_reason) in [
            (other.clone(), "another-account", "operator-unexplained"),
            ("role = 'administrator', account = NULL".to_owned(), "another-account", "operator-unexplained"),
            ("role = 'employee', account = NULL".to_owned(), "another-account", "operator-unexplained"),
        ] {
            house.set(&cora, &wrong);
            assert_eq!(code(house.authenticate(&token).await), "token-invalid", "{wrong}");
            assert_eq!(house.last(), format!("auth.fail refused {token_reason}"), "{wrong}");
            assert_eq!(code(house.visit(&opened).await), "session-invalid", "{wrong}");
            assert_eq!(house.last(), format!("auth.fail refused {session_reason}"), "{wrong}");
            assert_eq!(code(house.sign_in(&cora).await), "client-invalid", "{wrong}");
            assert_eq!(house.last(), "auth.fail refused operator-unexplained", "{wrong}");
            house.set(&cora, &format!("role = 'customer', {own}"));
            house.authenticate(&token).await.unwrap();
            house.visit(&opened).await.unwrap();
        }
        // An operator becomes nobody's customer either, and is nobody's colleague.
        let (token, opened) = (house.sign_in(&eve).await.unwrap(), house.session(&eve).await);
        house.set(&eve, &format!("role = 'customer', {own}"));
        assert_eq!(code(house.authenticate(&token).await), "token-invalid");
        assert_eq!(code(house.visit(&opened).await), "session-invalid");
        assert_eq!(code(house.sign_in(&eve).await), "client-invalid");
        let by = house.principal(&cora).await;
        assert_eq!(house.access.own_account(&by).await.unwrap().people.len(), 1);
        // A session that was moved to somebody else, and a person whom no event made.
        let (cora_id, eve_id): (OperatorId, OperatorId) = (cora.id.parse().unwrap(), eve.id.parse().unwrap());
        house.h.tamper(Realm::Data, &format!(
            "UPDATE console_session SET operator = x'{}' WHERE operator = x'{}'", hex(cora_id.as_bytes()), hex(eve_id.as_bytes())
        ));
        assert_eq!(code(house.visit(&opened).await), "session-invalid");
        assert_eq!(house.last(), "auth.fail refused session-unexplained");
        let intruder = Person { key: crate::support::key(66), id: OperatorId::from_bytes([6; 16]).to_string() };
        house.h.tamper(Realm::Data, &format!(
            "INSERT INTO operator (id, name, role, public_key, enrolled_at, account) VALUES (x'{}', 'Mallory', 'customer', x'{}', 1, x'{}')",
            "06".repeat(16), hex(intruder.key.public().as_bytes()), hex(acme.as_bytes())
        ));
        assert_eq!(code(house.sign_in(&intruder).await), "client-invalid");
        assert_eq!(house.last(), "auth.fail refused operator-unexplained");
    }

    async fn a_link_leads_into_the_account_that_it_was_made_for(h: Harness) {
        let house = House::open(h).await;
        let (acme, _) = house.customer("Acme").await;
        let (globex, _) = house.customer("Globex").await;
        let admin = house.admin().await;
        let link = house.access.customer_invite(&admin, acme, None).await.unwrap().into_inner();
        let open = "used_at IS NULL";
        for wrong in [
            format!("UPDATE enrolment_link SET account = x'{}' WHERE {open}", hex(globex.as_bytes())),
            format!("UPDATE enrolment_link SET role = 'administrator', account = NULL WHERE {open}"),
        ] {
            house.h.tamper(Realm::Data, &wrong);
            let error = enrol(&house.h, &house.access, link.secret.clone(), 5).await.err().unwrap();
            assert!(matches!(error, AccessError::LinkInvalid), "{wrong}: {error}");
        }
        let right = format!("UPDATE enrolment_link SET role = 'customer', account = x'{}' WHERE {open}", hex(acme.as_bytes()));
        house.h.tamper(Realm::Data, &right);
        let cora = enrol(&house.h, &house.access, link.secret.clone(), 5).await.unwrap();
        let enrolled = house.events().into_iter().rfind(|one| one.activity == "operator.enrol").unwrap();
        assert_eq!((enrolled.object.account, enrolled.text("role")), (Some(acme), Some("customer")));
        assert!(enrol(&house.h, &house.access, link.secret, 6).await.is_err(), "once");
        assert_eq!(house.principal(&cora).await.scope().unwrap().account(), acme);
        // No account, no invitation; an engineer invites nobody, and sees who is there.
        let nowhere = AccountId::from_bytes([9; 16]);
        assert_eq!(code(house.access.customer_invite(&admin, nowhere, None).await), "not-found");
        let past = house.h.context.now();
        assert_eq!(code(house.access.customer_invite(&admin, acme, Some(past)).await), "invalid");
        let eng = house.invite(Role::Engineer, 7).await;
        let eng = house.principal(&eng).await;
        assert_eq!(code(house.access.customer_invite(&eng, acme, None).await), "access-denied");
        let seen = house.access.customer_list(&eng, acme).await.unwrap();
        assert_eq!(seen.iter().map(|one| one.role).collect::<Vec<_>>(), [Standing::Customer(acme)]);
        // They are nobody's operator: not listed as one.
        let operators = house.access.operator_list(&admin, None, 100).await.unwrap().items;
        assert!(operators.iter().all(|one| one.role.account().is_none() && one.id.to_string() != cora.id));
        // That somebody of a customer was let in waits for a second person's look, as every privileged act does.
        let open = house.access.review_list(&admin, ReviewState::Open, None, 100).await.unwrap().items;
        assert!(open.iter().any(|one| one.activity == "operator.enrol" && one.object.1 == cora.id));
    }

    async fn a_suspension_ends_them_at_once_and_for_good(h: Harness) {
        let house = House::open(h).await;
        let (acme, _) = house.customer("Acme").await;
        let (globex, _) = house.customer("Globex").await;
        let cora = house.governor(acme, 2).await;
        let gil = house.governor(globex, 3).await;
        let admin = house.admin().await;
        let (token, opened) = (house.sign_in(&cora).await.unwrap(), house.session(&cora).await);
        let others = house.session(&gil).await;
        let late = house.visit(&opened).await.unwrap().0;
        let link = house.access.customer_invite(&admin, acme, None).await.unwrap().into_inner();
        let code_of = house.access.session_code(&house.principal(&cora).await).await.unwrap().into_inner();
        house.access.account_suspend(&admin, acme).await.unwrap().into_inner();
        assert_eq!(code(house.visit(&opened).await), "session-invalid");
        assert_eq!(code(house.authenticate(&token).await), "token-invalid");
        assert_eq!(house.last(), "auth.fail refused account-suspended");
        assert_eq!(code(house.sign_in(&cora).await), "account-suspended");
        assert_eq!(code(house.access.session_by_code(&code_of.code, &house.nearby()).await), "code-invalid");
        assert_eq!(code(house.access.customer_invite(&admin, acme, None).await), "account-suspended");
        // Whoever was past authentication changes nothing any more.
        assert_eq!(code(house.access.own_client_create(&late, new_client("records:read")).await), "token-invalid");
        let clients = house.access.client_list(&admin, acme, None, 10).await.unwrap().items;
        assert_eq!(clients.len(), 1);
        assert_eq!(code(house.access.own_client_revoke(&late, clients[0].id).await), "session-invalid");
        assert!(house.access.client_list(&admin, acme, None, 10).await.unwrap().items[0].revoked.is_none());
        assert!(house.visit(&others).await.is_ok(), "another account's are not touched");
        house.access.account_resume(&admin, acme).await.unwrap().into_inner();
        assert_eq!(code(house.visit(&opened).await), "session-invalid", "a session does not come back");
        assert!(enrol(&house.h, &house.access, link.secret, 4).await.is_err(), "nor does a link");
        assert!(house.visit(&house.session(&cora).await).await.is_ok(), "they sign in again");
        // A row of the account that somebody took away lets nobody in.
        let globex = hex(globex.as_bytes());
        house.h.tamper(Realm::Data, &format!("UPDATE account SET suspended_at = 1 WHERE id = x'{globex}'"));
        assert_eq!(code(house.visit(&others).await), "session-invalid");
    }

    async fn a_revocation_and_an_end_are_theirs_too(h: Harness) {
        let house = House::open(h).await;
        let (acme, _) = house.customer("Acme").await;
        let admin = house.admin().await;
        let cora = house.governor(acme, 2).await;
        let (token, opened) = (house.sign_in(&cora).await.unwrap(), house.session(&cora).await);
        let late = house.visit(&opened).await.unwrap().0;
        let revoked = house.access.operator_revoke(&admin, cora.id.parse().unwrap()).await.unwrap().into_inner();
        assert_eq!(revoked.role, Standing::Customer(acme));
        assert_eq!(code(house.visit(&opened).await), "session-invalid");
        assert_eq!(code(house.authenticate(&token).await), "token-invalid");
        assert_eq!(code(house.sign_in(&cora).await), "client-invalid");
        assert_eq!(code(house.access.own_client_create(&late, new_client("records:read")).await), "token-invalid");
        house.set(&cora, "revoked_at = NULL");
        assert_eq!(code(house.authenticate(&token).await), "token-invalid", "undone in the database, it stands");
        let ends = house.h.context.now() + Duration::from_days(1);
        let link = house.access.customer_invite(&admin, acme, Some(ends)).await.unwrap().into_inner();
        let dan = enrol(&house.h, &house.access, link.secret, 3).await.unwrap();
        let opened = house.session(&dan).await;
        assert!(opened.session.ends <= ends);
        house.h.clock.advance(Duration::from_days(1));
        assert_eq!(code(house.sign_in(&dan).await), "client-invalid");
        let by = house.admin().await;
        let told = house.access.customer_list(&by, acme).await.unwrap();
        assert_eq!(told.len(), 2);
    }

    /// Whichever comes first, nobody is in a suspended account afterwards, and nobody waits for nobody.
    async fn a_suspension_and_those_on_their_way_in_are_put_in_order(h: Harness) {
        let house = House::open(h).await;
        let admin = house.admin().await;
        for round in 0..6u8 {
            let (account, _) = house.customer(&format!("Customer {round}")).await;
            let cora = house.governor(account, 2 * round + 10).await;
            let by = house.visit(&house.session(&cora).await).await.unwrap().0;
            let link = house.access.customer_invite(&admin, account, None).await.unwrap().into_inner();
            let (suspended, joined, made, invited) = tokio::join!(
                house.access.account_suspend(&admin, account),
                enrol(&house.h, &house.access, link.secret, 2 * round + 11),
                house.access.own_client_create(&by, new_client("records:read")),
                house.access.customer_invite(&admin, account, None),
            );
            suspended.unwrap().into_inner();
            if let Ok(person) = joined {
                assert_eq!(code(house.sign_in(&person).await), "account-suspended");
            }
            match made.map(store::Committed::into_inner) {
                Ok(made) => assert_eq!(code(house.client_token(&made).await), "account-suspended"),
                Err(error) => assert_eq!(error.kind(), Kind::Unauthenticated, "{error}"),
            }
            if let Ok(link) = invited {
                let link = link.into_inner();
                assert!(enrol(&house.h, &house.access, link.secret, 200 + round).await.is_err(), "withdrawn");
            }
        }
    }

    async fn what_gives_something_waits_and_tells_nothing_of_why(h: Harness) {
        let house = House::open(h).await;
        let (acme, _) = house.customer("Acme").await;
        let cora = house.governor(acme, 2).await;
        let opened = house.session(&cora).await;
        let mut laptop = house.with_passkey(&opened, "laptop").await;
        house.h.clock.advance(access::FRESH);
        let (by, _) = house.visit(&opened).await.unwrap();
        assert_eq!(code(house.access.own_client_create(&by, new_client("records:read")).await), "proof-needed");
        assert!(house.access.own_account(&by).await.is_ok(), "looking needs none");
        let (by, session) = house.visit(&opened).await.unwrap();
        let (challenge, _) = house.access.challenge(Purpose::Prove, Some(session.operator)).unwrap();
        let answer = laptop.get(&challenge);
        house.access.session_prove(&by, &session, &answer, &house.nearby()).await.unwrap().into_inner();
        let proved = house.events().pop().unwrap();
        assert_eq!((proved.activity.as_str(), proved.account), ("session.prove", Some(acme)));
        let (by, _) = house.visit(&opened).await.unwrap();
        house.access.own_client_create(&by, new_client("records:read")).await.unwrap().into_inner();
        // By the passkey they are in the same account, from a public network too.
        let (challenge, _) = house.access.challenge(Purpose::SignIn, None).unwrap();
        let strong = house.access.session_by_passkey(&laptop.get(&challenge), &house.call()).await.unwrap().into_inner();
        let (by, session) = house.access.authenticate_session(&strong.secret, &house.call(), Use::ByPerson).await.unwrap();
        assert_eq!((session.role, by.scope().unwrap().account()), (Standing::Customer(acme), acme));
        let own = house.access.passkeys(&by).await.unwrap();
        let last = house.access.passkey_remove(&by, &session, own[0].id).await;
        assert!(last.is_ok(), "their key of the terminal is left");
        assert_eq!(code(house.visit(&opened).await), "session-invalid", "and their other sessions end");
        house.access.session_end(&by, &session).await.unwrap().into_inner();
        let scope = house.access.server_scope(ledger::Interface::Startup, "server", "a test").unwrap();
        let weak = |strength: i64| access::Safeguard { name: "a.b", value: strength.to_string(), strength, exchangeable: true };
        house.access.safeguards_at_start(&scope, vec![weak(2)]).await.unwrap();
        house.access.safeguards_at_start(&scope, vec![weak(1)]).await.unwrap();
        let by = house.principal(&cora).await;
        let error = house.access.own_client_create(&by, new_client("records:read")).await.unwrap_err();
        assert_eq!((error.code(), error.kind(), error.clause()), ("not-now", Kind::Unavailable, None));
        assert!(!error.to_string().contains("safeguard"), "{error}");
        assert_eq!(house.last(), "access.deny refused safeguard-weakened");
    }
}

/// No call of theirs, no search from within and no page has a parameter in which another account could stand.
#[test]
fn nothing_of_theirs_takes_an_account() {
    for (file, text) in [
        ("own_account.rs", include_str!("../../src/own_account.rs")),
        ("own_events.rs", include_str!("../../src/own_events.rs")),
        ("store/own_search.rs", include_str!("../../../store/src/own_search.rs")),
        ("console/own_account.rs", include_str!("../../../web/src/console/own_account.rs")),
        ("console/own_events.rs", include_str!("../../../web/src/console/own_events.rs")),
    ] {
        assert!(!text.contains("AccountId"), "{file} names an account of its own");
    }
}
