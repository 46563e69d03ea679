//! The binary as its users run it: real processes, real sockets, real disks.

mod disk;
mod faults;
mod kill;
mod lifecycle;
mod quickstart;
mod sources;
