//! From the signs of a page to its paragraphs.
//!
//! Signs come in the order in which the file draws them, which is nearly always
//! the order of reading: column after column. So places decide only what is
//! near: signs are joined to pieces of lines, pieces to rows of tables, lines to
//! paragraphs.
//!
//! 1. A sign joins the piece before it if it is on the same line and near.
//! 2. Pieces that are drawn one after the other on one line are a row. Where a
//!    gap goes down through three rows or more, what is on its sides are cells of
//!    a table, if they are short, and else lines of columns.
//! 3. The signs of a piece are put in the order of places, run by run, and where
//!    the script runs from the right, in the order of reading. A gap is a blank.
//! 4. A line joins a paragraph that it continues below.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::signs::Sign;

/// All these are shares of the size of the letters. A gap that is a blank:
const BLANK: f64 = 0.15;
/// A gap that parts a line:
const PART: f64 = 2.0;
/// How far off the line a sign may be, and a mark above or below a letter:
const OFF: f64 = 0.4;
const OFF_MARK: f64 = 1.2;
/// From line to line of a paragraph, at most, and at least:
const LEADING_MAX: f64 = 2.2;
const LEADING_MIN: f64 = 0.5;
/// An indent that begins a paragraph:
const INDENT: f64 = 0.9;
/// Lines of a paragraph are as far apart as its first two, but for this factor.
const LEADING_FACTOR: f64 = 1.25;
/// And of one size of letters, but for this factor.
const SIZE_FACTOR: f64 = 1.2;
/// A line that ends before this share of the width is the last of a paragraph.
const FULL: f64 = 0.75;
/// Pieces beside each other with fewer characters are cells.
const CELL_CHARACTERS_MAX: usize = 30;
/// A gap between cells or columns goes through so many rows, and is so wide.
const GAP_ROWS_MIN: usize = 3;
const GAP: f64 = 1.0;
/// Signs that differ less in place are in the order in which they are drawn.
const SAME: f64 = 0.25;
/// What is narrower is a mark on another sign.
const MARK: f64 = 0.15;
/// A mark is drawn so many signs before or after its letter, at most.
const NEAR: usize = 3;
/// So many paragraphs may be continued by the next line.
const OPEN_MAX: usize = 8;
/// Text in another direction than most is left out if it is less than this share.
const TURNED_MAX: f64 = 0.2;

/// A piece of a line.
struct Piece<'a> {
    signs: Vec<&'a Sign>,
    start: f64,
    end: f64,
    across: f64,
    size: f64,
    turn: i8,
}

/// Lines that belong together.
struct Block {
    lines: Vec<String>,
    start: f64,
    end: f64,
    /// Where the last line is, begins and ends.
    across: f64,
    last: (f64, f64),
    leading: Option<f64>,
    size: f64,
    turn: i8,
    is_row: bool,
}

