//! Bars with their names and figures beside them, as SVG: nothing hangs on
//! colour, and no axis has to be read.

use kwaya_base::{Error, Result};
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it is about.
    pub name: String,
    /// How long it is; negative and endless lengths are none.
    pub value: f64,
    /// What stands at its end.
    pub figure: String,
}

/// More bars than these show nothing.
const BARS_MAX: usize = 64;

const WIDTH: i32 = 720;
const ROW: i32 = 22;
const NAMES: i32 = 230;
const FIGURES: i32 = 130;
const BLUE: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
/// Characters of a name that there is room for.
const NAME_CHARACTERS: usize = 34;

/// A picture of `bars`, the first on top. More than [`BARS_MAX`] are left out.
///
/// # Errors
/// `report-failed`, which would be a fault of the library.
pub fn draw(bars: &[Bar]) -> Result<String> {
    let bars = &bars[..bars.len().min(BARS_MAX)];
    let length = |bar: &Bar| if bar.value.is_finite() { bar.value.max(0.0) } else { 0.0 };
    let longest = bars.iter().map(length).fold(0.0, f64::max);
    let mut svg = String::new();
    {
        let failed = |cause: String| Error::new("report-failed").arg("cause", cause);
        let size = (WIDTH as u32, (ROW * bars.len().max(1) as i32) as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let font = ("sans-serif", 13).into_font().color(&BLACK);
        let (right, left) = (Pos::new(HPos::Right, VPos::Center), Pos::new(HPos::Left, VPos::Center));
        for (row, bar) in (0..).zip(bars) {
            let (top, middle) = (row * ROW, row * ROW + ROW / 2);
            let share = if longest > 0.0 { length(bar) / longest } else { 0.0 };
            let end = NAMES + (share * f64::from(WIDTH - NAMES - FIGURES)) as i32;
            let mut name: String = bar.name.chars().take(NAME_CHARACTERS).collect();
            if name.len() < bar.name.len() {
                name.push('…');
            }
            root.draw(&Text::new(name, (NAMES - 8, middle), font.clone().pos(right)))
                .and_then(|()| root.draw(&Rectangle::new([(NAMES, top + 4), (end, top + ROW - 4)], BLUE.filled())))
                .and_then(|()| root.draw(&Text::new(bar.figure.clone(), (end + 6, middle), font.clone().pos(left))))
                .map_err(|e| failed(e.to_string()))?;
        }
        root.present().map_err(|e| failed(e.to_string()))?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Bar {
        Bar { name: name.into(), value, figure: format!("{value}") }
    }

    #[test]
    fn bars_are_named_and_odd_lengths_do_no_harm() {
        let svg = draw(&[bar("Kiswahili & <co>", 3.0), bar("Yorùbá", 1.5)]).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("Yorùbá") && svg.contains("&lt;co&gt;"), "{svg}");
        for bars in [vec![], vec![bar("", f64::NAN), bar("x", f64::INFINITY), bar("y", -1.0)], vec![bar("z", 0.0)]] {
            draw(&bars).unwrap();
        }
        assert!(draw(&vec![bar(&"n".repeat(1000), 1e300); 1000]).unwrap().len() < 100_000);
    }
}
