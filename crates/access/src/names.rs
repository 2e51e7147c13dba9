//! The names that stand beside ids on a page: of people, accounts and clients. A page asks for a bounded number of each kind,
//! however many rows it has.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use base::{Id, IdKind, kinds};
use store::{Platform, Value, platform};

use crate::{Access, AccessError, Action, Principal};

/// Most names of a kind that are looked up for a page. Ids beyond that stand without one.
pub const MAX_NAMED: usize = 120;
/// Most ids that one statement takes.
const AT_ONCE: usize = 24;

const OPERATORS: Platform = platform!(
    "SELECT id, name FROM operator WHERE id IN ( \
                 $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
                 $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)"
);
const ACCOUNTS: Platform = platform!(
    "SELECT id, name FROM account WHERE id IN ( \
                 $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
                 $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)"
);
const CLIENTS: Platform = platform!(
    "SELECT id, name FROM client WHERE id IN ( \
                 $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
                 $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)"
);

/// Names by the text of the ids that they are of.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// The name, if there is one, and the caller may know it.
    pub fn of(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

impl Access {
    /// The names of what these ids are of; anything that is no id of a person, an account or a client is passed over. Whoever
    /// reads the policy knows the people who work here; accounts and clients have names for whoever may list them. What
    /// a name stands beside has its own event: this leaves none.
    pub async fn names<'a>(
        &self,
        by: &Principal,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Names, AccessError> {
        let Some(scope) = by.system() else { return Ok(Names::default()) };
        let mut people = BTreeSet::new();
        let mut accounts = BTreeSet::new();
        let mut clients = BTreeSet::new();
        for text in ids {
            let _ = keep::<kinds::Operator>(text, &mut people)
                || keep::<kinds::Account>(text, &mut accounts)
                || keep::<kinds::Client>(text, &mut clients);
        }
        let asked = [
            (Action::PolicyRead, OPERATORS, people),
            (Action::AccountList, ACCOUNTS, accounts),
            (Action::ClientList, CLIENTS, clients),
        ];
        let mut names = BTreeMap::new();
        for (action, statement, wanted) in asked {
            if wanted.is_empty() || !self.may(by, action) {
                continue;
            }
            let texts: Vec<_> = wanted.iter().take(MAX_NAMED).collect();
            let mut read = self.0.store.system_read(scope).await?;
            for some in texts.chunks(AT_ONCE) {
                // No id is empty: what is left over finds nothing.
                let mut values = [Value::Blob(&[]); AT_ONCE];
                for (value, (id, _)) in values.iter_mut().zip(some) {
                    *value = Value::Blob(id);
                }
                for row in read.rows(statement, &values).await? {
                    let id = row.blob(0)?;
                    if let Some((_, text)) = some.iter().find(|(known, _)| known.as_slice() == id) {
                        names.insert((*text).to_owned(), row.text(1)?.to_owned());
                    }
                }
            }
        }
        Ok(Names(names))
    }
}

/// Keeps an id if it is one of that kind.
fn keep<'a, K: IdKind>(text: &'a str, wanted: &mut BTreeSet<([u8; 16], &'a str)>) -> bool {
    let Ok(id) = Id::<K>::from_str(text) else { return false };
    wanted.insert((*id.as_bytes(), text));
    true
}
