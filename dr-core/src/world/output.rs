//! What commands say.

/// What a command said.
///
/// ```
/// use dr_core::world::Output;
/// let output = Output { status: Some(0), stdout: b"ok\n".to_vec(), stderr: vec![] };
/// assert_eq!(output.status, Some(0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; none if a signal ended it.
    pub status: Option<u32>,
    /// Standard output, cut at 1 MiB.
    pub stdout: Vec<u8>,
    /// Standard error, cut at 64 KiB.
    pub stderr: Vec<u8>,
}
