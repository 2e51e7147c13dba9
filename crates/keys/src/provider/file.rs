//! A provider key in a file: for a machine without a hardware token. The file holds every live
//! version, is readable by its owner alone, and is replaced as a whole or not at all.
//!
//! Format 1, text: a first line `tenet provider key file, format 1`; one line `key VERSION BASE64` a
//! version (32 bytes, ascending); a last line `check HEX`, the SHA-256 of all lines before it, against
//! damage (not against attackers: who can write the file has the keys).

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base::{Context, SecretBytes};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::{Provider, ProviderError, Wrapped, check_private};
use crate::{
    KeyError,
    envelope::{self, Label, RawKey},
};

const FIRST_LINE: &str = "tenet provider key file, format 1";
/// Most bytes that a key file may have: some 4,000 versions.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Each wrap uses a key of its own, derived from 256 random bits; this bound is far below what that
/// allows, and there so that no key is used without end.
const MAX_WRAPS: u64 = 1 << 32;

/// A provider key in a file of mode 0600.
pub struct FileProvider {
    path: PathBuf,
    context: Context,
    keys: Mutex<BTreeMap<u32, RawKey>>,
}

impl FileProvider {
    /// Opens an existing key file.
    ///
    /// # Errors
    /// [`ProviderError::Missing`]; [`ProviderError::Exposed`] if others can read or change it;
    /// [`ProviderError::Malformed`] if it is damaged.
    pub fn open(path: impl Into<PathBuf>, context: &Context) -> Result<Self, ProviderError> {
        let path = path.into();
        let keys = read(&path)?;
        Ok(Self { path, context: context.clone(), keys: Mutex::new(keys) })
    }

    /// Makes a new key file with version 1; durable when it returns. Never replaces a file.
    pub fn create(path: impl Into<PathBuf>, context: &Context) -> Result<Self, ProviderError> {
        let path = path.into();
        let key = envelope::random_key(context).map_err(|_| base::EntropyError)?;
        let keys = BTreeMap::from([(1, key)]);
        let written = write_beside(&path, &keys, context)?;
        // A link fails if the name is taken, where a rename would replace: two servers that start at
        // once on one directory agree on one key. A crash before the link leaves a stray temporary
        // file and no key; after it, the key.
        let linked = fs::hard_link(&written, &path);
        let removed = fs::remove_file(&written);
        linked.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => ProviderError::Exists(path.clone()),
            _ => ProviderError::Io { path: path.clone(), source },
        })?;
        removed.and_then(|()| sync_directory(&path)).map_err(|e| at(&path, e))?;
        Ok(Self { path, context: context.clone(), keys: Mutex::new(keys) })
    }

    /// Opens the key file, or makes one if there is none. Only for a data directory that is new:
    /// [`crate::Keys::open`] refuses a new key for a database that has keys already.
    pub fn open_or_create(path: impl Into<PathBuf>, context: &Context) -> Result<Self, ProviderError> {
        let path = path.into();
        match Self::open(&path, context) {
            Err(ProviderError::Missing(_)) => match Self::create(&path, context) {
                Err(ProviderError::Exists(_)) => Self::open(path, context),
                other => other,
            },
            other => other,
        }
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<u32, RawKey>> {
        // A panic elsewhere leaves the map whole: it is only ever replaced.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of a version; the file is read again if another process added it.
    fn key(&self, version: u32) -> Result<RawKey, ProviderError> {
        if let Some(key) = self.keys().get(&version) {
            return Ok(key.clone());
        }
        let fresh = read(&self.path)?;
        let mut keys = self.keys();
        *keys = fresh;
        keys.get(&version).cloned().ok_or(ProviderError::NoSuchVersion(version))
    }

    /// Changes the file under a lock that other processes on this machine respect.
    fn change(
        &self,
        edit: impl FnOnce(&mut BTreeMap<u32, RawKey>) -> Result<bool, ProviderError>,
    ) -> Result<(), ProviderError> {
        let mut kept = self.keys();
        let lock = lock_file(&self.path)?;
        let mut keys = read(&self.path)?;
        if edit(&mut keys)? {
            let written = write_beside(&self.path, &keys, &self.context)?;
            // A crash before the rename leaves the old file whole; after it, the new one. The
            // directory is synced so that the new name outlives a power cut, before anything is
            // wrapped with a key that only the new file holds.
            fs::rename(&written, &self.path).map_err(|e| at(&self.path, e))?;
            sync_directory(&self.path).map_err(|e| at(&self.path, e))?;
        }
        *kept = keys;
        drop(lock);
        Ok(())
    }
}

impl Provider for FileProvider {
    fn name(&self) -> String {
        "file".to_owned()
    }

    fn versions(&self) -> Result<Vec<u32>, ProviderError> {
        let keys = read(&self.path)?;
        let versions = keys.keys().copied().collect();
        *self.keys() = keys;
        Ok(versions)
    }

    fn wrap(&self, version: u32, purpose: &[u8], secret: &SecretBytes) -> Result<Wrapped, ProviderError> {
        let key = self.key(version)?;
        let bytes = envelope::seal(&self.context, &key, Label::PROVIDER, purpose, secret.expose());
        match bytes {
            Ok(bytes) => Ok(Wrapped { version, bytes }),
            Err(KeyError::Entropy(error)) => Err(error.into()),
            Err(_) => Err(ProviderError::Crypto),
        }
    }

    fn unwrap(&self, purpose: &[u8], wrapped: &Wrapped) -> Result<SecretBytes, ProviderError> {
        let key = self.key(wrapped.version)?;
        envelope::open(&key, Label::PROVIDER, purpose, &wrapped.bytes)
            .map_err(|_| ProviderError::DoesNotOpen(wrapped.version))
    }

    fn add_version(&self, version: u32) -> Result<(), ProviderError> {
        self.change(|keys| {
            if keys.contains_key(&version) {
                return Ok(false);
            }
            let highest = keys.keys().next_back().copied().unwrap_or(0);
            if highest.checked_add(1) != Some(version) {
                return Err(ProviderError::NoSuchVersion(highest));
            }
            let key = envelope::random_key(&self.context).map_err(|_| base::EntropyError)?;
            keys.insert(version, key);
            Ok(true)
        })
    }

    fn destroy_version(&self, version: u32) -> Result<(), ProviderError> {
        self.change(|keys| Ok(keys.remove(&version).is_some()))
    }

    fn max_wraps(&self) -> u64 {
        MAX_WRAPS
    }
}

impl fmt::Debug for FileProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileProvider({})", self.path.display())
    }
}

