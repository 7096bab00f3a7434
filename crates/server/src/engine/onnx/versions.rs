//! Versions of the format and of its default operator set.

use super::facts::full_domain;
use super::file::File;
use crate::engine::LoadError;

/// Versions of ONNX's default operator set that were seen to work.
pub(in crate::engine) const OPSETS: std::ops::RangeInclusive<i64> = 7..=26;

/// The newest version of the file format.
const NEWEST_IR: i64 = 13;

/// The version of the default operator set; `None` for a file that uses no operator of it and imports none.
///
/// # Errors
/// [`LoadError::Invalid`] for an unknown version of the format, and for a missing import.
pub(in crate::engine) fn opset(file: &File) -> Result<Option<i64>, LoadError> {
    let proto = file.proto();
    if !(1..=NEWEST_IR).contains(&proto.ir_version) {
        let found = proto.ir_version;
        return Err(LoadError::Invalid(format!("IR version {found} is unknown; expected 1 to {NEWEST_IR}")));
    }
    let default = proto.opset_import.iter().find(|set| full_domain(&set.domain) == "ai.onnx");
    match default.map(|set| set.version) {
        None if file.graph().node.iter().any(|node| full_domain(&node.domain) == "ai.onnx") => {
            Err(LoadError::Invalid("the file imports no operator set of ai.onnx".to_owned()))
        }
        version => Ok(version),
    }
}
