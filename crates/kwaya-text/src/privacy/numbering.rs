//! Which telephone numbers there are: the tables of Google's libphonenumber,
//! which the crate `phonenumber` carries.
//!
//! Its own functions look each pattern up behind one lock, in a cache that
//! holds a hundred of the thousands there are. Here each is compiled once, and
//! any number of threads asks at the same time.

use std::sync::OnceLock;

use phonenumber::{
    Type,
    metadata::{DATABASE, Metadata},
};
use regex::{Regex, RegexBuilder};

/// Codes of countries have three digits at most (ITU-T E.164).
const CODE_DIGITS_MAX: usize = 3;

/// What makes a number one that can be called.
const TYPES: [Type; 10] = [
    Type::FixedLine,
    Type::Mobile,
    Type::TollFree,
    Type::PremiumRate,
    Type::SharedCost,
    Type::PersonalNumber,
    Type::Voip,
    Type::Pager,
    Type::Uan,
    Type::Voicemail,
];

/// The numbers of one country, or of all that share a code.
pub(super) struct Plan {
    /// What is dialled before them from abroad.
    pub(super) code: String,
    /// What is dialled before them within.
    prefix: String,
    /// A bit for each length that there is.
    lengths: u32,
    any: Regex,
    mobile: Regex,
}

impl Plan {
    /// The plan of a country (ISO 3166, two capitals).
    pub(super) fn of_country(name: &str) -> Option<Self> {
        DATABASE.by_id(name).map(|country| Self::new(&[country]))
    }

    /// The plan of the countries with this code.
    fn of_code(code: u16) -> Option<&'static Self> {
        static PLANS: [OnceLock<Option<Plan>>; 1000] = [const { OnceLock::new() }; 1000];
        let make = || DATABASE.by_code(&code).map(|countries| Self::new(&countries));
        PLANS.get(usize::from(code))?.get_or_init(make).as_ref()
    }

    fn new(countries: &[&Metadata]) -> Self {
        let of = |types: &'static [Type]| {
            countries.iter().flat_map(|country| types.iter().filter_map(|kind| country.descriptors().get(*kind)))
        };
        let patterns = |types| {
            let patterns: Vec<&str> = of(types).map(|numbers| numbers.national_number().as_str()).collect();
            // No digit is an x.
            let pattern = if patterns.is_empty() { "x".to_owned() } else { patterns.join("|") };
            let built = RegexBuilder::new(&format!("^(?:{pattern})$")).ignore_whitespace(true).unicode(false).build();
            built.expect("the tables are well formed")
        };
        let lengths = of(&TYPES).flat_map(|numbers| numbers.possible_length());
        Self {
            code: countries[0].country_code().to_string(),
            prefix: countries[0].national_prefix().unwrap_or_default().to_owned(),
            lengths: lengths.fold(0, |lengths, length| lengths | 1_u32.unbounded_shl(u32::from(*length))),
            any: patterns(&TYPES),
            mobile: patterns(&[Type::Mobile]),
        }
    }

    /// Whether there is such a number, written with or without what is dialled
    /// before it within the country.
    pub(super) fn has(&self, digits: &str) -> bool {
        self.matches(&self.any, digits)
    }

    /// Whether there is such a mobile number.
    pub(super) fn has_mobile(&self, digits: &str) -> bool {
        self.matches(&self.mobile, digits)
    }

    fn matches(&self, pattern: &Regex, digits: &str) -> bool {
        let good = |digits: &str| self.lengths >> digits.len().min(31) & 1 == 1 && pattern.is_match(digits);
        let inner = digits.strip_prefix(&*self.prefix).filter(|_| !self.prefix.is_empty());
        good(digits) || inner.is_some_and(good)
    }
}

/// Whether there is such a number, with the code of its country first.
pub(super) fn exists(digits: &str) -> bool {
    (1..=CODE_DIGITS_MAX.min(digits.len())).any(|length| {
        let (code, number) = digits.split_at(length);
        code.parse().ok().and_then(Plan::of_code).is_some_and(|plan| plan.has(number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_has_the_examples_of_its_tables() {
        for country in DATABASE.iter() {
            let plan = Plan::of_code(country.country_code()).unwrap();
            for kind in TYPES {
                let Some(example) = country.descriptors().get(kind).and_then(|descriptor| descriptor.example()) else {
                    continue;
                };
                let number = format!("{}{example}", country.country_code());
                assert!(plan.has(example) && exists(&number), "{} {example}", country.id());
            }
        }
        for none in ["", "0", "999", "25571234567", "2557123456789", "10000000000", "35512"] {
            assert!(!exists(none), "{none}");
        }
        let kenya = Plan::of_country("KE").unwrap();
        assert!(kenya.has_mobile("0712345678") && kenya.has_mobile("712345678") && !kenya.has_mobile("0202222222"));
        assert!(Plan::of_country("KENYA").is_none());
    }
}
