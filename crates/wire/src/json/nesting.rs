//! How the lists of one value nest, found out as they are read.

/// How the lists of one value nest.
#[derive(Debug, Default)]
pub struct Nesting {
    levels: Vec<Level>,
    /// The first list or scalar that breaks the rule.
    irregular: Option<Irregular>,
    /// The level that holds scalars.
    leaf: Option<usize>,
}

#[derive(Debug, Default)]
struct Level {
    count: usize,
    size: Option<usize>,
}

/// A list that is not like those before it.
#[derive(Clone, Copy, Debug)]
struct Irregular {
    at: usize,
    depth: usize,
    /// Its elements; `None` where lists and scalars stand side by side.
    count: Option<usize>,
}

impl Nesting {
    /// The shape, outermost first; a bare scalar has none.
    ///
    /// # Errors
    /// The offset of the first list or scalar that has another length or depth than those before it.
    pub fn shape(&self) -> Result<Vec<usize>, usize> {
        match self.irregular {
            Some(irregular) => Err(irregular.at),
            None => Ok(self.sizes().collect()),
        }
    }

    /// Whether lists in lists are nested as `shape` says. A flat list and a bare scalar fit any shape of as many elements.
    ///
    /// # Errors
    /// Names the dimension, what was found and what was expected.
    pub fn check(&self, shape: &[usize]) -> Result<(), String> {
        if self.levels.len() < 2 {
            return Ok(());
        }
        let differs = |dimension: usize, found: usize, place: &str| {
            Err(format!("dimension {dimension} of data is {found}{place}, expected {} by its shape {shape:?}", shape[dimension]))
        };
        // No list can stand within an empty one: [[], []] is of shape [2, 0], and of [2, 0, 3].
        let stops = shape.iter().position(|size| *size == 0).map_or(shape.len(), |empty| empty + 1);
        let depth = self.levels.len();
        if depth != shape.len() && depth != stops {
            return Err(format!(
                "data nests {depth} lists deep, expected one flat list, or {} deep by its shape {shape:?}",
                shape.len()
            ));
        }
        if let Some((dimension, (found, _))) = self.sizes().zip(shape).enumerate().find(|(_, (found, want))| found != *want) {
            return differs(dimension, found, "");
        }
        match self.irregular {
            None => Ok(()),
            Some(Irregular { at, depth, count: Some(count) }) => {
                differs(depth, count, &format!(" in the list that ends at byte {at}"))
            }
            Some(Irregular { at, depth, count: None }) => Err(format!(
                "byte {at}: dimension {depth} of data holds both lists and single values, expected its shape {shape:?}"
            )),
        }
    }

    fn sizes(&self) -> impl Iterator<Item = usize> {
        self.levels.iter().map(|level| level.size.unwrap_or(0))
    }

    #[cold]
    fn breaks(&mut self, at: usize, depth: usize, count: Option<usize>) {
        self.irregular.get_or_insert(Irregular { at, depth, count });
    }

    /// A list opens at `depth`, counted from 0.
    pub(super) fn open(&mut self, depth: usize, at: usize) {
        if self.levels.len() == depth {
            self.levels.push(Level::default());
        }
        self.levels[depth].count = 0;
        if let Some(leaf) = self.leaf.filter(|leaf| depth > *leaf) {
            self.breaks(at, leaf, None);
        }
    }

    /// `count` scalars stand in the list at `depth`, the first of them at `at`.
    pub(super) fn scalars(&mut self, depth: usize, count: usize, at: usize) {
        self.levels[depth].count += count;
        if *self.leaf.get_or_insert(depth) != depth || self.levels.len() > depth + 1 {
            self.breaks(at, depth, None);
        }
    }

    /// The list at `depth` closes at `at`.
    pub(super) fn close(&mut self, depth: usize, at: usize) {
        let level = &mut self.levels[depth];
        let count = level.count;
        if *level.size.get_or_insert(count) != count {
            self.breaks(at, depth, Some(count));
        }
        if depth > 0 {
            self.levels[depth - 1].count += 1;
        }
    }
}
