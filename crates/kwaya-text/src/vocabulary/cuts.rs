//! How the tokenizers of the `gpt2` kind cut text before they join bytes.
//!
//! GGUF files name the way, and the regular expressions behind a name are
//! those that llama.cpp documents.

/// Letters, digits and the rest, each with the space before it.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The endings of English contractions in either case.
macro_rules! contractions {
    () => {
        "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    };
}

/// A step of a `tokenizer.json` that is not written as an expression.
const PUNCTUATION: &str = "punctuation";

/// One way to cut.
pub(super) struct Cut {
    /// Its names; the first is the one to write.
    names: &'static [&'static str],
    /// The expressions, one after another: each cuts out what it matches, and
    /// what lies between matches stays.
    pub(super) by: &'static [&'static str],
    /// What else a `tokenizer.json` may have in place of `by`.
    also: &'static [&'static [&'static str]],
    /// Whether a piece that is a token is taken whole, merges or not.
    pub(super) whole_words: bool,
    /// Whether a text gets the token `bos` when the file does not say.
    pub(super) add_bos: bool,
}

/// Letters with one sign before them, digits by `$digits` at a time, signs
/// with the line ends after them.
macro_rules! words_and_digits {
    ($letter:literal, $digits:literal, $signs:literal) => {
        concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?",
            $letter,
            "+|",
            $digits,
            "| ?",
            $signs,
            r"+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

const LLAMA3: &str = words_and_digits!(r"\p{L}", r"\p{N}{1,3}", r"[^\s\p{L}\p{N}]");
const QWEN2: &str = words_and_digits!(r"\p{L}", r"\p{N}", r"[^\s\p{L}\p{N}]");
const QWEN35: &str = words_and_digits!(r"[\p{L}\p{M}]", r"\p{N}", r"[^\s\p{L}\p{M}\p{N}]");

/// Words also end where small letters turn to capitals.
macro_rules! words_by_case {
    ($contraction:expr, $digits:literal) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            $contraction,
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            $contraction,
            "|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

const TEKKEN: &str = words_by_case!("", r"\p{N}");
const GPT4O: &str = words_by_case!(concat!(contractions!(), "?"), r"\p{N}{1,3}");

/// In escapes, since some of these characters change when text is normalised.
const DEEPSEEK_LETTERS: &str = "\\s?[A-Za-z\u{B5}\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{1BA}\u{1BC}-\u{1BF}\u{1C4}-\u{293}\u{295}-\u{2AF}\
    \u{370}-\u{373}\u{376}\u{377}\u{37B}-\u{37D}\u{37F}\u{386}\u{388}-\u{38A}\u{38C}\u{38E}-\u{3A1}\u{3A3}-\u{3F5}\
    \u{3F7}-\u{481}\u{48A}-\u{52F}\u{531}-\u{556}\u{10A0}-\u{10C5}\u{13A0}-\u{13F5}\u{13F8}-\u{13FD}\
    \u{1C90}-\u{1CBA}\u{1CBD}-\u{1CBF}\u{1D00}-\u{1D2B}\u{1D6B}-\u{1D77}\u{1D79}-\u{1D9A}\u{1E00}-\u{1F15}\
    \u{1F18}-\u{1F1D}\u{1F20}-\u{1F45}\u{1F48}-\u{1F4D}\u{1F50}-\u{1F57}\u{1F59}\u{1F5B}\u{1F5D}\u{1F5F}-\u{1F7D}\
    \u{1F80}-\u{1FB4}\u{1FB6}-\u{1FBC}\u{1FBE}\u{1FC2}-\u{1FC4}\u{1FC6}-\u{1FCC}\u{1FD0}-\u{1FD3}\u{1FD6}-\u{1FDB}\
    \u{1FE0}-\u{1FEC}\u{1FF2}-\u{1FF4}\u{1FF6}-\u{1FFC}\u{2102}\u{2107}\u{210A}-\u{2113}\u{2115}\u{2119}-\u{211D}\
    \u{2124}\u{2126}\u{2128}\u{212A}-\u{212D}\u{212F}-\u{2134}\u{2139}\u{213C}-\u{213F}\u{2145}-\u{2149}\u{214E}\
    \u{2183}\u{2184}\u{2C00}-\u{2C7B}\u{2C7E}-\u{2CE4}\u{2CEB}-\u{2CEE}\u{2CF2}\u{2CF3}\u{A640}-\u{A66D}\
    \u{A680}-\u{A69B}\u{A722}-\u{A76F}\u{A771}-\u{A787}\u{A78B}-\u{A78E}\u{AB70}-\u{ABBF}\u{FB00}-\u{FB06}\
    \u{FB13}-\u{FB17}\u{FF21}-\u{FF3A}\u{FF41}-\u{FF5A}\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-\u{104FB}\
    \u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}]+";
const DEEPSEEK_SIGNS: &str = "\\s?[!-/:-~\u{FF01}-\u{FF0F}\u{FF1A}-\u{FF5E}\u{2018}-\u{201F}\u{3000}-\u{3002}]+";
const DEEPSEEK_IDEOGRAPHS: &str = "[\u{4E00}-\u{9FA5}\u{800}-\u{4E00}\u{AC00}-\u{D7FF}]+";
const DEEPSEEK3: &str = concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

const CUTS: &[Cut] = &[
    Cut {
        names: &[
            "gpt-2",
            "phi-2",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v2-code",
            "jina-v1-en",
            "roberta-bpe",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
        ],
        by: &[GPT2],
        also: &[],
        whole_words: false,
        add_bos: false,
    },
    Cut {
        names: &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
        by: &[r"\p{N}", GPT2],
        also: &[],
        whole_words: false,
        add_bos: false,
    },
    Cut {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
        by: &[LLAMA3],
        also: &[],
        whole_words: true,
        add_bos: true,
    },
    Cut { names: &["smaug-bpe", "dbrx", "chatglm-bpe"], by: &[LLAMA3], also: &[], whole_words: false, add_bos: false },
    Cut { names: &["glm4", "glm5"], by: &[LLAMA3], also: &[], whole_words: true, add_bos: false },
    Cut {
        names: &["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "hunyuan", "grok-2"],
        by: &[QWEN2],
        also: &[],
        whole_words: false,
        add_bos: false,
    },
    Cut { names: &["qwen35"], by: &[QWEN35], also: &[], whole_words: false, add_bos: false },
    Cut { names: &["tekken"], by: &[TEKKEN], also: &[], whole_words: true, add_bos: true },
    Cut { names: &["gpt-4o", "llama4", "kanana2"], by: &[GPT4O], also: &[], whole_words: false, add_bos: false },
    Cut {
        names: &["deepseek-llm"],
        by: &[r"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_SIGNS, r"\s+$", DEEPSEEK_IDEOGRAPHS, r"\p{N}+"],
        also: &[&[r"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_SIGNS, r"\s+$", DEEPSEEK_IDEOGRAPHS, r"\p{N}"]],
        whole_words: false,
        add_bos: false,
    },
    Cut {
        names: &["deepseek-coder"],
        by: &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_IDEOGRAPHS, r"\p{N}"],
        also: &[],
        whole_words: false,
        add_bos: false,
    },
    Cut {
        names: &["deepseek-v3", "hunyuan-dense", "joyai-llm"],
        by: &[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3],
        also: &[],
        whole_words: false,
        add_bos: false,
    },
    Cut {
        names: &["falcon"],
        by: &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
        also: &[&[PUNCTUATION, GPT2, "[0-9][0-9][0-9]"], &[PUNCTUATION, GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]],
        whole_words: false,
        add_bos: false,
    },
    Cut {
        names: &["default"],
        by: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
        also: &[],
        whole_words: false,
        add_bos: false,
    },
];

impl Cut {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        CUTS.iter().find(|cut| cut.names.contains(&name))
    }

    /// All names that are known.
    pub(super) fn names() -> String {
        CUTS.iter().flat_map(|cut| cut.names).copied().collect::<Vec<_>>().join(", ")
    }

    /// The name of the way that a pre-tokenizer cuts, of which `whole_words`
    /// is a wish: it matters to few tokens.
    pub(super) fn of(pre_tokenizer: &serde_json::Value, whole_words: bool) -> Option<&'static str> {
        let mut steps = Vec::new();
        gather(pre_tokenizer, &mut steps)?;
        let same = |by: &[&str]| by.len() == steps.len() && by.iter().zip(&steps).all(|(a, b)| plain(a) == *b);
        let same = |cut: &&Cut| same(cut.by) || cut.also.iter().any(|by| same(by));
        let exact = CUTS.iter().find(|cut| cut.whole_words == whole_words && same(cut));
        Some(exact.or_else(|| CUTS.iter().find(same))?.names[0])
    }
}

/// The expressions of a pre-tokenizer in order; `None` where it does
/// something that no GGUF file can say.
fn gather(step: &serde_json::Value, steps: &mut Vec<String>) -> Option<()> {
    let flag = |name: &str, unsaid| step[name].as_bool().unwrap_or(unsaid);
    match step["type"].as_str()? {
        "Sequence" => step["pretokenizers"].as_array()?.iter().try_for_each(|step| gather(step, steps))?,
        "ByteLevel" if flag("add_prefix_space", true) => return None,
        "ByteLevel" if flag("use_regex", true) => steps.push(plain(GPT2)),
        "ByteLevel" => {}
        "Digits" if flag("individual_digits", false) => steps.push(r"\p{N}".to_owned()),
        "Digits" => steps.push(r"\p{N}+".to_owned()),
        "Punctuation" if step["behavior"] == "Contiguous" => steps.push(PUNCTUATION.to_owned()),
        "Split" => {
            // What is no match and removed would be lost, but these
            // expressions match all text.
            let keeps = step["behavior"] == "Isolated" || step["behavior"] == "Removed" && flag("invert", false);
            steps.push(plain(step["pattern"]["Regex"].as_str().filter(|_| keeps)?));
        }
        _ => return None,
    }
    Some(())
}

/// An expression in the one form in which equal ones are equal text.
fn plain(expression: &str) -> String {
    let last = expression.trim_end_matches(r"|\s+").len();
    expression[..last]
        .replace('\r', r"\r")
        .replace('\n', r"\n")
        .replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", contractions!())
        .replace(r"\p{N}{1}", r"\p{N}")
}
