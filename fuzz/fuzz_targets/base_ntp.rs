//! Answers of NTP servers: what is accepted repeats the request's random bits, and its error is no less than half its way.
#![no_main]

use base::{Duration, Timestamp, ntp_answer, ntp_verdict};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    let sent = Timestamp::from_seconds(1_767_225_600);
    if let Ok(sample) = ntp_answer(packet, [7; 8], sent, Duration::from_millis(20)) {
        assert_eq!(packet[24..32], [7; 8]);
        assert!(sample.error.micros() >= sample.delay.micros() / 2 && (1..=15).contains(&sample.stratum));
        assert!(ntp_verdict(&[Some(sample)]).is_some());
    }
});
