//! Images: files are decoded, brought to size and laid out as models take them. Everything is bounded before it is allocated: a file's
//! pixels, and what the images of one run take together.

use bytes::{BufMut, Bytes, BytesMut};
use half::f16;
use modelyard_core::steps::{Channels, Filter, Fit, Layout, Step};
use modelyard_wire::{DataType, Tensor};

use super::column::{Column, Refused, Table, bounded};
use super::scope::Scope;
use super::{Action, Compiled, datatype};

mod decode;
mod resample;
#[cfg(test)]
mod tests;

/// Pixels of a file at most, unless it is said.
const MAX_PIXELS: i32 = 1 << 24;

/// Levels of pixels, line after line, the channels of a pixel side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pixels {
    width: usize,
    height: usize,
    channels: usize,
    levels: Vec<u8>,
}

/// Numbers of a frame, where an image lies in what the model sees: left, top, width and height of the whole of it in the model's pixels,
/// then the model's width and height, then the file's.
pub(super) const FRAME: usize = 8;

type Frame = [f64; FRAME];

struct Image {
    /// Where a column lies, its name, and where its frames go.
    columns: Vec<(usize, String, Option<usize>)>,
    width: usize,
    height: usize,
    fit: Fit,
    shorter: usize,
    fill: u8,
    filter: Filter,
    channels: Channels,
    layout: Layout,
    max_pixels: usize,
    datatype: DataType,
    /// The element of each level of each channel.
    elements: Vec<Vec<f32>>,
}

/// Columns of image files, BYTES, become columns of pixels.
pub(super) fn compile(step: &Step, scope: &mut Scope) -> Result<Compiled, String> {
    let Step::Image { columns, width, height, fit, shorter, fill, filter, channels, layout, max_pixels, .. } = step else {
        return Ok(None);
    };
    let Step::Image { divisor, mean, scale, datatype: wanted, to, .. } = step else { return Ok(None) };
    let size = |pixels: i32| usize::try_from(pixels).unwrap_or(1);
    let channels = channels.unwrap_or_default();
    let layout = layout.unwrap_or_default();
    let datatype = wanted.map_or(Ok(DataType::Fp32), datatype)?;
    let depth = if channels == Channels::Grey { 1 } else { 3 };
    let divisor = if datatype == DataType::Uint8 { 1.0 } else { divisor.unwrap_or(255.0) };
    let of = |list: &[f64], channel: usize, none: f64| list.get(channel).or(list.first()).copied().unwrap_or(none);
    let elements = (0..depth).map(|channel| {
        let (mean, scale) = (of(mean, channel, 0.0), of(scale, channel, 1.0));
        (0..=255_u8).map(|level| ((f64::from(level) / divisor - mean) / scale) as f32).collect()
    });
    let elements = elements.collect();
    let shape = match layout {
        Layout::Chw => vec![-1, depth as i64, i64::from(*height), i64::from(*width)],
        Layout::Hwc => vec![-1, i64::from(*height), i64::from(*width), depth as i64],
    };
    let mut compiled = Vec::with_capacity(columns.len());
    for (at, port) in scope.all(columns)?.into_iter().enumerate() {
        if port.single()?.datatype != DataType::Bytes {
            return Err(port.fault(format!("it is {}; expected image files, BYTES", port.datatype)));
        }
        scope.turn(&port.name, datatype, shape.clone())?;
        let frames = match to.get(at) {
            Some(name) => Some(scope.beside(name, DataType::Fp32, vec![-1, FRAME as i64])?),
            None => None,
        };
        compiled.push((port.slot, port.name, frames));
    }
    Ok(Some(Box::new(Image {
        columns: compiled,
        width: size(*width),
        height: size(*height),
        fit: fit.unwrap_or_default(),
        shorter: size(shorter.unwrap_or((*width).max(*height))),
        fill: fill.and_then(|fill| u8::try_from(fill).ok()).unwrap_or(0),
        filter: filter.unwrap_or_default(),
        channels,
        layout,
        max_pixels: size(max_pixels.unwrap_or(MAX_PIXELS)),
        datatype,
        elements,
    })))
}

impl Action for Image {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for (slot, name, framed) in &self.columns {
            let files = table.texts(*slot).to_vec();
            let size = self.width * self.height * self.elements.len() * self.datatype.size().unwrap_or(1);
            bounded(files.len(), size, name)?;
            let refused = |row: usize, message: String| Refused { row, column: name.clone(), message };
            let mut raw = BytesMut::with_capacity(files.len() * size);
            let mut frames = Vec::with_capacity(files.len() * FRAME);
            for (row, file) in files.iter().enumerate() {
                let (pixels, frame) = self.pixels(file).map_err(|message| refused(row, message))?;
                self.lay_out(&pixels, &mut raw);
                frames.extend(frame);
            }
            if let Some(framed) = framed {
                table.put(*framed, Column::numbers(vec![files.len(), FRAME], frames));
            }
            let (depth, height, width) = (self.elements.len(), self.height, self.width);
            let shape = match self.layout {
                Layout::Chw => vec![files.len(), depth, height, width],
                Layout::Hwc => vec![files.len(), height, width, depth],
            };
            let tensor = Tensor::new(self.datatype, shape, raw.freeze()).map_err(|error| refused(0, error.to_string()))?;
            table.put(*slot, Column::from(tensor));
        }
        Ok(())
    }
}

