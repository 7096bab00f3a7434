//! Plans by input shapes: the most recently used are kept.
//!
//! Each plan packs weights of its own, so the number kept is bounded twice: at most [`MOST_PLANS`], and no more than fit in
//! [`MOST_BYTES`] if each were as large as the file; but always two, for a model is called with one row and with more.
//! A plan for inputs that hold NaN or an infinity is one of them.
//! Looking a plan up takes no lock. Building one blocks only those that want the same shapes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use modelyard_wire::Tensor;
use parking_lot::Mutex;
use tract_onnx::prelude::InferenceModel;

use super::plan::Plan;
use crate::engine::RunError;

/// Plans kept at most.
pub(super) const MOST_PLANS: u64 = 16;

/// Bytes of weights that the plans kept may hold in all.
const MOST_BYTES: u64 = 1 << 30;

/// The plans of one model.
pub(super) struct Plans {
    /// What plans are made from; gone once the only plan of a model of fixed shapes is made.
    source: ArcSwapOption<InferenceModel>,
    slots: ArcSwap<Vec<Arc<Slot>>>,
    changing: Mutex<()>,
    clock: AtomicU64,
    most: usize,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Finite inputs.
    Numbers,
    /// Inputs that hold NaN or an infinity.
    Any,
}

/// The plan for one set of shapes, made by the first who asks. That shapes do not fit is remembered like a plan.
struct Slot {
    what: For,
    shapes: Vec<Vec<usize>>,
    plan: OnceLock<Result<Arc<Plan>, String>>,
    used: AtomicU64,
}

impl Plans {
    /// No plans yet, of a model whose file has `bytes`.
    pub(super) fn new(source: InferenceModel, bytes: u64) -> Self {
        let most = (MOST_BYTES / bytes.max(1)).clamp(2, MOST_PLANS);
        Self {
            source: ArcSwapOption::from_pointee(source),
            slots: ArcSwap::default(),
            changing: Mutex::default(),
            clock: AtomicU64::new(0),
            most: usize::try_from(most).unwrap_or(2),
        }
    }

    /// The plan for inputs of these shapes.
    pub(super) fn get(&self, inputs: &[Tensor], what: For) -> Result<Arc<Plan>, RunError> {
        self.find(inputs.iter().map(Tensor::shape), what).map_err(|reason| {
            let shapes = inputs.iter().map(|input| format!("{:?}", input.shape())).collect::<Vec<_>>().join(", ");
            RunError::InvalidData(format!("the model cannot take inputs of shape {shapes}: {reason}"))
        })
    }

    /// The plan for inputs of these shapes, or why there is none.
    pub(super) fn for_shapes(&self, shapes: &[Vec<usize>]) -> Result<Arc<Plan>, String> {
        self.find(shapes.iter().map(Vec::as_slice), For::Numbers)
    }

    /// What plans are made from.
    pub(super) fn source(&self) -> Option<Arc<InferenceModel>> {
        self.source.load_full()
    }

    /// No other shapes will come: what plans are made from is let go.
    pub(super) fn seal(&self) {
        self.source.store(None);
    }

    /// How many plans are kept.
    pub(super) fn len(&self) -> usize {
        self.slots.load().len()
    }

    fn find<'a>(&self, shapes: impl Iterator<Item = &'a [usize]> + Clone, what: For) -> Result<Arc<Plan>, String> {
        let slots = self.slots.load();
        let slot = match slots.iter().find(|slot| slot.is_for(shapes.clone(), what)) {
            Some(slot) => slot,
            None => &self.enter(shapes.map(<[usize]>::to_vec).collect(), what),
        };
        if slots.len() > 1 {
            slot.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        }
        slot.plan.get_or_init(|| self.build(slot)).clone()
    }

    fn build(&self, slot: &Slot) -> Result<Arc<Plan>, String> {
        match (self.source(), slot.what) {
            (Some(source), For::Numbers) => Plan::build(&source, &slot.shapes).map(Arc::new),
            (Some(source), For::Any) => Plan::careful(&source, &slot.shapes).map(Arc::new),
            (None, _) => Err("its shapes are fixed to others".to_owned()),
        }
    }

    /// Adds an empty slot, in place of the least recently used if there are enough.
    fn enter(&self, shapes: Vec<Vec<usize>>, what: For) -> Arc<Slot> {
        let _alone = self.changing.lock();
        let mut slots = Vec::clone(&self.slots.load());
        if let Some(found) = slots.iter().find(|slot| slot.shapes == shapes && slot.what == what) {
            return Arc::clone(found);
        }
        if slots.len() >= self.most {
            let oldest = slots.iter().enumerate().min_by_key(|(_, slot)| slot.worth()).map(|(at, _)| at);
            oldest.map(|at| slots.swap_remove(at));
        }
        let used = AtomicU64::new(self.clock.fetch_add(1, Ordering::Relaxed));
        let slot = Arc::new(Slot { what, shapes, plan: OnceLock::new(), used });
        slots.push(Arc::clone(&slot));
        self.slots.store(Arc::new(slots));
        slot
    }
}

impl Slot {
    fn is_for<'a>(&self, shapes: impl Iterator<Item = &'a [usize]>, what: For) -> bool {
        self.what == what && self.shapes.iter().map(Vec::as_slice).eq(shapes)
    }

    /// The least is evicted first: shapes that do not fit, then by last use.
    fn worth(&self) -> (bool, u64) {
        (!matches!(self.plan.get(), Some(Err(_))), self.used.load(Ordering::Relaxed))
    }
}
