//! Pictures, resized and scaled to what a model takes. What was done is said in words, since a model never complains of a picture
//! that it cannot understand.

use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView, Rgba};
use modelyard_wire::DataType;

use super::cast::{Elements, Scalar};
use super::{Bound, InputError, Reading, bind};

/// How a value of 0 to 255 becomes the model's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Scale {
    /// Floats from 0 to 1, integers as they are
    #[default]
    Auto,
    /// Divided by 255
    #[value(name = "0..1")]
    Unit,
    /// Divided by 127.5, minus 1
    #[value(name = "-1..1")]
    Signed,
    /// As it is
    #[value(name = "0..255")]
    Byte,
    /// Divided by 255, then less the mean and over the deviation of ImageNet's colours
    Imagenet,
}

/// ImageNet's mean and standard deviation by channel, as torchvision's models use them.
const IMAGENET: [(f64, f64); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

/// Where a picture's rows, columns and channels stand in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    colour: bool,
    /// Channel by channel, rather than pixel by pixel.
    planar: bool,
    height: Option<usize>,
    width: Option<usize>,
}

/// Reads a PNG or JPEG for a model's only input.
pub(super) fn read(file: &str, bytes: &[u8], reading: Reading<'_>) -> Result<Bound, InputError> {
    let spec = bind::only(reading.specs, "a picture does not name its input")?;
    let layout = layout(&spec.shape).ok_or_else(|| {
        InputError::Content(format!(
            "input '{}' of shape {:?} is no picture; pictures are [N,H,W,C], [N,C,H,W], [N,H,W] or [N,H*W] with H = W",
            spec.name, spec.shape
        ))
    })?;
    if spec.datatype == DataType::Bytes {
        return Err(InputError::Content(format!("input '{}' takes BYTES, not a picture's values", spec.name)));
    }
    let picture = image::load_from_memory(bytes).map_err(|error| InputError::Content(format!("not a picture: {error}")))?;
    let (width, height) = picture.dimensions();
    let size = |wanted: Option<usize>, own: u32| wanted.and_then(|wanted| u32::try_from(wanted).ok()).unwrap_or(own);
    let (to_width, to_height) = (size(layout.width, width), size(layout.height, height));
    let ready = prepare(picture, (to_width, to_height), reading.invert);
    let scale = match reading.scale {
        Scale::Auto if is_float(spec.datatype) => Scale::Unit,
        Scale::Auto => Scale::Byte,
        chosen => chosen,
    };
    let (values, shape) = values(&ready, layout, spec.shape.as_slice());
    let mut elements = Elements::new(spec.datatype, values.len());
    for (channel, value) in values {
        if !elements.push(&scaled(value, channel, scale)) {
            return Err(InputError::Content(format!("{} cannot hold values of {}", spec.datatype, said(scale))));
        }
    }
    let note = format!(
        "{file}: {width}x{height}{} {}{}, scaled to {}, shape {shape:?}",
        if (to_width, to_height) == (width, height) { String::new() } else { format!(" resized to {to_width}x{to_height}") },
        if layout.colour { "colour" } else { "grey" },
        if reading.invert { ", inverted" } else { "" },
        said(scale),
    );
    Ok(Bound { inputs: vec![(spec.name.clone(), elements.finish(shape)?)], notes: vec![note], ..Bound::default() })
}

pub(super) const fn is_float(datatype: DataType) -> bool {
    matches!(datatype, DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64)
}

const fn said(scale: Scale) -> &'static str {
    match scale {
        Scale::Auto | Scale::Unit => "0..1",
        Scale::Signed => "-1..1",
        Scale::Byte => "0..255",
        Scale::Imagenet => "ImageNet's mean and deviation",
    }
}

fn scaled(value: u8, channel: usize, scale: Scale) -> Scalar {
    let number = f64::from(value);
    match scale {
        Scale::Byte => Scalar::Int(value.into()),
        Scale::Auto | Scale::Unit => Scalar::Float(number / 255.0),
        Scale::Signed => Scalar::Float(number / 127.5 - 1.0),
        Scale::Imagenet => {
            let (mean, deviation) = IMAGENET[channel];
            Scalar::Float((number / 255.0 - mean) / deviation)
        }
    }
}

/// Transparency laid over white, as a viewer shows it; then resized, then inverted.
fn prepare(picture: DynamicImage, (width, height): (u32, u32), invert: bool) -> DynamicImage {
    let mut picture = picture;
    if picture.color().has_alpha() {
        let mut rgba = picture.to_rgba8();
        for Rgba([red, green, blue, alpha]) in rgba.pixels_mut() {
            for channel in [red, green, blue] {
                let over = (u32::from(*channel) * u32::from(*alpha) + 255 * (255 - u32::from(*alpha)) + 127) / 255;
                *channel = u8::try_from(over).unwrap_or(255);
            }
            *alpha = 255;
        }
        picture = DynamicImage::ImageRgba8(rgba);
    }
    if picture.dimensions() != (width, height) {
        picture = picture.resize_exact(width, height, FilterType::Triangle);
    }
    if invert {
        picture.invert();
    }
    picture
}

