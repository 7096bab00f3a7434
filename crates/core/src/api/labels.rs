//! What holds for labels that a user adds to the operator's own, wherever they are added.

use kube::core::Rule;

/// No label may take the place of one by which the operator finds its objects.
pub(super) fn beside_ours() -> Rule {
    Rule::new("self.all(key, !key.startsWith('modelyard.dev/') && !key.startsWith('app.kubernetes.io/'))")
        .message("labels under modelyard.dev/ and app.kubernetes.io/ are the operator's: choose another prefix")
}
