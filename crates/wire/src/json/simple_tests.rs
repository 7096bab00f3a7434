//! Numbers of simple forms, read in every way that there is, are those of the standard library bit for bit.

use proptest::prelude::*;

use super::simple::{BLOCK, Steps, Words, integer};
use super::*;
use crate::{DataType, Tensor};

/// `text`, and what follows in a block.
fn block(text: &str) -> [u8; BLOCK] {
    let mut block = [b'7'; BLOCK];
    block[..text.len()].copy_from_slice(text.as_bytes());
    block
}

/// Whether `text` is read as what it is in a processor's steps, if it is read at all.
fn agrees_in(steps: impl Steps, text: &str) -> bool {
    let block = block(&format!("{text},"));
    let comma = steps.commas(&block).trailing_zeros() as usize;
    assert_eq!(comma, text.len());
    let Some(fraction) = steps.fraction(&block, comma) else { return false };
    let (single, double) = (fraction.to_f32(), fraction.to_f64());
    assert!(single.is_none_or(|value| value.to_bits() == text.parse::<f32>().unwrap().to_bits()), "{text} {single:?}");
    assert!(double.is_none_or(|value| value.to_bits() == text.parse::<f64>().unwrap().to_bits()), "{text} {double:?}");
    true
}

/// The same in all ways that there are here; whether any reads it.
fn agrees(text: &str) -> bool {
    if text.len() >= BLOCK {
        return false;
    }
    #[cfg(target_arch = "x86_64")]
    let vectors = pulp::x86::V3::try_new().is_some_and(|v3| agrees_in(v3, text));
    #[cfg(not(target_arch = "x86_64"))]
    let vectors = false;
    agrees_in(Words, text) | vectors
}

/// Whether a list of numbers reads as the standard library reads each.
fn reads(texts: &[String], separator: &str, end: &str) {
    let json = format!("[{}]{end}", texts.join(separator));
    let expected: Vec<f32> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let mut elements = Elements::new(DataType::Fp32);
    elements.read(&mut Cursor::new(json.as_bytes())).unwrap();
    let (found, expected) =
        (elements.finish(vec![texts.len()]).unwrap(), Tensor::from_f32(vec![texts.len()], &expected).unwrap());
    assert!(found == expected, "{json}");
    let expected: Vec<f64> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let mut elements = Elements::new(DataType::Fp64);
    elements.read(&mut Cursor::new(json.as_bytes())).unwrap();
    let found = elements.finish(vec![texts.len()]).unwrap().to_f64().unwrap();
    assert!(found.iter().zip(&expected).all(|(found, expected)| found.to_bits() == expected.to_bits()), "{json}");
}

/// Exactly, with all digits.
fn exact(value: f64) -> String {
    let text = format!("{value:.60}");
    text.trim_end_matches('0').to_owned()
}

