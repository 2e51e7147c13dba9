//! A real PostgreSQL 15 for tests. `TENET_TEST_POSTGRES` names the directory of a running server's
//! socket; without it, the first test starts a server of its own and the others share it. It outlives
//! the tests; `check` stops it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const BIN: &str = "/usr/lib/postgresql/15/bin";

/// The directory of the socket of a running server whose superuser is `postgres`, trusted there.
pub fn server_socket() -> PathBuf {
    if let Some(socket) = std::env::var_os("TENET_TEST_POSTGRES") {
        return socket.into();
    }
    let home = std::env::temp_dir().join(format!("tenet-test-postgres-{}", user()));
    fs::create_dir_all(&home).expect("a directory for the test PostgreSQL");
    let lock = fs::File::create(home.join("lock")).expect("its lock file");
    lock.lock().expect("its lock");
    if !answers(&home) {
        start(&home);
    }
    home
}

fn user() -> String {
    let out = Command::new("id").arg("-u").output().expect("id");
    String::from_utf8(out.stdout).expect("a number").trim().to_owned()
}

/// A command run as somebody PostgreSQL agrees to run as: root becomes `postgres`.
fn command(program: &str) -> Command {
    let path = format!("{BIN}/{program}");
    assert!(
        Path::new(&path).exists(),
        "{path} is missing: install Debian's package postgresql-15 (`./check` does), or set TENET_TEST_POSTGRES"
    );
    if user() == "0" {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", &path]);
        command
    } else {
        Command::new(path)
    }
}

fn answers(home: &Path) -> bool {
    let mut command = Command::new(format!("{BIN}/pg_isready"));
    command.arg("-q").arg("-h").arg(home);
    command.status().is_ok_and(|status| status.success())
}

fn start(home: &Path) {
    let data = home.join("data");
    let log = home.join("log");
    if user() == "0" {
        let owned = Command::new("chown").arg("postgres").arg(home).status().expect("chown");
        assert!(owned.success());
    }
    // A server that was killed leaves its data; it is worth nothing, so start afresh.
    let _ = fs::remove_dir_all(&data);
    run(command("initdb")
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "-D"])
        .arg(&data));
    let settings = format!(
        "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 400\nfsync = off\n\
         shared_buffers = 64MB\nlogging_collector = off\n",
        home.display()
    );
    let extra = home.join("tenet.conf");
    fs::write(&extra, settings).expect("settings");
    let mut conf =
        fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).expect("postgresql.conf");
    writeln!(conf, "include '{}'", extra.display()).expect("an include");
    run(command("pg_ctl").args(["-w", "-s", "start", "-D"]).arg(&data).arg("-l").arg(&log));
}

fn run(command: &mut Command) {
    let out = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(out.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {out:?}");
}

/// A database of its own, with an owner and an application's role; dropped at the end.
#[derive(Debug)]
pub struct TestDatabase {
    socket: PathBuf,
    name: String,
}

impl TestDatabase {
    /// Makes one.
    pub fn create() -> Self {
        let mut random = [0u8; 8];
        base::Entropy::fill(&base::SystemEntropy, &mut random).expect("randomness");
        let name = format!("t{:016x}", u64::from_be_bytes(random));
        let made = Self { socket: server_socket(), name };
        let (owner, application) = (made.owner(), made.application());
        made.admin("postgres", &format!("CREATE ROLE {owner} LOGIN"));
        made.admin(
            "postgres",
            &format!("CREATE ROLE {application} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"),
        );
        made.admin("postgres", &format!("CREATE DATABASE {} OWNER {owner}", made.name));
        made
    }
    fn owner(&self) -> String {
        format!("{}_owner", self.name)
    }
    fn application(&self) -> String {
        format!("{}_app", self.name)
    }
    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The socket's directory.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
    fn url(&self, role: &str) -> String {
        format!("host={} user={role} dbname={}", self.socket.display(), self.name)
    }
    /// The connection string of the application's role.
    pub fn application_url(&self) -> String {
        self.url(&self.application())
    }
    /// The connection string of the owner.
    pub fn owner_url(&self) -> String {
        self.url(&self.owner())
    }
    /// The connection string of the server's superuser.
    pub fn superuser_url(&self) -> String {
        self.url("postgres")
    }
    /// Runs SQL as the superuser in this database; what it prints, unaligned.
    pub fn sql(&self, sql: &str) -> String {
        self.admin(&self.name, sql)
    }
    fn admin(&self, database: &str, sql: &str) -> String {
        let mut command = Command::new(format!("{BIN}/psql"));
        command.arg("-h").arg(&self.socket).args([
            "-U",
            "postgres",
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
        ]);
        let out = command.arg(database).arg("-c").arg(sql).stdin(Stdio::null()).output().expect("psql");
        assert!(out.status.success(), "psql: {}: {sql}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }
    /// Runs one of PostgreSQL's client programs against this database, as the superuser.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(format!("{BIN}/{program}"));
        command.arg("-h").arg(&self.socket).args(["-U", "postgres", "-d", &self.name]);
        command
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let sql = [
            format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
            format!("DROP ROLE IF EXISTS {}", self.application()),
            format!("DROP ROLE IF EXISTS {}", self.owner()),
        ];
        for statement in sql {
            let mut command = Command::new(format!("{BIN}/psql"));
            command
                .arg("-h")
                .arg(&self.socket)
                .args(["-U", "postgres", "-X", "-q", "-d", "postgres", "-c", &statement]);
            let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}
