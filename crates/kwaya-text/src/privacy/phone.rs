//! Telephone numbers. Which there are is known by [`numbering`]; what is asked
//! here is whether digits in a text are meant as one.

use std::{collections::HashMap, sync::LazyLock};

use kwaya_base::{Error, Result};

use super::{
    near,
    numbering::{self, Plan},
    run::Run,
};

/// Digits of a number with its country (ITU-T E.164).
const DIGITS_MAX: usize = 15;
/// How mobile numbers are written without a zero.
const MOBILE_GROUPS: &[&[usize]] = &[
    &[10],
    &[11],
    &[5, 5],
    &[3, 7],
    &[4, 6],
    &[2, 3, 4],
    &[2, 4, 4],
    &[2, 5, 4],
    &[3, 3, 4],
    &[3, 4, 3],
    &[3, 4, 4],
    &[2, 3, 2, 2],
    &[3, 2, 2, 2],
    &[3, 3, 2, 2],
];
/// More groups are a table.
const GROUPS_MAX: usize = 8;
/// Digits of a number without its country.
const NATIONAL_MIN: usize = 9;
const NATIONAL_MAX: usize = 13;
/// Digits after a word such as `tel`, and without a sign between.
const TOLD_MIN: usize = 6;
const TOLD_PLAIN_MIN: usize = 7;
/// Countries in whose ways telephone numbers are looked for, at most.
pub const COUNTRIES_MAX: usize = 12;
/// Bytes before a number that are looked at for words.
const BEFORE: usize = 40;

/// Words before a telephone number.
const WORDS: &str = "\
    tel, telephone, telephones, phone, phones, telno, mobile, mob, cell, cellphone, call, dial, sms, text, \
    whatsapp, telegram, viber, signal, fax, hotline, helpline, toll-free, contact, contacts, ph, msisdn, simu, \
    rununu, piga, watsapp, telefono, teléfono, teléfonos, móvil, celular, cel, llame, llamar, telefone, \
    telemóvel, contacto, contato, ligue, téléphone, tél, portable, appelez, contactez, telefon, handy, telefoon, \
    taleefan, taleefoon, tilifoon, telp, hp, hubungi, foonu, waya, ekwentị, ifowuni, ifoni, ucingo, umnxeba, \
    inombolo, essimu, finday, bilbilaa, telefoni, nimero, telefòn, тел, телефон, هاتف, الهاتف, جوال, موبايل, \
    اتصل, تلفن, فون, موبائل, رابطہ, ስልክ, ስ.ቁ, ሞባይል, ፎን, फोन, मोबाइल, दूरभाष, संपर्क, ফোন, মোবাইল, যোগাযোগ, \
    தொலைபேசி, ఫోన్, ಫೋನ್, ഫോൺ, โทร, โทรศัพท์, ទូរស័ព្ទ, ໂທ, ဖုန်း, điện thoại, sđt, đt, 电话, 手机, 電話, 전화";
/// Words that may stand between such a word and the number.
const FILLERS: &str = "\
    no, nos, nr, num, number, numbers, namba, nambari, número, numéro, nº, n°, nomor, is, us, on, at, me, him, \
    her, them, or, ni, kwa, ya, za, hii, yangu, yake, yao, zetu, yetu, my, our, your, his, line, au, ou, o, est, \
    es, é, al, le, ቁጥር, नंबर, নম্বর, নাম্বার, نمبر, رقم, номер, 号码, 番号, addu, nọmba, lambar, lamba";
/// More is a sentence about something else.
const FILLERS_MAX: usize = 2;
/// Where a language is spoken, in order of speakers; a language that is spoken
/// in more countries than these tells nothing.
const COUNTRIES: &str = "\
    sw TZ KE UG CD RW BI, am ET, om ET KE, ti ET ER, so SO ET KE DJ, lg UG, rw RW, rn BI, ln CD CG, ha NG NE GH, \
    yo NG BJ, ig NG, pcm NG, ak GH, tw GH, ee GH TG, wo SN, ff SN GN NG, bm ML, mg MG, ny MW ZM MZ, bem ZM, \
    sn ZW, nd ZW, zu ZA, xh ZA, af ZA NA, st ZA LS, tn BW ZA, ts ZA MZ, ss SZ ZA, ve ZA, nso ZA, luo KE TZ, \
    ki KE, hi IN, mr IN, gu IN, te IN, kn IN, ml IN, or IN, as IN, pa IN PK, bn BD IN, ta IN LK, ur PK IN, sd PK, \
    ps AF PK, si LK, ne NP, dv MV, id ID, jv ID, su ID, ms MY SG, tl PH, fil PH, ceb PH, th TH, lo LA, km KH, \
    my MM, vi VN, mn MN, fa IR, ku TR IQ, tr TR, uz UZ, kk KZ, ky KG, tg TJ, he IL, qu PE BO EC, ay BO PE, gn PY, \
    ht HT, nah MX, yua MX, pt BR MZ AO PT, uk UA, pl PL, it IT, ro RO, mi NZ, sm WS, to TO, fj FJ, tpi PG, ja JP, \
    ko KR";

