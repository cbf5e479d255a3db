//! Subtitles (SRT, WebVTT, ASS): what is said, in sentences. Times, styles,
//! names of speakers, drawings and descriptions of sounds are left out.

use std::sync::OnceLock;

use regex::Regex;

/// A sentence is over after so many milliseconds in which nothing is said.
const PAUSE: u64 = 3000;
/// How many cues one file may have.
const CUES_MAX: usize = 1 << 20;

/// Which kind of subtitles a text begins as.
pub(crate) fn is_subtitles(head: &str) -> bool {
    static SRT: OnceLock<Regex> = OnceLock::new();
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let srt = SRT.get_or_init(|| pattern(r"^\d{1,6}\s*\n\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}\s*-->"));
    head.starts_with("WEBVTT") || head.starts_with("[Script Info]") || srt.is_match(head)
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is well formed")
}

/// What is shown at once.
struct Cue<'a> {
    from: u64,
    to: u64,
    lines: Vec<&'a str>,
}

/// What is said in subtitles.
pub(crate) fn text(file: &str) -> String {
    let script = file.trim_start_matches('\u{feff}').trim_start().starts_with("[Script Info]");
    let mut cues = if script { of_script(file) } else { of_blocks(file) };
    // The lines of a script may be in any order.
    cues.sort_by_key(|cue| cue.from);
    let mut out = String::new();
    let (mut end, mut last) = (0, Vec::new());
    for cue in &cues {
        let lines: Vec<String> = cue.lines.iter().map(|line| said(line, script)).collect();
        let pause = cue.from > end + PAUSE;
        for line in &lines {
            // Captions that roll show a line again while the next is said.
            if line.is_empty() || last.contains(line) && cue.from <= end + PAUSE {
                continue;
            }
            let speaks = line.strip_prefix(['-', '–', '—']).map(str::trim_start);
            if !out.is_empty() {
                out.push(if pause || speaks.is_some() || is_sentence(&out) { '\n' } else { ' ' });
            }
            out.push_str(speaks.unwrap_or(line));
        }
        (end, last) = (cue.to.max(cue.from), lines);
    }
    out
}

/// The cues of SRT and WebVTT: lines after a line of times, up to an empty one.
fn of_blocks(file: &str) -> Vec<Cue<'_>> {
    let mut cues: Vec<Cue<'_>> = Vec::new();
    let mut open = false;
    for line in file.lines() {
        if let Some((from, to)) = times(line) {
            if cues.len() == CUES_MAX {
                break;
            }
            cues.push(Cue { from, to, lines: Vec::new() });
            open = true;
        } else if line.trim().is_empty() {
            open = false;
        } else if let (true, Some(cue)) = (open, cues.last_mut()) {
            cue.lines.push(line);
        }
    }
    cues
}

/// `00:00:01,000 --> 00:00:04,000` and what may follow.
fn times(line: &str) -> Option<(u64, u64)> {
    let (from, rest) = line.split_once("-->")?;
    Some((time(from.trim())?, time(rest.split_whitespace().next()?)?))
}

/// Milliseconds of `1:02:03.5`, in which a comma may be a dot.
fn time(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once([',', '.'])?;
    let seconds = whole.split(':').try_fold(0_u64, |sum, part| {
        let digits = part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit());
        sum.checked_mul(60)?.checked_add(if digits { part.parse().ok()? } else { return None })
    })?;
    let thousandths = part.bytes().take(3).chain(*b"000").take(3);
    let thousandths =
        thousandths.map(|b| u64::from(b.wrapping_sub(b'0')).min(9)).fold(0, |sum, digit| sum * 10 + digit);
    seconds.checked_mul(1000)?.checked_add(thousandths)
}

/// The cues of an ASS or SSA script: lines of events, whose fields a line before
/// them names.
fn of_script(file: &str) -> Vec<Cue<'_>> {
    let mut cues = Vec::new();
    let mut events = false;
    let (mut fields, mut start, mut end) = (10, 1, 2);
    for line in file.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            events = line.eq_ignore_ascii_case("[events]");
        } else if let (true, Some(format)) = (events, line.strip_prefix("Format:")) {
            let names: Vec<&str> = format.split(',').map(str::trim).collect();
            let at = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name)).unwrap_or(usize::MAX);
            (fields, start, end) = (names.len(), at("start"), at("end"));
        } else if let (true, Some(event)) = (events, line.strip_prefix("Dialogue:")) {
            let values: Vec<&str> = event.splitn(fields, ',').collect();
            let at = |index: usize| values.get(index).and_then(|value| time(value.trim()));
            // The text is the last field and the only one with commas.
            let (Some(from), Some(text)) = (at(start), values.get(fields.wrapping_sub(1))) else { continue };
            if cues.len() == CUES_MAX {
                break;
            }
            let lines = text.split("\\N").flat_map(|line| line.split("\\n")).collect();
            cues.push(Cue { from, to: at(end).unwrap_or(from), lines });
        }
    }
    cues
}

