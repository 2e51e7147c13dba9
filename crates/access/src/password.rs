//! A password with an authenticator app: for whoever has no passkey at hand. Refused from public networks (MS-7). Guessing is
//! the threat here, so attempts are counted before they are looked at. A row counts as long as the log says that just this was
//! set; the password is hashed with a key that is not in its database, and the app's secret is not stored at all.

use argon2::{Algorithm, Argon2, Params, Version};
use base::{Actor, Duration, OperatorId, PasswordId, Secret, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, StoreError, SystemTx, platform};
use zxcvbn::{Score, zxcvbn};

use crate::{
    Access, AccessError, Action, Limit, Principal, Resource, ThrottleLimits,
    app_code::{App, AppSecret, SECRET_BYTES},
    challenge::{Challenge, Purpose},
    operator::hold,
    origin::Call,
    session::{Method, OpenedSession, Session},
    ways::{Proven, Removal, Spends, Unproven, Way, end_others},
};

/// Fewest and most characters of a password.
pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 12..=128;
/// Fewest and most characters of the name that somebody signs in by.
const LOGIN_CHARS: std::ops::RangeInclusive<usize> = 3..=64;
/// What the estimate of strength looks at: its time grows with the length.
const MAX_ESTIMATED_CHARS: usize = 64;
/// Fewest letters and digits of a password besides names.
const MIN_OF_ITS_OWN: usize = 8;
/// What a hash costs, by the word that is stored: KiB, passes, lanes (OWASP's first choice of Argon2id).
const COST: (&str, [u32; 3]) = ("argon2id-19456-2-1", [19_456, 2, 1]);
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// The limits on attempts with a password, right or wrong.
pub(crate) const ATTEMPTS: ThrottleLimits = ThrottleLimits {
    pair: Limit { burst: 10, interval: Duration::from_seconds(30) },
    subject: Limit { burst: 60, interval: Duration::from_seconds(60) },
    address: Limit { burst: 60, interval: Duration::from_seconds(2) },
};

/// A password as somebody sets it.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// The challenge from which the app's secret was made.
    pub challenge: String,
    /// The name that its operator signs in by.
    pub login: String,
    /// The password.
    pub password: Secret<String>,
    /// The code that the app shows, so that it is known to work.
    pub code: Secret<String>,
}

/// What somebody signs in with.
#[derive(Clone, Debug)]
pub struct PasswordAnswer {
    /// The name.
    pub login: String,
    /// The password.
    pub password: Secret<String>,
    /// The code that the app shows.
    pub code: Secret<String>,
}

/// A password, as its own operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordWay {
    /// Its id.
    pub id: PasswordId,
    /// The name that its operator signs in by.
    pub login: String,
    /// When it was set.
    pub set: Timestamp,
}

/// A password that was looked at, and hashed: ready to be stored.
pub(crate) struct Made {
    pub(crate) challenge: Challenge,
    login: String,
    hash: [u8; HASH_BYTES],
    salt: [u8; SALT_BYTES],
    step: i64,
}

/// A password as it is stored.
struct Stored {
    id: PasswordId,
    operator: OperatorId,
    login: String,
    hash: Vec<u8>,
    salt: Vec<u8>,
    cost: String,
    app: Vec<u8>,
    last_step: i64,
}

impl Access {
    /// Whether there are passwords here.
    pub fn has_passwords(&self) -> bool {
        self.0.config.sign_in.passwords
    }

    /// What an authenticator app is to hold, for whoever answers that challenge; none if it is not ours.
    pub fn authenticator_app(&self, purpose: Purpose, challenge: &str, account: &str) -> Option<AppSecret> {
        let challenge = self.challenged(purpose, challenge)?;
        Some(self.app_of(challenge.mark(), account)?.shown())
    }

    fn app_of(&self, mark: &[u8], account: &str) -> Option<App> {
        let derived = self.0.seals.seal("authenticator app", &[mark]);
        let (secret, _) = derived.split_first_chunk::<SECRET_BYTES>()?;
        App::new(secret, account)
    }

