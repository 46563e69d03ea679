//! The binary: everything is in the library.

fn main() -> std::process::ExitCode {
    penstock::cli::main()
}