/// What is known of the countries of a corpus.
pub(super) struct Phones {
    names: Vec<String>,
    countries: Vec<Plan>,
}

/// Digits in groups.
struct Groups {
    digits: String,
    /// Points and other signs part them: `13.6 87.3`.
    is_of_decimals: bool,
    /// Of each group, how many digits there are up to its end, and its end.
    ends: Vec<(usize, usize)>,
}

impl Phones {
    pub(super) fn new(languages: &[String], countries: &[String]) -> Result<Self> {
        let mut names: Vec<String> = Vec::new();
        if countries.is_empty() {
            for tag in languages {
                let mut parts = tag.split('-');
                let language = parts.next().unwrap_or("").to_ascii_lowercase();
                let region = parts.find(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_alphabetic()));
                match region {
                    Some(region) => names.push(region.to_ascii_uppercase()),
                    None => {
                        let spoken =
                            COUNTRIES.split(", ").find_map(|entry| entry.strip_prefix(&*language)?.strip_prefix(' '));
                        names.extend(spoken.into_iter().flat_map(|list| list.split(' ')).map(str::to_owned));
                    }
                }
            }
            // A tag may name a country that the tables do not have.
            names.retain(|name| Plan::of_country(name).is_some());
        } else {
            names.extend(countries.iter().map(|name| name.to_ascii_uppercase()));
        }
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names.truncate(COUNTRIES_MAX);
        let plan =
            |name: &String| Plan::of_country(name).ok_or_else(|| Error::usage("privacy-country").arg("country", name));
        let countries = names.iter().map(plan).collect::<Result<_>>()?;
        Ok(Self { names, countries })
    }

    pub(super) fn countries(&self) -> &[String] {
        &self.names
    }

    /// Where a telephone number begins and ends in the document whose first
    /// digits are at `start` of the run. After another (`after`), the same form
    /// is enough.
    pub(super) fn find(&self, run: &Run<'_>, start: usize, after: bool) -> Option<(usize, usize)> {
        let before = run.before(start);
        let plus = before.ends_with('+') || before.ends_with("+(");
        if !plus && !run.begins(start) {
            return None;
        }
        let groups = Groups::of(&run.text, start, plus)?;
        if !plus && (groups.is_date() || (groups.is_of_decimals && !groups.digits.starts_with("00"))) {
            return None;
        }
        let end = match plus {
            true => {
                self.with_country(run, &groups, 0).or_else(|| groups.last(run, 9, 13).filter(|_| !groups.is_figure()))
            }
            false => self.without_plus(run, &groups, start).or_else(|| told(run, &groups, start, after)),
        }?;
        let mut first = run.position(start);
        if plus {
            first -= if before.ends_with('+') { 1 } else { 2 };
        }
        let end = run.position(end);
        // `(020) 123 4567` and `(+254) 712 345 678` begin with the bracket.
        let inner = &run.document[first..end];
        if inner.matches(')').count() > inner.matches('(').count() && run.document[..first].ends_with('(') {
            first -= 1;
        }
        Some((first, end))
    }

    fn without_plus(&self, run: &Run<'_>, groups: &Groups, start: usize) -> Option<usize> {
        let digits = groups.digits.as_str();
        if let Some(rest) = digits.strip_prefix("00") {
            return if rest.starts_with('0') { None } else { self.with_country(run, groups, 2) };
        }
        if digits.starts_with('0') {
            return self.national(run, groups).or_else(|| groups.usual_with_zero(run));
        }
        self.with_own_country(run, groups)
            .or_else(|| groups.north_american(run))
            .or_else(|| if run.is_first(start) { self.mobile(run, groups) } else { None })
    }

    /// A number that begins with the code of its country, after `skip` digits.
    fn with_country(&self, run: &Run<'_>, groups: &Groups, skip: usize) -> Option<usize> {
        groups.longest(run, 7 + skip, DIGITS_MAX + skip, |digits| numbering::exists(&digits[skip..]))
    }

    /// A number that begins with the code of a country of the corpus, or of
    /// Africa, where numbers are often written so, without a plus.
    fn with_own_country(&self, run: &Run<'_>, groups: &Groups) -> Option<usize> {
        let (first, _) = groups.ends[0];
        let digits = groups.digits.as_str();
        let african = digits.starts_with("2") && !digits.starts_with("20") && !digits.starts_with("27");
        let fits = |code: &str| digits.starts_with(code) && (first == code.len() || first >= code.len() + 7);
        let own = self.countries.iter().any(|plan| plan.code.len() >= 2 && fits(&plan.code));
        let known = african && (first == 3 || first >= 11) || own && (first >= 11 || !groups.is_figure());
        if !known {
            return None;
        }
        groups.longest(run, 11, 13, numbering::exists)
    }

    /// A number as it is written within a country of the corpus, with the zero
    /// that is dialled first. Where only two digits are together, all are in
    /// twos (`06 12 34 56 78`).
    fn national(&self, run: &Run<'_>, groups: &Groups) -> Option<usize> {
        let twos = groups.counts().take(5).all(|count| count == 2);
        let good = groups.counts().all(|count| count >= 2) && (twos || groups.ends[0].0 > 2);
        let exists = |digits: &str| self.countries.iter().any(|plan| plan.has(digits));
        if good { groups.longest(run, NATIONAL_MIN, NATIONAL_MAX, exists) } else { None }
    }

    /// A mobile number of a country of the corpus, all of the run, in the
    /// groups that people make where no zero is dialled.
    fn mobile(&self, run: &Run<'_>, groups: &Groups) -> Option<usize> {
        let counts: Vec<usize> = groups.counts().collect();
        let exists = |digits: &str| self.countries.iter().any(|plan| plan.has_mobile(digits));
        let good = MOBILE_GROUPS.contains(&&counts[..]) && exists(&groups.digits);
        groups.ends.last().map(|(_, end)| *end).filter(|end| good && run.ends(*end))
    }
}

