//! Durations and quantities as schema: the patterns are narrow enough that whatever passes them also parses, and cannot
//! overflow.

use schemars::{Schema, SchemaGenerator, json_schema};

/// One to six parts of at most nine digits: `1h30m`, `1.5s`, `250ms`, `0s`.
pub(super) const DURATION: &str = r"^([0-9]{1,9}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h)){1,6}$";

/// Kubernetes' quantity without a sign: `500m`, `2`, `64Mi`, `1.5e3`.
pub(super) const QUANTITY: &str = r"^([0-9]{1,15}(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$";

/// A duration in Go's notation, as Kubernetes writes them.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 64, "pattern": DURATION, "example": "1m30s" })
}

/// The same, where the field may be absent.
pub(super) fn optional_duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 64, "pattern": DURATION, "nullable": true, "example": "1.5s" })
}

/// A Kubernetes quantity: a string, or a bare integer.
pub(super) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-int-or-string": true, "maxLength": 32, "pattern": QUANTITY, "example": "64Mi" })
}

/// The same, where the field may be absent.
pub(super) fn optional_quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-int-or-string": true, "maxLength": 32, "pattern": QUANTITY, "nullable": true, "example": "2" })
}

/// A number of pods, or a percentage of them.
pub(super) fn number_or_percentage(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-int-or-string": true, "maxLength": 8, "pattern": r"^([0-9]{1,7}|[0-9]{1,3}%)$", "nullable": true, "example": "50%" })
}
