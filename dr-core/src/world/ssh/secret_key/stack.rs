//! What a computation with a secret leaves behind on the stack.

/// Runs the work and then overwrites the stack below this frame: values that were moved leave copies there, and no `Drop` sees
/// those. What the work gives must not hold the secret itself, only point to it.
#[inline(never)]
pub(in crate::world::ssh) fn leaving_no_trace<T>(work: impl FnOnce() -> T) -> T {
    let result = below(work);
    overwrite();
    result
}

#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// More than the deepest of them uses: elliptic curves without optimisation come to some 60 KiB.
#[inline(never)]
fn overwrite() {
    let mut waste = [0_u8; 256 * 1024];
    std::hint::black_box(&mut waste);
}