/// A number after a word such as `tel`, or after another number.
fn told(run: &Run<'_>, groups: &Groups, start: usize, after: bool) -> Option<usize> {
    if groups.counts().any(|count| count < 2) {
        return None;
    }
    let before = near::last(run.before(start), BEFORE);
    let sign = before.trim_end_matches([' ', '(', '\n']).ends_with([':', '.', '-', '=', '#']);
    if !(after || is_told(&super::lower(before))) {
        return None;
    }
    groups.last(run, if sign { TOLD_MIN } else { TOLD_PLAIN_MIN }, NATIONAL_MAX)
}

/// Whether a text, in small letters, announces a telephone number.
fn is_told(before: &str) -> bool {
    /// Both lists by the last character of a word, and whether it is a filler.
    static BY_END: LazyLock<HashMap<char, Vec<(&str, bool)>>> = LazyLock::new(|| {
        let mut words: HashMap<char, Vec<(&str, bool)>> = HashMap::new();
        for (list, filler) in [(WORDS, false), (FILLERS, true)] {
            for word in list.split(", ") {
                words.entry(word.chars().next_back().expect("no word is empty")).or_default().push((word, filler));
            }
        }
        words
    });
    let signs = |c: char| !c.is_alphanumeric() && !unicode_normalization::char::is_combining_mark(c) && c != '°';
    let mut rest = before.trim_end_matches(signs);
    for _ in 0..=FILLERS_MAX {
        let Some(words) = rest.chars().next_back().and_then(|last| BY_END.get(&last)) else { return false };
        let ends = |word: &str| {
            let inner = rest.strip_suffix(word);
            inner.is_some_and(|inner| near::is_edge(inner.chars().next_back(), word.chars().next()))
        };
        let mut found = words.iter().filter(|(word, _)| ends(word));
        match found.clone().any(|(_, filler)| !filler) {
            true => return true,
            false => match found.next() {
                Some((filler, _)) => rest = rest[..rest.len() - filler.len()].trim_end_matches(signs),
                None => return false,
            },
        }
    }
    false
}