fn at(path: &Path, source: io::Error) -> ProviderError {
    ProviderError::Io { path: path.to_owned(), source }
}

fn read(path: &Path) -> Result<BTreeMap<u32, RawKey>, ProviderError> {
    use std::io::Read as _;
    check_private(path)?;
    let malformed = |why| ProviderError::Malformed { path: path.to_owned(), why };
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let file = File::open(path).map_err(|e| at(path, e))?;
    if file.metadata().map_err(|e| at(path, e))?.len() > MAX_FILE_BYTES {
        return Err(malformed("it is too long"));
    }
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|e| at(path, e))?;
    parse(&text).map_err(malformed)
}

fn parse(text: &str) -> Result<BTreeMap<u32, RawKey>, &'static str> {
    let (body, check) = text.rsplit_once("check ").ok_or("its last line is missing")?;
    if check.strip_suffix('\n') != Some(&digest(body)) {
        return Err("its check line does not fit its content");
    }
    let mut lines = body.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err("its first line is not that of a key file");
    }
    let mut keys = BTreeMap::new();
    for line in lines {
        let (version, encoded) = line
            .strip_prefix("key ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or("a line is not `key VERSION BASE64`")?;
        let version: u32 = version.parse().map_err(|_| "a version is not a number")?;
        let bytes = STANDARD_NO_PAD.decode(encoded).map_err(|_| "a key is not base64")?;
        let key = envelope::raw_key(&SecretBytes::new(bytes)).map_err(|_| "a key has not 32 bytes")?;
        if version == 0 || keys.keys().next_back().is_some_and(|last| *last >= version) {
            return Err("its versions do not ascend from 1");
        }
        keys.insert(version, key);
    }
    if keys.is_empty() {
        return Err("it holds no key");
    }
    Ok(keys)
}

fn render(keys: &BTreeMap<u32, RawKey>) -> Zeroizing<String> {
    // Large enough from the start, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(256 + keys.len().saturating_mul(80)));
    text.push_str(FIRST_LINE);
    text.push('\n');
    for (version, key) in keys {
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(key.expose()));
        text.push_str("key ");
        text.push_str(&version.to_string());
        text.push(' ');
        text.push_str(&encoded);
        text.push('\n');
    }
    let check = digest(&text);
    text.push_str("check ");
    text.push_str(&check);
    text.push('\n');
    text
}

