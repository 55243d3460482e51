//! `tracer timeline` and `tracer explain`: one death, on whichever node it was. They must not decide anything.

use anyhow::{Context as _, bail};

use super::{
    Found, From, TextOrJson,
    merge::{self, Fit, Place, Timed as _, When},
    source::{Answer, Source},
    sources::Sources,
    url::Url,
};
use crate::{
    cli::terminal::{print, style},
    contract::{Candidate, ListedCrash, Names, Shown, ShownExplanation, question},
    node::store::Selector,
    render::{Style, explain::explanation_text},
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
    fn question(&self) -> question::Death {
        question::Death {
            pod: self.name.clone(),
            namespace: self.namespace.clone(),
            container: self.container.clone(),
            ..question::Death::default()
        }
    }

    /// What the node with this death answers; `Err` inside where there is none: why.
    async fn ask(
        &self,
        sources: &mut Sources,
        path: &str,
        asked: question::Death,
        accept: &str,
    ) -> anyhow::Result<Result<String, String>> {
        let (node, previous) = match sources.answering().as_slice() {
            [only] => (*only, self.previous),
            _ => match self.find(sources).await? {
                Ok((node, previous)) => (node, Some(previous)),
                Err(why) => return Ok(Err(why)),
            },
        };
        let url = Url::with(path, &question::Death { previous, ..asked })?;
        let answers =
            sources.some(&[node], async |_, source| source.get(&url, accept).await).await?;
        let answer = answers.into_iter().next().map(|(_, answer)| answer);
        match answer.context("no node answers")? {
            Answer::Found(answer) => Ok(Ok(answer.text().await?)),
            Answer::Nothing(why) => Ok(Err(why)),
            Answer::Several { message, .. } => bail!(message),
        }
    }

    /// The node that has the death, and how many newer ones of the pod it has; `Err` inside where none has it: why.
    async fn find(&self, sources: &mut Sources) -> anyhow::Result<Result<(usize, usize), String>> {
        let url = Url::with(question::EXPLAIN, &self.question())?;
        let answers = sources.all(async |_, source| fits(source, &url).await).await?;
        let (mut all, mut none) = (Vec::new(), None);
        for (node, answer) in answers {
            match answer {
                Ok(fits) => {
                    let fit = |(what, time)| Fit { node, what, time };
                    all.extend(fits.into_iter().map(fit));
                }
                Err(why) => none = Some(why),
            }
        }
        let (namespace, container) = (self.namespace.clone(), self.container.clone());
        let selector = Selector::parse(&self.name, namespace, container, 0);
        let pods: Vec<(usize, Candidate)> =
            all.iter().map(|fit| (fit.node, fit.what.clone())).collect();
        let nodes = match merge::place(&self.name, matches!(selector, Selector::Id(_)), all) {
            Place::At(nodes) => nodes,
            Place::Nowhere => return Ok(Err(none.unwrap_or_default())),
            Place::Several(several) => {
                let line = |(what, nodes): &(Candidate, Vec<usize>)| {
                    let nodes: Vec<&str> =
                        nodes.iter().filter_map(|node| sources.node(*node)).collect();
                    format!("\n  {what} on {}", nodes.join(", "))
                };
                let lines: String = several.iter().map(line).collect();
                bail!("{} fits several, name one of them:{lines}", self.name);
            }
        };
        let previous = self.previous.unwrap_or(0);
        let [newest, _, ..] = nodes.as_slice() else { return Ok(Ok((nodes[0], previous))) };
        let pod = pods.into_iter().find(|(node, _)| node == newest).map(|(_, what)| what);
        if previous == 0 {
            return Ok(Ok((*newest, 0)));
        }
        let asked = question::Crashes {
            namespace: pod.as_ref().and_then(|pod| pod.namespace.clone()),
            pod: pod.and_then(|pod| pod.pod),
            container: self.container.clone(),
            all: true,
            limit: Some(previous + 1),
            ..question::Crashes::default()
        };
        let url = Url::with(question::CRASHES, &asked)?;
        let times = sources.some(&nodes, async |_, source| times(source, &url).await).await?;
        // Too many: the newest node says so.
        Ok(Ok(merge::previous(&times, previous).unwrap_or((*newest, previous))))
    }
}

/// What a node has under a name, with its time where it is one; `Err` inside where nothing: why.
type Fits = Result<Vec<(Candidate, Option<String>)>, String>;

async fn fits(source: &mut Source, url: &Url) -> anyhow::Result<Fits> {
    Ok(match source.get(url, "application/json").await? {
        Answer::Found(answer) => {
            let object: Shown<ListedCrash> = serde_json::from_str(&answer.text().await?)?;
            let Names { namespace, pod, .. } = object.names();
            let what = Candidate {
                namespace: namespace.map(str::to_owned),
                pod: pod.map(str::to_owned),
                crash_id: Some(object.crash.id.clone()),
            };
            Ok(vec![(what, Some(object.crash.time))])
        }
        Answer::Several { candidates, .. } => {
            Ok(candidates.into_iter().map(|what| (what, None)).collect())
        }
        Answer::Nothing(why) => Err(why),
    })
}

/// Of the crashes that are listed.
async fn times(source: &mut Source, url: &Url) -> anyhow::Result<Vec<String>> {
    let lines = match source.get(url, "application/jsonl").await? {
        Answer::Found(answer) => answer.text().await?,
        Answer::Nothing(why) | Answer::Several { message: why, .. } => bail!(why),
    };
    let time = |line| Ok(serde_json::from_str::<When>(line)?.time().to_owned());
    lines.lines().map(time).collect()
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
    let death = &options.death;
    super::run(&death.from, async |sources| {
        let coloured = options.output == Format::Text && style() == Style::Coloured;
        let asked = question::Death { color: coloured, ..death.question() };
        let accept = match options.output {
            Format::Text => "text/plain",
            Format::Json => "application/json",
            Format::Html => "text/html",
        };
        match death.ask(sources, question::TIMELINE, asked, accept).await? {
            Ok(answer) => {
                let _ = print(&with_newline(answer))?;
                Ok(Found::Something)
            }
            Err(why) => Ok(Found::Nothing(why)),
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
    let death = &options.death;
    super::run(&death.from, async |sources| {
        let document = match death
            .ask(sources, question::EXPLAIN, death.question(), "application/json")
            .await?
        {
            Ok(answer) => answer,
            Err(why) => return Ok(Found::Nothing(why)),
        };
        let told = match options.output {
            TextOrJson::Json => with_newline(document),
            TextOrJson::Text => {
                let explanation: ShownExplanation = serde_json::from_str(&document)?;
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
