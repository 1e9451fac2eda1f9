//! What becomes of a delivery after an attempt: pure, from the schedule, the answer and the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use registry::{Attempt, OWED};
use schemas::{Digest, Timestamp};

use crate::config::Webhooks;

/// How a receiver took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// HTTP status; none where there was no answer.
    pub status: Option<u16>,
    /// Value of Retry-After.
    pub retry_after: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

impl Told {
    /// No answer, and why as far as the owner may know.
    pub fn silent(why: &str) -> Told {
        Told { status: None, retry_after: None, answer: Some(why.to_owned()) }
    }

    /// Whether it was taken.
    pub fn taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Seconds for which nothing more may be sent to this endpoint: as it asks, or `strikes` tells how long, where it
    /// says that it has too much.
    pub fn rest(&self, strikes: u32, now: Timestamp) -> Option<i64> {
        let busy = matches!(self.status, Some(429 | 502 | 504));
        let asked = self.asked(now).filter(|_| !self.taken()).map(i64::from);
        let own = busy.then(|| (REST << strikes.min(8)).min(LONGEST_REST));
        asked.into_iter().chain(own).max()
    }

    /// The seconds that Retry-After asks for (RFC 9110 10.2.3): a number, or a date; at most a day.
    fn asked(&self, now: Timestamp) -> Option<u32> {
        let text = self.retry_after.as_deref()?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(u32::try_from(seconds).unwrap_or(MOST_ASKED).min(MOST_ASKED));
        }
        let until = httpdate::parse_http_date(text).ok()?;
        let now = UNIX_EPOCH + Duration::from_micros(u64::try_from(now.micros()).unwrap_or_default());
        let wait = SystemTime::duration_since(&until, now).unwrap_or_default().as_secs_f64().ceil();
        Some((wait as u32).min(MOST_ASKED))
    }
}

/// The longest pause that a receiver's Retry-After may ask for.
const MOST_ASKED: u32 = 24 * 3600;
/// Seconds for which a busy receiver rests that does not say how long; doubled each time.
const REST: i64 = 5;
const LONGEST_REST: i64 = 600;

/// What becomes of a delivery: done, dead after the last attempt of the schedule, or tried again later. What is owed goes
/// on at the last pause of the schedule until it is taken.
pub fn judge(webhooks: &Webhooks, topic: &str, delivery: &str, attempts: u32, told: &Told, now: Timestamp) -> Attempt {
    let status = told.status;
    match status {
        Some(status) if told.taken() => return Attempt::Delivered { status },
        Some(410) => return Attempt::Dead { status, gone: true },
        _ => {}
    }
    let next = usize::try_from(attempts).unwrap_or(usize::MAX).saturating_add(1);
    let owed = webhooks.retry_seconds.last().filter(|_| OWED.contains(&topic));
    match webhooks.retry_seconds.get(next).or(owed) {
        Some(wait) => {
            let planned = i64::from(*wait) * 1_000_000 + jitter(delivery, attempts, *wait, webhooks.jitter_percent);
            let asked = i64::from(told.asked(now).unwrap_or_default()) * 1_000_000;
            Attempt::Retry { status, not_before: Timestamp::from_micros(now.micros() + planned.max(asked)) }
        }
        None => Attempt::Dead { status, gone: false },
    }
}

