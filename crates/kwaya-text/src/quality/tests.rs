//! The way of documents through all parts.

use super::{words::mix, *};

const TOPICS: [&str; 12] = [
    "mahindi",
    "shule",
    "mvua",
    "hospitali",
    "bandari",
    "kahawa",
    "samaki",
    "barabara",
    "uchaguzi",
    "mpira",
    "umeme",
    "maji",
];
const VERBS: [&str; 8] =
    ["umeongezeka", "umepungua", "unaanza", "utajengwa", "ulifungwa", "unahitaji msaada", "ni muhimu", "ulijadiliwa"];

fn pick<'a>(from: &[&'a str], seed: u64) -> &'a str {
    from[(mix(seed) % from.len() as u64) as usize]
}

/// A document of a few paragraphs, of which no two are alike.
fn good(seed: u64) -> String {
    let sentence = |i: u64| {
        let s = seed * 1000 + i;
        format!(
            "Mradi wa {} na {} katika kijiji cha {}{} {} kwa mujibu wa {} wa wilaya.",
            pick(&TOPICS, s),
            pick(&TOPICS, s + 300),
            pick(&TOPICS, s + 600),
            mix(s) % 90,
            pick(&VERBS, s + 800),
            pick(&TOPICS, s + 900),
        )
    };
    let paragraph = |p: u64| (0..3 + p).map(|i| sentence(p * 10 + i)).collect::<Vec<_>>().join(" ");
    (0..3).map(paragraph).collect::<Vec<_>>().join("\n\n")
}

fn letters(seed: u64) -> String {
    (0..120)
        .map(|w| {
            (0..3 + mix(seed + w) % 6)
                .map(|i| char::from(b'a' + (mix(seed * 31 + w * 7 + i) % 26) as u8))
                .collect::<String>()
        })
        .collect::<Vec<_>>()
        .join(" ")
        + "."
}

fn learn<'a>(documents: impl Iterator<Item = &'a String> + Clone, wishes: &Wishes) -> (Knowledge, Thresholds) {
    let learner = Learner::default();
    documents.clone().for_each(|text| learner.add("sw", 0, text));
    let knowledge = learner.finish();
    let mut distribution = Distribution::default();
    for text in documents {
        let cleaned = knowledge.clean("sw", 0, text, wishes.level);
        distribution.add(&knowledge.measure("sw", &cleaned, &WordLists::default()));
    }
    (knowledge, Thresholds::learn(&distribution, wishes))
}

fn judge(knowledge: &Knowledge, thresholds: &Thresholds, text: &str) -> Option<Fault> {
    let cleaned = knowledge.clean("sw", 0, text, Level::Gentle);
    thresholds.judge(&knowledge.measure("sw", &cleaned, &WordLists::default()))
}

#[test]
fn junk_among_good_documents_is_found() {
    let documents: Vec<String> = (0..400).map(|i| if i % 20 == 0 { letters(i) } else { good(i) }).collect();
    let (knowledge, thresholds) = learn(documents.iter(), &Wishes::default());
    for (i, text) in documents.iter().enumerate() {
        let fault = judge(&knowledge, &thresholds, text).map(|fault| fault.filter);
        assert_eq!(fault.is_some(), i % 20 == 0, "{i}: {fault:?}: {text}");
    }
}

#[test]
fn few_documents_are_judged_by_what_holds_in_any_language() {
    let documents: Vec<String> = (0..40).map(good).collect();
    let (knowledge, thresholds) = learn(documents.iter(), &Wishes::default());
    assert!(documents.iter().all(|text| judge(&knowledge, &thresholds, text).is_none()));
    assert!(thresholds.limits().all(|(_, limit)| limit.origin == Origin::Published));
    assert_eq!(judge(&knowledge, &thresholds, &letters(1)), None);
    let again = "Bonyeza hapa kusoma zaidi.\n".repeat(30);
    assert_eq!(judge(&knowledge, &thresholds, again.trim_end()).unwrap().filter, Filter::DuplicateLines);
}

/// A rule that does not fit a language must not empty it.
#[test]
fn a_rule_of_another_language_gives_way() {
    let long: Vec<String> = (0..400).map(|i| good(i).replace(' ', "lisilokuwalakawaida ")).collect();
    // Words of so many letters repeat one another in more of the text.
    let repeating = [Filter::TopNgram, Filter::DuplicateNgrams].map(|filter| (filter, Wish::Applied(false))).into();
    let wishes = Wishes { level: Level::Strict, limits: repeating };
    let (knowledge, thresholds) = learn(long.iter(), &wishes);
    let (_, limit) = thresholds.limits().find(|(filter, _)| *filter == Filter::MeanWordLength).unwrap();
    assert!(limit.origin != Origin::Published && limit.share <= Thresholds::SHARE_MAX[1], "{limit:?}");
    let kept = long.iter().filter(|text| judge(&knowledge, &thresholds, text).is_none()).count();
    let fault = judge(&knowledge, &thresholds, &long[0]);
    assert!(kept > 380, "{kept} {fault:?}");
}

