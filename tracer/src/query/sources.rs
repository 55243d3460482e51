//! All who are asked: one of this machine, or the agents of a cluster. Whoever does not answer is left out from then
//! on, and named at the end. It must not know what is asked.

use std::{collections::BTreeMap, io::ErrorKind, path::Path};

use anyhow::{anyhow, bail};
use futures_util::{StreamExt as _, stream};
use tokio::net::UnixStream;

use super::{
    From, STORE, as_plugin, cluster,
    progress::Progress,
    source::{Refused, Source},
};
use crate::node::{api, kubernetes};

/// Nodes that are asked at once.
const AT_ONCE: usize = 32;
const NOBODY: &str = "no node answers";

pub struct Sources {
    asked: Vec<Asked>,
}

struct Asked {
    /// `None` on this machine.
    node: Option<String>,
    state: State,
}

enum State {
    Answers(Source),
    /// Does not, for this reason.
    Silent(String),
    /// Does not, and the reason was told.
    Named,
}

impl Sources {
    /// # Errors
    /// There is nobody to ask where one is looked for.
    pub async fn find(from: &From) -> anyhow::Result<Self> {
        if let Some(store) = &from.store {
            return Ok(Self::one(Source::of_store(store)));
        }
        if let Some(socket) = &from.socket {
            return Ok(Self::one(Source::of_agent(socket)));
        }
        if from.cluster.is_named() || as_plugin() {
            if let Some(sources) = Self::of_cluster(from).await? {
                return Ok(sources);
            }
            if from.cluster.is_named() {
                bail!("no cluster is known: {}; name a file with --kubeconfig", no_kubeconfig());
            }
        }
        let (socket, store) = (Path::new(api::SOCKET), Path::new(STORE));
        let error = match UnixStream::connect(socket).await {
            Ok(_) => return Ok(Self::one(Source::of_agent(socket))),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!(
                "the agent's socket {} is for root: try sudo, or ask the cluster with --node or --context",
                socket.display()
            ),
            Err(error) => error,
        };
        if store.exists() {
            return Ok(Self::one(Source::of_store(store)));
        }
        if let Some(sources) = Self::of_cluster(from).await? {
            return Ok(sources);
        }
        bail!(
            "nobody to ask: no agent here ({}: {error}), no store at {}, {}; name one with --socket, --store or --kubeconfig",
            socket.display(),
            store.display(),
            no_kubeconfig()
        )
    }

    fn one(source: Source) -> Self {
        Self { asked: vec![Asked { node: None, state: State::Answers(source) }] }
    }

    /// `None` where there is no kubeconfig.
    async fn of_cluster(from: &From) -> anyhow::Result<Option<Self>> {
        let cluster = &from.cluster;
        let (file, context) = (cluster.kubeconfig.as_deref(), cluster.context.as_deref());
        let patience = cluster.request_timeout.0;
        let Some((client, server)) = kubernetes::of_person(file, context, patience).await? else {
            return Ok(None);
        };
        let nodes = cluster::nodes(&client, &server, cluster).await?.into_iter();
        let asked = nodes.map(|(node, source)| Asked {
            node: Some(node),
            state: match source {
                Ok(source) => State::Answers(source),
                Err(why) => State::Silent(why),
            },
        });
        Ok(Some(Self { asked: asked.collect() }))
    }

    /// True where answers can come from several nodes.
    pub fn are_several(&self) -> bool {
        self.asked.len() > 1
    }

    /// Which still answer.
    pub fn answering(&self) -> Vec<usize> {
        let answers = |(_, asked): &(usize, &Asked)| matches!(asked.state, State::Answers(_));
        self.asked.iter().enumerate().filter(answers).map(|(index, _)| index).collect()
    }

    pub fn node(&self, index: usize) -> Option<&str> {
        self.asked[index].node.as_deref()
    }

    /// True where events can be followed as they happen.
    pub fn are_live(&self) -> bool {
        self.asked.iter().all(|asked| match &asked.state {
            State::Answers(source) => source.is_live(),
            State::Silent(_) | State::Named => true,
        })
    }

