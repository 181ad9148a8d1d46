//! Where calls may go: countries that are open, ranges that are dear, ranges that nobody knows (FAULTS 23).
//!
//! `+1` is open where nothing else is said. Everywhere, premium and shared-cost ranges, personal numbers and pagers are
//! closed unless a prefix of theirs is named, and so is what the numbering plan of its country does not know: those are
//! what toll fraud calls. The plans are Google's, in the `phonenumber` crate.

use crate::number::Number;
use phonenumber::Type;
use std::fmt;

/// Entries of a list; more are refused.
pub const MAX_ENTRIES: usize = 1_000;

/// Areas of North America that have dear numbers: 900, 6XX of Canada, some of the islands. (5XX are personal numbers here
/// and there, and are looked up whole.)
const DEAR: [&str; 7] = ["900", "246", "264", "268", "345", "622", "633"];

/// One of `countries`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Open {
    /// Numbers that begin with these digits.
    Prefix(String),
    /// A country by its two letters (ISO 3166).
    Region(phonenumber::country::Id),
}

/// Where a tenant's calls may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destinations {
    open: Vec<Open>,
    /// Prefixes, digits only, that are open whatever they cost.
    premium: Vec<String>,
}

/// Why a number is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpen {
    /// Its country, or its range, is not among those that are open.
    Country,
    /// Who calls it pays more than for a call.
    Premium,
    /// Its country's plan has no such number.
    Unknown,
}

impl NotOpen {
    /// The stable code of the limit.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Country => "country_not_open",
            Self::Premium => "premium_not_open",
            Self::Unknown => "unknown_range",
        }
    }
}

impl fmt::Display for NotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Country => "country_not_open: this tenant's calls do not go there; limits.countries opens it",
            Self::Premium => {
                "premium_not_open: a premium, shared-cost or personal number; limits.premium_ranges opens it"
            }
            Self::Unknown => "unknown_range: no numbering plan has this number; limits.premium_ranges opens its range",
        })
    }
}

/// What a list of destinations cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Of `countries`.
    #[error("{0:?} is no country: write its two letters (\"DE\") or how its numbers begin (\"+49\")")]
    Country(String),
    /// Of `premium_ranges`.
    #[error("{0:?} is no range: write how its numbers begin (\"+1900\")")]
    Range(String),
    /// Of either.
    #[error("a list has at most {MAX_ENTRIES} entries")]
    TooMany,
}

impl Default for Destinations {
    fn default() -> Self {
        Self { open: vec![Open::Prefix("1".to_owned())], premium: Vec::new() }
    }
}

impl Destinations {
    /// Where calls may go: `countries` (`DE`, `+49`; none given: `+1`), and the ranges (`+1900`) of `premium` whatever they
    /// cost.
    ///
    /// # Errors
    /// An entry that is neither.
    pub fn new(countries: Option<&[String]>, premium: &[String]) -> Result<Self, DestinationError> {
        if countries.is_some_and(|list| list.len() > MAX_ENTRIES) || premium.len() > MAX_ENTRIES {
            return Err(DestinationError::TooMany);
        }
        let open = match countries {
            None => Self::default().open,
            Some(list) => list.iter().map(|text| open(text)).collect::<Result<_, _>>()?,
        };
        let range = |text: &String| digits(text).ok_or_else(|| DestinationError::Range(text.clone()));
        Ok(Self { open, premium: premium.iter().map(range).collect::<Result<_, _>>()? })
    }

    /// The countries that are open, as they are written.
    #[must_use]
    pub fn countries(&self) -> Vec<String> {
        let word = |open: &Open| match open {
            Open::Prefix(digits) => format!("+{digits}"),
            Open::Region(id) => id.as_ref().to_owned(),
        };
        self.open.iter().map(word).collect()
    }

    /// The ranges that are open whatever they cost, as they are written.
    #[must_use]
    pub fn premium_ranges(&self) -> Vec<String> {
        self.premium.iter().map(|digits| format!("+{digits}")).collect()
    }

    /// Whether a number may be called.
    ///
    /// # Errors
    /// What is against it.
    pub fn check(&self, to: &Number) -> Result<(), NotOpen> {
        if self.premium.iter().any(|range| to.digits().starts_with(range.as_str())) {
            return Ok(());
        }
        if let Some(verdict) = self.at_a_glance(to.digits()) {
            return verdict;
        }
        self.by_plan(to)
    }

    /// What is seen without the plans: a number of North America that a prefix opens, in an area that has nothing dear.
    /// Nearly every call here is to one, and the plans cost it as much as parsing its INVITE.
    fn at_a_glance(&self, digits: &str) -> Option<Result<(), NotOpen>> {
        let is_named = |open: &Open| matches!(open, Open::Prefix(prefix) if digits.starts_with(prefix.as_str()));
        let area = digits.strip_prefix('1')?.get(..3)?;
        let is_plain = !area.starts_with('5') && !DEAR.contains(&area);
        (is_plain && self.open.iter().any(is_named)).then(|| north_american(digits))
    }

