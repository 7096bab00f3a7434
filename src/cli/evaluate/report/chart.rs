//! Lines or dots over two axes, as inline SVG.

use std::fmt::Write as _;

/// A chart.
pub(super) struct Chart<'a> {
    /// Above it.
    pub(super) title: &'a str,
    /// Below the abscissa.
    pub(super) x: &'a str,
    /// Beside the ordinate.
    pub(super) y: &'a str,
    /// The lower left corner.
    pub(super) from: (f64, f64),
    /// The upper right corner.
    pub(super) to: (f64, f64),
    /// Whether the line of equal values is drawn.
    pub(super) diagonal: bool,
    /// What is drawn.
    pub(super) lines: Vec<Line>,
}

/// One line of it.
pub(super) struct Line {
    /// In the legend.
    pub(super) label: String,
    /// Its colour.
    pub(super) colour: &'static str,
    /// Its points.
    pub(super) points: Vec<(f64, f64)>,
    /// Whether each point is marked.
    pub(super) marks: bool,
}

/// Pixels of the drawing's side, and of the margin for the axes' words.
const SIDE: f64 = 260.0;
const MARGIN: f64 = 46.0;

impl Chart<'_> {
    /// The lines as SVG.
    pub(super) fn draw(&self) -> String {
        self.svg(true)
    }

    /// The points alone as SVG.
    pub(super) fn dots(&self) -> String {
        self.svg(false)
    }

    fn svg(&self, joined: bool) -> String {
        let legend: Vec<&Line> = self.lines.iter().filter(|line| !line.label.is_empty()).collect();
        let (width, height) = (SIDE + MARGIN + 14.0, SIDE + 2.0 * MARGIN + 16.0 * legend.len().div_ceil(2) as f64);
        let mut svg = format!(
            "<svg role=\"img\" aria-label=\"{}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <text x=\"{MARGIN}\" y=\"14\" font-weight=\"600\">{}</text>\n",
            self.title, self.title
        );
        self.axes(&mut svg);
        for line in &self.lines {
            self.line(&mut svg, line, joined);
        }
        for (index, line) in legend.iter().enumerate() {
            let (x, y) = (MARGIN + (index % 2) as f64 * SIDE / 2.0, SIDE + 2.0 * MARGIN - 6.0 + (index / 2) as f64 * 16.0);
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{:.0}\" width=\"10\" height=\"3\" fill=\"{}\"/><text x=\"{}\" y=\"{y}\">{}</text>",
                y - 6.0,
                line.colour,
                x + 14.0,
                line.label
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |value: f64, from: f64, to: f64| (value - from) / (to - from);
        (MARGIN + share(x, self.from.0, self.to.0) * SIDE, 24.0 + SIDE - share(y, self.from.1, self.to.1) * SIDE)
    }

    fn axes(&self, svg: &mut String) {
        let bottom = 24.0 + SIDE;
        let _ = writeln!(svg, "<rect class=\"grid\" x=\"{MARGIN}\" y=\"24\" width=\"{SIDE}\" height=\"{SIDE}\"/>");
        for step in 0..=4 {
            let share = f64::from(step) / 4.0;
            let (at, up) = (MARGIN + share * SIDE, bottom - share * SIDE);
            let tick = |from: f64, to: f64| short(from + share * (to - from));
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{MARGIN} {up:.1}H{:.1}M{at:.1} 24V{bottom:.1}\"/>\
                 <text class=\"soft\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
                 <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                MARGIN + SIDE,
                bottom + 15.0,
                tick(self.from.0, self.to.0),
                MARGIN - 5.0,
                up + 4.0,
                tick(self.from.1, self.to.1)
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"soft\" text-anchor=\"middle\" transform=\"translate(11 {:.1}) rotate(-90)\">{}</text>",
            MARGIN + SIDE / 2.0,
            bottom + 31.0,
            self.x,
            bottom - SIDE / 2.0,
            self.y
        );
        if self.diagonal {
            let ((x1, y1), (x2, y2)) = (self.place(self.from), self.place(self.to));
            let _ = writeln!(svg, "<path class=\"grid\" stroke-dasharray=\"4 4\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
        }
    }

    fn line(&self, svg: &mut String, line: &Line, joined: bool) {
        let places: Vec<(f64, f64)> = line.points.iter().map(|point| self.place(*point)).collect();
        if joined {
            let mut path = String::new();
            let mut last = None;
            for (index, (x, y)) in places.iter().enumerate() {
                // A point closer than half a pixel to the last one drawn is not seen; the first and the last are kept.
                let near = last.is_some_and(|(a, b): (f64, f64)| (a - x).abs() + (b - y).abs() < 0.5);
                if near && index + 1 < places.len() {
                    continue;
                }
                let _ = write!(path, "{}{x:.1} {y:.1}", if last.is_none() { 'M' } else { 'L' });
                last = Some((*x, *y));
            }
            let _ = writeln!(svg, "<path fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" d=\"{path}\"/>", line.colour);
        }
        if line.marks {
            for (x, y) in places {
                let _ =
                    writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.4\" fill=\"{}\" fill-opacity=\".7\"/>", line.colour);
            }
        }
    }
}

/// Three significant digits at most.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e5).contains(&value.abs()) {
        return format!("{value:.1e}");
    }
    let digits = (2 - value.abs().log10().floor() as i32).clamp(0, 4) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
