//! Where the world stands with respect to a step.

/// What reading the world says about a step.
///
/// ```
/// use dr_core::run::StepState;
/// assert_ne!(StepState::From, StepState::To);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    /// The world is as it was before: the step can be done.
    From,
    /// The world is as the step wants it.
    To,
    /// Part of a step with many parts is done, and every part is either old or new: the step can be done or taken back.
    Partial,
    /// The world is neither: somebody else changed it. What was seen, in words.
    Other(String),
}
