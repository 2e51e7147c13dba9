//! A real NTP server: chrony of Debian's packages, which serves this machine's time on a port of its own and sets no clock.

use std::{
    net::UdpSocket,
    process::{Child, Command, Stdio},
    time::Duration,
};

const PROGRAM: &str = "/usr/sbin/chronyd";
/// How long it may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running NTP server; it ends with this.
#[derive(Debug)]
pub struct Chrony {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Chrony {
    /// Starts one. None where chrony is not installed: `./check packages` installs it.
    pub fn start() -> Option<Self> {
        if !std::path::Path::new(PROGRAM).exists() {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let port =
            UdpSocket::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let configuration = directory.path().join("chrony.conf");
        let pid = directory.path().join("pid").display().to_string();
        let text = format!(
            "local stratum 8\nport {port}\ncmdport 0\nbindaddress 127.0.0.1\nallow 127.0.0.1\npidfile {pid}\n"
        );
        std::fs::write(&configuration, text).expect("a configuration");
        let user = Command::new("id").arg("-un").output().expect("id");
        let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
        let child = Command::new(PROGRAM)
            .args(["-d", "-x", "-U", "-u", &user, "-f"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chronyd starts");
        let chrony = Self { child, address: format!("127.0.0.1:{port}"), _directory: directory };
        chrony.wait();
        Some(chrony)
    }

    /// Where it answers.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Until it answers.
    fn wait(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let each = Duration::from_millis(100);
        socket.set_read_timeout(Some(each)).expect("a timeout");
        socket.connect(&self.address).expect("loopback");
        let request = base::ntp_request([7; 8]);
        for _ in 0..PATIENCE.as_millis() / each.as_millis() {
            let answered = socket.send(&request).and_then(|_| socket.recv(&mut [0; 64]));
            if answered.is_ok() {
                return;
            }
            // A port where nobody listens is refused at once.
            std::thread::sleep(each);
        }
        panic!("chronyd does not answer");
    }
}

impl Drop for Chrony {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
