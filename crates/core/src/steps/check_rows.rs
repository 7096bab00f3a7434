//! Checks of what rows are expected to hold, and of images and texts.

use regex::RegexBuilder;

use super::check::{Wrong, below, wrong};
use super::{Channels, Datatype, Fit, Step};

/// Bytes that a compiled pattern may take.
pub const PATTERN_SIZE: usize = 1 << 20;

impl Step {
    /// Rules are there, fit their columns, and can be kept.
    pub(super) fn rules(&self) -> Result<(), Wrong> {
        let Self::Expect { columns, min, max, values, texts, pattern, not_null, .. } = self else { return Ok(()) };
        for (name, list) in [("min", min), ("max", max)] {
            if list.len() > 1 && list.len() != columns.len() {
                let (found, columns) = (list.len(), columns.len());
                return wrong(name, format!("expected one number, or one for each column, {columns}; found {found}"));
            }
        }
        let none = min.is_empty() && max.is_empty() && values.is_empty() && texts.is_empty();
        if none && pattern.is_none() && *not_null != Some(true) {
            return wrong("min", "expected a rule (min, max, values, texts, pattern, notNull: true), found none");
        }
        let numbers = !(min.is_empty() && max.is_empty() && values.is_empty());
        if numbers && (!texts.is_empty() || pattern.is_some()) {
            return wrong("texts", "expected rules of numbers (min, max, values) or of texts (texts, pattern), found both");
        }
        if let Some(pattern) = pattern
            && let Err(error) = RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build()
        {
            return wrong("pattern", error.to_string());
        }
        below((min, max), |min, max| min <= max, "at most")
    }

    /// Images and texts: sizes within bounds, fields that go together.
    pub(super) fn media(&self) -> Result<(), Wrong> {
        match self {
            Self::Image { width, height, shorter, fill, max_pixels, .. } => {
                within("width", Some(*width), 1..=4096)?;
                within("height", Some(*height), 1..=4096)?;
                within("shorter", *shorter, (*width).max(*height)..=8192)?;
                within("fill", *fill, 0..=255)?;
                within("maxPixels", *max_pixels, 1..=268_435_456)?;
                self.pixels()
            }
            Self::Bytes { head: None, tail: None, .. } => wrong("head", "expected head, tail or both, found neither"),
            Self::Bytes { head, tail, block, fill, datatype, .. } => {
                within("head", *head, 1..=1_048_576)?;
                within("tail", *tail, 1..=1_048_576)?;
                within("block", *block, 1..=1_048_576)?;
                within("fill", *fill, 0..=65_535)?;
                whole(*datatype)
            }
            Self::Tokenize { tokenizer, max_length, width, datatype, .. } => {
                within("maxLength", *max_length, 1..=131_072)?;
                within("width", *width, 1..=131_072)?;
                if let (Some(most), Some(width)) = (max_length, width)
                    && most > width
                {
                    return wrong("maxLength", format!("expected at most width, {width}; found {most}"));
                }
                if let Some(name) = tokenizer
                    && (name.is_empty() || name.contains(['/', '\\']) || name == "..")
                {
                    return wrong("tokenizer", format!("expected the name of a file beside the model, found '{name}'"));
                }
                whole(*datatype)
            }
            Self::Boxes { .. } => self.boxes(),
            _ => Ok(()),
        }
    }

    fn boxes(&self) -> Result<(), Wrong> {
        let Self::Boxes { columns, to, objectness, iou_threshold, max_boxes, candidates, frame, relative, texts, .. } = self
        else {
            return Ok(());
        };
        within("maxBoxes", *max_boxes, 1..=4096)?;
        within("candidates", *candidates, 1..=1_048_576)?;
        if let Some(most) = iou_threshold
            && !(0.0..=1.0).contains(most)
        {
            return wrong("iouThreshold", format!("expected 0 to 1, found {most}"));
        }
        if objectness.is_some() && columns.len() == 2 {
            return wrong("objectness", "it is used with one column alone; scores of two columns are as they are");
        }
        if relative.is_some() && frame.is_none() {
            return wrong("relative", "it is used with frame alone");
        }
        if !texts.is_empty() && to.len() != 5 {
            return wrong("texts", "it is used with a fifth name in to alone, of the classes' names");
        }
        Ok(())
    }

    fn pixels(&self) -> Result<(), Wrong> {
        let Self::Image { fit, shorter, fill, channels, divisor, mean, scale, datatype, .. } = self else { return Ok(()) };
        if shorter.is_some() && *fit != Some(Fit::Crop) {
            return wrong("shorter", "it is used with fit: Crop alone");
        }
        if fill.is_some() && *fit != Some(Fit::Pad) {
            return wrong("fill", "it is used with fit: Pad alone");
        }
        let expected = if *channels == Some(Channels::Grey) { 1 } else { 3 };
        for (name, list) in [("mean", mean), ("scale", scale)] {
            if list.len() > 1 && list.len() != expected {
                return wrong(name, format!("expected one number, or one for each channel, {expected}; found {}", list.len()));
            }
        }
        if let Some(at) = scale.iter().position(|one| *one == 0.0) {
            return wrong("scale", format!("[{at}] is 0, by which nothing is divided"));
        }
        if *divisor == Some(0.0) {
            return wrong("divisor", "it is 0, by which nothing is divided");
        }
        match datatype {
            None | Some(Datatype::Fp32 | Datatype::Fp16) => Ok(()),
            Some(Datatype::Uint8) if divisor.is_none() && mean.is_empty() && scale.is_empty() => Ok(()),
            Some(Datatype::Uint8) => {
                wrong("datatype", "UINT8 are the pixels as they are: divisor, mean and scale go with FP32 and FP16")
            }
            Some(other) => wrong("datatype", format!("expected FP32, FP16 or UINT8, found {}", other.as_str())),
        }
    }
}

fn whole(datatype: Option<Datatype>) -> Result<(), Wrong> {
    match datatype {
        None | Some(Datatype::Int64 | Datatype::Int32) => Ok(()),
        Some(other) => wrong("datatype", format!("expected INT64 or INT32, found {}", other.as_str())),
    }
}

fn within(field: &'static str, found: Option<i32>, range: std::ops::RangeInclusive<i32>) -> Result<(), Wrong> {
    match found {
        Some(found) if !range.contains(&found) => {
            wrong(field, format!("expected {} to {}, found {found}", range.start(), range.end()))
        }
        _ => Ok(()),
    }
}
