//! The pixels of an image file: JPEG, PNG or WebP, told apart by their first bytes. The size that a file declares is checked before
//! anything of that size is allocated. As Pillow's `convert("RGB")`: what is transparent loses that, and pictures lie as the file has them,
//! whatever EXIF says.

use std::io::Cursor;

use image_webp::WebPDecoder;
use png::{ColorType, Limits, Transformations};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::Pixels;

/// Bytes that a decoder may take beside the pixels.
const ROOM: usize = 1 << 24;

/// The pixels of a file, one or three channels.
///
/// # Errors
/// What the file is, or what is wrong with it.
pub(super) fn decode(file: &[u8], most: usize) -> Result<Pixels, String> {
    match file {
        [0xff, 0xd8, 0xff, ..] => jpeg(file, most),
        [0x89, b'P', b'N', b'G', ..] => png(file, most),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(file, most),
        [] => Err("expected a JPEG, PNG or WebP file, found nothing".to_owned()),
        other => {
            let first: Vec<String> = other.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            Err(format!("expected a JPEG, PNG or WebP file, found bytes that begin with {}", first.join(" ")))
        }
    }
}

/// The size, if it is within the bound.
fn bounded(width: usize, height: usize, most: usize) -> Result<(usize, usize), String> {
    match width.checked_mul(height) {
        Some(0) | None => Err(format!("the image is {width} x {height} pixels")),
        Some(pixels) if pixels > most => Err(format!("the image is {width} x {height} pixels; expected {most} in all at most")),
        Some(_) => Ok((width, height)),
    }
}

fn jpeg(file: &[u8], most: usize) -> Result<Pixels, String> {
    let fault = |error: zune_jpeg::errors::DecodeErrors| format!("JPEG: {error}");
    let options = DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(fault)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let (width, height) = bounded(width, height, most)?;
    if !is_whole(file) {
        return Err("JPEG: the file is cut short: it has no end of image (ff d9) after its last scan".to_owned());
    }
    let levels = decoder.decode().map_err(fault)?;
    Ok(Pixels { width, height, channels: 3, levels })
}

/// Whether a JPEG's last scan ends: the decoder would fill with grey what is missing. Within a scan 0xff is followed by 0 or by a mark of
/// restarts, so no pixel looks like the end (ITU-T T.81, B.1.1.2).
fn is_whole(file: &[u8]) -> bool {
    let scan = file.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap_or(0);
    file[scan..].windows(2).any(|pair| pair == [0xff, 0xd9])
}

fn png(file: &[u8], most: usize) -> Result<Pixels, String> {
    let fault = |error: png::DecodingError| format!("PNG: {error}");
    let mut decoder =
        png::Decoder::new_with_limits(Cursor::new(file), Limits { bytes: most.saturating_mul(8).saturating_add(ROOM) });
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(fault)?;
    let (width, height) = bounded(header.width as usize, header.height as usize, most)?;
    let mut reader = decoder.read_info().map_err(fault)?;
    let mut levels = vec![0; reader.output_buffer_size().ok_or("PNG: its pixels take more than can be addressed")?];
    let frame = reader.next_frame(&mut levels).map_err(fault)?;
    levels.truncate(frame.buffer_size());
    let (channels, levels) = match frame.color_type {
        ColorType::Rgb => (3, levels),
        ColorType::Rgba => (3, first(&levels, 4, 3)),
        ColorType::GrayscaleAlpha => (1, first(&levels, 2, 1)),
        // A palette was expanded.
        ColorType::Grayscale | ColorType::Indexed => (1, levels),
    };
    Ok(Pixels { width, height, channels, levels })
}

fn webp(file: &[u8], most: usize) -> Result<Pixels, String> {
    let fault = |error: image_webp::DecodingError| format!("WebP: {error}");
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(fault)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = bounded(width as usize, height as usize, most)?;
    decoder.set_memory_limit(most.saturating_mul(8).saturating_add(ROOM));
    let mut levels = vec![0; decoder.output_buffer_size().ok_or("WebP: its pixels take more than can be addressed")?];
    decoder.read_image(&mut levels).map_err(fault)?;
    let levels = if decoder.has_alpha() { first(&levels, 4, 3) } else { levels };
    Ok(Pixels { width, height, channels: 3, levels })
}

/// The first channels of each pixel.
fn first(levels: &[u8], of: usize, kept: usize) -> Vec<u8> {
    levels.chunks_exact(of).flat_map(|pixel| &pixel[..kept]).copied().collect()
}