impl Image {
    /// A file's pixels, of the size and with the channels that are wanted, and where the image lies among them.
    fn pixels(&self, file: &Bytes) -> Result<(Pixels, Frame), String> {
        let image = decode::decode(file, self.max_pixels)?;
        let image = if self.channels == Channels::Grey { image.grey() } else { image.coloured() };
        let (width, height, own) = (self.width, self.height, (image.width, image.height));
        let frame = |left: f64, top: f64, whole: usize, tall: usize| {
            let sizes = [whole, tall, width, height, own.0, own.1].map(|size| size as f64);
            [left, top, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]]
        };
        Ok(match self.fit {
            Fit::Stretch => (resample::resize(image, width, height, self.filter), frame(0.0, 0.0, width, height)),
            Fit::Crop => {
                // As torchvision's Resize of one number and CenterCrop: the longer side is cut to whole pixels.
                let least = image.width.min(image.height);
                let of = |side: usize| if side == least { self.shorter } else { side * self.shorter / least };
                let (whole, tall) = (of(image.width), of(image.height));
                if whole.saturating_mul(tall) > self.max_pixels.max(width * height) {
                    return Err(format!("it is {} x {} pixels, too long and thin to be cut", image.width, image.height));
                }
                let (left, top) = (half(whole.saturating_sub(width)), half(tall.saturating_sub(height)));
                let cut = resample::resize(image, whole, tall, self.filter).cut((left, top), width, height);
                (cut, frame(-(left as f64), -(top as f64), whole, tall))
            }
            Fit::Pad => {
                let ratio = (width as f64 / image.width as f64).min(height as f64 / image.height as f64);
                let of = |side: usize, most: usize| ((side as f64 * ratio).round() as usize).clamp(1, most);
                let (whole, tall) = (of(image.width, width), of(image.height, height));
                let (left, top) = ((width - whole) / 2, (height - tall) / 2);
                let padded = resample::resize(image, whole, tall, self.filter).padded((left, top), width, height, self.fill);
                (padded, frame(left as f64, top as f64, whole, tall))
            }
        })
    }

    /// Pixels as the model takes them.
    fn lay_out(&self, pixels: &Pixels, raw: &mut BytesMut) {
        let depth = pixels.channels;
        // Where a channel of the result is among those of a pixel.
        let at = |channel: usize| if self.channels == Channels::Bgr { depth - 1 - channel } else { channel };
        match self.layout {
            Layout::Chw => {
                for (channel, elements) in self.elements.iter().enumerate() {
                    pixels.levels.iter().skip(at(channel)).step_by(depth).for_each(|level| self.put(elements, *level, raw));
                }
            }
            Layout::Hwc => {
                for pixel in pixels.levels.chunks_exact(depth) {
                    self.elements.iter().enumerate().for_each(|(channel, elements)| self.put(elements, pixel[at(channel)], raw));
                }
            }
        }
    }

    fn put(&self, elements: &[f32], level: u8, raw: &mut BytesMut) {
        match self.datatype {
            DataType::Uint8 => raw.put_u8(level),
            DataType::Fp16 => raw.put_slice(&f16::from_f32(elements[usize::from(level)]).to_le_bytes()),
            _ => raw.put_f32_le(elements[usize::from(level)]),
        }
    }
}

impl Pixels {
    /// Without its colours: ITU-R 601's luma in whole numbers of 16 bits, as Pillow's `L`.
    fn grey(self) -> Self {
        if self.channels == 1 {
            return self;
        }
        let luma = |pixel: &[u8]| {
            let sum = u32::from(pixel[0]) * 19_595 + u32::from(pixel[1]) * 38_470 + u32::from(pixel[2]) * 7471 + 0x8000;
            (sum >> 16) as u8
        };
        Self { channels: 1, levels: self.levels.chunks_exact(3).map(luma).collect(), ..self }
    }

    fn coloured(self) -> Self {
        if self.channels == 3 {
            return self;
        }
        Self { channels: 3, levels: self.levels.iter().flat_map(|level| [*level; 3]).collect(), ..self }
    }

    /// A piece of it, from there on. It is at least as large.
    fn cut(self, (left, top): (usize, usize), width: usize, height: usize) -> Self {
        let lines = self.levels.chunks_exact((self.width * self.channels).max(1)).skip(top).take(height);
        let levels = lines.flat_map(|line| &line[left * self.channels..(left + width) * self.channels]).copied().collect();
        Self { width, height, channels: self.channels, levels }
    }

    /// At that place of a field of that level. It fits there.
    fn padded(self, (left, top): (usize, usize), width: usize, height: usize, fill: u8) -> Self {
        let stride = width * self.channels;
        let mut levels = vec![fill; stride * height];
        let (left, own) = (left * self.channels, self.width * self.channels);
        for (line, to) in self.levels.chunks_exact(own.max(1)).zip(levels.chunks_exact_mut(stride.max(1)).skip(top)) {
            to[left..left + own].copy_from_slice(line);
        }
        Self { width, height, channels: self.channels, levels }
    }
}

/// Half of what is left over; half a pixel goes to the even side.
const fn half(rest: usize) -> usize {
    rest / 2 + if rest % 4 == 3 { 1 } else { 0 }
}
