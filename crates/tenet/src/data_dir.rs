//! The data directory: made with mode 0700, refused when others can look in, and held by one process
//! at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use fs4::{FileExt, TryLockError};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const LOCK: &str = "lock";

/// The data directory, held by this process until dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It can't be made, read or written.
    #[error("the data directory `{path}` can't be used: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("`{0}` is not a directory")]
    NotADirectory(PathBuf),
    /// Others can look in.
    #[error(
        "the data directory `{path}` is open to others (mode {mode:04o}): run `chmod 700 {path}`, and rotate the keys if they may have been read"
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It belongs to another user.
    #[error(
        "the data directory `{path}` belongs to user {owner}, and this process runs as user {user}: run it as that user, or give another directory with `--data DIR`"
    )]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// This process's user.
        user: u32,
    },
    /// Another process has it.
    #[error(
        "{holder} has the data directory `{path}` open: stop it first, or give another directory with `--data DIR`"
    )]
    Held {
        /// Which.
        path: PathBuf,
        /// `process 123`, or `another process`.
        holder: String,
    },
}

impl DataDir {
    /// Makes the directory if there is none, checks it, and takes it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |source| DataDirError::Io { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(io)?;
                }
                match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
                    _ => {}
                }
            }
            Err(error) => return Err(io(error)),
            Ok(_) => {}
        }
        let path = fs::canonicalize(path).map_err(io)?;
        check(&path)?;
        let lock = take(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
    /// Writes a small file, whole or not at all, readable by its owner alone.
    ///
    /// A crash before the rename leaves the old file and a stray temporary one; after it, the new file.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        write_private(&self.path.join(name), content)
    }
}

/// Writes a small file, whole or not at all, readable by its owner alone.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

fn check(path: &Path) -> Result<(), DataDirError> {
    let metadata = fs::metadata(path).map_err(|source| DataDirError::Io { path: path.to_owned(), source })?;
    if !metadata.is_dir() {
        return Err(DataDirError::NotADirectory(path.to_owned()));
    }
    // The owner of what this process makes is its user.
    if let Some(user) = own_user()
        && metadata.uid() != user
    {
        return Err(DataDirError::Foreign { path: path.to_owned(), owner: metadata.uid(), user });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DataDirError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// This process's user, from the owner of its entry in `/proc`; none where there is no `/proc`.
fn own_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|metadata| metadata.uid())
}

/// Opens a file that is written to, for this process alone: none if another one has it open so. Made if it is not there,
/// and left as it is.
pub(crate) fn open_alone(path: &Path) -> std::io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Takes the lock. The kernel lets it go with the process, however that ends: a lock never outlives
/// its holder. The pid in it is for the message only.
fn take(path: &Path) -> Result<File, DataDirError> {
    let io = |source| DataDirError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
    let mut file = options.open(path.join(LOCK)).map_err(io)?;
    match FileExt::try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = (&mut file).take(20).read_to_string(&mut pid);
            let holder = pid.trim().parse::<u32>();
            let holder = holder.map_or("another process".to_owned(), |pid| format!("process {pid}"));
            return Err(DataDirError::Held { path: path.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    write!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

impl base::Fault for DataDirError {
    fn kind(&self) -> base::Kind {
        match self {
            Self::Io { .. } => base::Kind::Unavailable,
            Self::NotADirectory(_) => base::Kind::Invalid,
            Self::Exposed { .. } | Self::Foreign { .. } => base::Kind::Denied,
            Self::Held { .. } => base::Kind::Conflict,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "data-directory",
            Self::NotADirectory(_) => "not-a-directory",
            Self::Exposed { .. } => "data-directory-exposed",
            Self::Foreign { .. } => "data-directory-foreign",
            Self::Held { .. } => "data-directory-held",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_private_and_held_once() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let held = DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let error = DataDir::open(&path).unwrap_err();
        assert!(
            matches!(&error, DataDirError::Held { holder, .. } if *holder == format!("process {}", std::process::id())),
            "{error}"
        );
        drop(held);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn what_others_can_look_into_is_refused_with_the_remedy() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        fs::create_dir(&path).unwrap();
        for mode in [0o755, 0o710, 0o701, 0o770] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = DataDir::open(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("(mode {mode:04o}): run `chmod 700 ")), "{error}");
        }
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(DataDir::open(&file), Err(DataDirError::NotADirectory(_))));
    }

    #[test]
    fn files_are_private_and_replaced_whole() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::open(&parent.path().join("data")).unwrap();
        data.write("ca.pem", b"one").unwrap();
        data.write("ca.pem", b"two").unwrap();
        assert_eq!(fs::read(data.file("ca.pem")).unwrap(), b"two");
        assert_eq!(fs::metadata(data.file("ca.pem")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 2);
    }
}
