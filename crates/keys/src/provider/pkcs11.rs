//! A provider key in a hardware token (PKCS#11 2.40). The token generates it, and never lets it out:
//! `CKA_SENSITIVE`, not `CKA_EXTRACTABLE`. Tenet sends what is to be wrapped, and gets it back encrypted.
//!
//! Format: 12 bytes of random IV, then what `CKM_AES_GCM` yields: the ciphertext and 16 bytes of tag.
//! The purpose is the associated data. With random IVs one key may wrap 2^32 times at most
//! (NIST SP 800-38D, 8.3); [`Provider::max_wraps`] says half of that.

use std::{
    fmt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use base::{Context, SecretBytes};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error as DeviceError, RvError},
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use zeroize::Zeroizing;

use super::{Provider, ProviderError, Wrapped, check_private};

const IV_BYTES: usize = 12;
const TAG_BITS: u64 = 128;
const KEY_BYTES: u64 = 32;
/// Half of what NIST SP 800-38D allows for random IVs.
const MAX_WRAPS: u64 = 1 << 31;

/// Where the token's PIN comes from; never from a setting's value or the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSource {
    /// A file of mode 0600 that holds the PIN on its first line.
    File(PathBuf),
    /// An environment variable's name.
    Environment(String),
}

/// Which token, and how to sign in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pkcs11Options {
    /// The vendor's module, such as `/usr/lib/softhsm/libsofthsm2.so`.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The label of the keys on it, so that one token can serve more than one installation.
    pub key_label: String,
    /// Where its PIN comes from.
    pub pin: PinSource,
}

/// A provider key in a PKCS#11 token.
pub struct Pkcs11Provider {
    options: Pkcs11Options,
    context: Context,
    module: Pkcs11,
    session: Mutex<Option<Session>>,
}

impl Pkcs11Provider {
    /// Loads the module, finds the token and signs in. Makes no key: [`crate::Keys::open`] does, when
    /// its database is new.
    ///
    /// # Errors
    /// [`ProviderError::Device`] for what the module or token refuses, [`ProviderError::Configuration`]
    /// for a missing PIN, [`ProviderError::Exposed`] for a PIN file that others can read.
    pub fn open(options: Pkcs11Options, context: &Context) -> Result<Self, ProviderError> {
        let module = Pkcs11::new(&options.module).map_err(device)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another provider of this process loaded the same module before.
            Ok(()) | Err(DeviceError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(device(error)),
        }
        let provider = Self { options, context: context.clone(), module, session: Mutex::new(None) };
        provider.with_session(|_| Ok(()))?;
        Ok(provider)
    }

    fn connect(&self) -> Result<Session, ProviderError> {
        let mut slots = self.module.get_slots_with_initialized_token().map_err(device)?;
        slots.retain(|slot| {
            self.module.get_token_info(*slot).is_ok_and(|token| token.label() == self.options.token)
        });
        let [slot] = slots.as_slice() else {
            let found = slots.len();
            return Err(ProviderError::Configuration(format!(
                "{found} tokens have the label `{}`: give the label of exactly one",
                self.options.token
            )));
        };
        let session = self.module.open_rw_session(*slot).map_err(device)?;
        let pin = self.pin()?;
        match session.login(UserType::User, Some(&pin)) {
            // Signing in is for the whole process, and holds as long as a session is open.
            Ok(()) | Err(DeviceError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(device(error)),
        }
    }

    fn pin(&self) -> Result<AuthPin, ProviderError> {
        let pin = match &self.options.pin {
            PinSource::File(path) => {
                check_private(path)?;
                let text = std::fs::read_to_string(path).map(Zeroizing::new);
                let text = text.map_err(|source| ProviderError::Io { path: path.clone(), source })?;
                text.lines().next().unwrap_or_default().to_owned()
            }
            PinSource::Environment(name) => std::env::var(name).map_err(|_| {
                ProviderError::Configuration(format!(
                    "the token's PIN is not in the environment: set `{name}`"
                ))
            })?,
        };
        if pin.is_empty() {
            return Err(ProviderError::Configuration("the token's PIN is empty".to_owned()));
        }
        Ok(AuthPin::from(pin))
    }

    /// Runs `work` in the session, signing in first if there is none. A session that the token dropped
    /// is opened again, once.
    fn with_session<T>(&self, work: impl Fn(&Session) -> Result<T, Failure>) -> Result<T, ProviderError> {
        let mut kept = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = kept.is_none();
        let session = match kept.take() {
            Some(session) => session,
            None => self.connect()?,
        };
        match work(&session) {
            Ok(value) => {
                *kept = Some(session);
                Ok(value)
            }
            Err(Failure::Provider(error)) => {
                *kept = Some(session);
                Err(error)
            }
            Err(Failure::Device(error)) if fresh || !is_lost(&error) => {
                // Not kept: the next use signs in again.
                Err(device(error))
            }
            Err(Failure::Device(_)) => {
                drop(session);
                let session = self.connect()?;
                let value = work(&session).map_err(Failure::into_error)?;
                *kept = Some(session);
                Ok(value)
            }
        }
    }

    /// The handles of a version's key: one, unless somebody made another by hand.
    fn handles(&self, session: &Session, version: Option<u32>) -> Result<Vec<ObjectHandle>, Failure> {
        let mut template = vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Token(true),
            Attribute::Label(self.options.key_label.clone().into_bytes()),
        ];
        if let Some(version) = version {
            template.push(Attribute::Id(version.to_be_bytes().to_vec()));
        }
        Ok(session.find_objects(&template)?)
    }