/// A line without tags, names and sounds.
fn said(line: &str, script: bool) -> String {
    static TAGS: OnceLock<Regex> = OnceLock::new();
    static SOUNDS: OnceLock<Regex> = OnceLock::new();
    static DRAWING: OnceLock<Regex> = OnceLock::new();
    static NAME: OnceLock<Regex> = OnceLock::new();
    if script && DRAWING.get_or_init(|| pattern(r"\{[^}]*\\p[1-9]")).is_match(line) {
        return String::new();
    }
    let plain = TAGS.get_or_init(|| pattern(r"</?[A-Za-z0-9:.][^<>]*>|\{[^{}]*\}|\\h")).replace_all(line, "");
    let plain = SOUNDS
        .get_or_init(|| pattern(r"\[[^\[\]]*\]|^\s*\([^()]*\)\s*$|[♪♫#]+\s*$|^\s*[♪♫#]+|♪"))
        .replace_all(&plain, " ");
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&lrm;", ""), ("&rlm;", ""), ("&amp;", "&")]
        .iter()
        .fold(plain.into_owned(), |text, (from, to)| if text.contains(from) { text.replace(from, to) } else { text });
    // A name in capitals, as subtitles for people who hear badly have it.
    let name = NAME.get_or_init(|| pattern(r"^\s*(-\s*)?\p{Lu}[\p{Lu}\p{M}0-9 .']{1,30}:\s+"));
    let plain = name.replace(&plain, "$1");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a text ends as sentences do.
fn is_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['"', '\'', '”', '’', '»', ')', '›', '」', '』']);
    text.ends_with(['.', '!', '?', '…', '。', '！', '？', '؟', '۔', '।', '॥', '።', '፧', '።', '။', '។', '᙮', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRT: &str = "\u{feff}1\r\n00:00:01,000 --> 00:00:04,000\r\n<i>Habari za asubuhi,</i>\r\nwakulima wote.\r\n\r\n\
        2\r\n00:00:04,500 --> 00:00:06,000\r\n[muziki]\r\n\r\n3\r\n00:00:06,100 --> 00:00:08,000\r\n- JUMA: Leo tunaongea\r\n- Mvua?\r\n\r\n\
        4\r\n00:00:08,100 --> 00:00:09,000\r\n{\\an8}kuhusu mbegu &amp; mbolea\r\n\r\n5\r\n00:00:19,000 --> 00:00:21,000\r\nna samadi\r\n";

    #[test]
    fn cues_become_sentences() {
        assert!(is_subtitles(SRT));
        assert_eq!(
            text(SRT),
            "Habari za asubuhi, wakulima wote.\nLeo tunaongea\nMvua?\nkuhusu mbegu & mbolea\nna samadi"
        );
    }

    #[test]
    fn webvtt_is_read_without_notes_and_captions_that_roll() {
        let file = "WEBVTT - title\n\nNOTE not said\nnor this\n\nSTYLE\n::cue { color: red }\n\nid\n00:01.000 --> 00:02.000 align:start\n\
            <v Asha>Mahindi <00:01.500><c.x>yanavunwa</c></v>\n\n00:02.000 --> 00:03.000\nMahindi yanavunwa\nyakikauka.\n\n01:00:00.000 --> 01:00:01.000\n♪ wimbo ♪\n";
        assert!(is_subtitles(file));
        assert_eq!(text(file), "Mahindi yanavunwa yakikauka.\nwimbo");
    }

    #[test]
    fn scripts_are_read_in_the_order_of_time() {
        let file = "[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name\nStyle: Default\n\n[Events]\n\
            Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
            Dialogue: 0,0:00:05.00,0:00:06.00,Default,Asha,0,0,0,,{\\i1}Ndiyo, kesho.{\\i0}\n\
            Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,not said\n\
            Dialogue: 0,0:00:01.00,0:00:02.00,Default,Juma,0,0,0,,Utakuja\\Nkesho, Asha?\n\
            Dialogue: 0,0:00:07.00,0:00:08.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}\n";
        assert!(is_subtitles(file));
        assert_eq!(text(file), "Utakuja kesho, Asha?\nNdiyo, kesho.");
    }

    #[test]
    fn other_texts_are_no_subtitles() {
        for text in ["1\nMahindi", "Web", "[Info]", "1. 00:00 --> leo", ""] {
            assert!(!is_subtitles(text), "{text}");
        }
    }
}
