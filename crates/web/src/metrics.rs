//! Metrics for Prometheus. Labels are route templates and status codes: never an id, never a name.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use base::{Duration, Timestamp};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};
use store::{ClockReading, Witnessing};

/// The least latency that is told apart, in seconds.
const FIRST_BUCKET: f64 = 0.000_25;
/// Buckets, each twice the one before: up to about 16 seconds.
const BUCKETS: u16 = 17;
/// How old the log's state may be that is shown.
const LOG_LIFE: Duration = Duration::from_seconds(1);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AnswerLabels {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// The server's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<AnswerLabels, Counter>,
    latency: Family<RouteLabels, Histogram, fn() -> Histogram>,
    refused: Family<ReasonLabels, Counter>,
    in_hand: Gauge,
    connections: Gauge,
    outbox: Gauge,
    log_size: Gauge,
    full: Gauge<i64, AtomicI64>,
    log_changed: Gauge<i64, AtomicI64>,
    clock_offset: Gauge<f64, AtomicU64>,
    clock_doubtful: Gauge<i64, AtomicI64>,
    log_witnessed: Gauge<i64, AtomicI64>,
    /// When the log's state was last read, in microseconds.
    log_read: AtomicI64,
}

fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(FIRST_BUCKET, 2.0, BUCKETS))
}

impl Metrics {
    pub(crate) fn new(version: &'static str) -> Self {
        let mut registry = Registry::with_prefix("tenet");
        let answers = Family::default();
        registry.register("http_requests", "Requests answered", answers.clone());
        let latency = Family::new_with_constructor(histogram as fn() -> Histogram);
        registry.register(
            "http_request_seconds",
            "Time from a request's headers to its answer's, in seconds",
            latency.clone(),
        );
        let refused = Family::default();
        registry.register("refused", "Connections and requests refused for a limit", refused.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let in_hand = gauge("http_requests_in_hand", "Requests being answered");
        let connections = gauge("connections", "Connections that are open");
        let outbox = gauge("log_outbox_events", "Events that wait to enter the log");
        let log_size = gauge("log_events", "Events that the last checkpoint covers");
        let full = gauge("storage_full", "1 while writes are refused for want of space");
        let log_changed =
            gauge("log_changed", "1 once the log's tables were found changed: nothing is signed");
        let clock_doubtful = gauge(
            "clock_doubtful",
            "1 while the clock is off by more than the limit, or nobody can tell: events are marked",
        );
        let log_witnessed = gauge(
            "log_witnessed",
            "1 while the quorum of witnesses stands by the log, 0 while it does not; -1 without witnesses",
        );
        let clock_offset = Gauge::default();
        registry.register(
            "clock_offset_seconds",
            "By how much the NTP servers' time is ahead of the clock, in seconds",
            clock_offset.clone(),
        );
        registry.register("build", "The version that runs", Info::new(BuildLabels { version }));
        let log_read = AtomicI64::new(i64::MIN);
        Self {
            registry,
            answers,
            latency,
            refused,
            in_hand,
            connections,
            outbox,
            log_size,
            full,
            log_changed,
            clock_offset,
            clock_doubtful,
            log_witnessed,
            log_read,
        }
    }

    /// A request that was answered.
    pub(crate) fn answered(&self, method: &'static str, route: &Arc<str>, status: u16, took: Duration) {
        let labels = AnswerLabels { method, route: route.clone(), status };
        self.answers.get_or_create(&labels).inc();
        let seconds = took.micros() as f64 / 1_000_000.0;
        self.latency.get_or_create(&RouteLabels { method, route: route.clone() }).observe(seconds);
    }
    /// Something refused for a limit.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }
    pub(crate) fn in_hand(&self) -> &Gauge {
        &self.in_hand
    }
    pub(crate) fn connections(&self) -> &Gauge {
        &self.connections
    }
    /// Whether the log's state is older than a second. Whoever is told so reads it; others take what there
    /// is meanwhile.
    pub(crate) fn log_is_due(&self, now: Timestamp) -> bool {
        let due = |read: i64| {
            let age = now.micros().saturating_sub(read);
            (!(0..LOG_LIFE.micros()).contains(&age)).then_some(now.micros())
        };
        self.log_read.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }
    /// The log's state, set when metrics are read.
    pub(crate) fn set_log(&self, outbox: u64, size: u64) {
        self.outbox.set(i64::try_from(outbox).unwrap_or(i64::MAX));
        self.log_size.set(i64::try_from(size).unwrap_or(i64::MAX));
    }
    pub(crate) fn set_log_changed(&self, changed: bool) {
        self.log_changed.set(i64::from(changed));
    }
    pub(crate) fn set_clock(&self, reading: ClockReading) {
        self.clock_offset.set(reading.offset as f64 / 1_000_000.0);
        self.clock_doubtful.set(i64::from(reading.is_doubtful()));
    }
    pub(crate) fn set_witnessing(&self, witnessing: Witnessing) {
        self.log_witnessed.set(match witnessing {
            Witnessing::Off => -1,
            Witnessing::Fresh => 1,
            Witnessing::Stale { .. } => 0,
        });
    }
    pub(crate) fn set_full(&self, full: bool) {
        self.full.set(i64::from(full));
    }
    /// The OpenMetrics text.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_state_is_read_once_a_second() {
        let metrics = Metrics::new("1.2.3");
        let at = |millis: i64| Timestamp::from_micros(1_000_000_000 + millis * 1_000);
        let due: Vec<_> =
            [0, 1, 999, 1_000, 1_500, 2_000].map(|millis| metrics.log_is_due(at(millis))).into();
        assert_eq!(due, [true, false, false, true, false, true]);
        assert!(metrics.log_is_due(at(-5)), "a clock that was set back");
    }

    #[test]
    fn the_text_has_routes_and_statuses() {
        let metrics = Metrics::new("1.2.3");
        metrics.answered("GET", &"/v1/records/{record}".into(), 404, Duration::from_millis(2));
        metrics.refused("connections");
        metrics.set_log(3, 17);
        let text = metrics.text().unwrap();
        for line in [
            "tenet_http_requests_total{method=\"GET\",route=\"/v1/records/{record}\",status=\"404\"} 1",
            "tenet_http_request_seconds_count{method=\"GET\",route=\"/v1/records/{record}\"} 1",
            "tenet_refused_total{reason=\"connections\"} 1",
            "tenet_log_outbox_events 3",
            "tenet_log_events 17",
            "tenet_build_info{version=\"1.2.3\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
    }
}
