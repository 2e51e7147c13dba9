//! Measuring this server's clock against NTP servers (EL-5): how far it is off, by whom, and whether that is known at
//! all. It sets no clock. What it finds is an event, and marks every event that is written while the clock is in doubt.

use std::net::SocketAddr;

use base::{Context, Duration, NtpError, NtpSample, Timestamp, ntp_answer, ntp_request, ntp_verdict};
use ledger::{Act, Activity, ObjectRef};
use store::{ClockReading, ClockState, Store, StoreError, SystemScope};
use tokio::{net::UdpSocket, sync::watch};

/// How long an answer may take.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(2);
/// How often one server is asked in one measurement; the quickest answer counts.
const ASKED: usize = 3;
/// Rounds without a verdict before nobody is said to be able to tell: one lost round is no alarm.
const PATIENCE: u32 = 3;
/// A measurement that changes nothing is an event that often.
const RECORD: Duration = Duration::from_seconds(3_600);

/// The clock's watch.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    store: Store,
    context: Context,
    scope: SystemScope,
    servers: Vec<String>,
    limit: Duration,
    interval: Duration,
    /// Rounds without a verdict.
    blank: u32,
    /// When a measurement was recorded last, by the clock that nobody sets.
    recorded: Option<Duration>,
}

/// Of one server: what it said, or why nothing.
type Answer = (Option<NtpSample>, String);

impl ClockWatch {
    pub(crate) fn new(
        store: Store,
        scope: SystemScope,
        servers: Vec<String>,
        limit: Duration,
        interval: Duration,
    ) -> Self {
        let context = store.context().clone();
        Self { store, context, scope, servers, limit, interval, blank: 0, recorded: None }
    }

    /// Measures until told to stop.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.measure().await {
                tracing::warn!(%error, "what was measured of the clock can't be recorded");
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval.into()) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Asks every server, and says what that amounts to.
    pub(crate) async fn measure(&mut self) -> Result<(), StoreError> {
        let asked = self.servers.iter().map(|server| ask(server, &self.context));
        let answers = futures::future::join_all(asked).await;
        let samples: Vec<_> = answers.iter().map(|(sample, _)| *sample).collect();
        let verdict = ntp_verdict(&samples);
        let before = self.store.clock();
        let after = match &verdict {
            Some(verdict) => {
                self.blank = 0;
                let offset = verdict.best.offset;
                let off = offset.unsigned_abs() > self.limit.micros().unsigned_abs();
                let state = if off { ClockState::Skewed } else { ClockState::Synchronised };
                ClockReading { state, offset }
            }
            None => {
                self.blank = self.blank.saturating_add(1);
                let is_known = before.state != ClockState::Unmeasured && self.blank < PATIENCE;
                if is_known { before } else { ClockReading { state: ClockState::Unknown, offset: 0 } }
            }
        };
        // The mark comes first: the event that says so is marked itself.
        self.store.set_clock(after);
        let elapsed = self.context.elapsed();
        let is_due = self.recorded.is_none_or(|at| elapsed >= at + RECORD);
        if before.state == after.state && !is_due {
            return Ok(());
        }
        let act = match (before.state, after.state) {
            (before, after) if before == after => Activity::ClockMeasure,
            (_, ClockState::Skewed | ClockState::Unknown) => Activity::ClockSkew,
            (ClockState::Unmeasured, _) => Activity::ClockMeasure,
            (_, _) => Activity::ClockSync,
        };
        if act == Activity::ClockSkew {
            tracing::error!(
                state = after.state.as_str(),
                offset_us = after.offset,
                "the clock is in doubt: events are marked"
            );
        }
        let answered = samples.iter().flatten().count();
        let mut act = Act::new(act, ObjectRef::new("clock", self.store.server()))
            .detail("state", after.state.as_str())
            .detail("asked", self.servers.len())
            .detail("answered", answered)
            .detail("limit_us", self.limit.micros());
        if let Some(verdict) = &verdict {
            let source = self.servers.get(verdict.source).cloned().unwrap_or_default();
            let wrong: Vec<_> =
                verdict.false_tickers.iter().filter_map(|place| self.servers.get(*place).cloned()).collect();
            act = act
                .detail("offset_us", verdict.best.offset)
                .detail("delay_us", verdict.best.delay.micros())
                .detail("error_us", verdict.best.error.micros())
                .detail("dispersion_us", verdict.best.dispersion.micros())
                .detail("stratum", u32::from(verdict.best.stratum))
                .detail("source", source);
            if !wrong.is_empty() {
                act = act.detail("false_tickers", wrong.join(" "));
            }
        } else {
            let why: Vec<_> = answers.iter().map(|(_, why)| why.as_str()).collect();
            act = act.detail("why", why.join("; "));
        }
        self.store.record_system(&self.scope, act).await?;
        self.recorded = Some(elapsed);
        Ok(())
    }
}

