//! The command line: its definition, from which the completions and man pages are made, and the code that each command
//! starts.

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
};

use clap::{
    ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind as Wrong},
};

use crate::{client::cli, config, life};

/// A gateway of the macula mesh: realms, publish/subscribe and remote procedure calls over QUIC and TLS.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients until SIGTERM
    #[command(after_help = RUN_HELP)]
    Run(Box<config::Options>),
    /// Speak to a gateway as a client
    #[command(subcommand, after_help = CLIENT_HELP)]
    Client(Box<cli::Command>),
}

const RUN_HELP: &str = "\
RELEASE_COOKIE is the secret that all gateways share; it has no flag, since arguments can be read by
everybody on the machine. SIGHUP reads realms and permissions anew.

Ends with 0 after SIGTERM, 2 for settings, 3 for a certificate, 4 for a port that cannot be had,
5 for anything else, 101 for a bug.

Example: gateway run --self-signed --realm be.cortexiq.energy";

const CLIENT_HELP: &str = "\
Ends with 0, with 1 if the answer is bad: a call that failed, a ping or a message that did not come;
with 2 for a failure of its own or wrong usage. Output goes to stdout, all else to stderr.

Example: gateway client sub --insecure 'energy.#'";

/// The definition of the command line.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments of this process and does what they say; returns the exit code.
pub fn main() -> ExitCode {
    let parsed = command().try_get_matches().and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((matches, cli))
    });
    let (matches, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return report_usage(&error),
    };
    let (done, failed) = match cli.command {
        Command::Run(options) if options.print_config => {
            (print_config(*options, &matches), life::USAGE)
        }
        Command::Run(options) => return life::run(*options),
        Command::Client(command) => (client(*command), cli::FAILURE),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("gateway: {error:#}");
            ExitCode::from(failed)
        }
    }
}

/// Prints the settings as a file of variables has them.
fn print_config(options: config::Options, matches: &ArgMatches) -> anyhow::Result<u8> {
    options.settings()?.realms.read()?;
    let command = command();
    let run = command.find_subcommand("run").into_iter().flat_map(clap::Command::get_arguments);
    let mut lines = String::new();
    for argument in run {
        let values = matches.subcommand_matches("run").zip(argument.get_env());
        let Some((values, name)) = values else { continue };
        for value in values.get_raw(argument.get_id().as_str()).into_iter().flatten() {
            lines += &format!("{}={}\n", name.display(), value.display());
        }
    }
    // A reader that has gone away is no error.
    match std::io::stdout().write_all(lines.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(0),
    }
}

/// Prints the help, or what is wrong with the command line.
fn report_usage(error: &clap::Error) -> ExitCode {
    // There is nowhere to report that printing failed.
    let _ = error.print();
    let runs = std::env::args_os().nth(1).is_some_and(|word| word == "run");
    if !error.use_stderr() || !runs {
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(cli::FAILURE));
    }
    let text = error.to_string();
    let why = text.split("\n\n").next().unwrap_or_default();
    let why: Vec<_> = why.trim_start_matches("error: ").split_whitespace().collect();
    let set_by = variable(error).map(|name| format!("; set by the flag or by {name}"));
    life::wrong_usage(&format!("{}{}", why.join(" "), set_by.unwrap_or_default()))
}

/// The variable that may have set the wrong value: clap names the flag alone.
fn variable(error: &clap::Error) -> Option<String> {
    if !matches!(error.kind(), Wrong::InvalidValue | Wrong::ValueValidation) {
        return None;
    }
    let ContextValue::String(wrong) = error.get(ContextKind::InvalidArg)? else { return None };
    let command = command();
    let run = command.find_subcommand("run")?;
    let flag = wrong.strip_prefix("--")?.split(' ').next();
    let argument = run.get_arguments().find(|argument| argument.get_long() == flag)?;
    Some(argument.get_env()?.to_string_lossy().into_owned())
}

fn client(command: cli::Command) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(cli::run(command))
}
