//! The binary as its users run it: real processes, real sockets, real disks.

mod kill;