/// The quickest of some answers of one server.
async fn ask(server: &str, context: &Context) -> Answer {
    let mut best: Option<NtpSample> = None;
    let mut why = String::new();
    for _ in 0..ASKED {
        match once(server, context).await {
            Ok(sample) if best.is_none_or(|best| sample.delay < best.delay) => best = Some(sample),
            Ok(_) => {}
            Err(error) => {
                why = format!("{server}: {error}");
                // One that asks not to be asked is not asked again, and one that does not answer holds nobody up.
                break;
            }
        }
    }
    (best, why)
}

async fn once(server: &str, context: &Context) -> Result<NtpSample, String> {
    let text = |error: std::io::Error| error.to_string();
    let with_port = if has_port(server) { server.to_owned() } else { format!("{server}:123") };
    let found = tokio::time::timeout(ANSWER, tokio::net::lookup_host(&with_port));
    let address: SocketAddr = found
        .await
        .map_err(|_| "its name is not answered for".to_owned())?
        .map_err(text)?
        .next()
        .ok_or_else(|| "it has no address".to_owned())?;
    let local: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await.map_err(text)?;
    // From there alone: what others send does not arrive.
    socket.connect(address).await.map_err(text)?;
    let nonce = context.random::<8>().map_err(|error| error.to_string())?;
    let (sent, begun) = (context.now(), context.elapsed());
    socket.send(&ntp_request(nonce)).await.map_err(text)?;
    let mut packet = [0u8; 1_024];
    let answered = tokio::time::timeout(ANSWER, answer(&socket, &mut packet, nonce, sent, begun, context));
    answered.await.map_err(|_| "it does not answer".to_owned())?
}

/// The first answer to this very request.
async fn answer(
    socket: &UdpSocket,
    packet: &mut [u8],
    nonce: [u8; 8],
    sent: Timestamp,
    begun: Duration,
    context: &Context,
) -> Result<NtpSample, String> {
    loop {
        let read = socket.recv(packet).await.map_err(|error| error.to_string())?;
        let took = Duration::from_micros(context.elapsed().micros().saturating_sub(begun.micros()));
        match ntp_answer(packet.get(..read).unwrap_or_default(), nonce, sent, took) {
            // Forged, or late: the real one may still come.
            Err(NtpError::Foreign | NtpError::Shape) => {}
            other => return other.map_err(|error| error.to_string()),
        }
    }
}

