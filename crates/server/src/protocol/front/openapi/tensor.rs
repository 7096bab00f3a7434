//! JSON Schema of a tensor as JSON carries it: nested arrays of the declared dimensions.

use modelyard_wire::DataType;
use serde_json::{Value, json};

/// Which way a tensor goes.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Request,
    Response,
}

/// Arrays nested as deep as `shape` is long; a fixed dimension fixes the length.
pub(super) fn nested(way: Way, datatype: DataType, shape: &[i64]) -> Value {
    let Some((first, rest)) = shape.split_first() else { return element(way, datatype) };
    let mut array = json!({ "type": "array", "items": nested(way, datatype, rest) });
    if *first >= 0 {
        array["minItems"] = json!(first);
        array["maxItems"] = json!(first);
    }
    array
}

/// One element.
fn element(way: Way, datatype: DataType) -> Value {
    let integer = |least: Value, most: Value| json!({ "type": "integer", "minimum": least, "maximum": most });
    match datatype {
        DataType::Bool => json!({ "type": "boolean" }),
        DataType::Uint8 => integer(json!(0), json!(u8::MAX)),
        DataType::Uint16 => integer(json!(0), json!(u16::MAX)),
        DataType::Uint32 => integer(json!(0), json!(u32::MAX)),
        DataType::Uint64 => integer(json!(0), json!(u64::MAX)),
        DataType::Int8 => integer(json!(i8::MIN), json!(i8::MAX)),
        DataType::Int16 => integer(json!(i16::MIN), json!(i16::MAX)),
        DataType::Int32 => integer(json!(i32::MIN), json!(i32::MAX)),
        DataType::Int64 => integer(json!(i64::MIN), json!(i64::MAX)),
        DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64 => match way {
            Way::Request => json!({ "type": ["number", "null"] }),
            // No type of JSON Schema has the bare words, and who reads them has them as null, as text or as NaN.
            Way::Response => json!({ "description": "A number; NaN and the infinities are bare words." }),
        },
        DataType::Bytes => json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/components/schemas/Base64" }] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_nest() {
        let want = json!({
            "type": "array",
            "items": { "type": "array", "minItems": 2, "maxItems": 2, "items": { "type": "integer", "minimum": -128, "maximum": 127 } },
        });
        assert_eq!(nested(Way::Request, DataType::Int8, &[-1, 2]), want);
        assert_eq!(nested(Way::Response, DataType::Bool, &[]), json!({ "type": "boolean" }));
    }
}
