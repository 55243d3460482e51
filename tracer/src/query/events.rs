//! `tracer events`: what is stored, or what happens. It must not decide anything.

use super::{From, TextOrJson, live, printer::Printer, stored};
use crate::contract::question;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Print what happens from now on, until interrupted
    #[arg(short, long, conflicts_with_all = ["since", "until", "limit"])]
    follow: bool,
    /// Of this namespace only
    #[arg(short, long)]
    namespace: Option<String>,
    /// Of pods with these labels, as kubectl takes them: app=cart,tier!=test
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Of this pod only
    #[arg(long)]
    pod: Option<String>,
    /// Of these kinds only, several with commas (docs/events.md)
    #[arg(long)]
    kind: Option<String>,
    /// Of this time or later: 10m, 2h or 1d ago, or RFC 3339, `2026-01-31 10:00`, `10:00` (UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The first of them
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How to print them: one line each
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text)]
    output: TextOrJson,
    #[command(flatten)]
    from: From,
}

/// Prints events in the order in which they arrived; returns the exit code.
///
/// # Errors
/// Nobody answers, what is asked is refused, or a live stream ended.
pub fn run(options: &Options) -> anyhow::Result<u8> {
    let (asked, printer) = (options.question(), Printer(options.output));
    super::run(&options.from, async |sources| match options.follow {
        true if sources.are_live() => live::follow(&asked, printer, sources).await,
        true => stored::follow(&asked, printer, sources).await,
        false => stored::all(&asked, options.limit, printer, sources).await,
    })
}

impl Options {
    fn question(&self) -> question::Events {
        question::Events {
            namespace: self.namespace.clone(),
            label: self.selector.clone(),
            pod: self.pod.clone(),
            kind: self.kind.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            ..question::Events::default()
        }
    }
}