    fn handle(&self, session: &Session, version: u32) -> Result<ObjectHandle, Failure> {
        match self.handles(session, Some(version))?.as_slice() {
            [one] => Ok(*one),
            [] => Err(ProviderError::NoSuchVersion(version).into()),
            _ => Err(self.doubled(version).into()),
        }
    }

    fn doubled(&self, version: u32) -> ProviderError {
        ProviderError::Configuration(format!(
            "the token holds two keys `{}` of version {version}: remove the one that was not made by Tenet",
            self.options.key_label
        ))
    }

    fn generate(&self, session: &Session, version: u32) -> Result<(), Failure> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(KEY_BYTES.into()),
            Attribute::Label(self.options.key_label.clone().into_bytes()),
            Attribute::Id(version.to_be_bytes().to_vec()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
            Attribute::Sign(false),
            Attribute::Verify(false),
            Attribute::Derive(false),
        ];
        let made = session.generate_key(&Mechanism::AesKeyGen, &template)?;
        // Two servers may do this at once: each looks again, and takes back its own if it is not alone.
        // Neither has wrapped anything yet. If both take theirs back, the next attempt makes one.
        if self.handles(session, Some(version))?.len() > 1 {
            session.destroy_object(made)?;
            if self.handles(session, Some(version))?.len() != 1 {
                return Err(self.doubled(version).into());
            }
        }
        Ok(())
    }
}

impl Provider for Pkcs11Provider {
    fn name(&self) -> String {
        format!("pkcs11 {}", self.options.token)
    }

    fn versions(&self) -> Result<Vec<u32>, ProviderError> {
        self.with_session(|session| {
            let mut versions = Vec::new();
            for handle in self.handles(session, None)? {
                for attribute in session.get_attributes(handle, &[AttributeType::Id])? {
                    if let Attribute::Id(id) = attribute
                        && let Ok(id) = <[u8; 4]>::try_from(id.as_slice())
                    {
                        versions.push(u32::from_be_bytes(id));
                    }
                }
            }
            versions.sort_unstable();
            Ok(versions)
        })
    }

    fn wrap(&self, version: u32, purpose: &[u8], secret: &SecretBytes) -> Result<Wrapped, ProviderError> {
        let iv = self.context.random::<IV_BYTES>()?;
        let purpose = associated(purpose);
        self.with_session(|session| {
            let key = self.handle(session, version)?;
            let mut used = iv;
            let parameters = GcmParams::new(&mut used, &purpose, TAG_BITS.into())?;
            let sealed = session.encrypt(&Mechanism::AesGcm(parameters), key, secret.expose())?;
            let mut bytes = iv.to_vec();
            bytes.extend_from_slice(&sealed);
            Ok(Wrapped { version, bytes })
        })
    }

    fn unwrap(&self, purpose: &[u8], wrapped: &Wrapped) -> Result<SecretBytes, ProviderError> {
        let version = wrapped.version;
        let (iv, sealed) =
            wrapped.bytes.split_first_chunk::<IV_BYTES>().ok_or(ProviderError::DoesNotOpen(version))?;
        let purpose = associated(purpose);
        self.with_session(|session| {
            let key = self.handle(session, version)?;
            let mut used = *iv;
            let parameters = GcmParams::new(&mut used, &purpose, TAG_BITS.into())?;
            match session.decrypt(&Mechanism::AesGcm(parameters), key, sealed) {
                Ok(secret) => Ok(SecretBytes::new(secret)),
                Err(error) if is_lost(&error) || is_fault(&error) => Err(error.into()),
                // Tokens disagree on the code for a tag that does not fit (SoftHSM: general error).
                Err(_) => Err(ProviderError::DoesNotOpen(version).into()),
            }
        })
    }

    fn add_version(&self, version: u32) -> Result<(), ProviderError> {
        self.with_session(|session| {
            if self.handles(session, Some(version))?.is_empty() {
                self.generate(session, version)?;
            }
            Ok(())
        })
    }

    fn destroy_version(&self, version: u32) -> Result<(), ProviderError> {
        self.with_session(|session| {
            for handle in self.handles(session, Some(version))? {
                session.destroy_object(handle)?;
            }
            Ok(())
        })
    }

    fn max_wraps(&self) -> u64 {
        MAX_WRAPS
    }
}

impl fmt::Debug for Pkcs11Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pkcs11Provider({})", self.options.token)
    }
}

/// What went wrong inside a session.
enum Failure {
    Device(DeviceError),
    Provider(ProviderError),
}

impl Failure {
    fn into_error(self) -> ProviderError {
        match self {
            Self::Device(error) => device(error),
            Self::Provider(error) => error,
        }
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error)
    }
}

/// The associated data of a purpose. Never empty: some tokens fail on that.
fn associated(purpose: &[u8]) -> Vec<u8> {
    let mut out = b"tenet provider wrap 1\0".to_vec();
    out.extend_from_slice(purpose);
    out
}

/// Whether the session is gone, so that a new one may do better.
fn is_lost(error: &DeviceError) -> bool {
    matches!(
        error,
        DeviceError::Pkcs11(
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent,
            _
        )
    )
}

/// Whether the device itself failed, so that nothing is said about the ciphertext.
fn is_fault(error: &DeviceError) -> bool {
    matches!(
        error,
        DeviceError::Pkcs11(RvError::DeviceError | RvError::DeviceMemory | RvError::HostMemory, _)
    )
}

fn device(error: DeviceError) -> ProviderError {
    ProviderError::Device(error.to_string())
}
