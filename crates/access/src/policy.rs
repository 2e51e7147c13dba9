//! The policies (Cedar): loaded and held against their schema when the server starts, then asked.
//! A question is made of attributes alone, and the answer follows from it, so answers are remembered by
//! question. There is no way to ask about an individual, hence none to remember a wrong answer.

use std::{collections::HashSet, sync::Arc};

use cedar_policy::{
    Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy,
    PolicyId, PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use quick_cache::sync::Cache;

use crate::{action::Action, operator::Role, scopes::ScopeSet};

/// Most answers that are remembered.
pub const MAX_RULINGS: usize = 4_096;
const SCHEMA: &str = include_str!("../policies/tenet.cedarschema");
const POLICIES: [(&str, &str); 4] = [
    ("isolation.cedar", include_str!("../policies/isolation.cedar")),
    ("clients.cedar", include_str!("../policies/clients.cedar")),
    ("customers.cedar", include_str!("../policies/customers.cedar")),
    ("operators.cedar", include_str!("../policies/operators.cedar")),
];
/// Clauses that a policy may name. Kept as a list since an event takes only words of ours.
const CLAUSES: [&str; 6] = ["CD-4", "CD-6", "CD-8", "RR-1", "RR-3", "SD-1"];
/// The clause that refuses what no policy permits: only authorised access.
const NOTHING_PERMITS: &str = "SD-1";

/// What is known of whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    Client {
        scopes: ScopeSet,
        clearance: i64,
    },
    /// A customer's administrator.
    Customer,
    Operator(Role),
}

/// All that a decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) asker: Asker,
    pub(crate) action: Action,
    /// Whether the resource is of the asker's own account.
    pub(crate) own: bool,
    /// The rank of the resource's classification.
    pub(crate) rank: i64,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ruling {
    pub(crate) allowed: bool,
    /// The policies that decided, by name, in order; none if nothing permits.
    pub(crate) policies: Vec<String>,
    /// The clause that refuses.
    pub(crate) clause: Option<&'static str>,
}

/// Policies that can't be used. The server does not start with them.
#[derive(Debug, thiserror::Error)]
#[error("policies: {0}")]
pub struct PolicyError(String);

/// The policies, ready to be asked.
pub(crate) struct Policies {
    schema: Schema,
    set: PolicySet,
    authorizer: Authorizer,
    remembered: Cache<Question, Arc<Ruling>>,
}

impl Policies {
    /// The policies that are built in.
    pub(crate) fn load() -> Result<Self, PolicyError> {
        Self::parse(SCHEMA, &POLICIES)
    }

    fn parse(schema: &str, files: &[(&str, &str)]) -> Result<Self, PolicyError> {
        let wrong = |file: &str, reason: &dyn std::fmt::Display| PolicyError(format!("{file}: {reason}"));
        let (schema, warnings) =
            Schema::from_cedarschema_str(schema).map_err(|error| wrong("tenet.cedarschema", &error))?;
        if let Some(warning) = warnings.into_iter().next() {
            return Err(wrong("tenet.cedarschema", &warning));
        }
        let mut set = PolicySet::new();
        for (file, text) in files {
            let parsed: PolicySet = text.parse().map_err(|error| wrong(file, &error))?;
            for policy in parsed.policies() {
                let policy = named(policy).map_err(|reason| wrong(file, &reason))?;
                set.add(policy).map_err(|error| wrong(file, &error))?;
            }
        }
        let checked = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        if !checked.validation_passed_without_warnings() {
            return Err(PolicyError(checked.to_string()));
        }
        Ok(Self { schema, set, authorizer: Authorizer::new(), remembered: Cache::new(MAX_RULINGS) })
    }

    /// Whether, and because of which policies.
    pub(crate) fn ask(&self, question: Question) -> Result<Arc<Ruling>, PolicyError> {
        if let Some(ruling) = self.remembered.get(&question) {
            return Ok(ruling);
        }
        let ruling = Arc::new(self.evaluate(question)?);
        self.remembered.insert(question, Arc::clone(&ruling));
        Ok(ruling)
    }

