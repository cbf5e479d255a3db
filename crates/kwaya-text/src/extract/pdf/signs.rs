//! What a page shows, as `hayro-interpret` draws it: its signs with their text
//! and places, or its pictures.

use std::collections::HashSet;

use encoding_rs::{UTF_8, UTF_16BE, WINDOWS_1252};
use hayro_interpret::{
    BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageData, ImageDrawProps, SoftMask,
    font::{Glyph, GlyphRun},
    hayro_cmap::{BfString, WritingMode},
    hayro_syntax::object::{Dict, String as PdfString},
    kurbo::{BezPath, Point, Vec2},
};

/// Signs on one page, at most: a map has some 100,000.
const SIGNS_MAX: usize = 1 << 20;
/// Bytes that a text in place of signs may have.
const INSTEAD_BYTES_MAX: usize = 64 << 10;
/// Units of a sign for its size.
const UNITS: f64 = 1000.0;
/// Directions within so many degrees are one.
const DEGREES: f64 = 15.0;

/// A sign, or several that stand for one text. Places are in points: `along` the
/// direction of writing, and `across` it from line to line.
#[derive(Clone, Debug)]
pub(super) struct Sign {
    pub(super) text: String,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) across: f64,
    pub(super) size: f64,
    /// The direction of writing, in steps of [`DEGREES`].
    pub(super) turn: i8,
    /// Whether it is no part of the text, as the file says: running heads.
    pub(super) artifact: bool,
}

/// What is between two marks in the content of a page.
enum Mark {
    Plain,
    Artifact,
    /// Another text stands for the signs, of which the first is this one.
    Instead(Option<String>, Option<usize>),
}

/// Takes the signs of a page.
#[derive(Default)]
pub(super) struct Signs {
    pub(super) signs: Vec<Sign>,
    /// Signs of which the file does not say what they are.
    pub(super) unknown: u64,
    marks: Vec<Mark>,
    /// What was drawn, and where, as shadows and outlines draw it again.
    drawn: HashSet<(String, i64, i64)>,
}

impl Signs {
    fn take(&mut self, text: Option<String>, at: Point, advance: Vec2, up: Vec2) {
        let size = up.hypot();
        if self.signs.len() == SIGNS_MAX || !(size > 0.0 && at.is_finite() && advance.is_finite()) {
            return;
        }
        let direction = advance.normalize();
        let turn = (direction.y.atan2(direction.x).to_degrees() / DEGREES).round() as i8;
        let place = at.to_vec2();
        let start = place.dot(direction);
        let end = start + advance.hypot();
        let across = place.dot(Vec2::new(-direction.y, direction.x));
        let artifact = self.marks.iter().any(|mark| matches!(mark, Mark::Artifact));
        let instead = self.marks.iter_mut().find_map(|mark| match mark {
            Mark::Instead(text, first) => Some((text, first)),
            _ => None,
        });
        let text = match instead {
            Some((_, Some(first))) => {
                let sign = &mut self.signs[*first];
                if sign.turn == turn && (sign.across - across).abs() < size {
                    (sign.start, sign.end) = (sign.start.min(start), sign.end.max(end));
                }
                return;
            }
            Some((text, first)) => {
                *first = Some(self.signs.len());
                text.take().unwrap_or_default()
            }
            None => {
                let text = text.unwrap_or_else(|| {
                    self.unknown += 1;
                    char::REPLACEMENT_CHARACTER.to_string()
                });
                let place = |value: f64| (value * 2.0).round() as i64;
                if !text.trim().is_empty() && !self.drawn.insert((text.clone(), place(at.x), place(at.y))) {
                    return;
                }
                text
            }
        };
        self.signs.push(Sign { text, start, end, across, size, turn, artifact });
    }
}

