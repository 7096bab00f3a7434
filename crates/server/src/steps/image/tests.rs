//! Pixels against Pillow's (tests/steps/images.py writes them), and files that are refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use modelyard_core::steps::Step;
use modelyard_wire::{Data, DataType, Tensor};
use serde_json::{Value, json};

use super::super::column::{Refused, Table};
use super::super::scope::Scope;
use super::compile;

fn decoded(of: &Value) -> Vec<u8> {
    STANDARD.decode(of.as_str().unwrap()).unwrap()
}

/// Runs a step on those files.
fn run(step: &Value, files: Vec<Bytes>) -> Result<Tensor, Refused> {
    let step: Step = serde_json::from_value(step.clone()).unwrap();
    step.check().unwrap();
    let mut scope = Scope::default();
    scope.add("x", DataType::Bytes, vec![-1]).unwrap();
    let action = compile(&step, &mut scope).unwrap().unwrap();
    let mut table = Table::of([Tensor::strings(vec![files.len()], files).unwrap()], scope.slots());
    action.run(&mut table)?;
    let port = scope.port("x").unwrap();
    let tensor = table.take(port.slot).tensor(port.datatype).unwrap();
    assert!(port.spec().check(&tensor).is_ok(), "{:?} is not {:?}", tensor.shape(), port.shape);
    Ok(tensor)
}

#[test]
fn pixels_are_pillows() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../../tests/steps/images.json")).unwrap();
    assert!(cases.len() > 30, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let found = match run(&case["step"], vec![decoded(&case["file"]).into()]) {
            Ok(found) => found,
            Err(refused) => {
                wrong.push(format!("{}: {refused:?}", case["name"]));
                continue;
            }
        };
        let shape: Vec<usize> = std::iter::once(1)
            .chain(case["shape"].as_array().unwrap().iter().map(|dim| dim.as_u64().unwrap() as usize))
            .collect();
        let datatype: DataType = case["datatype"].as_str().unwrap().parse().unwrap();
        let expected = Tensor::new(datatype, shape, decoded(&case["data"]).into()).unwrap();
        assert_eq!((found.datatype(), found.shape()), (datatype, expected.shape()), "{}", case["name"]);
        let off = case["off"].as_f64().unwrap() + if datatype == DataType::Uint8 { 0.0 } else { 1e-5 };
        let (found, expected) = (found.to_f64().unwrap(), expected.to_f64().unwrap());
        let furthest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if furthest > off {
            let many = found.iter().zip(&expected).filter(|(a, b)| (*a - *b).abs() > off).count();
            wrong.push(format!("{}: {many} of {} are off, by {furthest} at most; expected {off}", case["name"], found.len()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn several_files_are_one_tensor_and_a_bad_one_is_named_by_its_row() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../../tests/steps/images.json")).unwrap();
    let file = |name: &str| -> Bytes { decoded(&cases.iter().find(|case| case["name"] == name).unwrap()["file"]).into() };
    let step = json!({"op": "Image", "columns": ["x"], "width": 8, "height": 8, "maxPixels": 3000});
    let (png, jpeg, webp) = (file("HWC"), file("JPEG 4:4:4"), file("WebP"));
    let all = run(&step, vec![png.clone(), jpeg.clone(), webp.clone()]).unwrap();
    assert_eq!(all.shape(), [3, 3, 8, 8]);
    let one = run(&step, vec![jpeg.clone()]).unwrap();
    let (Data::Raw(all), Data::Raw(one)) = (all.data(), one.data()) else { panic!("numbers") };
    assert_eq!(all[one.len()..2 * one.len()], one[..]);
    for (bad, message) in [
        (Bytes::new(), "expected a JPEG, PNG or WebP file, found nothing"),
        (Bytes::from_static(b"GIF89a"), "found bytes that begin with 47 49 46 38"),
        (png.slice(..60), "PNG: "),
        (jpeg.slice(..30), "JPEG: "),
        (jpeg.slice(..jpeg.len() - 2), "JPEG: the file is cut short"),
        (jpeg.slice(..jpeg.len() * 4 / 5), "JPEG: the file is cut short"),
        (webp.slice(..30), "WebP: "),
        (header(100_000, 100_000), "the image is 100000 x 100000 pixels; expected 3000 in all at most"),
        (header(0, 5), "PNG: "),
    ] {
        let refused = run(&step, vec![png.clone(), bad]).unwrap_err();
        assert_eq!((refused.row, refused.column.as_str()), (1, "x"));
        assert!(refused.message.contains(message), "{}", refused.message);
    }
    let large = json!({"op": "Image", "columns": ["x"], "width": 4096, "height": 4096});
    let refused = run(&large, vec![png; 3]).unwrap_err();
    assert_eq!((refused.row, refused.message.contains("expected 2 rows of this size in one run at most, found 3")), (2, true));
}

/// A PNG that declares that size, and has nothing of it.
fn header(width: u32, height: u32) -> Bytes {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    // CRC-32 of ISO 3309, bit by bit.
    let crc = chunk.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(&chunk);
    file.extend((!crc).to_be_bytes());
    file.into()
}

#[test]
fn texts_alone_become_images() {
    let step: Step = serde_json::from_value(json!({"op": "Image", "columns": ["x"], "width": 8, "height": 8})).unwrap();
    let mut scope = Scope::default();
    scope.add("x", DataType::Fp32, vec![-1]).unwrap();
    let said = compile(&step, &mut scope).err().unwrap();
    assert_eq!(said, "column 'x': it is FP32; expected image files, BYTES");
}

#[test]
fn a_frame_says_where_the_image_lies() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../../tests/steps/images.json")).unwrap();
    let file: Bytes = decoded(&cases[0]["file"]).into();
    // The file has 53 x 37 pixels.
    for (fields, frame) in [
        (json!({"width": 24, "height": 17}), [0.0, 0.0, 24.0, 17.0, 24.0, 17.0, 53.0, 37.0]),
        (json!({"width": 40, "height": 40, "fit": "Pad"}), [0.0, 6.0, 40.0, 28.0, 40.0, 40.0, 53.0, 37.0]),
        (json!({"width": 20, "height": 20, "fit": "Crop", "shorter": 24}), [-7.0, -2.0, 34.0, 24.0, 20.0, 20.0, 53.0, 37.0]),
    ] {
        let mut step = json!({"op": "Image", "columns": ["x"], "to": ["frame"]});
        step.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let step: Step = serde_json::from_value(step).unwrap();
        step.check().unwrap();
        let mut scope = Scope::default();
        scope.add("x", DataType::Bytes, vec![-1]).unwrap();
        let action = compile(&step, &mut scope).unwrap().unwrap();
        let mut table = Table::of([Tensor::strings(vec![2], vec![file.clone(), file.clone()]).unwrap()], scope.slots());
        action.run(&mut table).unwrap();
        let port = scope.port("frame").unwrap();
        let tensor = table.take(port.slot).tensor(port.datatype).unwrap();
        assert!(port.spec().check(&tensor).is_ok() && port.beside);
        assert_eq!(tensor.to_f64().unwrap(), [frame, frame].concat(), "{fields}");
    }
}
