//! The binary `gateway`. The library has all of its code.

fn main() -> std::process::ExitCode {
    gateway::cli::main()
}
