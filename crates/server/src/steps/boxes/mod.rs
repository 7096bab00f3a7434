//! What a detector says of many boxes becomes few: decoded, the best of those that overlap kept, as many places for each image.
//!
//! Two parts: here columns are read and written; [`suppress`] compares boxes.

use modelyard_core::steps::{BoxFormat, Step};
use modelyard_wire::DataType;

use super::classes::Names;
use super::column::{Column, Refused, Table, bounded};
use super::expect::rounded;
use super::image::FRAME;
use super::scope::{Port, Scope};
use super::{Action, Compiled, is_float};

mod scores;
mod suppress;
#[cfg(test)]
mod tests;

use scores::Grid;
use suppress::{Candidate, Corners};

/// Values of a box.
const BOX: usize = 4;

struct Boxes {
    column: String,
    /// Where boxes lie, and scores where they lie apart.
    boxes: usize,
    scores: Option<usize>,
    /// What the scores are computed in.
    datatype: DataType,
    boxes_last: bool,
    objectness: bool,
    background: bool,
    multi_label: bool,
    class_aware: bool,
    format: BoxFormat,
    output: BoxFormat,
    above: f64,
    overlap: f64,
    most: usize,
    candidates: usize,
    frame: Option<usize>,
    relative: bool,
    /// Boxes, scores, classes, how many.
    to: [usize; 4],
    names: Option<(usize, Names)>,
}

/// One column of boxes and scores, or two, become boxes `[-1, maxBoxes, 4]`, scores and classes `[-1, maxBoxes]`, and how many they are, `[-1]`.
pub(super) fn compile(step: &Step, scope: &mut Scope, classes: &[String]) -> Result<Compiled, String> {
    let Step::Boxes { columns, format, output_format, boxes_last, objectness, background, multi_label, class_aware, .. } = step
    else {
        return Ok(None);
    };
    let Step::Boxes { to, score_threshold, iou_threshold, max_boxes, candidates, frame, relative, texts, .. } = step else {
        return Ok(None);
    };
    let (last, objectness) = (*boxes_last == Some(true), *objectness == Some(true));
    let ports = scope.all(columns)?;
    let (boxes, scores) = (&ports[0], ports.get(1));
    let before = if scores.is_some() { 0 } else { BOX + usize::from(objectness) };
    for port in &ports {
        shaped(port)?;
    }
    let values = |port: &Port| known(port.shape.get(if last { 1 } else { 2 }).copied().unwrap_or(1));
    let count = |port: &Port| known(port.shape.get(if last { 2 } else { 1 }).copied().unwrap_or(-1));
    if let Some(scores) = scores {
        if let Some(found) = values(boxes).filter(|found| *found != BOX) {
            return Err(boxes.fault(format!("expected 4 values a box, it has {found} ({:?})", boxes.shape)));
        }
        if let (Some(boxes), Some(found)) = (count(boxes), count(scores))
            && boxes != found
        {
            return Err(scores.fault(format!("it has scores of {found} boxes, there are {boxes}")));
        }
    }
    let source = scores.unwrap_or(boxes);
    let of_classes = values(source).map(|values| values.checked_sub(before).filter(|classes| *classes > 0));
    if of_classes == Some(None) {
        let message = format!("expected {before} values a box and a score for each class; its shape is {:?}", source.shape);
        return Err(source.fault(message));
    }
    let frame = match frame {
        Some(name) => {
            let port = scope.port(name)?;
            if port.shape != [-1, FRAME as i64] {
                return Err(
                    port.fault(format!("expected a frame, which Image makes, [-1, {FRAME}]; its shape is {:?}", port.shape))
                );
            }
            Some(port.slot)
        }
        None => None,
    };
    let most = i64::from(max_boxes.unwrap_or(100));
    let float = |port: &Port| if is_float(port.datatype) { port.datatype } else { DataType::Fp32 };
    let made = step.made();
    let mut put = |at: usize, datatype: DataType, shape: Vec<i64>| scope.add(&made[at], datatype, shape);
    let slots = [
        put(0, float(boxes), vec![-1, most, BOX as i64])?,
        put(1, float(source), vec![-1, most])?,
        put(2, DataType::Int64, vec![-1, most])?,
        put(3, DataType::Int64, vec![-1])?,
    ];
    let names = if to.len() > 4 {
        let names = Names::of(source, texts, classes)?;
        names.many(source, of_classes.flatten())?;
        Some((put(4, DataType::Bytes, vec![-1, most])?, names))
    } else {
        None
    };
    let format = format.unwrap_or(if scores.is_some() { BoxFormat::Xyxy } else { BoxFormat::Cxcywh });
    Ok(Some(Box::new(Boxes {
        column: source.name.clone(),
        boxes: boxes.slot,
        scores: scores.map(|port| port.slot),
        datatype: source.datatype,
        boxes_last: last,
        objectness,
        background: *background == Some(true),
        multi_label: *multi_label == Some(true),
        class_aware: *class_aware != Some(false),
        format,
        output: output_format.unwrap_or(BoxFormat::Yxyx),
        above: rounded(score_threshold.unwrap_or(0.25), source.datatype),
        overlap: iou_threshold.unwrap_or(0.45),
        most: usize::try_from(most).unwrap_or(1),
        candidates: candidates.and_then(|most| usize::try_from(most).ok()).unwrap_or(30_000),
        frame,
        relative: *relative == Some(true),
        to: slots,
        names,
    })))
}