/// Microseconds by which a wait is longer, so that what failed together does not come again together: from the
/// delivery's own name, so that it is the same after a crash.
fn jitter(delivery: &str, attempts: u32, wait: u32, percent: u32) -> i64 {
    let digest = Digest::of(format!("{delivery}:{attempts}").as_bytes());
    let part = i64::from(u16::from_be_bytes([digest.0[0], digest.0[1]]));
    i64::from(wait) * 10_000 * i64::from(percent) * part / i64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, retry_after: Option<&str>) -> Told {
        Told { status: Some(status), retry_after: retry_after.map(str::to_owned), answer: None }
    }

    fn silent() -> Told {
        Told::silent("no answer")
    }

    const NOW: i64 = 1_000_000;

    fn plain(jitter_percent: u32) -> Webhooks {
        Webhooks { retry_seconds: vec![0, 5, 300], jitter_percent, ..Webhooks::default() }
    }

    fn wait(webhooks: &Webhooks, topic: &str, attempts: u32, told: &Told) -> Option<f64> {
        let now = Timestamp::from_seconds(NOW);
        match judge(webhooks, topic, "dlv_1", attempts, told, now) {
            Attempt::Retry { not_before, status } => {
                assert_eq!(status, told.status);
                Some(not_before.seconds_since(now))
            }
            _ => None,
        }
    }

    #[test]
    fn attempts_follow_the_schedule_and_end() {
        let (webhooks, now) = (plain(0), Timestamp::from_seconds(NOW));
        let ended = |attempts, told: &Told| judge(&webhooks, "run.completed", "dlv_1", attempts, told, now);
        assert_eq!(ended(0, &told(204, None)), Attempt::Delivered { status: 204 });
        assert_eq!(ended(0, &told(410, None)), Attempt::Dead { status: Some(410), gone: true });
        assert_eq!(ended(2, &silent()), Attempt::Dead { status: None, gone: false });
        let waits = |attempts, told: &Told| wait(&webhooks, "run.completed", attempts, told);
        assert_eq!(waits(0, &told(503, None)), Some(5.0));
        assert_eq!(waits(0, &told(302, None)), Some(5.0), "a redirect is a failure");
        assert_eq!(waits(1, &silent()), Some(300.0));
    }

    #[test]
    fn the_schedule_is_the_published_one() {
        let schedule = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
        let webhooks = Webhooks { jitter_percent: 0, ..Webhooks::default() };
        assert_eq!(webhooks.retry_seconds, schedule);
        for attempt in 0..9u32 {
            let expected = f64::from(schedule[attempt as usize + 1]);
            assert_eq!(wait(&webhooks, "run.completed", attempt, &silent()), Some(expected));
        }
        assert_eq!(wait(&webhooks, "run.completed", 9, &silent()), None);
    }

    #[test]
    fn what_is_owed_is_never_given_up_but_where_the_endpoint_is_gone() {
        let (webhooks, now) = (plain(0), Timestamp::from_seconds(NOW));
        for attempts in [2, 3, 1_000_000] {
            assert_eq!(wait(&webhooks, "payment.instructed", attempts, &silent()), Some(300.0));
        }
        let gone = judge(&webhooks, "payment.instructed", "dlv_1", 2, &told(410, None), now);
        assert_eq!(gone, Attempt::Dead { status: Some(410), gone: true });
    }

    #[test]
    fn retry_after_is_honoured_in_seconds_and_as_a_date_up_to_a_day() {
        let webhooks = plain(0);
        let waits = |text: &str| wait(&webhooks, "run.completed", 0, &told(429, Some(text))).unwrap();
        assert_eq!((waits("60"), waits("3"), waits(" 60 ")), (60.0, 5.0, 60.0));
        assert_eq!((waits("999999999999"), waits("soon"), waits("-1")), (86_400.0, 5.0, 5.0));
        let date = |seconds: u64| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(NOW as u64 + seconds));
        assert_eq!((waits(&date(90)), waits(&date(1)), waits(&date(900_000))), (90.0, 5.0, 86_400.0));
        assert_eq!(waits("Thu, 01 Jan 1970 00:00:00 GMT"), 5.0);
    }

    #[test]
    fn jitter_only_lengthens_within_its_share_and_differs() {
        let webhooks = plain(10);
        let now = Timestamp::from_seconds(NOW);
        let mut waits = std::collections::BTreeSet::new();
        for n in 0..64 {
            let id = format!("dlv_{n}");
            let Attempt::Retry { not_before, .. } = judge(&webhooks, "x", &id, 1, &silent(), now) else {
                panic!("given up")
            };
            let again = judge(&webhooks, "x", &id, 1, &silent(), now);
            assert_eq!(again, Attempt::Retry { status: None, not_before }, "the same each time");
            let wait = not_before.micros() - now.micros();
            assert!((300_000_000..=330_000_000).contains(&wait), "{wait}");
            waits.insert(wait);
        }
        assert!(waits.len() > 60, "{}", waits.len());
    }

    #[test]
    fn a_busy_receiver_rests() {
        let now = Timestamp::from_seconds(NOW);
        for status in [429, 502, 504] {
            assert_eq!(told(status, None).rest(0, now), Some(5));
            assert_eq!(told(status, None).rest(3, now), Some(40));
            assert_eq!(told(status, None).rest(99, now), Some(600));
            assert_eq!(told(status, Some("7200")).rest(0, now), Some(7200));
        }
        assert_eq!(told(503, Some("120")).rest(0, now), Some(120));
        for other in [told(500, None), told(200, Some("120")), silent()] {
            assert_eq!(other.rest(0, now), None);
        }
    }
}