    /// Looks at what somebody sets, and hashes it. A refusal names the field, and is for the caller to record.
    pub(crate) async fn make_password(
        &self,
        purpose: Purpose,
        new: &NewPassword,
        name: &str,
        now: Timestamp,
    ) -> Result<Made, AccessError> {
        if !self.has_passwords() {
            return Err(AccessError::WayOff);
        }
        let invalid = |field, reason| Err(AccessError::Invalid { field, reason });
        let Some(challenge) = self.challenged(purpose, &new.challenge) else {
            return invalid(
                "challenge",
                "the form is too old: load its page again, and scan the picture anew",
            );
        };
        let login = login(&new.login);
        let is_login = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-' | b'@')
        };
        if !LOGIN_CHARS.contains(&login.len()) || !login.bytes().all(is_login) {
            return invalid("login", "expected 3 to 64 letters, digits, and `.`, `_`, `-` or `@`");
        }
        if !PASSWORD_CHARS.contains(&new.password.expose().chars().count()) {
            return invalid("password", "expected 12 to 128 characters: several words do well");
        }
        let Some(step) = self.app_of(challenge.mark(), "").and_then(|app| app.step(&new.code, now)) else {
            return invalid(
                "code",
                "it is not what the app shows now: scan the picture, and give its newest code",
            );
        };
        let salt = self.0.context.random::<SALT_BYTES>()?;
        let known = known_words(&[&login, name, "tenet"]);
        let password = new.password.clone();
        let is_weak = move || {
            let start: Secret<String> =
                Secret::new(password.expose().chars().take(MAX_ESTIMATED_CHARS).collect());
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            is_made_of(start.expose(), &known) || zxcvbn(start.expose(), &known).score() < Score::Three
        };
        if self.compute(is_weak).await? {
            return invalid(
                "password",
                "it is easy to guess: take four or more words that nobody would put together",
            );
        }
        let hash = self.hash(&new.password, salt.to_vec(), COST.0).await?;
        let hash = hash.ok_or(AccessError::Internal("a password's cost is not known"))?;
        Ok(Made { challenge, login, hash, salt, step })
    }

    /// Sets the caller's password, in place of the one before. The caller's other sessions end.
    pub async fn password_set(
        &self,
        by: &Principal,
        session: &Session,
        new: &NewPassword,
    ) -> Result<Committed<PasswordWay>, AccessError> {
        let (scope, operator, decision) =
            self.by_oneself(by, Action::PasswordManage, &Resource::new()).await?;
        let scope = &scope;
        let now = scope.now();
        let id = PasswordId::new(&self.0.context)?;
        let refused = |error: &AccessError| {
            let reason = base::Fault::code(error);
            Act::refused(Activity::PasswordSet, ObjectRef::new("password", id), reason, None)
        };
        let made = self.make_password(Purpose::Password, new, &session.name, now).await;
        let made = match made {
            Ok(made) if made.challenge.operator == operator => made,
            Ok(_) => {
                let reason = "the form is not yours: load its page again";
                let error = AccessError::Invalid { field: "challenge", reason };
                self.0.store.record_system(scope, refused(&error)).await?;
                return Err(error);
            }
            Err(error) => {
                self.0.store.record_system(scope, refused(&error)).await?;
                return Err(error);
            }
        };
        let mut tx = self.0.store.system(scope).await?;
        if !hold(&mut tx, operator.as_bytes(), now).await? || !made.challenge.spend(&mut tx, now).await? {
            tx.refuse(refused(&AccessError::PasswordInvalid)).await?;
            return Err(AccessError::PasswordInvalid);
        }
        let mut acts = Vec::new();
        let replace = platform!(
            "UPDATE password SET removed_at = $2 WHERE operator = $1 AND removed_at IS NULL RETURNING id"
        );
        if let Some(row) = tx.row(replace, &[(&operator).into(), now.into()]).await? {
            let old: PasswordId = row.id(0)?;
            acts.push(
                Act::new(Activity::PasswordRemove, ObjectRef::new("password", old)).detail("replaced", true),
            );
        }
        match self.add_password(&mut tx, (id, operator), &made, now).await {
            Ok(act) => acts.push(act.decided_by(decision.policies())),
            Err(error) => {
                tx.refuse(refused(&error)).await?;
                return Err(error);
            }
        }
        end_others(&mut tx, operator, session, now).await?;
        Ok(tx.commit_all(PasswordWay { id, login: made.login, set: now }, acts).await?)
    }

    /// Adds the row, and says what was done.
    pub(crate) async fn add_password(
        &self,
        tx: &mut SystemTx,
        (id, operator): (PasswordId, OperatorId),
        made: &Made,
        now: Timestamp,
    ) -> Result<Act, AccessError> {
        let add = platform!(
            "INSERT INTO password (id, operator, login, hash, salt, cost, app, last_step, set_at, removed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL)"
        );
        let values = [
            (&id).into(),
            (&operator).into(),
            made.login.as_str().into(),
            (&made.hash).into(),
            made.salt.as_slice().into(),
            COST.0.into(),
            made.challenge.mark().into(),
            made.step.into(),
            now.into(),
        ];
        match tx.execute(add, &values).await {
            Ok(_) => {}
            Err(StoreError::Exists) => return Err(AccessError::LoginTaken),
            Err(error) => return Err(error.into()),
        }
        let key = self.password_key((&made.login, COST.0), &made.hash, &made.salt, made.challenge.mark());
        Ok(Act::new(Activity::PasswordSet, ObjectRef::new("password", id))
            .detail("operator", operator)
            .detail("key", key))
    }

    /// What an event says of a password: all that decides whether one is right, keyed.
    fn password_key(&self, (login, cost): (&str, &str), hash: &[u8], salt: &[u8], app: &[u8]) -> String {
        let parts = [login.as_bytes(), cost.as_bytes(), hash, salt, app];
        self.0.seals.seal("password", &parts).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The caller's own password.
    pub async fn password(&self, by: &Principal) -> Result<Option<PasswordWay>, AccessError> {
        let (scope, operator, _) = self.by_oneself(by, Action::SessionOpen, &Resource::new()).await?;
        let scope = &scope;
        let find =
            platform!("SELECT id, login, set_at FROM password WHERE operator = $1 AND removed_at IS NULL");
        let mut read = self.0.store.system_read(scope).await?;
        let Some(row) = read.row(find, &[(&operator).into()]).await? else { return Ok(None) };
        Ok(Some(PasswordWay { id: row.id(0)?, login: row.text(1)?.to_owned(), set: row.time(2)? }))
    }

    /// Removes the caller's own password, and ends the caller's other sessions.
    pub async fn password_remove(
        &self,
        by: &Principal,
        session: &Session,
        id: PasswordId,
    ) -> Result<Committed<()>, AccessError> {
        let statement = platform!(
            "UPDATE password SET removed_at = $3 WHERE id = $1 AND operator = $2 AND removed_at IS NULL"
        );
        let removal = Removal {
            action: Action::PasswordManage,
            activity: Activity::PasswordRemove,
            kind: "password",
            id: *id.as_bytes(),
            name: id.to_string(),
            statement,
        };
        self.remove_way((by, session), removal).await
    }

    /// Opens a session by a password and a code.
    pub async fn session_by_password(
        &self,
        answer: &PasswordAnswer,
        call: &Call,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let now = self.0.context.now();
        let proof = self.password_proof(answer, call, now).await?;
        self.open_session(Method::Password, proof, call, now).await
    }

    /// Proves by them once more who one is.
    pub async fn session_prove_by_password(
        &self,
        by: &Principal,
        session: &Session,
        answer: &PasswordAnswer,
        call: &Call,
    ) -> Result<Committed<()>, AccessError> {
        let proof = self.password_proof(answer, call, self.0.context.now()).await?;
        self.refresh_session((by, session), Method::Password, proof, call).await
    }

    /// Whose password that is. Whoever nobody is takes as long as somebody.
    async fn password_proof(
        &self,
        answer: &PasswordAnswer,
        call: &Call,
        now: Timestamp,
    ) -> Result<Result<Proven, Unproven>, AccessError> {
        if !self.has_passwords() {
            return Ok(Err((Actor::Anonymous, "password-off")));
        }
        if answer.password.expose().len() > PASSWORD_CHARS.end() * 4 {
            return Ok(Err((Actor::Anonymous, "password-too-long")));
        }
        let stored = self.stored_password(&login(&answer.login)).await?;
        let subject = stored.as_ref().map_or(Actor::Anonymous, |stored| Actor::Operator(stored.operator));
        let attempts = &self.0.attempts;
        if let Err(throttled) = attempts.check(subject, call.peer.address, now) {
            return Err(self.over_limit(subject, throttled, call, now).await);
        }
        attempts.fail(subject, call.peer.address, now);
        let (salt, cost) = stored
            .as_ref()
            .map_or((vec![0; SALT_BYTES], COST.0), |stored| (stored.salt.clone(), stored.cost.as_str()));
        let hash = self.hash(&answer.password, salt, cost).await?;
        let (Some(stored), Some(hash)) = (stored, hash) else {
            return Ok(Err((subject, "login-unknown")));
        };
        if !base::constant_time_eq(&hash, &stored.hash) {
            return Ok(Err((subject, "password-wrong")));
        }
        let step = self.app_of(&stored.app, "").and_then(|app| app.step(&answer.code, now));
        let Some(step) = step else { return Ok(Err((subject, "app-code-wrong"))) };
        if step <= stored.last_step {
            return Ok(Err((subject, Method::Password.spent())));
        }
        let key = self.password_key((&stored.login, &stored.cost), &stored.hash, &stored.salt, &stored.app);
        let way = Way {
            object: ObjectRef::new("password", stored.id),
            operator: stored.operator,
            key: &key,
            added: Activity::PasswordSet,
            removed: Activity::PasswordRemove,
        };
        if !self.is_explained_way(way).await? {
            return Ok(Err((subject, "password-unexplained")));
        }
        let spends = Spends::Step(stored.id, step);
        Ok(Ok(Proven { operator: stored.operator, method: Method::Password, spends }))
    }

    async fn stored_password(&self, login: &str) -> Result<Option<Stored>, AccessError> {
        let statement = platform!(
            "SELECT id, operator, login, hash, salt, cost, app, last_step FROM password \
             WHERE login = $1 AND removed_at IS NULL"
        );
        let mut read = self.0.store.system_read(&self.0.reader).await?;
        let Some(row) = read.row(statement, &[login.into()]).await? else { return Ok(None) };
        Ok(Some(Stored {
            id: row.id(0)?,
            operator: row.id(1)?,
            login: row.text(2)?.to_owned(),
            hash: row.blob(3)?.to_vec(),
            salt: row.blob(4)?.to_vec(),
            cost: row.text(5)?.to_owned(),
            app: row.blob(6)?.to_vec(),
            last_step: row.int(7)?,
        }))
    }

    /// The password's hash, under a key that is not in its database; none for a cost that we never set.
    async fn hash(
        &self,
        password: &Secret<String>,
        salt: Vec<u8>,
        cost: &str,
    ) -> Result<Option<[u8; HASH_BYTES]>, AccessError> {
        if cost != COST.0 {
            return Ok(None);
        }
        let pepper = Secret::new(self.0.seals.seal("password pepper", &[]).to_vec());
        let password = password.clone();
        self.compute(move || derive(&password, &salt, pepper.expose())).await?.map(Some)
    }

    /// Computes aside, two at a time: hashing takes memory and time on purpose.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccessError> {
        let fault = |_| AccessError::Internal("hashing was stopped");
        let _turn = self.0.hashing.acquire().await.map_err(fault)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| AccessError::Internal("hashing panicked"))
    }
}