/// Rows of boxes with values each.
fn shaped(port: &Port) -> Result<(), String> {
    match port.numeric()?.shape.len() {
        3 => Ok(()),
        _ => Err(port.fault(format!(
            "expected [-1, boxes, values], or [-1, values, boxes] with boxesLast; its shape is {:?}",
            port.shape
        ))),
    }
}

fn known(dim: i64) -> Option<usize> {
    usize::try_from(dim).ok()
}

impl Action for Boxes {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        let frames = self.frame.map(|slot| table.numbers(slot).clone());
        let apart = self.scores.map(|_| (table.shape(self.boxes), table.numbers(self.boxes).clone()));
        let source = self.scores.unwrap_or(self.boxes);
        let shape = table.shape(source);
        let numbers = &*table.numbers(source);
        let (box_shape, box_numbers) = apart.as_ref().map_or((&shape, numbers), |(shape, numbers)| (shape, numbers));
        self.fits(box_shape, &shape)?;
        let rows = shape[0];
        bounded(rows, self.most * (BOX + 4) * size_of::<f64>(), &self.column)?;
        let mut found = Found::of(rows, self.most);
        for row in 0..rows {
            let boxes = Grid::row(row, box_numbers, box_shape, self.boxes_last);
            let scores = Grid::row(row, numbers, &shape, self.boxes_last);
            let frame = frames.as_ref().and_then(|frames| frames.get(row * FRAME..(row + 1) * FRAME));
            let kept = suppress::suppress(self.candidates(&boxes, &scores), self.overlap, self.most, self.class_aware);
            found.many.push(kept.len() as f64);
            for (at, one) in kept.iter().enumerate() {
                let corners = frame.map_or(one.corners, |frame| placed(one.corners, frame, self.relative));
                let at = row * self.most + at;
                found.boxes[at * BOX..(at + 1) * BOX].copy_from_slice(&encoded(corners, self.output));
                (found.scores[at], found.classes[at]) = (one.score, one.class as f64);
            }
        }
        self.put(found, rows, table);
        Ok(())
    }
}

/// What is left, by row; places that nothing was found for have class -1 and zeros.
struct Found {
    boxes: Vec<f64>,
    scores: Vec<f64>,
    classes: Vec<f64>,
    many: Vec<f64>,
}

impl Found {
    fn of(rows: usize, most: usize) -> Self {
        let places = rows * most;
        Self {
            boxes: vec![0.0; places * BOX],
            scores: vec![0.0; places],
            classes: vec![-1.0; places],
            many: Vec::with_capacity(rows),
        }
    }
}

impl Boxes {
    /// Values before the scores of classes.
    const fn before(&self) -> usize {
        if self.scores.is_some() { 0 } else { BOX + if self.objectness { 1 } else { 0 } }
    }

