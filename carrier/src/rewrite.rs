//! How a carrier writes numbers, where that is not E.164 with its `+`: ours as it wants them, its own read back.

use crate::number::Number;
use serde::Serialize;

/// Digits of a country code (ITU-T E.164 §6.2.1).
const MAX_COUNTRY: usize = 3;

/// Characters of a prefix that is taken away or put in front.
const MAX_PREFIX: usize = 16;

/// In which form a carrier writes numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NumberForm {
    /// `+18325550100`.
    #[default]
    E164,
    /// `18325550100`.
    Digits,
    /// As it is dialled within a country: `0301234` at home, `0018325550100` abroad.
    National,
}

/// How a carrier writes numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// In which form.
    pub form: NumberForm,
    /// Of [`NumberForm::National`]: the code of its country, digits only.
    pub country: Option<String>,
    /// Of [`NumberForm::National`]: what is dialled before a number of that country.
    pub national_prefix: String,
    /// Of [`NumberForm::National`]: what is dialled before the country code of another.
    pub international_prefix: String,
    /// Taken from the front of a called number in that form, where it stands there.
    pub strip: String,
    /// Put before it then: a tech prefix.
    pub prepend: String,
}

impl Default for Rewrite {
    /// E.164 as it is. Of a national form the prefixes are those of most of the world.
    fn default() -> Self {
        Self {
            form: NumberForm::E164,
            country: None,
            national_prefix: "0".to_owned(),
            international_prefix: "00".to_owned(),
            strip: String::new(),
            prepend: String::new(),
        }
    }
}

/// What is wrong with a [`Rewrite`], in words that say what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// Of `country`.
    #[error("number_form = \"national\" needs the code of its country: write country = \"49\"")]
    NoCountry,
    /// Of `country`.
    #[error("a country is 1 to {MAX_COUNTRY} digits without +, as in \"49\"")]
    Country,
    /// Of one of the prefixes.
    #[error("{0} is at most {MAX_PREFIX} characters of 0-9 + * #, as in \"00\"")]
    Prefix(&'static str),
}

impl RewriteError {
    /// The key of the configuration that is at fault.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::NoCountry | Self::Country => "country",
            Self::Prefix(key) => key,
        }
    }
}

impl Rewrite {
    pub(crate) fn check(&self) -> Result<(), RewriteError> {
        if self.form == NumberForm::National && self.country.is_none() {
            return Err(RewriteError::NoCountry);
        }
        let is_code = |code: &String| {
            (1..=MAX_COUNTRY).contains(&code.len())
                && code.bytes().all(|b| b.is_ascii_digit())
                && !code.starts_with('0')
        };
        if self.country.as_ref().is_some_and(|code| !is_code(code)) {
            return Err(RewriteError::Country);
        }
        let fits =
            |text: &str| text.len() <= MAX_PREFIX && text.bytes().all(|b| b.is_ascii_digit() || b"+*#".contains(&b));
        let prefixes = [
            ("national_prefix", &self.national_prefix),
            ("international_prefix", &self.international_prefix),
            ("strip", &self.strip),
            ("prepend", &self.prepend),
        ];
        prefixes.iter().find(|(_, text)| !fits(text)).map_or(Ok(()), |(key, _)| Err(RewriteError::Prefix(key)))
    }

    /// A number that is called, as this carrier wants it dialled.
    #[must_use]
    pub fn called(&self, number: &Number) -> String {
        let written = self.caller(number);
        let rest = written.strip_prefix(self.strip.as_str()).unwrap_or(&written);
        format!("{}{rest}", self.prepend)
    }

    /// A number that calls, as this carrier wants it shown: in its form, and no more.
    #[must_use]
    pub fn caller(&self, number: &Number) -> String {
        match (self.form, &self.country) {
            (NumberForm::National, Some(country)) => {
                let home = number.digits().strip_prefix(country.as_str());
                let home = home.map(|national| format!("{}{national}", self.national_prefix));
                // +49 0 1832… would be dialled 001832…: another country's number, whose price and permission nobody asked for.
                home.filter(|written| !self.leads_abroad(written))
                    .unwrap_or_else(|| format!("{}{}", self.international_prefix, number.digits()))
            }
            (NumberForm::Digits, _) => number.digits().to_owned(),
            _ => number.as_str().to_owned(),
        }
    }

