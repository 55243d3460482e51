//! `tracer timeline` and `tracer explain`: one death. They must not decide anything.

use super::{
    Found, From, TextOrJson,
    source::{Answer, Source, text},
    url::Url,
};
use crate::{
    render::{
        Style,
        explain::{Explanation, explanation_text},
    },
    terminal::{print, style},
};

/// Which death.
#[derive(Debug, clap::Args)]
struct Death {
    /// A pod's name or the beginning of one, or the id of a crash
    #[arg(value_name = "POD|CRASH")]
    name: String,
    /// Of a pod of this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    /// Of this container of the pod
    #[arg(short, long)]
    container: Option<String>,
    /// Not the newest death, but the one so many before it
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    previous: Option<usize>,
    #[command(flatten)]
    from: From,
}

impl Death {
    fn url(&self, path: &str) -> Url {
        Url::new(path)
            .with("pod", Some(&self.name))
            .with("namespace", self.namespace.as_deref())
            .with("container", self.container.as_deref())
            .with("previous", self.previous)
    }
}

#[derive(Debug, clap::Args)]
pub struct Timeline {
    #[command(flatten)]
    death: Death,
    /// How to print it: html is one page that needs nothing else
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Html,
}

/// Prints timeline and verdict of a death; returns the exit code.
///
/// # Errors
/// Nobody answers, or the name fits several.
pub fn timeline(options: &Timeline) -> anyhow::Result<u8> {
    super::run(async {
        let coloured = options.output == Format::Text && style() == Style::Coloured;
        let url = options.death.url("/v1/timeline").with("color", coloured.then_some(true));
        let accept = match options.output {
            Format::Text => "text/plain",
            Format::Json => "application/json",
            Format::Html => "text/html",
        };
        let mut source = Source::find(&options.death.from).await?;
        match source.get(&url, accept).await? {
            Answer::Found(answer) => {
                let _ = print(&with_newline(text(answer).await?))?;
                Ok(Found::Something)
            }
            Answer::Nothing(why) => Ok(Found::Nothing(why)),
        }
    })
}

#[derive(Debug, clap::Args)]
pub struct Explain {
    #[command(flatten)]
    death: Death,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text)]
    output: TextOrJson,
}

/// Prints the verdict of a death and what changed before it; returns the exit code.
///
/// # Errors
/// Nobody answers, or the name fits several.
pub fn explain(options: &Explain) -> anyhow::Result<u8> {
    super::run(async {
        let url = options.death.url("/v1/explain");
        let mut source = Source::find(&options.death.from).await?;
        let document = match source.get(&url, "application/json").await? {
            Answer::Found(answer) => text(answer).await?,
            Answer::Nothing(why) => return Ok(Found::Nothing(why)),
        };
        let told = match options.output {
            TextOrJson::Json => with_newline(document),
            TextOrJson::Text => {
                let explanation: Explanation = serde_json::from_str(&document)?;
                explanation_text(&explanation, style())
            }
        };
        let _ = print(&told)?;
        Ok(Found::Something)
    })
}

fn with_newline(text: String) -> String {
    if text.ends_with('\n') { text } else { text + "\n" }
}
