//! The clock, and who is asked whether it is right: `clock`.

use super::{field::Span, settings::Setting};

/// The clock, and who is asked whether it is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockConfig {
    /// NTP servers.
    pub servers: Vec<String>,
    /// How far the clock may be off.
    pub limit: Span,
    /// How often it is measured.
    pub interval: Span,
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            limit: Span::seconds(1, 1, 3_600),
            interval: Span::seconds(64, 16, 86_400),
        }
    }
}

/// The settings, for the one list of them.
pub(super) const SERVERS: Setting = Setting {
    key: "clock.servers",
    about: "NTP servers against which the clock is measured, such as `ntp.example.com` or `10.0.0.1:1123`. More than half of them must agree. While the clock is off by more than `clock.limit`, or that can't be told, events are marked.",
    unset: "none: the clock is not measured",
    field: |c| &mut c.clock.servers,
};
pub(super) const LIMIT: Setting = Setting {
    key: "clock.limit",
    about: "How far the clock may be off.",
    unset: "",
    field: |c| &mut c.clock.limit,
};
pub(super) const INTERVAL: Setting = Setting {
    key: "clock.interval",
    about: "How often the clock is measured.",
    unset: "",
    field: |c| &mut c.clock.interval,
};
