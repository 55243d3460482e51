//! The binary `tracer`: everything is in the library.

fn main() -> std::process::ExitCode {
    tracer::cli::main()
}