impl<'a> Device<'a> for Signs {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        for glyph in run.glyphs() {
            let transform = props.transform * glyph.transform();
            let origin = transform * Point::ZERO;
            let to = |x: f64, y: f64| transform * Point::new(x, y) - origin;
            let (advance, outline) = match &**glyph {
                Glyph::Outline(outline) => (outline.advance_width(), Some(outline)),
                Glyph::Type3(drawn) => (drawn.advance_width(), None),
            };
            let advance = match run.writing_mode() {
                WritingMode::Horizontal => f64::from(advance.unwrap_or(0.0)),
                WritingMode::Vertical => UNITS,
            };
            // Marks above and below letters have no width but a direction.
            let along = match run.writing_mode() {
                WritingMode::Horizontal => to(advance.max(0.01), 0.0),
                WritingMode::Vertical => to(0.0, -advance),
            };
            let text = glyph.as_unicode().map(|text| match text {
                BfString::Char(character) => character.to_string(),
                BfString::String(text) => unswapped(text),
            });
            // What shows nothing is a blank.
            let blank = || outline.is_some_and(|outline| outline.outline().elements().is_empty());
            let text = if text.is_none() && (matches!(mode, DrawMode::Invisible) || blank()) {
                Some(" ".to_owned())
            } else {
                text
            };
            self.take(text, origin, along, to(0.0, UNITS));
        }
    }

    fn begin_marked_content(&mut self, tag: &[u8], properties: Option<&Dict<'_>>) {
        let instead = properties.and_then(|properties| properties.get::<PdfString<'_>>(b"ActualText"));
        self.marks.push(match instead {
            Some(text) if text.as_bytes().len() <= INSTEAD_BYTES_MAX => {
                Mark::Instead(Some(decoded(text.as_bytes())), None)
            }
            _ if tag == b"Artifact" => Mark::Artifact,
            _ => Mark::Plain,
        });
    }

    fn end_marked_content(&mut self) {
        self.marks.pop();
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

/// The text of a ligature. Ghostscript before 10 writes it with the bytes of
/// UTF-16 swapped: `昀椀` for `fi`.
fn unswapped(text: String) -> String {
    let swapped =
        |c: char| u32::from(c) & 0xff == 0 && u8::try_from(u32::from(c) >> 8).is_ok_and(|b| b.is_ascii_alphabetic());
    match text.chars().count() > 1 && text.chars().all(swapped) {
        true => text.chars().map(|c| char::from((u32::from(c) >> 8) as u8)).collect(),
        false => text,
    }
}

/// A text of the file: UTF-16 or UTF-8 with a mark, else nearly Windows-1252.
fn decoded(bytes: &[u8]) -> String {
    let (encoding, bytes) = match bytes {
        [0xfe, 0xff, rest @ ..] => (UTF_16BE, rest),
        [0xef, 0xbb, 0xbf, rest @ ..] => (UTF_8, rest),
        _ => (WINDOWS_1252, bytes),
    };
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// Takes the pictures of a page that may be scans, in the PGM format: grey, a
/// byte for each pixel.
#[derive(Default)]
pub(super) struct Pictures {
    pub(super) pictures: Vec<Vec<u8>>,
}

/// Smaller pictures are no pages, and larger ones are not taken apart.
const SIDE_MIN: u32 = 200;
const PIXELS_MAX: u64 = 100_000_000;
/// Pictures on one page, at most: some scanners store strips.
const PICTURES_MAX: usize = 100;

impl Pictures {
    fn push(&mut self, width: u32, height: u32, grey: &[u8]) {
        let mut picture = format!("P5 {width} {height} 255\n").into_bytes();
        picture.extend_from_slice(grey);
        self.pictures.push(picture);
    }
}

impl<'a> Device<'a> for Pictures {
    fn draw_image(&mut self, image: Image<'a, '_>, _: ImageDrawProps<'a>) {
        let (width, height) = (image.width(), image.height());
        let pixels = u64::from(width) * u64::from(height);
        if width.min(height) < SIDE_MIN || pixels > PIXELS_MAX || self.pictures.len() == PICTURES_MAX {
            return;
        }
        match image {
            Image::Raster(raster) => raster.with_rgba(
                |data, _| match data {
                    ImageData::Luma(luma) => self.push(luma.width, luma.height, &luma.data),
                    ImageData::Rgb(rgb) => {
                        // Weights as in the luma of television.
                        let grey =
                            |c: &[u8]| (u32::from(c[0]) * 77 + u32::from(c[1]) * 150 + u32::from(c[2]) * 29) >> 8;
                        let data: Vec<u8> = rgb.data.chunks_exact(3).map(|colour| grey(colour) as u8).collect();
                        self.push(rgb.width, rgb.height, &data);
                    }
                },
                None,
            ),
            // Ink on paper: where there is a stencil, it is black.
            Image::Stencil(stencil) => stencil.with_stencil(
                |luma, _| {
                    let data: Vec<u8> = luma.data.iter().map(|ink| 255 - ink).collect();
                    self.push(luma.width, luma.height, &data);
                },
                None,
            ),
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_glyph_run(&mut self, _: &GlyphRun<'_, 'a>, _: DrawProps<'a>, _: &DrawMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
