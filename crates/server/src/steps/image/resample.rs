//! An image in another size, computed as Pillow's `Image.resize` computes it: two passes, along lines and then along columns, with whole
//! numbers of 22 bits after the point. The filters and how they are cut at the edges are described in Pillow's documentation of its filters.

use modelyard_core::steps::Filter;

use super::Pixels;

/// Bits after the point: 32, less 8 of a level and 2 to spare.
const BITS: u32 = 22;

/// The pixels that one pixel of the result is made of.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// How far a filter reaches, in pixels of the smaller of the two images.
const fn reach(filter: Filter) -> f64 {
    match filter {
        Filter::Area => 0.5,
        Filter::Bilinear => 1.0,
        Filter::Bicubic => 2.0,
        Filter::Lanczos => 3.0,
    }
}

fn weight(filter: Filter, x: f64) -> f64 {
    let far = x.abs();
    match filter {
        Filter::Area => f64::from(u8::from(x > -0.5 && x <= 0.5)),
        Filter::Bilinear => (1.0 - far).max(0.0),
        // Keys' cubic, a = -0.5.
        Filter::Bicubic if far < 1.0 => (1.5 * far - 2.5) * far * far + 1.0,
        Filter::Bicubic if far < 2.0 => ((far - 5.0) * far + 8.0) * far * -0.5 + 2.0,
        Filter::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
        _ => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

/// What each pixel of a line of `to` pixels is made of.
fn taps(filter: Filter, from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    // Enlarging looks at as many pixels as the filter has, shrinking at all that fall into one.
    let stretch = scale.max(1.0);
    let support = reach(filter) * stretch;
    let one = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end).map(|x| weight(filter, (x as f64 - centre + 0.5) * (1.0 / stretch))).collect();
        let sum: f64 = weights.iter().sum();
        let whole = |weight: &f64| {
            let share = if sum == 0.0 { *weight } else { weight / sum };
            (share * f64::from(1 << BITS)).round() as i32
        };
        Taps { first, weights: weights.iter().map(whole).collect() }
    };
    (0..to).map(one).collect()
}

const fn level(sum: i32) -> u8 {
    let level = sum >> BITS;
    if level < 0 {
        0
    } else if level > 255 {
        255
    } else {
        level as u8
    }
}

const HALF: i32 = 1 << (BITS - 1);

/// The image in that width and height, with those bytes of each pixel left as channels.
pub(super) fn resize(image: Pixels, width: usize, height: usize, filter: Filter) -> Pixels {
    let image = if image.width == width { image } else { along_lines(&image, width, filter) };
    if image.height == height { image } else { along_columns(&image, height, filter) }
}

fn along_lines(image: &Pixels, width: usize, filter: Filter) -> Pixels {
    let channels = image.channels;
    let taps = taps(filter, image.width, width);
    let mut levels = Vec::with_capacity(width * image.height * channels);
    for line in image.levels.chunks_exact((image.width * channels).max(1)) {
        for one in &taps {
            let pixels = &line[one.first * channels..];
            for channel in 0..channels {
                let products = one.weights.iter().zip(pixels[channel..].iter().step_by(channels));
                let sum = products.fold(HALF, |sum, (weight, pixel)| sum.wrapping_add(weight.wrapping_mul(i32::from(*pixel))));
                levels.push(level(sum));
            }
        }
    }
    Pixels { width, height: image.height, channels, levels }
}

fn along_columns(image: &Pixels, height: usize, filter: Filter) -> Pixels {
    let stride = image.width * image.channels;
    let mut levels = Vec::with_capacity(stride * height);
    let mut sums = vec![0_i32; stride];
    for one in taps(filter, image.height, height) {
        sums.fill(HALF);
        for (weight, line) in one.weights.iter().zip(image.levels[one.first * stride..].chunks_exact(stride.max(1))) {
            for (sum, pixel) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(*pixel)));
            }
        }
        levels.extend(sums.iter().map(|sum| level(*sum)));
    }
    Pixels { width: image.width, height, channels: image.channels, levels }
}