#[test]
fn merging_in_any_order_gives_the_same_limits() {
    let documents: Vec<String> = (0..330).map(|i| if i % 9 == 0 { letters(i) } else { good(i) }).collect();
    let wishes = Wishes { level: Level::Strict, ..Wishes::default() };
    let (knowledge, whole) = learn(documents.iter(), &wishes);
    for seed in 0..5 {
        // Documents in another order, in parts that are merged in another.
        let mut order: Vec<usize> = (0..documents.len()).collect();
        order.sort_by_key(|i| mix(*i as u64 ^ seed));
        let mut parts: Vec<(Knowledge, Distribution)> = Vec::new();
        for part in order.chunks(7 + 40 * seed as usize) {
            let learner = Learner::default();
            part.iter().for_each(|i| learner.add("sw", 0, &documents[*i]));
            let mut distribution = Distribution::default();
            for i in part {
                let cleaned = knowledge.clean("sw", 0, &documents[*i], wishes.level);
                distribution.add(&knowledge.measure("sw", &cleaned, &WordLists::default()));
            }
            parts.push((learner.finish(), distribution));
            if parts.len() > 4 {
                let (first, rest) = parts.split_first_mut().unwrap();
                rest.iter().rev().for_each(|(knowledge, distribution)| {
                    first.0.merge(knowledge);
                    first.1.merge(distribution);
                });
                parts.truncate(1);
            }
        }
        let (mut merged, mut distribution) = parts.pop().unwrap();
        for (knowledge, other) in parts {
            merged.merge(&knowledge);
            distribution.merge(&other);
        }
        assert!(merged == knowledge, "{seed}");
        assert_eq!(Thresholds::learn(&distribution, &wishes), whole, "{seed}");
        let json = serde_json::to_string(&distribution).unwrap();
        assert_eq!(serde_json::from_str::<Distribution>(&json).unwrap(), distribution);
    }
}

#[test]
fn a_recipe_says_what_it_wants() {
    let wishes: Wishes = serde_json::from_str(
        r#"{"level": "strict", "limits": {"gibberish": false, "few-words": 3, "mean-word-length": [2.0, 12.5]}}"#,
    )
    .unwrap();
    assert_eq!(wishes.contradiction(), None);
    let documents: Vec<String> = (0..400).map(good).collect();
    let (_, thresholds) = learn(documents.iter(), &wishes);
    let limit =
        |filter| thresholds.limits().find(|(found, _)| *found == filter).map(|(_, limit)| (limit.low, limit.high));
    assert_eq!(limit(Filter::Gibberish), None);
    assert_eq!(limit(Filter::FewWords), Some((Some(30_000), None)));
    assert_eq!(limit(Filter::MeanWordLength), Some((Some(20_000), Some(125_000))));
    assert_eq!(limit(Filter::TopNgram), Some((None, Some(10_000))));
    for wrong in
        [r#"{"level": "cruel"}"#, r#"{"limits": {"taste": 1}}"#, r#"{"limit": {}}"#, r#"{"limits": {"letters": "x"}}"#]
    {
        assert!(serde_json::from_str::<Wishes>(wrong).is_err(), "{wrong}");
    }
    for (wish, value) in
        [(Wish::Limit(-1.0), "-1"), (Wish::Range([3.0, 2.0]), "[3, 2]"), (Wish::Limit(f64::NAN), "NaN")]
    {
        let wishes = Wishes { limits: BTreeMap::from([(Filter::Letters, wish)]), ..Wishes::default() };
        let (key, found, _) = wishes.contradiction().unwrap();
        assert_eq!((key.as_str(), found.as_str()), ("corpus.quality.limits.letters", value));
    }
    let off = Wishes { level: Level::Off, limits: BTreeMap::from([(Filter::FewWords, Wish::Applied(true))]) };
    let (_, thresholds) = learn(documents.iter(), &off);
    assert_eq!(thresholds.limits().map(|(filter, _)| filter).collect::<Vec<_>>(), [Filter::FewWords]);
}

/// Any text is measured, cleaned and judged without a panic, and nothing is
/// in a cleaned text that was not there before.
#[test]
fn no_text_breaks_it() {
    let wishes = Wishes { level: Level::Strict, ..Wishes::default() };
    let documents: Vec<String> = (0..320).map(good).collect();
    let (knowledge, thresholds) = learn(documents.iter(), &wishes);
    let pieces = [
        "neno ",
        "\n",
        "\n\n",
        "…",
        "...",
        "#",
        "{",
        "- ",
        "a\u{301}",
        "\u{301}",
        "ไทย",
        "ភាសា",
        "中文",
        "かな",
        "\u{200d}",
        "_",
        "'",
        "’",
        "1,5",
        "1.",
        "lorem ipsum",
        "enable JavaScript",
        "uses cookies",
        "\u{1e900}",
        "\u{1f600}",
        "\u{10ffff}",
        "\u{fffd}",
        "\0",
        "ሰላም፡",
        "སྐྱེ་",
        ": ",
        "·",
        "aaaa",
        "\u{20000}",
        "\u{e0100}",
        "ｶﾅ",
        "\t",
        "\u{a0}",
    ];
    let learner = Learner::default();
    for round in 0..4000_u64 {
        let text: String = (0..mix(round) % 120)
            .flat_map(|i| {
                let piece = pick(&pieces, round * 131 + i);
                std::iter::repeat_n(piece, 1 + if mix(round + i).is_multiple_of(40) { 300 } else { 0 })
            })
            .collect();
        learner.add("sw", round % 3, &text);
        let cleaned = knowledge.clean("sw", 0, &text, Level::Strict);
        assert_eq!(cleaned.text.len() as u64 + cleaned.removed_bytes, text.len() as u64);
        assert!(cleaned.text.lines().all(|line| text.contains(line)));
        let measures = knowledge.measure("sw", &cleaned, &WordLists::default());
        thresholds.judge(&measures);
        assert!(words::words(&text).iter().all(|word| text.contains(word.text)));
        let whole: String = words::sentences(&text).collect();
        assert_eq!(whole, text);
    }
}
