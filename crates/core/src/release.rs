//! What a new release of the operator does to revisions that run: nothing, unless it is asked to.
//!
//! A release may start servers of another image, and may render the template of a pod otherwise than the last one did; either
//! would restart every model of a cluster. So the image and the name of the template are written on a revision's Deployment when
//! it is made. Where both are what this release would make, what others change of it is put back. Where they are not, the
//! template is another release's work and is left as it is; only what restarts nothing is written.

use k8s_openapi::api::apps::v1::Deployment;

use crate::render::{CONTAINER, Objects, SERVER_IMAGE_ANNOTATION, TEMPLATE_ANNOTATION};
use crate::resolve::{Inline, Resolved};

/// The value of [`TEMPLATE_ANNOTATION`] by which somebody asks for what the newest release would make.
pub const RENEW: &str = "renew";

/// What is to be made of a deployment of several models, by the revisions that there are: `wanted` tells how many replicas one of that
/// name has been asked for. One that an earlier release made, whose servers do not follow their models, goes on as it is for as long as
/// the spec makes it, unless those that follow have taken over from it.
#[must_use]
pub fn as_it_runs(mut resolved: Resolved, wanted: impl Fn(&str) -> Option<u32>) -> Resolved {
    let Some(inline) = &resolved.inline else { return resolved };
    let stays = match (wanted(&inline.revision), wanted(&resolved.revision)) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(there), Some(following)) => there > 0 && following == 0,
    };
    if stays && let Some(inline) = resolved.inline.take() {
        let Inline { revision, config, secrets } = *inline;
        (resolved.revision, resolved.config, resolved.secrets) = (revision, config, secrets);
    }
    resolved
}

/// When revisions that run get the servers of a new release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerUpgrade {
    /// With the next change of the spec, or when somebody asks for it.
    #[default]
    OnChange,
    /// One after another, as soon as the release runs.
    Rolling,
}

/// How much of a revision's Deployment may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// What restarts no pod: the template is another release's.
    AroundTheTemplate,
}

/// The objects to apply, and how much of the Deployment. `live` is the revision's Deployment as it is, `image` the server's that a
/// new revision would have; `may_renew` is asked only where something would change for pods that run.
pub fn take_over(
    live: Option<&Deployment>,
    image: &str,
    render: impl Fn(&str) -> Objects,
    may_renew: impl FnOnce() -> bool,
) -> (Objects, Extent) {
    let newest = render(image);
    let Some(live) = live else { return (newest, Extent::Whole) };
    if is_made_like(live, &newest.deployment) || noted(live, TEMPLATE_ANNOTATION) == Some(RENEW) || may_renew() {
        return (newest, Extent::Whole);
    }
    let kept = image_of(live).map_or(newest, render);
    let extent = if is_made_like(live, &kept.deployment) { Extent::Whole } else { Extent::AroundTheTemplate };
    (kept, extent)
}

/// A Deployment with the template that it has, and otherwise as it should be.
#[must_use]
pub fn around_the_template(live: &Deployment, wanted: &Deployment) -> Deployment {
    let mut changed = live.clone();
    if let (Some(changed), Some(wanted)) = (&mut changed.spec, &wanted.spec) {
        changed.replicas = wanted.replicas;
        changed.progress_deadline_seconds = wanted.progress_deadline_seconds;
        changed.strategy.clone_from(&wanted.strategy);
    }
    changed
}

/// Whether both were made of the same template.
#[must_use]
pub fn is_made_like(live: &Deployment, wanted: &Deployment) -> bool {
    let made = noted(live, TEMPLATE_ANNOTATION);
    made.is_some() && made == noted(wanted, TEMPLATE_ANNOTATION)
}

/// Whether all replicas are of the Deployment's template as it is now, and served once they were. Of the status only the generation
/// and the condition are read: the counts change too often for anyone to keep them.
#[must_use]
pub fn is_rolled_out(live: &Deployment) -> bool {
    let Some(status) = &live.status else { return false };
    let done = |reason: Option<&str>| reason == Some("NewReplicaSetAvailable");
    status.observed_generation >= live.metadata.generation
        && status.conditions.iter().flatten().any(|one| one.type_ == "Progressing" && done(one.reason.as_deref()))
}

/// The server's image that a revision was made with; where none is written down, the one that it has.
fn image_of(live: &Deployment) -> Option<&str> {
    let running = || {
        let pod = live.spec.as_ref()?.template.spec.as_ref()?;
        pod.containers.iter().find(|container| container.name == CONTAINER)?.image.as_deref()
    };
    noted(live, SERVER_IMAGE_ANNOTATION).or_else(running)
}

fn noted<'a>(deployment: &'a Deployment, annotation: &str) -> Option<&'a str> {
    deployment.metadata.annotations.as_ref()?.get(annotation).map(String::as_str)
}

#[cfg(test)]
mod tests;
