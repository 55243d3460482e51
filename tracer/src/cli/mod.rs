//! The command line: its definition, from which completions and man pages are made, and where each command goes.

mod completion;
pub mod log;
pub mod terminal;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, FromArgMatches as _, Parser, Subcommand};

use self::terminal::print;
use crate::{
    capture::kernel,
    config,
    diagnose::verdict::Policy,
    doctor,
    exec::{self, Format, Job},
    node::{agent, api},
    query,
    render::Detail,
};

/// Says why a container died when `kubectl logs` is empty.
#[derive(Debug, Parser)]
#[command(name = "tracer", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch this node's pods, remember what happens to them, and say why they die
    #[command(after_help = RUN_HELP)]
    Run(Box<config::Options>),
    /// Remove what a stopped agent left in the kernel
    Unload(Box<config::Options>),
    /// Run one command under the recorder; afterwards print its timeline and verdict
    #[command(after_help = EXEC_HELP)]
    Exec(Exec),
    #[command(flatten)]
    Query(Box<query::Verb>),
    /// Say what this kernel and these permissions allow, and how to mend what is missing
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Doctor),
}

const RUN_HELP: &str = "\
Prints JSON lines to stdout: events of the selected containers, and a crash object for each death.
Every setting can be a flag (--store-max-age), a variable (TRACER_STORE_MAX_AGE) or a key of the
file (store_max_age). SIGHUP reads the selection anew, SIGTERM ends it.

Example: tracer run --select 'shop:app=cart'";

const EXEC_HELP: &str = "\
Ends with the command's own status (128+n for signal n), 125 for a failure of its own, 126 for a
command that could not be run and 127 for one that was not found.

A command that ends with 0 did not crash, and one line says so; with --keep-running it did.

With `-o json` on stdout the command's own stdout goes to stderr; with --output-file all its
streams are left alone.

Example: tracer exec -- nginx -g 'daemon off;'";

const DOCTOR_HELP: &str = "\
Ends with 0 if all that is required works, 1 if something required is missing, 2 for a failure of
its own.";

#[derive(Debug, clap::Args)]
struct Doctor {
    /// How to print the checks
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Where an agent that runs here listens
    #[arg(long, value_name = "PATH", default_value = api::SOCKET)]
    socket: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Exec {
    /// How to print timeline and verdict
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Print timeline and verdict into this file (text otherwise goes to stderr, json to stdout)
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Do not keep the last bytes that the command writes to stdout and stderr
    #[arg(long)]
    no_output_capture: bool,
    /// Print every entry of the timeline, in full: without folding searches and shortening long lines
    #[arg(long)]
    all_entries: bool,
    /// The command is a server that should not end: tell of its end with status 0 as well
    #[arg(long)]
    keep_running: bool,
    /// Keep raw records and facts in this folder, for the crash corpus
    #[arg(long, value_name = "FOLDER", hide = true)]
    record: Option<PathBuf>,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

/// What the client of the Kubernetes API logs is in the errors, too.
const QUIET: &str = "warn,kube_client=off,rustls_platform_verifier=off";

/// The definition of the command line.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments of this process and does what they say; returns the exit code.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next();
    if std::env::args_os().nth(1).is_some_and(|first| first == exec::ENTER) {
        return exec::enter(arguments.skip(1));
    }
    if completion::is_asked() {
        let _ = print(&completion::candidates(command(), arguments));
        return ExitCode::SUCCESS;
    }
    kernel::heap::keep_little();
    let command = Cli::command().bin_name(query::own_name());
    let cli = command.get_matches_from(program.into_iter().chain(arguments));
    let cli = Cli::from_arg_matches(&cli).unwrap_or_else(|error| error.exit());
    // The agent says by its settings what it logs.
    if !matches!(cli.command, Command::Run(_)) {
        log::start(&std::env::var("RUST_LOG").unwrap_or_else(|_| QUIET.to_owned()));
    }
    let (done, failed) = match cli.command {
        Command::Run(options) => (agent::run(&options), agent::OWN_FAILURE),
        Command::Unload(options) => (agent::unload(&options), agent::OWN_FAILURE),
        Command::Exec(options) => (exec::run(&job(options)), exec::OWN_FAILURE),
        Command::Query(verb) => (verb.run(), query::FAILURE),
        Command::Doctor(options) => {
            (doctor::run(options.output, &options.socket), doctor::OWN_FAILURE)
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            query::tell(&format!("{error:#}"));
            ExitCode::from(failed)
        }
    }
}

fn job(options: Exec) -> Job {
    Job {
        command: options.command,
        format: options.output,
        output_file: options.output_file,
        capture_output: !options.no_output_capture,
        detail: if options.all_entries { Detail::All } else { Detail::Folded },
        terms: if options.keep_running { Policy::Always } else { Policy::OnFailure }.into(),
        record: options.record,
    }
}