/// Each value with its channel, in the tensor's order, and the tensor's shape.
fn values(picture: &DynamicImage, layout: Layout, wanted: &[i64]) -> (Vec<(usize, u8)>, Vec<usize>) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (raw, channels) = if layout.colour { (picture.to_rgb8().into_raw(), 3) } else { (picture.to_luma8().into_raw(), 1) };
    let pixels = width * height;
    let values = if layout.planar {
        (0..channels)
            .flat_map(|channel| (0..pixels).map(move |pixel| (channel, pixel)))
            .map(|(c, p)| (c, raw[p * channels + c]))
            .collect()
    } else {
        raw.iter().enumerate().map(|(at, value)| (at % channels, *value)).collect()
    };
    let own = if layout.planar { [channels, height, width] } else { [height, width, channels] };
    let shape = match wanted.len() {
        1 => vec![pixels * channels],
        2 => vec![1, pixels * channels],
        3 if !layout.colour && !wanted[2].eq(&1) && !wanted[0].eq(&1) => vec![1, height, width],
        3 if wanted[0] == 1 && layout.planar => own.to_vec(),
        3 => own.to_vec(),
        _ => [&[1], own.as_slice()].concat(),
    };
    (values, shape)
}

/// How a picture lies in `shape`; `None` where it cannot.
fn layout(shape: &[i64]) -> Option<Layout> {
    let size = |dim: i64| usize::try_from(dim).ok();
    let channels = |dim: i64| matches!(dim, 1 | 3);
    let at = |planar, count: i64, height, width| Layout { colour: count == 3, planar, height: size(height), width: size(width) };
    match *shape {
        [_, count, height, width] if channels(count) && (channels(height) || !channels(width)) => {
            Some(at(true, count, height, width))
        }
        [_, height, width, count] if channels(count) => Some(at(false, count, height, width)),
        [count, height, width] if channels(count) && height > 3 && width > 3 => Some(at(true, count, height, width)),
        [height, width, count] if channels(count) && height > 3 => Some(at(false, count, height, width)),
        [-1, height, width] => Some(at(false, 1, height, width)),
        [_, flat] | [flat] => {
            let flat = size(flat)?;
            let square = |count: usize| {
                let side = (count as f64).sqrt().round() as usize;
                (count > 3 && side * side == count).then_some(side)
            };
            let (side, colour) = match (square(flat), flat % 3) {
                (Some(side), _) => (side, false),
                (None, 0) => (square(flat / 3)?, true),
                _ => return None,
            };
            Some(Layout { colour, planar: false, height: Some(side), width: Some(side) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::client::TensorSpec;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let picture = image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([u8::try_from(x * 10).unwrap(), u8::try_from(y * 10).unwrap(), 255])
        });
        let mut file = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(picture).write_to(&mut file, image::ImageFormat::Png).unwrap();
        file.into_inner()
    }

    fn read_as(datatype: DataType, shape: &[i64], scale: Scale) -> Result<Bound, InputError> {
        let specs = [TensorSpec { name: "x".into(), datatype, shape: shape.to_vec() }];
        read("p.png", &png(4, 2), Reading { specs: Some(&specs), scale, ..Reading::default() })
    }

    #[test]
    fn every_layout_is_met() {
        for (shape, sent) in [
            (&[-1, 784][..], &[1, 784][..]),
            (&[784], &[784]),
            (&[-1, 3072], &[1, 3072]),
            (&[-1, 28, 28], &[1, 28, 28]),
            (&[-1, 28, 28, 1], &[1, 28, 28, 1]),
            (&[-1, 1, 28, 28], &[1, 1, 28, 28]),
            (&[1, 3, 224, 224], &[1, 3, 224, 224]),
            (&[-1, -1, -1, 3], &[1, 2, 4, 3]),
            (&[3, 32, 32], &[3, 32, 32]),
            (&[32, 32, 3], &[32, 32, 3]),
        ] {
            assert_eq!(read_as(DataType::Fp32, shape, Scale::Auto).unwrap().inputs[0].1.shape(), sent, "{shape:?}");
        }
        assert!(read_as(DataType::Fp32, &[-1, 10], Scale::Auto).unwrap_err().to_string().contains("is no picture"));
    }

    #[test]
    fn values_and_words() {
        let bound = read_as(DataType::Uint8, &[-1, -1, -1, 3], Scale::Auto).unwrap();
        assert_eq!(bound.inputs[0].1.to_f64().unwrap()[..6], [0.0, 0.0, 255.0, 10.0, 0.0, 255.0]);
        assert_eq!(bound.notes, ["p.png: 4x2 colour, scaled to 0..255, shape [1, 2, 4, 3]"]);
        let planar = read_as(DataType::Fp32, &[-1, 3, -1, -1], Scale::Unit).unwrap();
        let values = planar.inputs[0].1.to_f64().unwrap();
        assert_eq!((values[1], values[16]), (f64::from(10.0_f32 / 255.0), 1.0));
        let signed = read_as(DataType::Fp32, &[-1, 784], Scale::Signed).unwrap();
        assert_eq!(signed.notes, ["p.png: 4x2 resized to 28x28 grey, scaled to -1..1, shape [1, 784]"]);
        assert!(signed.inputs[0].1.to_f64().unwrap().iter().all(|value| (-1.0..=1.0).contains(value)));
        assert!(read_as(DataType::Uint8, &[-1, 784], Scale::Signed).unwrap_err().to_string().contains("cannot hold"));
    }
}
