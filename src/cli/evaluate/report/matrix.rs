//! The confusion matrix as inline SVG: a cell's shade is its share of the true class's rows.

use std::fmt::Write as _;

use super::escaped;
use crate::evaluation::Confusion;

/// Classes up to which each cell shows its number.
const NUMBERED: usize = 30;

/// Draws the matrix; beyond a few dozen classes the cells are small and without numbers, but keep their tooltips.
pub(super) fn draw(confusion: &Confusion, names: &[String]) -> String {
    let classes = names.len();
    let numbered = classes <= NUMBERED;
    let cell = if numbered { 40.0 } else { (900.0 / classes as f64).max(3.0) };
    let longest = names.iter().map(|name| name.chars().count().min(16)).max().unwrap_or(1) as f64;
    let margin = if numbered { 16.0 + longest * 7.5 } else { 8.0 };
    let side = margin + classes as f64 * cell + 4.0;
    let mut svg = format!(
        "<div class=\"scroll\"><svg role=\"img\" aria-label=\"Confusion matrix\" width=\"{side:.0}\" height=\"{side:.0}\" viewBox=\"0 0 {side:.0} {side:.0}\">\n"
    );
    for (truth, name) in names.iter().enumerate() {
        let rows = confusion.truths(truth);
        let y = margin + truth as f64 * cell;
        if numbered {
            let short: String = escaped(&name.chars().take(16).collect::<String>());
            let (right, middle) = (margin - 6.0, y + cell / 2.0 + 4.0);
            let _ = writeln!(
                svg,
                "<text x=\"{right:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{short}</text>\
                 <text text-anchor=\"start\" transform=\"translate({middle:.1} {right:.1}) rotate(-90)\">{short}</text>"
            );
        }
        for (predicted, other) in names.iter().enumerate() {
            let count = confusion.count(truth, predicted);
            // Large matrices are mostly empty.
            if count == 0 && !numbered {
                continue;
            }
            let share = if rows == 0 { 0.0 } else { count as f64 / rows as f64 };
            let x = margin + predicted as f64 * cell;
            let _ = write!(
                svg,
                "<g><title>{} taken for {}: {count} of {rows}</title>\
                 <rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" class=\"grid\" \
                 style=\"fill:rgba(var(--fill),{share:.3})\"/>",
                escaped(name),
                escaped(other)
            );
            if numbered && count > 0 {
                let (centre, middle) = (x + cell / 2.0, y + cell / 2.0 + 4.0);
                let _ = write!(svg, "<text x=\"{centre:.1}\" y=\"{middle:.1}\" text-anchor=\"middle\">{count}</text>");
            }
            svg.push_str("</g>\n");
        }
    }
    svg.push_str("</svg></div>\n");
    svg
}
