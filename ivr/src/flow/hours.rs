//! Time of day, in a place. Zones are those of the IANA database that the `jiff` crate carries (summer time included),
//! or a fixed offset such as `+02:00`; nothing is read from the machine.

use base::Now;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};

/// When it is open.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hours {
    pub(super) zone: TimeZone,
    pub(super) spans: Vec<Open>,
    /// Days on which it is closed all day.
    pub(super) except: Vec<Date>,
}

/// From one time to another on some days of the week; where the second is not later, it is on the next day.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Open {
    pub(super) days: Vec<Weekday>,
    pub(super) from: Time,
    /// None: midnight at the day's end.
    pub(super) to: Option<Time>,
}

impl Hours {
    /// Whether it is open at this time.
    pub(super) fn is_open(&self, now: Now) -> bool {
        let ms = i64::try_from(now.wall).unwrap_or(i64::MAX);
        let Ok(at) = Timestamp::from_millisecond(ms) else { return false };
        let local = self.zone.to_datetime(at);
        let (date, time) = (local.date(), local.time());
        let before = date.checked_sub(Span::new().days(1)).unwrap_or(date);
        let begun = |open: &Open| {
            open.begins_on(date) && open.from <= time && open.to.is_none_or(|to| open.is_overnight() || time < to)
        };
        let lasts = |open: &Open| {
            open.is_overnight() && self.counts(before) && open.begins_on(before) && open.to.is_some_and(|to| time < to)
        };
        (self.counts(date) && self.spans.iter().any(begun)) || self.spans.iter().any(lasts)
    }

    fn counts(&self, date: Date) -> bool {
        !self.except.contains(&date)
    }
}

impl Open {
    fn begins_on(&self, date: Date) -> bool {
        self.days.contains(&date.weekday())
    }

    fn is_overnight(&self) -> bool {
        self.to.is_some_and(|to| to <= self.from)
    }
}

/// `Europe/Berlin`, `UTC`, `+02:00`
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    let instead = "a zone is a name such as Europe/Berlin, or an offset such as +02:00";
    if let Some(offset) = fixed(name) {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| format!("{instead}, not {:?}", crate::http::cut(name, 40)))
}

fn fixed(name: &str) -> Option<Offset> {
    let (sign, rest) = match name.as_bytes().first()? {
        b'+' => (1, name.get(1..)?),
        b'-' => (-1, name.get(1..)?),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    let fits = (0..=14).contains(&hours) && (0..60).contains(&minutes);
    fits.then(|| Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()).flatten()
}

/// `09:00`
pub(super) fn time(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| part.parse::<i8>().ok().filter(|_| part.len() == 2 && !part.starts_with(['+', '-']));
    Time::new(two(hours)?, two(minutes)?, 0, 0).ok()
}

/// The days of the week, from Monday.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// `mon`, `mon-fri`, `sat-mon`
pub(super) fn days(text: &str) -> Option<Vec<Weekday>> {
    let place = |name: &str| DAYS.iter().position(|(day, _)| *day == name);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (place(first)?, place(last)?);
    let many = (last + DAYS.len() - first) % DAYS.len();
    Some((0..=many).map(|n| DAYS[(first + n) % DAYS.len()].1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(days_text: &str, from: &str, to: Option<&str>) -> Open {
        Open { days: days(days_text).unwrap(), from: time(from).unwrap(), to: to.map(|to| time(to).unwrap()) }
    }

    fn at(text: &str) -> Now {
        Now::new(0, text.parse::<Timestamp>().unwrap().as_millisecond().cast_unsigned())
    }

    #[test]
    fn opens_and_closes_on_the_minute_in_its_own_zone() {
        let hours = Hours {
            zone: zone("Europe/Berlin").unwrap(),
            spans: vec![open("mon-fri", "09:00", Some("17:00"))],
            except: vec![],
        };
        // Winter: UTC+1. Summer: UTC+2. 2026-01-05 and 2026-07-06 are Mondays.
        for (when, is) in [
            ("2026-01-05T07:59:59.999Z", false),
            ("2026-01-05T08:00:00Z", true),
            ("2026-01-05T15:59:59Z", true),
            ("2026-01-05T16:00:00Z", false),
            ("2026-07-06T07:00:00Z", true),
            ("2026-07-06T15:00:00Z", false),
            ("2026-01-04T12:00:00Z", false),
        ] {
            assert_eq!(hours.is_open(at(when)), is, "{when}");
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_began() {
        let night =
            |except| Hours { zone: zone("+00:00").unwrap(), spans: vec![open("fri", "22:00", Some("06:00"))], except };
        let plain = night(vec![]);
        assert!(plain.is_open(at("2026-01-02T22:00:00Z")) && plain.is_open(at("2026-01-03T05:59:00Z")));
        assert!(!plain.is_open(at("2026-01-03T06:00:00Z")) && !plain.is_open(at("2026-01-03T22:30:00Z")));
        assert!(!plain.is_open(at("2026-01-02T05:00:00Z")));
        let closed = night(vec![Date::new(2026, 1, 2).unwrap()]);
        assert!(!closed.is_open(at("2026-01-03T05:00:00Z")));
    }

    #[test]
    fn reads_days_zones_and_times_and_nothing_else() {
        assert_eq!(days("sat-mon").unwrap(), [Weekday::Saturday, Weekday::Sunday, Weekday::Monday]);
        assert_eq!(days("mon-").map(|d| d.len()), None);
        assert!(zone("Mars/Olympus").unwrap_err().contains("Europe/Berlin"));
        assert!(zone("-05:30").is_ok() && zone("+15:00").is_err() && zone("+1").is_err());
        assert!(time("24:00").is_none() && time("9:00").is_none() && time("09:60").is_none());
        assert!(time("+9:00").is_none() && time("09:-0").is_none());
    }
}
