//! The kernel of Handcar.

pub mod budget;
pub mod park;