/// Whether a server is given with a port: `host:123`, `[::1]:123`; not `::1`.
fn has_port(server: &str) -> bool {
    match server.rsplit_once(':') {
        Some((host, port)) => {
            port.bytes().all(|byte| byte.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']'))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::UdpSocket as Socket,
        sync::{
            Arc,
            atomic::{AtomicI64, Ordering},
        },
    };

    use base::{Clock, SystemClock, SystemEntropy};
    use ledger::{Event, EventView};
    use store::Realm;
    use testkit::{Chrony, Harness};

    use super::*;

    /// The machine's clock, off by so many microseconds.
    struct Off(AtomicI64);

    impl Clock for Off {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(SystemClock.now().micros() + self.0.load(Ordering::SeqCst))
        }
        fn elapsed(&self) -> Duration {
            SystemClock.elapsed()
        }
    }

    fn watch(h: &Harness, off: &Arc<Off>, servers: &[&str]) -> ClockWatch {
        let servers = servers.iter().map(|server| (*server).to_owned()).collect();
        let (limit, interval) = (Duration::from_seconds(1), Duration::from_seconds(64));
        let mut watch = ClockWatch::new(h.data.clone(), h.system(), servers, limit, interval);
        watch.context = Context::new(off.clone(), Arc::new(SystemEntropy));
        watch
    }

    /// The newest event.
    fn newest(h: &Harness) -> EventView {
        let leaf = h.tamper(Realm::Data, "SELECT leaf FROM event ORDER BY seq DESC LIMIT 1");
        let leaf = leaf.into_iter().next().unwrap();
        let byte = |at: usize| u8::from_str_radix(&leaf[at..at + 2], 16).unwrap();
        Event::decode(&(0..leaf.len()).step_by(2).map(byte).collect::<Vec<_>>()).unwrap()
    }

    fn detail(event: &EventView, wanted: &str) -> String {
        let found = event.details.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| format!("{value:?}")).unwrap_or_default()
    }

    /// Answers each request with what `make` makes of it, one packet after the other.
    fn server(make: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> String {
        let socket = Socket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let mut request = [0u8; 64];
            while let Ok((read, from)) = socket.recv_from(&mut request) {
                for packet in make(&request[..read]) {
                    let _ = socket.send_to(&packet, from);
                }
            }
        });
        address
    }

    /// A right answer, off by so many seconds.
    fn right(request: &[u8], off: i64) -> Vec<u8> {
        let mut packet = vec![0; 48];
        (packet[0], packet[1]) = (0b00_100_100, 3);
        packet[24..32].copy_from_slice(&request[40..48]);
        let now = SystemClock.now();
        let seconds = (now.seconds() + off + 2_208_988_800) as u32;
        let fraction = ((now.micros().rem_euclid(1_000_000) << 32) / 1_000_000) as u32;
        for at in [32, 40] {
            packet[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
            packet[at + 4..at + 8].copy_from_slice(&fraction.to_be_bytes());
        }
        packet
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_real_servers_time_is_what_the_clock_is_held_against() {
        let Some(chrony) = Chrony::start() else { return };
        let h = Harness::new(testkit::Engine::Sqlite).await;
        let off = Arc::new(Off(AtomicI64::new(0)));
        let mut watch = watch(&h, &off, &[chrony.address()]);
        watch.measure().await.unwrap();
        assert_eq!(h.data.clock().state, ClockState::Synchronised);
        let event = newest(&h);
        assert_eq!((event.activity.as_str(), event.clock_doubtful), ("clock.measure", false));
        assert!(detail(&event, "source").contains(chrony.address()));
        assert_eq!(detail(&event, "stratum"), "Number(8)");
        off.0.store(-5_000_000, Ordering::SeqCst);
        watch.measure().await.unwrap();
        let event = newest(&h);
        assert_eq!((event.activity.as_str(), event.clock_doubtful), ("clock.skew", true));
        let ahead = h.data.clock().offset;
        assert!((ahead - 5_000_000).abs() < 500_000, "{ahead}");
    }

    testkit::on_both_engines! {
        async fn events_are_marked_while_the_clock_is_in_doubt(h: Harness) {
            let off = Arc::new(Off(AtomicI64::new(0)));
            let address = server(|request| vec![right(request, 0)]);
            let mut watch = watch(&h, &off, &[&address]);
            let scope = h.scope(h.account());
            let act = || Act::new(Activity::RecordRead, ObjectRef::new("record", "r"));
            h.data.record(&scope, act()).await.unwrap();
            assert!(!newest(&h).clock_doubtful, "what nobody measures is not marked");
            watch.measure().await.unwrap();
            off.0.store(2_500_000, Ordering::SeqCst);
            watch.measure().await.unwrap();
            h.data.record(&scope, act()).await.unwrap();
            assert!(newest(&h).clock_doubtful);
            off.0.store(0, Ordering::SeqCst);
            watch.measure().await.unwrap();
            assert_eq!(newest(&h).activity, "clock.sync");
            h.data.record(&scope, act()).await.unwrap();
            assert!(!newest(&h).clock_doubtful);
            // What changes nothing is not an event each time.
            let count = || h.tamper(Realm::Data, "SELECT count(*) FROM event");
            let before = count();
            watch.measure().await.unwrap();
            assert_eq!(count(), before);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_lies_or_does_not_know_is_not_believed() {
        let h = Harness::new(testkit::Engine::Sqlite).await;
        let off = Arc::new(Off(AtomicI64::new(0)));
        let true_one = server(|request| vec![right(request, 0)]);
        // Forged answers come first; the right one behind them counts.
        let raced = server(|request| {
            let mut foreign = right(request, 9_000);
            foreign[30] ^= 1;
            vec![foreign, vec![1, 2, 3], right(request, 0)]
        });
        let liar = server(|request| vec![right(request, 9_000)]);
        let mut of_three = watch(&h, &off, &[&true_one, &raced, &liar]);
        of_three.measure().await.unwrap();
        assert_eq!(h.data.clock().state, ClockState::Synchronised);
        assert!(detail(&newest(&h), "false_tickers").contains(&liar));
        // Each of these alone says nothing.
        let kiss = server(|request| {
            let mut packet = right(request, 0);
            packet[1] = 0;
            packet[12..16].copy_from_slice(b"DENY");
            vec![packet]
        });
        let lost = server(|request| {
            let mut packet = right(request, 0);
            packet[0] |= 0b1100_0000;
            vec![packet]
        });
        let mut of_none = watch(&h, &off, &[&kiss, &lost]);
        // A round without a verdict is no alarm yet; the third is.
        for expected in [ClockState::Synchronised, ClockState::Synchronised, ClockState::Unknown] {
            of_none.measure().await.unwrap();
            assert_eq!(h.data.clock().state, expected);
        }
        let event = newest(&h);
        assert_eq!((event.activity.as_str(), event.clock_doubtful), ("clock.skew", true));
        let why = detail(&event, "why");
        assert!(why.contains("DENY") && why.contains("not synchronised"), "{why}");
    }

    #[test]
    fn a_port_is_told_from_an_address() {
        for (server, has) in
            [("ntp.example", false), ("ntp.example:1", true), ("::1", false), ("[::1]:9", true)]
        {
            assert_eq!(has_port(server), has, "{server}");
        }
    }
}