    fn by_plan(&self, to: &Number) -> Result<(), NotOpen> {
        let parsed = phonenumber::parse(None, to.as_str()).ok();
        let region = parsed.as_ref().and_then(|number| number.country().id());
        let is_open = |open: &Open| match open {
            Open::Prefix(prefix) => to.digits().starts_with(prefix.as_str()),
            // What no plan knows is at least in the country of its code, and is refused for what it is.
            Open::Region(id) => region.map_or_else(|| is_coded(to.digits(), *id), |region| region == *id),
        };
        if !self.open.iter().any(is_open) {
            return Err(NotOpen::Country);
        }
        match parsed.map(|number| number.number_type(&phonenumber::metadata::DATABASE)) {
            Some(Type::PremiumRate | Type::SharedCost | Type::PersonalNumber | Type::Pager) => Err(NotOpen::Premium),
            Some(Type::Unknown) | None => north_american(to.digits()),
            Some(_) => Ok(()),
        }
    }
}

/// Whether a number begins with the code of this country, which others may share.
fn is_coded(digits: &str, country: phonenumber::country::Id) -> bool {
    let plan = phonenumber::metadata::DATABASE.by_id(country.as_ref());
    plan.is_some_and(|plan| digits.starts_with(&plan.country_code().to_string()))
}

/// In North America every number of ten digits in an area that can be (NPA 2 to 9) may be somebody's: areas are opened
/// faster than tables are printed. 900 is dear.
fn north_american(digits: &str) -> Result<(), NotOpen> {
    let Some(national) = digits.strip_prefix('1') else { return Err(NotOpen::Unknown) };
    let has_area = national.as_bytes().first().is_some_and(|digit| (b'2'..=b'9').contains(digit));
    if national.starts_with("900") {
        return Err(NotOpen::Premium);
    }
    if national.len() == 10 && has_area { Ok(()) } else { Err(NotOpen::Unknown) }
}

fn open(text: &str) -> Result<Open, DestinationError> {
    if let Some(prefix) = digits(text) {
        return Ok(Open::Prefix(prefix));
    }
    let region = Some(text).filter(|text| text.len() == 2).and_then(|text| text.to_ascii_uppercase().parse().ok());
    region.map(Open::Region).ok_or_else(|| DestinationError::Country(text.to_owned()))
}

/// `+` and 1 to 15 digits: the digits.
fn digits(text: &str) -> Option<String> {
    let digits = text.strip_prefix('+')?;
    let fits = (1..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    fits.then(|| digits.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many exchanges of an area one is looked at. (1, all of them, takes half a minute.)
    const STEP: u32 = 11;

    fn check(destinations: &Destinations, number: &str) -> Result<(), NotOpen> {
        destinations.check(&number.parse().unwrap())
    }

    #[test]
    fn plus_one_is_open_and_what_is_dear_or_unknown_or_abroad_is_not() {
        let unsaid = Destinations::default();
        for open in ["+18325550100", "+15557654321", "+14165550123", "+18005551234"] {
            assert_eq!(check(&unsaid, open), Ok(()), "{open}");
        }
        for (closed, why) in [
            ("+19005551234", NotOpen::Premium),
            ("+11325550100", NotOpen::Unknown),
            ("+1832555010", NotOpen::Unknown),
            ("+4930901820", NotOpen::Country),
            ("+442079460018", NotOpen::Country),
            ("+8821234567890", NotOpen::Country),
        ] {
            assert_eq!(check(&unsaid, closed), Err(why), "{closed}");
        }
    }

    #[test]
    fn a_glance_at_a_north_american_number_says_what_its_plan_says() {
        let unsaid = Destinations::default();
        let exchanges = 0..1_000 / STEP;
        let numbers = (200..1_000).flat_map(|area| exchanges.clone().map(move |at| (area, at * STEP + area % STEP)));
        for (area, exchange) in numbers {
            let number: Number = format!("+1{area:03}{exchange:03}0123").parse().unwrap();
            if let Some(seen) = unsaid.at_a_glance(number.digits()) {
                assert_eq!(seen, unsaid.by_plan(&number), "{number}");
            }
        }
        for odd in ["+1832555010", "+183255501000", "+11325550"] {
            let number: Number = odd.parse().unwrap();
            let seen = unsaid.at_a_glance(number.digits());
            assert_eq!(seen.unwrap_or_else(|| unsaid.by_plan(&number)), unsaid.by_plan(&number), "{odd}");
        }
    }

    #[test]
    fn a_country_is_opened_by_letters_or_prefix_and_its_dear_ranges_by_name() {
        let abroad = |countries: &[&str], premium: &[&str]| {
            let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            Destinations::new(Some(&list(countries)), &list(premium))
        };
        let two = abroad(&["GB", "+49"], &[]).unwrap();
        assert_eq!(check(&two, "+442079460018"), Ok(()));
        assert_eq!(check(&two, "+4930901820"), Ok(()));
        assert_eq!(check(&two, "+449098790000"), Err(NotOpen::Premium));
        assert_eq!(check(&two, "+447000000000"), Err(NotOpen::Premium), "a personal number");
        assert_eq!(check(&two, "+4900000000"), Err(NotOpen::Unknown));
        assert_eq!(check(&two, "+18325550100"), Err(NotOpen::Country), "what is said replaces what is unsaid");
        let dear = abroad(&[], &["+449098"]).unwrap();
        assert_eq!(check(&dear, "+449098790000"), Ok(()));
        for wrong in ["", "Germany", "49", "+", "+4a", "ZZ9"] {
            assert!(matches!(abroad(&[wrong], &[]), Err(DestinationError::Country(_))), "{wrong}");
            assert!(matches!(abroad(&[], &[wrong]), Err(DestinationError::Range(_))), "{wrong}");
        }
    }
}
