//! Takes events from the bus, decides who gets them, and delivers.

pub mod condition;
pub mod filter;
pub mod matching;