/// Numbers in the forms that writers give them, and some that none does.
fn number() -> impl Strategy<Value = String> {
    let single = any::<f32>().prop_filter("finite", |value| value.is_finite());
    prop_oneof![
        single.clone().prop_map(|value| format!("{value}")),
        single.prop_map(|value| format!("{value:e}")),
        (-10_f32..10.0).prop_map(|value| format!("{value}")),
        (-10_f64..10.0).prop_map(|value| format!("{value}")),
        (0_u8..=255).prop_map(|level| format!("{}", f32::from(level) / 255.0)),
        (-1000_f64..1000.0, 0_usize..20).prop_map(|(value, places)| format!("{value:.places$}")),
        "-?(0|[1-9][0-9]{0,24})",
        "-?[0-9]\\.[0-9]{1,25}",
        "-?[0-9]\\.0{0,20}[0-9]{1,5}",
        "-?(0|[1-9][0-9]{0,12})\\.[0-9]{1,25}",
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,9})?[eE][+-]?[0-9]",
        prop::sample::select(vec!["0", "0.0", "-0", "-0.0", "1", "1.0"]).prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn numbers_are_those_of_the_standard_library(text in number()) {
        agrees(&text);
    }

    #[test]
    fn lists_are_those_of_the_standard_library(
        texts in prop::collection::vec(number(), 1..40),
        separator in prop::sample::select(vec![",", ", ", " ,", ",\n    "]),
        end in 0_usize..40,
    ) {
        let range = |text: &String| text.parse::<f32>().unwrap().is_finite();
        prop_assume!(texts.iter().all(range));
        reads(&texts, separator, &" ".repeat(end));
    }

    #[test]
    fn lists_end_anywhere(texts in prop::collection::vec("-?[0-9]\\.[0-9]{1,3}|0|0\\.0", 1..12), end in 0_usize..40) {
        for separator in [",", ", "] {
            reads(&texts, separator, &" ".repeat(end));
        }
    }

    #[test]
    fn middles_between_singles_round_to_even(bits in 0x3580_0000_u32..0x4b80_0000, cut in 1_usize..30) {
        let (low, high) = (f64::from(f32::from_bits(bits)), f64::from(f32::from_bits(bits + 1)));
        let middle = exact(f64::midpoint(low, high));
        agrees(&middle);
        // A digit less, or one more, and it is no longer the middle.
        let cut = &middle[..middle.len().min(middle.find('.').unwrap() + 1 + cut)];
        for digit in ["", "0", "1", "9"] {
            agrees(&format!("{cut}{digit}"));
        }
    }

    #[test]
    fn integers_are_those_of_the_standard_library(text in "-?[0-9]{1,12}", next in prop::sample::select(vec![",", ".", " ", "e", "]", ":", "/"])) {
        let found = integer(&block(&format!("{text}{next}")), text.len());
        let digits = text.trim_start_matches('-');
        prop_assert_eq!(found.is_some(), digits.len() <= 8 && (digits.len() == 1 || !digits.starts_with('0')));
        prop_assert!(found.is_none_or(|value| f64::from(value) == text.parse::<f64>().unwrap()));
    }

    #[test]
    fn what_is_no_number_is_refused(text in "[-0-9.,:/;eE+ \\]]{1,24},") {
        // The standard library takes more forms than JSON has; those that are not simple must be refused.
        let body = &text[..text.find(',').unwrap()];
        let digits = body.strip_prefix('-').unwrap_or(body);
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        let decimal = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let good = decimal(whole) && decimal(places) && (whole.len() == 1 || !whole.starts_with('0'));
        prop_assert!(!agrees(body) || good, "{}", text);
    }

    #[test]
    fn faults_are_those_of_numbers_read_singly(
        start in prop::collection::vec(prop::sample::select(vec!["0,", "0, ", "0.0,", "0.25,", "-7.5, ", "12,"]), 0..40),
        bytes in prop::collection::vec(prop::sample::select(b"00001234.,,--- ]e\x80\xff".to_vec()), 0..40),
        end in 0_usize..80,
    ) {
        let json = [b"[", start.concat().as_bytes(), &bytes, " ".repeat(end).as_bytes()].concat();
        for datatype in [DataType::Fp32, DataType::Fp64, DataType::Int8, DataType::Uint32] {
            let read = |json: &[u8]| {
                let mut cursor = Cursor::new(json);
                let mut elements = Elements::new(datatype);
                let result = elements.read(&mut cursor).map(|nesting| (nesting.shape(), cursor.position()));
                (result.map_err(|error| error.to_string()), elements)
            };
            let (found, elements) = read(&json);
            let mut cursor = Cursor::new(&json);
            let mut singly = Vec::new();
            let expected = cursor.array(|cursor| {
                let mut one = Elements::new(datatype);
                one.read(cursor)?;
                singly.push(one.finish(vec![1]).unwrap().to_f64().unwrap()[0]);
                Ok::<_, JsonError>(())
            });
            match (found, expected) {
                (Ok((_, at)), Ok(())) => {
                    prop_assert_eq!(at, cursor.position());
                    let count = elements.len();
                    let found = elements.finish(vec![count]).unwrap().to_f64().unwrap();
                    prop_assert!(found.iter().zip(&singly).all(|(l, r)| l.to_bits() == r.to_bits()) && count == singly.len());
                }
                (Err(found), Err(expected)) => prop_assert_eq!(found, expected.to_string()),
                (found, expected) => prop_assert!(false, "{:?} {:?}", found, expected),
            }
        }
    }
}

#[test]
fn usual_forms_are_simple() {
    for text in
        ["0.49803922", "-0.5", "9.1", "0.0", "-0.0", "0.1234567890123456", "0.123456789012345678", "1.000000000000000000000001"]
    {
        assert!(agrees_in(Words, text), "{text}");
        #[cfg(target_arch = "x86_64")]
        assert!(pulp::x86::V3::try_new().is_none_or(|v3| agrees_in(v3, text)), "{text}");
    }
}