    /// Refuses what the model answers and did not declare.
    fn fits(&self, boxes: &[usize], scores: &[usize]) -> Result<(), Refused> {
        let (values, count) = if self.boxes_last { (1, 2) } else { (2, 1) };
        let named = |scores: usize| self.names.as_ref().is_none_or(|(_, names)| names.len() + self.before() == scores);
        if boxes.len() == 3 && scores.len() == 3 {
            let beside = self.scores.is_none() || boxes[values] == BOX && boxes[count] == scores[count] && boxes[0] == scores[0];
            if beside && scores[values] > self.before() && named(scores[values]) {
                return Ok(());
            }
        }
        let known = self.names.as_ref().map(|(_, names)| format!(", {} of them named", names.len())).unwrap_or_default();
        let message = format!(
            "expected 4 values a box and at least one score{known}; the boxes are {boxes:?}, the scores {scores:?} in all"
        );
        Err(Refused { row: 0, column: self.column.clone(), message })
    }

    /// The boxes of a row whose score is above the threshold.
    fn candidates(&self, boxes: &Grid<'_>, scores: &Grid<'_>) -> Vec<Candidate> {
        let first = self.before();
        let scored = scores::Scored {
            first: first + usize::from(self.background),
            classes_from: first,
            objectness: self.objectness.then_some(BOX),
            above: self.above,
            multi_label: self.multi_label,
            datatype: self.datatype,
        };
        let mut best = scored.above(scores);
        suppress::keep_best(&mut best, self.candidates);
        let decoded = best.into_iter().filter_map(|one| {
            let values = [0, 1, 2, 3].map(|value| boxes.at(one.index, value));
            let corners = decoded(values, self.format);
            // What is nowhere overlaps nothing and cannot be drawn.
            values.iter().chain(&corners).all(|number| number.is_finite()).then_some(Candidate { corners, ..one })
        });
        decoded.collect()
    }

    fn put(&self, found: Found, rows: usize, table: &mut Table) {
        let [boxes, scores, classes, many] = self.to;
        if let Some((slot, names)) = &self.names {
            let text = |class: &f64| if *class < 0.0 { bytes::Bytes::new() } else { names.at(*class) };
            table.put(*slot, Column::texts(vec![rows, self.most], found.classes.iter().map(text).collect()));
        }
        table.put(boxes, Column::numbers(vec![rows, self.most, BOX], found.boxes));
        table.put(scores, Column::numbers(vec![rows, self.most], found.scores));
        table.put(classes, Column::numbers(vec![rows, self.most], found.classes));
        table.put(many, Column::numbers(vec![rows], found.many));
    }
}

/// The corners of a box: left, top, right, bottom. Corners that are written the other way round change places, as in ONNX's
/// NonMaxSuppression; a width below zero stays one, and such a box overlaps nothing.
fn decoded([a, b, c, d]: Corners, format: BoxFormat) -> Corners {
    match format {
        BoxFormat::Xyxy => [a.min(c), b.min(d), a.max(c), b.max(d)],
        BoxFormat::Yxyx => [b.min(d), a.min(c), b.max(d), a.max(c)],
        BoxFormat::Cxcywh => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
        BoxFormat::Xywh => [a, b, a + c, b + d],
    }
}

fn encoded([left, top, right, bottom]: Corners, format: BoxFormat) -> Corners {
    match format {
        BoxFormat::Xyxy => [left, top, right, bottom],
        BoxFormat::Yxyx => [top, left, bottom, right],
        BoxFormat::Cxcywh => [f64::midpoint(left, right), f64::midpoint(top, bottom), right - left, bottom - top],
        BoxFormat::Xywh => [left, top, right - left, bottom - top],
    }
}

/// From the model's pixels to the file's, and no further than its edges.
fn placed(corners: Corners, frame: &[f64], relative: bool) -> Corners {
    let &[left, top, whole, tall, width, height, own, own_tall] = frame else { return corners };
    let (across, down) = if relative { (width, height) } else { (1.0, 1.0) };
    let x = |number: f64| ((number * across - left) / whole * own).clamp(0.0, own);
    let y = |number: f64| ((number * down - top) / tall * own_tall).clamp(0.0, own_tall);
    [x(corners[0]), y(corners[1]), x(corners[2]), y(corners[3])]
}
