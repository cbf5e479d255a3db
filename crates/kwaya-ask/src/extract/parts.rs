//! A text that is longer than a model reads, in parts that it does: whole
//! paragraphs where that is possible, else whole lines, sentences or words.

use std::ops::Range;

use kwaya_base::Result;

/// What a text is cut at, the best first. Where none of them is, it is cut
/// between two characters.
const ENDS: [&[&str]; 4] = [&["\n\n"], &["\n"], &[". ", "? ", "! ", "。", "።", "।", "؟ "], &[" "]];

/// The parts of `text`, each of at most `room` tokens by `count`, which overlap
/// nothing and together are all of it.
pub(super) fn parts(text: &str, room: usize, count: &dyn Fn(&str) -> Result<usize>) -> Result<Vec<Range<usize>>> {
    if count(text)? <= room {
        return Ok(std::iter::once(0..text.len()).collect());
    }
    let mut pieces = Vec::new();
    cut(text, 0, 0, room, count, &mut pieces)?;
    // The tokens of pieces together are never fewer than those of what they
    // make up, but for a few at each border, for which there is room.
    let mut parts: Vec<(Range<usize>, usize)> = Vec::new();
    for (piece, tokens) in pieces {
        match parts.last_mut() {
            Some((part, sum)) if *sum + tokens < room => {
                part.end = piece.end;
                *sum += tokens;
            }
            _ => parts.push((piece, tokens)),
        }
    }
    Ok(parts.into_iter().map(|(part, _)| part).filter(|part| !text[part.clone()].trim().is_empty()).collect())
}

/// Pieces of a text that begins at `from`, each with its tokens.
fn cut(
    text: &str,
    from: usize,
    level: usize,
    room: usize,
    count: &dyn Fn(&str) -> Result<usize>,
    pieces: &mut Vec<(Range<usize>, usize)>,
) -> Result<()> {
    let tokens = count(text)?;
    if tokens <= room {
        pieces.push((from..from + text.len(), tokens));
        return Ok(());
    }
    let Some(ends) = ENDS.get(level) else {
        let middle = text.floor_char_boundary(text.len() / 2);
        if middle == 0 {
            // One character that takes more than there is room for.
            return Ok(());
        }
        let (first, second) = text.split_at(middle);
        cut(first, from, level, room, count, pieces)?;
        return cut(second, from + middle, level, room, count, pieces);
    };
    let mut at = 0;
    while at < text.len() {
        let next = ends.iter().filter_map(|end| text[at..].find(end).map(|found| at + found + end.len())).min();
        let next = next.unwrap_or(text.len());
        cut(&text[at..next], from + at, level + 1, room, count, pieces)?;
        at = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parted(text: &str, room: usize) -> Vec<&str> {
        let parts = parts(text, room, &|text| Ok(text.chars().count())).unwrap();
        let mut at = 0;
        for part in &parts {
            assert!(text[at..part.start].trim().is_empty() && part.start >= at, "{parts:?}");
            assert!(text[part.clone()].chars().count() <= room, "{parts:?}");
            at = part.end;
        }
        assert!(text[at..].trim().is_empty(), "{parts:?}");
        parts.into_iter().map(|part| &text[part]).collect()
    }

    #[test]
    fn a_text_is_cut_at_the_best_place_there_is() {
        assert_eq!(parted("moja mbili", 100), ["moja mbili"]);
        assert_eq!(parted("moja.\n\nmbili.\n\ntatu.", 15), ["moja.\n\n", "mbili.\n\ntatu."]);
        assert_eq!(parted("moja moja\nmbili mbili", 15), ["moja moja\n", "mbili mbili"]);
        assert_eq!(parted("Moja moja. Mbili mbili.", 15), ["Moja moja. ", "Mbili mbili."]);
        assert_eq!(parted("mojamojamoja mbilimbili", 15), ["mojamojamoja ", "mbilimbili"]);
        assert_eq!(parted("ééééééé", 4), ["ééé", "éééé"]);
        let long = "Neno la kwanza. ".repeat(50) + "\n\n" + &"x".repeat(40);
        assert!(parted(&long, 20).len() > 40);
        assert!(parted(&"\n \n".repeat(50), 20).len() <= 1);
    }
}
