//! The figures as one self-contained page: no script, no foreign host, light and dark.

use std::fmt::Write as _;

use super::figures::{Classes, Evaluation, Numbers};

mod chart;
mod matrix;

use chart::{Chart, Line};

/// Colours that differ in lightness and hue, readable on light and dark alike.
const COLOURS: [&str; 10] =
    ["#3b82c4", "#d9772b", "#3f9c5a", "#c0504d", "#8d6cb8", "#8a6d3b", "#d06aa6", "#7f8a93", "#a3a12f", "#2fa5ad"];

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--ink:#1d2430;--soft:#5d6775;--line:#d9dee5;--fill:59,130,196}\
@media(prefers-color-scheme:dark){:root{--ground:#14181f;--ink:#e6e9ee;--soft:#9aa4b2;--line:#323a46;--fill:96,165,224}}\
body{background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{color:var(--soft);margin:.25rem 0}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.2rem .8rem .2rem 0;text-align:right;border-bottom:1px solid var(--line)}\
th:first-child,td:first-child{text-align:left}td.why{text-align:left;color:var(--soft)}\
.side{display:flex;flex-wrap:wrap;gap:1.5rem}.scroll{overflow-x:auto}svg text{fill:var(--ink);font:12px system-ui,sans-serif}\
svg .soft{fill:var(--soft)}svg .grid{stroke:var(--line);fill:none}";

/// The page.
pub(super) fn page(evaluation: &Evaluation) -> String {
    let title = format!("{}: {} of {} rows", escaped(&evaluation.model), evaluation.task, evaluation.rows);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n"
    );
    if let Some(version) = &evaluation.version {
        let _ = writeln!(page, "<p>version {}</p>", escaped(version));
    }
    let (batch, concurrency) = evaluation.batch;
    let _ = writeln!(page, "<p>requests of {batch} rows, {concurrency} in flight; figures as scikit-learn defines them</p>");
    metrics(&mut page, evaluation);
    if let Some(classes) = &evaluation.classes {
        page.push_str("<h2>Confusion matrix</h2>\n<p>a row per true class, a column per predicted one; the darker, the greater share of its row</p>\n");
        page.push_str(&matrix::draw(&classes.confusion, &classes.names));
        curves(&mut page, classes);
        per_class(&mut page, classes);
    }
    if let Some(numbers) = &evaluation.numbers {
        scatter(&mut page, numbers);
    }
    page.push_str("</html>\n");
    page
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn metrics(page: &mut String, evaluation: &Evaluation) {
    page.push_str("<h2>Figures</h2>\n<table>\n");
    for (name, figure) in &evaluation.metrics {
        let _ = match figure {
            Ok(value) => writeln!(page, "<tr><td>{name}</td><td>{value:.6}</td></tr>"),
            Err(why) => {
                writeln!(page, "<tr><td>{name}</td><td>undefined</td><td class=\"why\">{}</td></tr>", escaped(&why.to_string()))
            }
        };
    }
    page.push_str("</table>\n");
}

fn per_class(page: &mut String, classes: &Classes) {
    page.push_str("<h2>By class</h2>\n<table>\n<tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>support</th><th>ROC AUC</th><th>average precision</th></tr>\n");
    for one in &classes.scores {
        let curves = classes.curves.iter().find(|curves| curves.class == one.class);
        let area = |area: Option<f64>| area.map_or_else(String::new, |area| format!("{area:.4}"));
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&classes.names[one.class]),
            one.precision,
            one.recall,
            one.f1,
            one.support,
            area(curves.map(|curves| curves.roc_auc)),
            area(curves.map(|curves| curves.average_precision)),
        );
    }
    page.push_str("</table>\n");
}

fn curves(page: &mut String, classes: &Classes) {
    if classes.curves.is_empty() {
        return;
    }
    let line = |(index, class): (usize, usize), points: Vec<(f64, f64)>, area: f64| Line {
        label: format!("{} ({area:.3})", escaped(&classes.names[class])),
        colour: COLOURS[index % COLOURS.len()],
        points,
        marks: false,
    };
    let each = || classes.curves.iter().enumerate();
    let points = |curve: &crate::evaluation::Curve| curve.iter().map(|point| (point.x, point.y)).collect::<Vec<_>>();
    let roc = each().map(|(index, one)| line((index, one.class), points(&one.roc), one.roc_auc)).collect();
    let recall =
        each().map(|(index, one)| line((index, one.class), points(&one.precision_recall), one.average_precision)).collect();
    page.push_str("<h2>Curves</h2>\n<p>each class against the rest, with the area below its curve</p>\n<div class=\"side\">\n");
    let unit = |title, x, y, diagonal, lines| Chart { title, x, y, from: (0.0, 0.0), to: (1.0, 1.0), diagonal, lines }.draw();
    page.push_str(&unit("ROC", "false-positive rate", "true-positive rate", true, roc));
    page.push_str(&unit("Precision and recall", "recall", "precision", false, recall));
    if !classes.calibration.is_empty() {
        let points = classes.calibration.iter().map(|bin| (bin.predicted, bin.observed)).collect();
        let line = Line { label: "ten bins".to_owned(), colour: COLOURS[0], points, marks: true };
        let (x, y) = match classes.names.len() {
            2 => ("predicted probability", "share that was positive"),
            _ => ("confidence", "share that was right"),
        };
        page.push_str(&unit("Calibration", x, y, true, vec![line]));
    }
    page.push_str("</div>\n");
}

fn scatter(page: &mut String, numbers: &Numbers) {
    /// Points beyond which a drawing says no more.
    const POINTS: usize = 2000;
    let step = numbers.truths.len().div_ceil(POINTS).max(1);
    let points: Vec<(f64, f64)> = numbers.truths.iter().copied().zip(numbers.predictions.iter().copied()).step_by(step).collect();
    let all = || points.iter().flat_map(|(a, b)| [*a, *b]);
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), one| (low.min(one), high.max(one)));
    let (low, high) = if low < high { (low, high) } else { (low - 1.0, high + 1.0) };
    page.push_str("<h2>Predictions</h2>\n<p>on the line where right</p>\n");
    let dots = Line { label: String::new(), colour: COLOURS[0], points, marks: true };
    let chart = Chart {
        title: "Predicted over true",
        x: "true",
        y: "predicted",
        from: (low, low),
        to: (high, high),
        diagonal: true,
        lines: vec![dots],
    };
    page.push_str(&chart.dots());
}
