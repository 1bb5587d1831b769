//! What the measurements are made with; RESULTS.md holds the figures.

pub mod dice;
