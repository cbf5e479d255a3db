//! The curve of a training, as SVG that takes its colours and its width from
//! the page. Its figures stand beside it in HTML, where they stay readable
//! on a small screen.

use kwaya_train::LogEntry;
use minijinja::{Value, context};

/// The size that the lines are drawn in; the page stretches it.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 240.0;
/// Points of a line: more than a screen can tell apart.
const POINTS_MAX: usize = 400;
/// Rows of the same in figures.
const ROWS_MAX: usize = 10;

/// What the page shows of `log`; nothing where there is nothing to draw.
pub(super) fn of(log: &[LogEntry]) -> Option<Value> {
    let finite: Vec<&LogEntry> = log.iter().filter(|entry| entry.loss.is_finite()).collect();
    let last = *finite.last()?;
    let training: Vec<_> = finite.iter().map(|entry| (entry.tokens as f64, f64::from(entry.loss))).collect();
    let held_out: Vec<_> = log
        .iter()
        .filter_map(|entry| Some((entry.tokens as f64, f64::from(entry.held_out?))))
        .filter(|(_, loss)| loss.is_finite())
        .collect();
    let all = training.iter().chain(&held_out).map(|(_, loss)| *loss);
    let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| (low.min(loss), high.max(loss)));
    // A line of one height has to lie somewhere.
    let (low, high) = if low < high { (low, high) } else { (low - 0.5, low + 0.5) };
    let right = (last.tokens as f64).max(1.0);
    let line = |class: &str, points: &[(f64, f64)]| {
        let points = thin(points, POINTS_MAX);
        let place = |(tokens, loss): &(f64, f64)| {
            format!("{:.1},{:.1}", tokens / right * WIDTH, (high - loss) / (high - low) * HEIGHT)
        };
        let places: Vec<String> = points.iter().map(place).collect();
        format!(r#"<polyline class="{class}" points="{}"/>"#, places.join(" "))
    };
    let svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">{}{}</svg>"#,
        line("training", &training),
        line("held-out", &held_out)
    );
    let row = |entry: &&LogEntry| context! { step => entry.step, loss => entry.loss, held_out => entry.held_out };
    // Rows with both figures tell more.
    let both: Vec<&LogEntry> = finite.iter().copied().filter(|entry| entry.held_out.is_some()).collect();
    let rows = thin(if both.len() > 1 { &both } else { &finite }, ROWS_MAX);
    Some(context! {
        svg => Value::from_safe_string(svg),
        low, high,
        tokens => last.tokens,
        loss => last.loss,
        held_out => held_out.last().map(|(_, loss)| *loss),
        points => rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// At most `most` of them, evenly, the first and the last among them.
fn thin<T: Copy>(all: &[T], most: usize) -> Vec<T> {
    let count = all.len().min(most);
    let last = all.len().saturating_sub(1);
    (0..count).map(|at| all[if count > 1 { at * last / (count - 1) } else { last }]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tokens: u64, loss: f32, held_out: Option<f32>) -> LogEntry {
        LogEntry { step: tokens, loss, learning_rate: 0.0, gradient_norm: 0.0, tokens, seconds: 0.0, held_out }
    }

    #[test]
    fn odd_curves_do_no_harm() {
        assert!(of(&[]).is_none() && of(&[entry(1, f32::NAN, None)]).is_none());
        for log in [
            vec![entry(0, 1.0, None)],
            vec![entry(5, 1.0, Some(f32::INFINITY)), entry(6, 1.0, Some(1.0))],
            (0..5000).map(|at| entry(at, 1.0 / (at + 1) as f32, (at % 100 == 0).then_some(0.5))).collect(),
        ] {
            let svg = of(&log).unwrap().get_attr("svg").unwrap().to_string();
            assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.len() < 20_000, "{svg}");
        }
    }

    #[test]
    fn what_is_thinned_keeps_its_ends() {
        assert_eq!(thin(&[1, 2, 3, 4, 5], 3), [1, 3, 5]);
        assert_eq!(thin(&[1, 2], 10), [1, 2]);
        assert!(thin::<u8>(&[], 10).is_empty());
        assert_eq!(thin(&[1, 2, 3], 1), [3]);
    }
}
