//! Where elements lie among each other, in row-major order.

/// How far apart neighbours along each axis lie.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; dims.len()];
    for at in (1..dims.len()).rev() {
        strides[at - 1] = strides[at] * dims[at];
    }
    strides
}

/// For the first `all` elements of these dimensions a place each: the sum of what every axis makes of the element's index along it.
pub(super) fn places(dims: &[usize], all: usize, along: impl Fn(usize, usize) -> usize) -> impl Iterator<Item = usize> {
    (0..all).map(move |at| {
        let (mut rest, mut place) = (at, 0);
        for axis in (0..dims.len()).rev() {
            place += along(axis, rest % dims[axis]);
            rest /= dims[axis];
        }
        place
    })
}

/// The elements that there would be if no dimension were 0; `None` where that cannot be counted. Beside a 0 the other dimensions could be any
/// number, and there is work for each of their places.
pub(super) fn room(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1_usize, |all, dim| all.checked_mul((*dim).max(1)))
}