    /// Asks all that still answer, at once. At least one answer is returned.
    ///
    /// # Errors
    /// Nobody answers, or all refuse for the same reason.
    pub async fn all<T>(
        &mut self,
        ask: impl AsyncFn(usize, &mut Source) -> anyhow::Result<T>,
    ) -> anyhow::Result<Vec<(usize, T)>> {
        let (told, failed) = self.ask(&self.answering(), ask).await;
        if told.is_empty() && agree(&failed) {
            let refusal = failed.into_iter().next();
            return Err(refusal.map_or_else(|| anyhow!(NOBODY), |(_, error)| error));
        }
        for (index, error) in failed {
            self.be_silent(index, error)?;
        }
        if told.is_empty() {
            bail!(NOBODY);
        }
        Ok(told)
    }

    /// Asks those of `these` that still answer, at once. No answer is returned where none of them does.
    ///
    /// # Errors
    /// That of the only one.
    pub async fn some<T>(
        &mut self,
        these: &[usize],
        ask: impl AsyncFn(usize, &mut Source) -> anyhow::Result<T>,
    ) -> anyhow::Result<Vec<(usize, T)>> {
        let (told, failed) = self.ask(these, ask).await;
        for (index, error) in failed {
            self.be_silent(index, error)?;
        }
        Ok(told)
    }

    async fn ask<T>(
        &mut self,
        these: &[usize],
        ask: impl AsyncFn(usize, &mut Source) -> anyhow::Result<T>,
    ) -> (Vec<(usize, T)>, Vec<(usize, anyhow::Error)>) {
        let sources =
            self.asked.iter_mut().enumerate().filter_map(|(index, asked)| match &mut asked.state {
                State::Answers(source) if these.contains(&index) => Some((index, source)),
                State::Answers(_) | State::Silent(_) | State::Named => None,
            });
        let ask = &ask;
        let question = async |(index, source)| (index, ask(index, source).await);
        let questions: Vec<_> = sources.map(question).collect();
        let mut progress = Progress::new(questions.len());
        let mut answers = stream::iter(questions).buffer_unordered(AT_ONCE);
        let (mut told, mut failed) = (Vec::new(), Vec::new());
        while let Some((index, answer)) = progress.show_until(answers.next()).await {
            match answer {
                Ok(answer) => told.push((index, answer)),
                Err(error) => failed.push((index, error)),
            }
        }
        told.sort_unstable_by_key(|(index, _)| *index);
        failed.sort_unstable_by_key(|(index, _)| *index);
        (told, failed)
    }

    /// Leaves one out that did not answer.
    ///
    /// # Errors
    /// That of the only one.
    pub fn be_silent(&mut self, index: usize, error: anyhow::Error) -> anyhow::Result<()> {
        let asked = &mut self.asked[index];
        if asked.node.is_none() {
            return Err(error);
        }
        asked.state = State::Silent(format!("{error:#}"));
        Ok(())
    }

    /// Who did not answer and why, a line each reason; each is told once.
    pub fn tell_silent(&mut self) -> Vec<String> {
        let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for asked in &mut self.asked {
            if let (Some(node), State::Silent(why)) = (&asked.node, &mut asked.state) {
                reasons.entry(std::mem::take(why)).or_default().push(node);
                asked.state = State::Named;
            }
        }
        let line = |(why, nodes): (String, Vec<&str>)| {
            format!("no answer from {}: {why}", nodes.join(", "))
        };
        reasons.into_iter().map(line).collect()
    }

    /// False where somebody did not answer.
    pub fn is_whole(&self) -> bool {
        self.asked.iter().all(|asked| match asked.state {
            State::Answers(_) => true,
            State::Silent(_) | State::Named => false,
        })
    }
}

/// True where all failed alike: a question that is wrong for each, or one of this machine.
fn agree(failed: &[(usize, anyhow::Error)]) -> bool {
    let refusal =
        |(_, error): &(usize, anyhow::Error)| error.is::<Refused>().then(|| error.to_string());
    let mut refusals = failed.iter().map(refusal);
    let first = refusals.next();
    matches!(&first, Some(Some(_))) && refusals.all(|other| Some(other) == first)
}

fn no_kubeconfig() -> String {
    let files: Vec<String> =
        kubernetes::usual_files().iter().map(|file| file.display().to_string()).collect();
    match files.as_slice() {
        [] => "no kubeconfig (KUBECONFIG and HOME are not set)".to_owned(),
        files => format!("no kubeconfig at {}", files.join(", ")),
    }
}