impl Groups {
    /// The groups of digits from `start`.
    fn of(text: &str, start: usize, plus: bool) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut groups = Self { digits: String::new(), ends: Vec::new(), is_of_decimals: false };
        let (mut points, mut others) = (false, false);
        let mut at = start;
        while groups.ends.len() < GROUPS_MAX {
            let count = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count == 0 || groups.digits.len() + count > DIGITS_MAX + 2 {
                break;
            }
            // `+44 (0)20 …`: the zero is for those within the country.
            let optional = plus && &bytes[at..at + count] == b"0" && at > 0 && bytes[at - 1] == b'(';
            if !optional {
                groups.digits.push_str(&text[at..at + count]);
            }
            at += count;
            groups.ends.push((groups.digits.len(), at));
            let between = bytes[at..].iter().take(3).take_while(|byte| b" -.()".contains(byte)).count();
            if !(1..=2).contains(&between) || &bytes[at..at + between] == b". " {
                break;
            }
            points |= bytes[at..at + between].contains(&b'.');
            others |= !bytes[at..at + between].contains(&b'.');
            at += between;
        }
        groups.is_of_decimals = points && others;
        (groups.digits.len() >= TOLD_MIN).then_some(groups)
    }

    /// How many digits each group has.
    fn counts(&self) -> impl Iterator<Item = usize> {
        (0..self.ends.len()).map(|i| self.ends[i].0 - i.checked_sub(1).map_or(0, |i| self.ends[i].0))
    }

    /// The end of the longest number of `least` to `most` digits that is whole
    /// and `good`.
    fn longest(&self, run: &Run<'_>, least: usize, most: usize, good: impl Fn(&str) -> bool) -> Option<usize> {
        let fits = self.ends.iter().rev().filter(|(count, _)| (least..=most).contains(count));
        fits.filter(|(count, end)| run.ends(*end) && good(&self.digits[..*count])).map(|(_, end)| *end).next()
    }

    fn last(&self, run: &Run<'_>, least: usize, most: usize) -> Option<usize> {
        self.longest(run, least, most, |_| true)
    }

    /// `2021 05 12`, `12-05-2021`, or years.
    fn is_date(&self) -> bool {
        let counts: Vec<usize> = self.counts().take(3).collect();
        let year = |group: usize| {
            let start = group.checked_sub(1).map_or(0, |before| self.ends[before].0);
            matches!(&self.digits[start..start + 2], "17" | "18" | "19" | "20")
        };
        match counts[..] {
            [1 | 2, 1 | 2, 4] => year(2),
            [4, 1 | 2, 1 | 2] => year(0),
            [4, 4, ..] => year(0) && year(1),
            _ => false,
        }
    }

    /// A figure with its thousands apart: `12 345 678`.
    fn is_figure(&self) -> bool {
        let mut counts = self.counts();
        counts.next().is_some_and(|first| first <= 3) && self.ends.len() > 2 && counts.all(|count| count == 3)
    }

    /// The usual form within countries that dial a zero first: ten or eleven
    /// digits, the first three or more together.
    fn usual_with_zero(&self, run: &Run<'_>) -> Option<usize> {
        let counts: Vec<usize> = self.counts().collect();
        if counts[0] < 3 || self.digits[1..].starts_with('0') {
            return None;
        }
        let fits = |index: usize| counts[1..=index].iter().all(|count| *count >= 2) && (index == 0 || index <= 4);
        let ends = self.ends.iter().enumerate().rev().filter(|(_, (count, _))| (10..=11).contains(count));
        ends.filter(|(index, (_, end))| fits(*index) && run.ends(*end)).map(|(_, (_, end))| *end).next()
    }

    /// `(212) 555-1234`, `1-212-555-1234`.
    fn north_american(&self, run: &Run<'_>) -> Option<usize> {
        let counts: Vec<usize> = self.counts().collect();
        let skip = usize::from(counts[0] == 1 && self.digits.starts_with('1'));
        if counts.get(skip..skip + 3)? != [3, 3, 4] {
            return None;
        }
        let end = self.ends[skip + 2].1;
        let sign = run.text.as_bytes()[self.ends[skip].1];
        let good = matches!(sign, b'-' | b')' | b'.') && run.ends(end);
        (good && numbering::exists(&format!("1{}", &self.digits[skip..skip + 10]))).then_some(end)
    }
}
