//! The whole path behind a real daprd: webhook component, intake, bus component, router, receiver.

mod chaos;
mod healing;
mod path;
mod plans;
mod rig;
mod room;