fn derive(password: &Secret<String>, salt: &[u8], pepper: &[u8]) -> Result<[u8; HASH_BYTES], AccessError> {
    let fault = |_| AccessError::Internal("Argon2id refuses its parameters");
    let [memory, passes, lanes] = COST.1;
    let parameters = Params::new(memory, passes, lanes, Some(HASH_BYTES)).map_err(fault)?;
    let argon2 = Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, parameters);
    let mut hash = [0; HASH_BYTES];
    argon2
        .map_err(fault)?
        .hash_password_into(password.expose().as_bytes(), salt, &mut hash)
        .map_err(fault)?;
    Ok(hash)
}

/// What a guesser tries first: names whole, and their parts.
fn known_words(names: &[&str]) -> Vec<String> {
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let parts = lower.iter().flat_map(|name| name.split(|one: char| !one.is_alphanumeric()));
    let parts: Vec<String> = parts.filter(|part| part.len() > 2).map(str::to_owned).collect();
    lower.into_iter().chain(parts).collect()
}

/// Whether hardly anything is left of a password without what a guesser tries first.
fn is_made_of(password: &str, known: &[&str]) -> bool {
    let mut rest = password.to_lowercase();
    for word in known.iter().filter(|word| !word.is_empty()) {
        rest = rest.replace(word, " ");
    }
    rest.chars().filter(|one| one.is_alphanumeric()).count() < MIN_OF_ITS_OWN
}

/// A name to sign in by, as it is kept.
fn login(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}
