//! What a model's file is, where somebody says so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the file is, in place of what its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Format {
    /// An .onnx file.
    Onnx,
    /// XGBoost's own: JSON or UBJSON.
    #[serde(rename = "XGBoost")]
    XgBoost,
    /// LightGBM's own: text.
    #[serde(rename = "LightGBM")]
    LightGbm,
    /// CatBoost's own: JSON.
    CatBoost,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Onnx, Self::XgBoost, Self::LightGbm, Self::CatBoost];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Onnx => "Onnx",
            Self::XgBoost => "XGBoost",
            Self::LightGbm => "LightGBM",
            Self::CatBoost => "CatBoost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_is_written() {
        for format in Format::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
        }
    }
}