    fn leads_abroad(&self, written: &str) -> bool {
        !self.international_prefix.is_empty() && written.starts_with(&self.international_prefix)
    }

    /// The number that this carrier means by a user part; `None` where it means none, or something else.
    #[must_use]
    pub fn read(&self, user: &str) -> Option<Number> {
        if user.starts_with('+') {
            return user.parse().ok();
        }
        match (self.form, &self.country) {
            (NumberForm::E164, _) => None,
            (NumberForm::National, Some(country)) => {
                // An empty prefix would claim what bears the other.
                let abroad = user.strip_prefix(&self.international_prefix).filter(|_| self.leads_abroad(user));
                let written = match abroad {
                    Some(digits) => format!("+{digits}"),
                    None => format!("+{country}{}", user.strip_prefix(&self.national_prefix)?),
                };
                written.parse().ok()
            }
            _ => format!("+{user}").parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    fn german() -> Rewrite {
        Rewrite { form: NumberForm::National, country: Some("49".to_owned()), ..Rewrite::default() }
    }

    #[test]
    fn writes_each_form_and_reads_it_back() {
        let digits = Rewrite { form: NumberForm::Digits, ..Rewrite::default() };
        let here = Rewrite {
            form: NumberForm::National,
            country: Some("1".to_owned()),
            national_prefix: String::new(),
            international_prefix: "011".to_owned(),
            ..Rewrite::default()
        };
        for (rewrite, e164, written) in [
            (Rewrite::default(), "+18325550100", "+18325550100"),
            (digits, "+18325550100", "18325550100"),
            (german(), "+49301234567", "0301234567"),
            (german(), "+18325550100", "0018325550100"),
            (here.clone(), "+18325550100", "8325550100"),
            (here, "+49301234567", "01149301234567"),
        ] {
            assert_eq!(rewrite.called(&number(e164)), written);
            assert_eq!(rewrite.read(written), Some(number(e164)), "{written}");
        }
    }

    #[test]
    fn a_tech_prefix_is_for_the_called_alone() {
        let rewrite = Rewrite { strip: "+".to_owned(), prepend: "9911#".to_owned(), ..Rewrite::default() };
        assert_eq!(rewrite.called(&number("+18325550100")), "9911#18325550100");
        assert_eq!(rewrite.caller(&number("+18325550100")), "+18325550100");
    }

    #[test]
    fn a_number_of_the_country_is_never_dialled_as_one_of_another() {
        assert_eq!(german().called(&number("+4901832555010")), "004901832555010");
        assert_eq!(german().read("004901832555010"), Some(number("+4901832555010")));
    }

    #[test]
    fn what_is_no_number_is_read_as_none() {
        for word in ["menu", "1001", "anonymous", "", "+12", "00", "0"] {
            assert_eq!(german().read(word), None, "{word}");
            assert_eq!(Rewrite::default().read(word), None, "{word}");
        }
        assert_eq!(german().read("+18325550100"), Some(number("+18325550100")), "E.164 is understood everywhere");
    }

    #[test]
    fn says_what_is_wrong_with_it() {
        let national = Rewrite { form: NumberForm::National, ..Rewrite::default() };
        assert_eq!(national.check(), Err(RewriteError::NoCountry));
        assert_eq!(Rewrite { country: Some("+49".to_owned()), ..national }.check(), Err(RewriteError::Country));
        let at = Rewrite { prepend: "12@evil".to_owned(), ..Rewrite::default() };
        assert_eq!(at.check(), Err(RewriteError::Prefix("prepend")));
    }

    proptest! {
        #[test]
        fn every_number_comes_back_from_a_national_form(digits in "[1-9][0-9]{7,14}") {
            let number: Number = format!("+{digits}").parse().unwrap();
            prop_assert_eq!(german().read(&german().called(&number)), Some(number));
        }
    }
}