fn digest(body: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a temporary file beside `path`, mode 0600 from its first moment, and syncs it.
fn write_beside(
    path: &Path,
    keys: &BTreeMap<u32, RawKey>,
    context: &Context,
) -> Result<PathBuf, ProviderError> {
    let unique = u64::from_be_bytes(context.random::<8>()?);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{unique:016x}.new"));
    let temporary = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(render(keys).as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&temporary);
        at(path, source)
    })?;
    Ok(temporary)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// A lock beside the file: the file itself is replaced, so that a lock on it would guard nothing.
fn lock_file(path: &Path) -> Result<File, ProviderError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let lock_path = path.with_file_name(name);
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
    let file = open.map_err(|e| at(&lock_path, e))?;
    file.lock().map_err(|e| at(&lock_path, e))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use base::Secret;
    use std::os::unix::fs::PermissionsExt as _;

    fn secret() -> SecretBytes {
        Secret::new(vec![42; 32])
    }

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("provider.key");
        (directory, path)
    }

    #[test]
    fn what_it_wraps_it_unwraps_for_the_same_purpose_only() {
        let (_directory, path) = directory();
        let provider = FileProvider::create(&path, &samples::context()).unwrap();
        let wrapped = provider.wrap(1, b"account a", &secret()).unwrap();
        assert_eq!(provider.unwrap(b"account a", &wrapped).unwrap().expose(), secret().expose());
        assert!(matches!(provider.unwrap(b"account b", &wrapped), Err(ProviderError::DoesNotOpen(1))));
        let again = FileProvider::open(&path, &samples::context()).unwrap();
        assert_eq!(again.unwrap(b"account a", &wrapped).unwrap().expose(), secret().expose());
    }

    #[test]
    fn the_file_is_private_from_the_start_and_refused_when_opened_up() {
        let (_directory, path) = directory();
        FileProvider::open_or_create(&path, &samples::context()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660, 0o622] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = FileProvider::open(&path, &samples::context()).unwrap_err();
            let expected = format!(
                "the key file `{0}` is open to others (mode {mode:04o}): run `chmod 600 {0}`, and rotate the key if they may have read it",
                path.display()
            );
            assert_eq!(error.to_string(), expected);
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        FileProvider::open(&path, &samples::context()).unwrap();
    }

    #[test]
    fn a_file_is_never_replaced_by_a_new_key() {
        let (_directory, path) = directory();
        let first = FileProvider::create(&path, &samples::context()).unwrap();
        assert!(matches!(FileProvider::create(&path, &samples::context()), Err(ProviderError::Exists(_))));
        let wrapped = first.wrap(1, b"", &secret()).unwrap();
        let opened = FileProvider::open_or_create(&path, &samples::context()).unwrap();
        assert!(opened.unwrap(b"", &wrapped).is_ok());
    }

    #[test]
    fn versions_come_and_go_and_other_processes_see_them() {
        let (directory, path) = directory();
        let one = FileProvider::create(&path, &samples::context()).unwrap();
        let other = FileProvider::open(&path, &samples::context()).unwrap();
        let old = one.wrap(1, b"", &secret()).unwrap();
        one.add_version(2).unwrap();
        one.add_version(2).unwrap();
        assert!(matches!(one.add_version(4), Err(ProviderError::NoSuchVersion(2))));
        let new = one.wrap(2, b"", &secret()).unwrap();
        assert_eq!(other.unwrap(b"", &new).unwrap().expose(), secret().expose(), "reads the file again");
        assert!(other.unwrap(b"", &old).is_ok());
        one.destroy_version(1).unwrap();
        one.destroy_version(1).unwrap();
        assert!(matches!(one.unwrap(b"", &old), Err(ProviderError::NoSuchVersion(1))));
        assert_eq!(other.versions().unwrap(), [2]);
        assert!(matches!(other.unwrap(b"", &old), Err(ProviderError::NoSuchVersion(1))));
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{names:?}");
    }

    #[test]
    fn damage_is_refused() {
        let (_directory, path) = directory();
        FileProvider::create(&path, &samples::context()).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(FileProvider::open(&path, &samples::context()).is_err(), "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(FileProvider::open(&path, &samples::context()).is_err(), "cut to {at}");
        }
    }

    #[test]
    fn a_missing_file_is_not_silently_made() {
        let (_directory, path) = directory();
        let error = FileProvider::open(&path, &samples::context()).unwrap_err();
        assert!(matches!(&error, ProviderError::Missing(p) if *p == path));
    }

    #[test]
    fn a_link_is_refused() {
        let (directory, path) = directory();
        FileProvider::create(&path, &samples::context()).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(
            FileProvider::open(&link, &samples::context()),
            Err(ProviderError::Malformed { .. })
        ));
    }
}