    fn evaluate(&self, question: Question) -> Result<Ruling, PolicyError> {
        let wrong = |error: &dyn std::fmt::Display| PolicyError(error.to_string());
        let (request, entities) = self.translate(question)?;
        let response = self.authorizer.is_authorized(&request, &self.set, &entities);
        // INVARIANT: an error in a policy would drop that policy, maybe a forbidding one. Never go on.
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(wrong(error));
        }
        let mut deciding: Vec<&PolicyId> = response.diagnostics().reason().collect();
        deciding.sort();
        let allowed = response.decision() == Decision::Allow;
        let clause = deciding.iter().find_map(|id| self.clause(id)).unwrap_or(NOTHING_PERMITS);
        Ok(Ruling {
            allowed,
            policies: deciding.iter().map(ToString::to_string).collect(),
            clause: (!allowed).then_some(clause),
        })
    }

    fn clause(&self, id: &PolicyId) -> Option<&'static str> {
        let named = self.set.annotation(id, "clause")?;
        CLAUSES.into_iter().find(|clause| *clause == named)
    }

    fn translate(&self, question: Question) -> Result<(Request, Entities), PolicyError> {
        let wrong = |error: &dyn std::fmt::Display| PolicyError(error.to_string());
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let own = uid("Account", "own")?;
        let account = if question.own { own.clone() } else { uid("Account", "another")? };
        let (principal, attributes) = match question.asker {
            Asker::Client { scopes, clearance } => {
                let scopes = RestrictedExpression::new_set(scopes.iter().map(|scope| text(scope.name())));
                let own = RestrictedExpression::new_entity_uid(own.clone());
                let clearance = RestrictedExpression::new_long(clearance);
                (
                    uid("Client", "client")?,
                    vec![("account", own), ("scopes", scopes), ("clearance", clearance)],
                )
            }
            Asker::Customer => {
                let own = RestrictedExpression::new_entity_uid(own.clone());
                (uid("Customer", "customer")?, vec![("account", own)])
            }
            Asker::Operator(role) => (uid("Operator", "operator")?, vec![("role", text(role.as_str()))]),
        };
        let resource_type = question.action.resource().type_name();
        // An account that is governed is itself what is asked about.
        let is_account = resource_type == "Account";
        let resource = if is_account { account.clone() } else { uid(resource_type, "resource")? };
        let resource_attributes = if is_account || resource_type == "Platform" {
            vec![]
        } else {
            let account = RestrictedExpression::new_entity_uid(account.clone());
            vec![("account", account), ("rank", RestrictedExpression::new_long(question.rank))]
        };
        let action = uid("Action", question.action.name())?;
        let entity = |uid: &EntityUid, attributes: Vec<(&str, RestrictedExpression)>| {
            let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Entity::new(uid.clone(), attributes, HashSet::new()).map_err(|error| wrong(&error))
        };
        let mut known = vec![entity(&principal, attributes)?];
        if !is_account {
            known.push(entity(&resource, resource_attributes)?);
        }
        let accounts =
            HashSet::from([own, account]).into_iter().map(|uid| Entity::new_no_attrs(uid, HashSet::new()));
        let entities = Entities::from_entities(known.into_iter().chain(accounts), Some(&self.schema));
        let request = Request::new(principal, action, resource, Context::empty(), Some(&self.schema));
        Ok((request.map_err(|error| wrong(&error))?, entities.map_err(|error| wrong(&error))?))
    }
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Policies")
    }
}

/// A policy under the name that its `@id` gives it. One that forbids must name its clause.
fn named(policy: &Policy) -> Result<Policy, String> {
    let id = policy.annotation("id").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| format!("`{}` has no name: give it `@id(\"...\")`", policy.id()))?;
    match (policy.effect(), policy.annotation("clause")) {
        (_, Some(clause)) if !CLAUSES.contains(&clause) => {
            return Err(format!("`{id}` names the unknown clause `{clause}`"));
        }
        (Effect::Forbid, None) => return Err(format!("`{id}` forbids: give it `@clause(\"...\")`")),
        _ => {}
    }
    Ok(policy.new_id(PolicyId::new(id)))
}

