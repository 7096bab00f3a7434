//! What is known of each operation: its name, the columns that it works on, those that it makes.

use super::Step;

/// What a detector's answers are called unless it is said: TensorFlow's Object Detection API's names.
const DETECTIONS: [&str; 4] = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"];

impl Step {
    /// The name of its operation, as it is written.
    #[must_use]
    pub const fn op(&self) -> &'static str {
        match self {
            Self::Input { .. } => "Input",
            Self::Rename { .. } => "Rename",
            Self::Select { .. } => "Select",
            Self::Drop { .. } => "Drop",
            Self::Cast { .. } => "Cast",
            Self::Fill { .. } => "Fill",
            Self::Clip { .. } => "Clip",
            Self::Standardise { .. } => "Standardise",
            Self::MinMax { .. } => "MinMax",
            Self::Robust { .. } => "Robust",
            Self::Log { .. } => "Log",
            Self::Exp { .. } => "Exp",
            Self::OneHot { .. } => "OneHot",
            Self::Ordinal { .. } => "Ordinal",
            Self::Bucketise { .. } => "Bucketise",
            Self::DateParts { .. } => "DateParts",
            Self::Hash { .. } => "Hash",
            Self::Expect { .. } => "Expect",
            Self::Image { .. } => "Image",
            Self::Bytes { .. } => "Bytes",
            Self::Tokenize { .. } => "Tokenize",
            Self::Pool { .. } => "Pool",
            Self::NormaliseL2 { .. } => "NormaliseL2",
            Self::Concat { .. } => "Concat",
            Self::Softmax { .. } => "Softmax",
            Self::Sigmoid { .. } => "Sigmoid",
            Self::Argmax { .. } => "Argmax",
            Self::Labels { .. } => "Labels",
            Self::TopK { .. } => "TopK",
            Self::Threshold { .. } => "Threshold",
            Self::Boxes { .. } => "Boxes",
            Self::Denormalise { .. } => "Denormalise",
        }
    }

    /// The columns that it works on.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Input { columns, .. }
            | Self::Rename { columns, .. }
            | Self::Select { columns }
            | Self::Drop { columns }
            | Self::Cast { columns, .. }
            | Self::Fill { columns, .. }
            | Self::Clip { columns, .. }
            | Self::Standardise { columns, .. }
            | Self::MinMax { columns, .. }
            | Self::Robust { columns, .. }
            | Self::Log { columns, .. }
            | Self::Exp { columns, .. }
            | Self::OneHot { columns, .. }
            | Self::Ordinal { columns, .. }
            | Self::Bucketise { columns, .. }
            | Self::DateParts { columns, .. }
            | Self::Hash { columns, .. }
            | Self::Expect { columns, .. }
            | Self::Image { columns, .. }
            | Self::Bytes { columns, .. }
            | Self::Tokenize { columns, .. }
            | Self::Pool { columns, .. }
            | Self::NormaliseL2 { columns }
            | Self::Concat { columns, .. }
            | Self::Softmax { columns }
            | Self::Sigmoid { columns }
            | Self::Argmax { columns, .. }
            | Self::Labels { columns, .. }
            | Self::TopK { columns, .. }
            | Self::Threshold { columns, .. }
            | Self::Boxes { columns, .. }
            | Self::Denormalise { columns, .. } => columns,
        }
    }

    /// The columns that it makes; empty where it works in place.
    #[must_use]
    pub fn made(&self) -> Vec<String> {
        match self {
            Self::DateParts { columns, parts } => {
                columns.iter().flat_map(|column| parts.iter().map(|part| part.column(column))).collect()
            }
            Self::Boxes { to, .. } if to.is_empty() => DETECTIONS.map(str::to_owned).to_vec(),
            Self::Rename { to, .. }
            | Self::Concat { to, .. }
            | Self::Argmax { to, .. }
            | Self::Labels { to, .. }
            | Self::TopK { to, .. }
            | Self::Expect { to, .. }
            | Self::Image { to, .. }
            | Self::Boxes { to, .. }
            | Self::Tokenize { to, .. }
            | Self::Pool { to, .. }
            | Self::Threshold { to, .. } => to.clone(),
            _ => Vec::new(),
        }
    }
}
