//! Asking an NTP server for the time (RFC 5905, client mode), and what several answers amount to. Pure: the packets and
//! the arithmetic; sending them and waiting is somebody else's.
//!
//! NTP without keys proves nothing about who answers. Each request carries 64 random bits where its own time would
//! stand, which the answer must repeat: whoever can't read the traffic can't answer. Whoever can may; several servers on
//! several ways are what helps against that, and a majority of them must agree.

use crate::{Duration, Timestamp};

/// Bytes of a packet; what an answer has beyond them (extensions) is not read.
pub const NTP_PACKET_BYTES: usize = 48;
/// Seconds from NTP's first era (1900) to 1970.
const ERA_OFFSET: i64 = 2_208_988_800;
/// Largest distance from the reference that counts as synchronised (RFC 5905, MAXDIST with its margin), in microseconds.
const MAX_DISTANCE: i64 = 1_500_000;
/// Strata beyond this are not synchronised.
const MAX_STRATUM: u8 = 15;
const MICROS: i64 = 1_000_000;

/// What one answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NtpSample {
    /// By how much the server's clock is ahead of this one, in microseconds.
    pub offset: i64,
    /// How long the way took, there and back.
    pub delay: Duration,
    /// How far the offset may be wrong, either way: half of all delays, and the server's own dispersion.
    pub error: Duration,
    /// The server's own dispersion, from the reference on.
    pub dispersion: Duration,
    /// How many servers are between the reference and this answer: 1 to 15.
    pub stratum: u8,
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NtpError {
    /// It is too short, or not an answer of version 3 or 4.
    #[error("what came is not an NTP answer")]
    Shape,
    /// It does not repeat the request's random bits.
    #[error("what came answers another request")]
    Foreign,
    /// The server asks not to be asked: its code, such as `RATE` or `DENY`.
    #[error("the server does not want to be asked: {}", String::from_utf8_lossy(.0))]
    Kiss([u8; 4]),
    /// The server does not know the time itself.
    #[error("the server is not synchronised itself")]
    Unsynchronised,
    /// Its times contradict one another.
    #[error("the server's times contradict one another")]
    Contradiction,
}

/// A request with these random bits.
pub fn ntp_request(nonce: [u8; 8]) -> [u8; NTP_PACKET_BYTES] {
    let mut packet = [0; NTP_PACKET_BYTES];
    let [first, ..] = &mut packet;
    // No leap warning, version 4, client.
    *first = 0b00_100_011;
    let (_, transmit) = packet.split_at_mut(NTP_PACKET_BYTES - 8);
    transmit.copy_from_slice(&nonce);
    packet
}

/// Reads an answer to the request with `nonce`, which was sent at `sent` and answered after `took`.
pub fn ntp_answer(
    packet: &[u8],
    nonce: [u8; 8],
    sent: Timestamp,
    took: Duration,
) -> Result<NtpSample, NtpError> {
    let packet: &[u8; NTP_PACKET_BYTES] = packet.first_chunk().ok_or(NtpError::Shape)?;
    let word = |at: usize| {
        let bytes = packet.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        bytes.map(u32::from_be_bytes).ok_or(NtpError::Shape)
    };
    let [flags, stratum, ..] = *packet;
    let (leap, version, mode) = (flags >> 6, flags >> 3 & 7, flags & 7);
    if mode != 4 || !(3..=4).contains(&version) {
        return Err(NtpError::Shape);
    }
    if packet.get(24..32) != Some(&nonce[..]) {
        return Err(NtpError::Foreign);
    }
    if stratum == 0 {
        return Err(NtpError::Kiss(word(12)?.to_be_bytes()));
    }
    if leap == 3 || stratum > MAX_STRATUM {
        return Err(NtpError::Unsynchronised);
    }
    // 16.16 fixed point, in seconds.
    let short = |word: u32| (i64::from(word) * MICROS) >> 16;
    let (root_delay, dispersion) = (short(word(4)?), short(word(8)?));
    let time = |at: usize| Ok::<_, NtpError>(instant(word(at)?, word(at + 4)?, sent));
    let (Some(received), Some(transmitted)) = (time(32)?, time(40)?) else {
        return Err(NtpError::Contradiction);
    };
    let held = transmitted.saturating_sub(received);
    let delay = took.micros().saturating_sub(held);
    if held < 0 || delay < -1_000 {
        return Err(NtpError::Contradiction);
    }
    let delay = delay.max(0);
    let distance = (root_delay / 2).saturating_add(dispersion);
    if distance > MAX_DISTANCE {
        return Err(NtpError::Unsynchronised);
    }
    let arrived = sent.micros().saturating_add(took.micros());
    let offset =
        received.saturating_sub(sent.micros()).saturating_add(transmitted.saturating_sub(arrived)) / 2;
    Ok(NtpSample {
        offset,
        delay: Duration::from_micros(delay),
        error: Duration::from_micros(delay / 2 + distance),
        dispersion: Duration::from_micros(dispersion),
        stratum,
    })
}