/// The paragraphs of a page, with a line end where the page has one.
pub(super) fn paragraphs(signs: &[Sign]) -> Vec<String> {
    let pieces = pieces(signs);
    let main = main_turn(&pieces);
    let mut rows: Vec<Vec<Piece<'_>>> = Vec::new();
    for piece in pieces.into_iter().filter(|piece| main.is_none_or(|main| piece.turn == main)) {
        match rows.last_mut() {
            Some(row) if is_level(&row[row.len() - 1], &piece) => row.push(piece),
            _ => rows.push(vec![piece]),
        }
    }
    rows.iter_mut().for_each(join_near);
    let parted = parted(&rows);
    let rows: Vec<Vec<(Piece<'_>, Read)>> = rows
        .into_iter()
        .zip(parted)
        .flat_map(|(row, parted)| {
            let row = if parted { row } else { vec![joined(row)] };
            let read: Vec<_> =
                row.into_iter().map(|piece| (read(&piece), piece)).map(|(read, piece)| (piece, read)).collect();
            if read.iter().all(|(_, read)| read.is_short()) {
                vec![read]
            } else {
                read.into_iter().map(|one| vec![one]).collect()
            }
        })
        .filter(|row: &Vec<(Piece<'_>, Read)>| row.iter().any(|(_, read)| !read.text.trim().is_empty()))
        .collect();
    let mut blocks: Vec<Block> = Vec::new();
    for row in &rows {
        let line = Line::of(row);
        let open = blocks.len().saturating_sub(OPEN_MAX);
        match blocks[open..].iter_mut().rev().find(|block| block.goes_on_with(&line)) {
            Some(block) => block.push(line),
            None => blocks.push(Block::of(line)),
        }
    }
    blocks.into_iter().map(|block| block.lines.join("\n")).collect()
}

fn pieces(signs: &[Sign]) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    for sign in signs {
        let is_mark = is_mark(sign);
        if let Some(piece) = pieces.last_mut() {
            let size = piece.size.max(sign.size);
            let off = if is_mark { OFF_MARK } else { OFF };
            let gap = (sign.start - piece.end).max(piece.start - sign.end);
            let follows = piece.turn == sign.turn || is_mark && sign.end - sign.start < 0.1;
            if follows && (piece.across - sign.across).abs() <= off * size && gap <= PART * size {
                piece.signs.push(sign);
                if !sign.text.trim().is_empty() && !is_mark {
                    (piece.start, piece.end) = (piece.start.min(sign.start), piece.end.max(sign.end));
                }
                if sign.size > piece.size && !is_mark {
                    (piece.size, piece.across) = (sign.size, sign.across);
                }
                continue;
            }
        }
        if !sign.text.trim().is_empty() {
            let Sign { start, end, across, size, turn, .. } = *sign;
            pieces.push(Piece { signs: vec![sign], start, end, across, size, turn });
        }
    }
    pieces
}

/// The direction of nearly all text, where there is one.
fn main_turn(pieces: &[Piece<'_>]) -> Option<i8> {
    let count = |turn: i8| pieces.iter().filter(|p| p.turn == turn).map(|p| p.signs.len()).sum::<usize>();
    let all: usize = pieces.iter().map(|piece| piece.signs.len()).sum();
    let main = pieces.iter().map(|piece| piece.turn).max_by_key(|turn| (count(*turn), *turn))?;
    (((all - count(main)) as f64) < TURNED_MAX * all as f64).then_some(main)
}

/// The text of a piece, and whether it runs from the right.
#[derive(Clone)]
struct Read {
    text: String,
    from_right: bool,
}

impl Read {
    fn is_short(&self) -> bool {
        self.text.chars().count() <= CELL_CHARACTERS_MAX
    }
}

/// Whether a piece is on the line of the one drawn before it.
fn is_level(last: &Piece<'_>, piece: &Piece<'_>) -> bool {
    last.turn == piece.turn && (last.across - piece.across).abs() <= OFF * last.size.max(piece.size)
}

/// Joins the pieces of a row that are near, in whatever order they were drawn.
fn join_near(row: &mut Vec<Piece<'_>>) {
    if row.len() < 2 {
        return;
    }
    row.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut near: Vec<Piece<'_>> = Vec::new();
    for piece in std::mem::take(row) {
        match near.last_mut() {
            Some(last) if piece.start - last.end <= PART * last.size.max(piece.size) => last.join(piece),
            _ => near.push(piece),
        }
    }
    *row = near;
}

fn joined(row: Vec<Piece<'_>>) -> Piece<'_> {
    let mut pieces = row.into_iter();
    let mut first = pieces.next().expect("a row has a piece");
    pieces.for_each(|piece| first.join(piece));
    first
}

/// Which rows have a gap that goes down through several.
fn parted(rows: &[Vec<Piece<'_>>]) -> Vec<bool> {
    let gaps =
        |row: &[Piece<'_>]| -> Vec<(f64, f64)> { row.windows(2).map(|pair| (pair[0].end, pair[1].start)).collect() };
    let mut parted = vec![false; rows.len()];
    for at in 0..rows.len() {
        for mut gap in gaps(&rows[at]) {
            let mut end = at + 1;
            while let Some(row) = rows.get(end) {
                let common = gaps(row).into_iter().map(|(from, to)| (gap.0.max(from), gap.1.min(to)));
                match common.max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0))) {
                    Some(common) if common.1 - common.0 >= GAP * row[0].size => gap = common,
                    _ => break,
                }
                end += 1;
            }
            if end - at >= GAP_ROWS_MIN {
                parted[at..end].fill(true);
            }
        }
    }
    parted
}

impl<'a> Piece<'a> {
    fn join(&mut self, other: Piece<'a>) {
        self.signs.extend(other.signs);
        (self.start, self.end) = (self.start.min(other.start), self.end.max(other.end));
        if other.size > self.size {
            (self.size, self.across) = (other.size, other.across);
        }
    }
}

fn is_mark(sign: &Sign) -> bool {
    let narrow = sign.end - sign.start < MARK * sign.size;
    narrow && !sign.text.is_empty() && sign.text.chars().all(is_combining_mark)
}

/// A sign with the marks that stand on it.
struct Cluster {
    text: String,
    start: f64,
    end: f64,
    size: f64,
}

fn read(piece: &Piece<'_>) -> Read {
    let right = |text: &str| text.chars().filter(|c| is_from_right(*c)).count();
    let left = |text: &str| text.chars().filter(|c| c.is_alphabetic() && !is_from_right(*c)).count();
    let count = |of: &dyn Fn(&str) -> usize| piece.signs.iter().map(|sign| of(&sign.text)).sum::<usize>();
    let (from_right, from_left) = (count(&right), count(&left));
    let mut clusters = spaced(in_place(clusters(piece, from_right > 0)));
    if from_right > 0 {
        clusters = reading_order(clusters, from_right >= from_left);
    }
    let text: String = clusters.into_iter().map(|cluster| cluster.text).collect();
    Read { text: plain_forms(&text), from_right: from_right > from_left }
}

/// Signs with their marks. A mark is drawn after its letter, or, where the
/// script runs from the right, before or after it: there it belongs to the
/// letter that it stands over.
fn clusters(piece: &Piece<'_>, by_place: bool) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    let mut waiting: Vec<(&Sign, usize)> = Vec::new();
    let mut start = f64::INFINITY;
    for sign in &piece.signs {
        if sign.text.is_empty() {
            // Its text was put elsewhere, and its place stays: of the letter
            // before it, or, after a gap, of the next.
            match clusters.last_mut() {
                Some(last) if sign.start - last.end <= BLANK * last.size => last.end = last.end.max(sign.end),
                _ => start = start.min(sign.start),
            }
        } else if is_mark(sign) && by_place {
            waiting.push((sign, clusters.len()));
        } else if let (true, Some(cluster)) = (is_mark(sign), clusters.last_mut()) {
            cluster.text.push_str(&sign.text);
            cluster.end = cluster.end.max(sign.end);
        } else {
            let from = sign.start.min(start);
            clusters.push(Cluster { text: sign.text.clone(), start: from, end: sign.end, size: sign.size });
            start = f64::INFINITY;
        }
    }
    for (mark, at) in waiting {
        let middle = (mark.start + mark.end) / 2.0;
        let near = at.saturating_sub(NEAR)..clusters.len().min(at + NEAR);
        let distance = |cluster: &Cluster| ((cluster.start + cluster.end) / 2.0 - middle).abs();
        let letter = |cluster: &&mut Cluster| cluster.text.chars().any(char::is_alphabetic);
        let base = clusters[near].iter_mut().filter(letter).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        if let Some(base) = base {
            base.text.push_str(&mark.text);
        }
    }
    clusters
}

/// Clusters in the order of places: each run as it was drawn, or the other way
/// round where it was drawn to the left. Letters that overlap, such as lam and
/// alef, stay as they were drawn.
fn in_place(clusters: Vec<Cluster>) -> Vec<Cluster> {
    let mut runs: Vec<(f64, Way, Vec<Cluster>)> = Vec::new();
    for cluster in clusters {
        let way = way(&cluster.text);
        if let Some((direction, run_way, run)) = runs.last_mut() {
            let last = &run[run.len() - 1];
            let step = (cluster.start + cluster.end - last.start - last.end) / 2.0;
            let small = step.abs() < SAME * cluster.size.max(last.size);
            let alike = way == Way::Either || *run_way == Way::Either || way == *run_way;
            let far = step.abs() > PART * cluster.size + (last.end - last.start).max(cluster.end - cluster.start);
            if alike && !far && (small || *direction == 0.0 || *direction == step.signum()) {
                if !small {
                    *direction = step.signum();
                }
                if way != Way::Either {
                    *run_way = way;
                }
                run.push(cluster);
                continue;
            }
            // Two signs have no direction of their own: the second may begin
            // what now goes the other way.
            if let (true, false, 2) = (alike, far, run.len()) {
                let second = run.pop().expect("there are two");
                *direction = 0.0;
                runs.push((step.signum(), way, vec![second, cluster]));
                continue;
            }
        }
        runs.push((0.0, way, vec![cluster]));
    }
    for (direction, _, run) in &mut runs {
        if *direction < 0.0 {
            run.reverse();
        }
    }
    let start = |run: &[Cluster]| run.iter().map(|cluster| cluster.start).fold(f64::INFINITY, f64::min);
    runs.sort_by(|a, b| start(&a.2).total_cmp(&start(&b.2)));
    runs.into_iter().flat_map(|(_, _, run)| run).collect()
}

/// Puts a blank where there is a gap.
fn spaced(clusters: Vec<Cluster>) -> Vec<Cluster> {
    let mut out: Vec<Cluster> = Vec::with_capacity(clusters.len());
    for cluster in clusters {
        if let Some(last) = out.last() {
            let gap = cluster.start - last.end;
            let blank = |text: &str| text.chars().all(char::is_whitespace);
            if gap > BLANK * last.size.min(cluster.size) && !blank(&last.text) && !blank(&cluster.text) {
                out.push(Cluster { text: " ".to_owned(), start: last.end, end: cluster.start, size: last.size });
            }
        }
        out.push(cluster);
    }
    out
}

/// How a sign runs: letters from the left and figures, letters from the right,
/// and what runs as its neighbours do.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Left,
    Right,
    Either,
}

fn way(text: &str) -> Way {
    match text.chars().find(|c| is_from_right(*c) || c.is_alphanumeric()) {
        Some(c) if is_from_right(c) => Way::Right,
        Some(_) => Way::Left,
        None => Way::Either,
    }
}

/// Clusters in the order of reading, from that of places.
fn reading_order(clusters: Vec<Cluster>, from_right: bool) -> Vec<Cluster> {
    let mut ways: Vec<Way> = clusters.iter().map(|cluster| way(&cluster.text)).collect();
    // What is between two of one way goes with them, and else with the line.
    let base = if from_right { Way::Right } else { Way::Left };
    let mut at = 0;
    while at < ways.len() {
        let end = ways[at..].iter().position(|way| *way != Way::Either).map_or(ways.len(), |length| at + length);
        let before = if at == 0 { base } else { ways[at - 1] };
        let after = ways.get(end).copied().unwrap_or(base);
        ways[at..end].fill(if before == after { before } else { base });
        at = end + 1;
    }
    let mut runs: Vec<(Way, Vec<Cluster>)> = Vec::new();
    for (cluster, way) in clusters.into_iter().zip(ways) {
        match runs.last_mut() {
            Some((last, run)) if *last == way => run.push(cluster),
            _ => runs.push((way, vec![cluster])),
        }
    }
    if from_right {
        runs.reverse();
    }
    let each = runs.into_iter().flat_map(|(way, mut run)| {
        if way == Way::Right {
            run.reverse();
            mirror(&mut run);
        }
        run
    });
    each.collect()
}

/// Turns brackets round that would close before they open.
fn mirror(run: &mut [Cluster]) {
    const PAIRS: [(char, char); 4] = [('(', ')'), ('[', ']'), ('{', '}'), ('«', '»')];
    let first = run
        .iter()
        .flat_map(|cluster| cluster.text.chars())
        .find_map(|c| PAIRS.iter().find(|(open, close)| c == *open || c == *close).map(|(open, _)| c == *open));
    if first == Some(false) {
        for cluster in run {
            let turned = |c: char| {
                let pair = PAIRS.iter().find(|(open, close)| c == *open || c == *close);
                pair.map_or(c, |(open, close)| if c == *open { *close } else { *open })
            };
            cluster.text = cluster.text.chars().map(turned).collect();
        }
    }
}

/// Letters of Hebrew, Arabic, Syriac, Thaana, N'Ko, Adlam and their like.
fn is_from_right(character: char) -> bool {
    let strong = matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}');
    // Figures run from the left in these scripts, too.
    strong && character.is_alphabetic() && !character.is_numeric() && !is_combining_mark(character)
}

/// The letters that forms of letters and ligatures stand for, and the vowels
/// that two signs of Devanagari make.
fn plain_forms(text: &str) -> String {
    let text = &text.replace("\u{93e}\u{947}", "\u{94b}").replace("\u{93e}\u{948}", "\u{94c}");
    let text = &text.replace("\u{906}\u{947}", "\u{913}").replace("\u{906}\u{948}", "\u{914}");
    let is_form = |c: char| matches!(c, '\u{fb00}'..='\u{fb4f}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
    if !text.contains(is_form) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match is_form(character) {
            true => out.extend(std::iter::once(character).nfkc()),
            false => out.push(character),
        }
    }
    out
}

/// A line of a paragraph, or a row of a table. Places count from where the
/// script begins.
struct Line {
    text: String,
    start: f64,
    end: f64,
    across: f64,
    size: f64,
    turn: i8,
    is_row: bool,
}

impl Line {
    fn of(row: &[(Piece<'_>, Read)]) -> Self {
        let start = row.iter().map(|(piece, _)| piece.start).fold(f64::INFINITY, f64::min);
        let end = row.iter().map(|(piece, _)| piece.end).fold(f64::NEG_INFINITY, f64::max);
        let from_right = row.iter().any(|(_, read)| read.from_right);
        let (start, end) = if from_right { (-end, -start) } else { (start, end) };
        let mut cells: Vec<&str> = row.iter().map(|(_, read)| read.text.trim()).collect();
        if from_right {
            cells.reverse();
        }
        let Piece { across, size, turn, .. } = row[0].0;
        Self { text: cells.join(" | "), start, end, across, size, turn, is_row: row.len() > 1 }
    }
}

impl Block {
    fn of(line: Line) -> Self {
        let Line { text, start, end, across, size, turn, is_row } = line;
        Self { lines: vec![text], start, end, across, last: (start, end), leading: None, size, turn, is_row }
    }

    fn goes_on_with(&self, line: &Line) -> bool {
        let size = self.size.max(line.size);
        let leading = line.across - self.across;
        let near = leading >= LEADING_MIN * size && leading <= LEADING_MAX * size;
        let even = self.leading.is_none_or(|first| leading <= first * LEADING_FACTOR);
        let alike =
            size <= SIZE_FACTOR * self.size.min(line.size) && self.turn == line.turn && self.is_row == line.is_row;
        let below = line.start < self.end && self.start < line.end;
        if self.is_row || !(near && even && alike && below) {
            return self.is_row && near && even && alike && below;
        }
        // The first line may be indented itself.
        let indented = line.start > self.start + INDENT * size && line.start > self.last.0 + INDENT * size;
        let full = self.last.1 - self.start >= FULL * (self.end - self.start).max(line.end - self.start);
        !indented && full
    }

    fn push(&mut self, line: Line) {
        self.leading = self.leading.or(Some(line.across - self.across));
        (self.start, self.end) = (self.start.min(line.start), self.end.max(line.end));
        (self.across, self.last) = (line.across, (line.start, line.end));
        self.lines.push(line.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters of ten points, each five wide, from `start` on.
    fn drawn(text: &str, start: f64, across: f64) -> Vec<Sign> {
        let sign = |(at, c): (usize, char)| Sign {
            text: c.to_string(),
            start: start + 5.0 * at as f64,
            end: start + 5.0 * (at + 1) as f64,
            across,
            size: 10.0,
            turn: 0,
            artifact: false,
        };
        text.chars().enumerate().map(sign).filter(|sign| sign.text != "_").collect()
    }

    fn page(lines: &[(&str, f64, f64)]) -> Vec<String> {
        let signs: Vec<Sign> = lines.iter().flat_map(|(text, start, across)| drawn(text, *start, *across)).collect();
        paragraphs(&signs)
    }

    #[test]
    fn lines_become_paragraphs_and_gaps_blanks() {
        let found = page(&[
            ("Mahindi_huvunwa yakikauka", 0.0, 0.0),
            ("shambani, na majani yake", 0.0, 12.0),
            ("yakiwa.", 0.0, 24.0),
            ("Mvua kubwa inanyesha kwa", 10.0, 36.0),
            ("siku tatu", 0.0, 48.0),
            ("Sura ya pili", 0.0, 90.0),
        ]);
        assert_eq!(
            found,
            [
                "Mahindi huvunwa yakikauka\nshambani, na majani yake\nyakiwa.",
                "Mvua kubwa inanyesha kwa\nsiku tatu",
                "Sura ya pili"
            ]
        );
    }

    #[test]
    fn columns_go_down_and_tables_across() {
        let long = "Mahindi huvunwa yakikauka shambani";
        // Drawn line by line over both columns.
        let rows: Vec<(&str, f64, f64)> =
            (0..3).flat_map(|at| [0.0, 300.0].map(|start| (long, start, 12.0 * f64::from(at)))).collect();
        let column = [long; 3].join("\n");
        assert_eq!(page(&rows), [column.clone(), column]);
        let table = page(&[
            ("Jina", 0.0, 0.0),
            ("Umri", 100.0, 0.0),
            ("Juma", 0.0, 12.0),
            ("31", 100.0, 12.0),
            ("Asha", 0.0, 24.0),
            ("8", 100.0, 24.0),
        ]);
        assert_eq!(table, ["Jina | Umri\nJuma | 31\nAsha | 8"]);
        // Gaps here and there are wide blanks.
        let wide = page(&[("Mvua", 0.0, 0.0), ("kubwa", 80.0, 0.0), ("inanyesha", 0.0, 12.0), ("leo", 90.0, 12.0)]);
        assert_eq!(wide, ["Mvua kubwa\ninanyesha leo"]);
    }

    #[test]
    fn scripts_from_the_right_are_read_in_order_however_they_are_drawn() {
        let logical = "مرحبا (العالم) 25 kg نعم";
        let visual = "معن 25 kg (ملاعلا) ابحرم";
        assert_eq!(page(&[(visual, 0.0, 0.0)]), [logical]);
        let mut signs = drawn(visual, 0.0, 0.0);
        signs.reverse();
        assert_eq!(paragraphs(&signs), [logical]);
        // A sign of another font is drawn after what it is before.
        let mut signs = drawn("ضفلا", 50.0, 0.0);
        signs.extend(drawn("·", 45.0, 0.0));
        signs.extend(drawn("يذلا", 25.0, 0.0));
        assert_eq!(paragraphs(&signs), ["الفض·الذي"]);
        // A form of two letters, and a mark over the letter before it.
        let mut signs = drawn("ﻼ س", 0.0, 0.0);
        signs.insert(0, Sign { text: "\u{64e}".to_owned(), start: 12.0, end: 12.0, ..signs[0].clone() });
        assert_eq!(paragraphs(&signs), ["س\u{64e} لا"]);
    }

    #[test]
    fn marks_follow_their_letters_and_text_in_margins_is_left_out() {
        let mut signs = drawn("Oro na mahindi mengi", 0.0, 0.0);
        signs.insert(
            1,
            Sign { text: "\u{323}\u{300}".to_owned(), start: 1.0, end: 1.0, across: 4.0, ..signs[0].clone() },
        );
        signs.extend(drawn("kg", 0.0, 300.0).into_iter().map(|sign| Sign { turn: 6, ..sign }));
        assert_eq!(paragraphs(&signs), ["O\u{323}\u{300}ro na mahindi mengi"]);
    }
}