fn uid(type_name: &str, id: &str) -> Result<EntityUid, PolicyError> {
    let type_name: EntityTypeName =
        type_name.parse().map_err(|error| PolicyError(format!("{type_name}: {error}")))?;
    Ok(EntityUid::from_type_name_and_id(type_name, EntityId::new(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{action::ResourceKind, scopes::TokenScope};
    use std::fmt::Write as _;

    const GOLDEN: &str = include_str!("../tests/decisions.txt");
    const RANKS: [&str; 4] = ["public", "internal", "confidential", "restricted"];

    /// Every kind of asker: the name of its column, and whether the resource is its own account's.
    fn askers() -> Vec<(String, Asker, bool)> {
        let mut askers = vec![
            ("administrator".to_owned(), Asker::Operator(Role::Administrator), false),
            ("security".to_owned(), Asker::Operator(Role::Security), false),
            ("engineer".to_owned(), Asker::Operator(Role::Engineer), false),
            ("employee".to_owned(), Asker::Operator(Role::Employee), false),
            ("auditor".to_owned(), Asker::Operator(Role::Auditor), false),
            ("customer".to_owned(), Asker::Customer, true),
            ("customer-of-another".to_owned(), Asker::Customer, false),
        ];
        for scope in TokenScope::ALL {
            let scopes = [scope].into_iter().collect();
            askers.push((scope.name().to_owned(), Asker::Client { scopes, clearance: 3 }, true));
        }
        let all = |clearance| Asker::Client { scopes: ScopeSet::all(), clearance };
        askers.push(("no-scope".to_owned(), Asker::Client { scopes: ScopeSet::empty(), clearance: 3 }, true));
        askers.push(("all-scopes".to_owned(), all(3), true));
        askers.push(("cleared-to-internal".to_owned(), all(1), true));
        askers.push(("cleared-to-nothing".to_owned(), all(-1), true));
        askers.push(("another-account".to_owned(), all(3), false));
        askers
    }

    fn table() -> String {
        let policies = Policies::load().unwrap();
        let mut text = String::from(
            "# Who may do what, by classification. One line an action and asker, left out where all is refused\n\
             # because nothing permits. p, i, c, r: allowed at public, internal, confidential, restricted.\n\
             # Then the policies that decided at the highest. A test holds the policies against this file.\n",
        );
        for action in Action::ALL {
            for (name, asker, own) in askers() {
                let rulings = [0, 1, 2, 3]
                    .map(|rank| policies.evaluate(Question { asker, action: *action, own, rank }).unwrap());
                if rulings.iter().all(|ruling| ruling.policies.is_empty()) {
                    assert!(rulings.iter().all(|ruling| !ruling.allowed && ruling.clause == Some("SD-1")));
                    continue;
                }
                let cells = rulings
                    .iter()
                    .zip(RANKS)
                    .map(|(ruling, rank)| if ruling.allowed { &rank[..1] } else { "-" });
                let cells: String = cells.collect();
                let why = rulings[3].policies.join(" ");
                writeln!(text, "{:<19} {name:<20} {cells} {why}", action.name()).unwrap();
            }
        }
        text
    }

    #[test]
    fn decisions_are_those_of_the_table() {
        let table = table();
        if table != GOLDEN {
            let target = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decisions.txt");
            if std::env::var_os("TENET_BLESS").is_some() {
                std::fs::write(target, table).unwrap();
                return;
            }
            for (found, expected) in table.lines().zip(GOLDEN.lines()) {
                assert_eq!(found, expected, "the policies decide otherwise than tests/decisions.txt says");
            }
            panic!("the policies decide otherwise than tests/decisions.txt says: review, then TENET_BLESS=1");
        }
    }

    #[test]
    fn operators_never_reach_customers_data_and_clients_never_the_platform() {
        let policies = Policies::load().unwrap();
        for action in Action::ALL {
            for (name, asker, own) in askers() {
                for (own, rank) in [(own, 0), (true, 0), (false, 3)] {
                    let ruling = policies.evaluate(Question { asker, action: *action, own, rank }).unwrap();
                    let crosses = match asker {
                        Asker::Operator(_) => action.resource() != ResourceKind::Platform,
                        Asker::Client { .. } => {
                            matches!(action.resource(), ResourceKind::Platform | ResourceKind::Account)
                                || !own
                        }
                        // Of the platform, only their own sign-in.
                        Asker::Customer => {
                            let signs_in = matches!(
                                action,
                                Action::SessionOpen | Action::PasskeyManage | Action::PasswordManage
                            );
                            let is_platform = action.resource() == ResourceKind::Platform;
                            if is_platform { !signs_in } else { !own }
                        }
                    };
                    assert!(!(crosses && ruling.allowed), "{name} {action}");
                    if crosses {
                        assert!(
                            !ruling.policies.is_empty(),
                            "{name} {action}: refused by a policy, not for want of one"
                        );
                    }
                }
            }
        }
    }

    /// What a customer's administrator may do, all of it: whatever is added is refused until somebody adds it here.
    #[test]
    fn a_customers_administrator_may_do_this_and_nothing_else() {
        let policies = Policies::load().unwrap();
        let may = [
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
        for action in Action::ALL {
            for rank in 0..4 {
                let question = |own| Question { asker: Asker::Customer, action: *action, own, rank };
                let ruling = policies.evaluate(question(true)).unwrap();
                assert_eq!(ruling.allowed, may.contains(action), "{action}");
                assert!(
                    ruling.allowed || !ruling.policies.is_empty(),
                    "{action}: refused by a policy, not for want of one"
                );
                let signs_in =
                    matches!(action, Action::SessionOpen | Action::PasskeyManage | Action::PasswordManage);
                assert_eq!(
                    policies.evaluate(question(false)).unwrap().allowed,
                    signs_in,
                    "{action} elsewhere"
                );
            }
            for role in Role::ALL {
                let question =
                    Question { asker: Asker::Operator(role), action: *action, own: false, rank: 0 };
                let governs = action.resource() == ResourceKind::Account;
                assert!(!(governs && policies.evaluate(question).unwrap().allowed), "{action} by {role:?}");
            }
        }
    }

    #[test]
    fn the_actions_are_those_of_the_schema() {
        let policies = Policies::load().unwrap();
        let groups = [
            "customer-data",
            "platform-read",
            "platform-change",
            "platform-review",
            "platform-staff",
            "platform-own",
            "account-own",
        ];
        let mut known: Vec<String> =
            policies.schema.actions().map(|uid| uid.id().unescaped().to_owned()).collect();
        known.retain(|name| !groups.contains(&name.as_str()));
        known.sort();
        let mut ours: Vec<_> = Action::ALL.iter().map(|action| action.name().to_owned()).collect();
        ours.sort();
        assert_eq!(ours, known);
    }

    #[test]
    fn policies_that_do_not_fit_are_refused_at_start() {
        let refused = |policy: &str| Policies::parse(SCHEMA, &[("x.cedar", policy)]).unwrap_err().to_string();
        let named = |body: &str| format!("@id(\"x\") {body}");
        assert!(refused("permit (principal, action, resource);").contains("has no name"));
        assert!(
            refused(&named("forbid (principal, action, resource);"))
                .contains("`x` forbids: give it `@clause")
        );
        assert!(
            refused(&format!("@clause(\"ZZ-9\") {}", named("permit (principal, action, resource);")))
                .contains("ZZ-9")
        );
        let unknown = named("permit (principal, action == Action::\"record.burn\", resource);");
        assert!(refused(&unknown).contains("record.burn"));
        let mistyped = named("permit (principal is Client, action, resource) when { principal.scope == 1 };");
        assert!(refused(&mistyped).contains("scope"));
        assert!(refused("permit (").starts_with("policies: x.cedar: "));
    }

    #[test]
    fn a_remembered_ruling_is_the_evaluated_one() {
        let policies = Policies::load().unwrap();
        for action in Action::ALL {
            for (_, asker, own) in askers() {
                let question = Question { asker, action: *action, own, rank: 2 };
                let first = policies.ask(question).unwrap();
                assert_eq!(*first, policies.evaluate(question).unwrap());
                assert!(Arc::ptr_eq(&first, &policies.ask(question).unwrap()), "not evaluated twice");
            }
        }
    }
}