/// Microseconds since 1970 of an NTP time, in the era that is nearest to `near`; none if it is not set.
fn instant(seconds: u32, fraction: u32, near: Timestamp) -> Option<i64> {
    if seconds == 0 && fraction == 0 {
        return None;
    }
    let era = 1i64 << 32;
    let within = i64::from(seconds) - ERA_OFFSET;
    let eras = (near.seconds() - within + era / 2).div_euclid(era);
    let micros = (i64::from(fraction) * MICROS) >> 32;
    Some((within + eras * era).saturating_mul(MICROS).saturating_add(micros))
}

/// What several servers amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NtpVerdict {
    /// The sample that lies within what most agree on and is itself the most exact.
    pub best: NtpSample,
    /// Which of the given ones that is.
    pub source: usize,
    /// Those that say something else than most.
    pub false_tickers: Vec<usize>,
}

/// Takes one sample for each server that was asked, none where it did not answer (RFC 5905, 11.2.1, as Marzullo's
/// algorithm): what more than half of those asked agree on, within their errors. None if there is no such time.
pub fn ntp_verdict(samples: &[Option<NtpSample>]) -> Option<NtpVerdict> {
    let mut edges: Vec<(i64, i8)> = Vec::new();
    for sample in samples.iter().flatten() {
        edges.push((sample.offset.saturating_sub(sample.error.micros()), -1));
        edges.push((sample.offset.saturating_add(sample.error.micros()), 1));
    }
    // An interval that begins where another ends overlaps it.
    edges.sort_unstable();
    let (mut within, mut most, mut agreed) = (0usize, 0usize, (0i64, 0i64));
    for (place, (edge, kind)) in edges.iter().enumerate() {
        if *kind < 0 {
            within += 1;
            if within > most {
                most = within;
                let end = edges.get(place + 1..).and_then(|rest| rest.iter().find(|(_, kind)| *kind > 0));
                agreed = (*edge, end.map_or(*edge, |(edge, _)| *edge));
            }
        } else {
            within -= 1;
        }
    }
    if most * 2 <= samples.len() {
        return None;
    }
    let overlaps = |sample: &NtpSample| {
        sample.offset.saturating_sub(sample.error.micros()) <= agreed.1
            && sample.offset.saturating_add(sample.error.micros()) >= agreed.0
    };
    let numbered = || samples.iter().enumerate().filter_map(|(place, sample)| Some((place, (*sample)?)));
    let (source, best) = numbered().filter(|(_, one)| overlaps(one)).min_by_key(|(_, one)| one.error)?;
    let false_tickers = numbered().filter(|(_, one)| !overlaps(one)).map(|(place, _)| place).collect();
    Some(NtpVerdict { best, source, false_tickers })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// An answer by a clock that is ahead by `ahead` microseconds, 10 ms away each way, 1 ms at the server.
    fn answer(sent: Timestamp, ahead: i64) -> [u8; 48] {
        let mut packet = [0; 48];
        packet[0] = 0b00_100_100;
        packet[1] = 2;
        packet[4..8].copy_from_slice(&(65_536u32 / 50).to_be_bytes());
        packet[8..12].copy_from_slice(&(65_536u32 / 100).to_be_bytes());
        packet[24..32].copy_from_slice(&NONCE);
        let write = |packet: &mut [u8], micros: i64| {
            let seconds = micros.div_euclid(MICROS) + ERA_OFFSET;
            packet[..4].copy_from_slice(&(seconds as u32).to_be_bytes());
            let fraction = ((micros.rem_euclid(MICROS)) << 32) / MICROS;
            packet[4..8].copy_from_slice(&(fraction as u32).to_be_bytes());
        };
        write(&mut packet[32..40], sent.micros() + ahead + 10_000);
        write(&mut packet[40..48], sent.micros() + ahead + 11_000);
        packet
    }

    fn read(packet: &[u8], sent: Timestamp) -> Result<NtpSample, NtpError> {
        ntp_answer(packet, NONCE, sent, Duration::from_millis(21))
    }

    #[test]
    fn an_answer_says_how_far_the_clock_is_off() {
        // Before and behind the end of NTP's first era, 2036-02-07.
        for now in [at(1_767_225_600), at(2_085_978_496), at(3_000_000_000)] {
            for ahead in [0, 250_000, -3_600_000_000, 86_400_000_000] {
                let sample = read(&answer(now, ahead), now).unwrap();
                assert!((sample.offset - ahead).abs() <= 2, "{ahead}: {sample:?}");
                assert!((sample.delay.micros() - 20_000).abs() <= 2, "{sample:?}");
                assert!((sample.error.micros() - 30_000).abs() <= 40, "{sample:?}");
                assert_eq!(sample.stratum, 2);
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let (now, right) = (at(1_767_225_600), answer(at(1_767_225_600), 0));
        let with = |change: &dyn Fn(&mut [u8; 48])| {
            let mut packet = right;
            change(&mut packet);
            read(&packet, now)
        };
        assert_eq!(read(&right[..47], now), Err(NtpError::Shape));
        assert_eq!(with(&|packet| packet[0] = 0b00_100_011), Err(NtpError::Shape), "a request");
        assert_eq!(with(&|packet| packet[0] = 0b00_010_100), Err(NtpError::Shape), "version 2");
        assert_eq!(with(&|packet| packet[31] ^= 1), Err(NtpError::Foreign));
        let kiss = with(&|packet| {
            packet[1] = 0;
            packet[12..16].copy_from_slice(b"RATE");
        });
        assert_eq!(kiss, Err(NtpError::Kiss(*b"RATE")));
        assert!(kiss.unwrap_err().to_string().ends_with("RATE"));
        assert_eq!(with(&|packet| packet[0] |= 0b1100_0000), Err(NtpError::Unsynchronised));
        assert_eq!(with(&|packet| packet[1] = 16), Err(NtpError::Unsynchronised));
        assert_eq!(with(&|packet| packet[9] = 200), Err(NtpError::Unsynchronised), "200 s of dispersion");
        assert_eq!(with(&|packet| packet[32..40].fill(0)), Err(NtpError::Contradiction));
        assert_eq!(with(&|packet| packet[39..48].fill(0)), Err(NtpError::Contradiction));
        assert_eq!(ntp_request(NONCE)[40..], NONCE);
    }

    fn sample(offset: i64, error: i64) -> Option<NtpSample> {
        let error = Duration::from_micros(error);
        Some(NtpSample { offset, delay: error, error, dispersion: error, stratum: 2 })
    }

    #[test]
    fn most_of_those_asked_must_agree() {
        let verdict = ntp_verdict(&[sample(100, 50), sample(120, 10), sample(9_000, 5)]).unwrap();
        assert_eq!((verdict.best.offset, verdict.source, verdict.false_tickers), (120, 1, vec![2]));
        assert_eq!(ntp_verdict(&[sample(100, 50), None, None]), None, "one of three is no majority");
        assert_eq!(ntp_verdict(&[sample(0, 5), sample(100, 5)]), None, "two that contradict one another");
        assert_eq!(ntp_verdict(&[None]), None);
        assert_eq!(ntp_verdict(&[]), None);
        assert_eq!(ntp_verdict(&[sample(7, 1)]).unwrap().best.offset, 7);
        let both = ntp_verdict(&[sample(0, 5), sample(10, 5), None]).unwrap();
        assert_eq!((both.source, both.false_tickers), (0, vec![]), "they touch at 5");
    }
}
