//! `cargo xtask demo`: the silent crash, told in one command. Provokes its deaths with real processes and shows what
//! Kubernetes would have reported of each beside what the tracer says. It knows the tracer's command line, no rule.

mod kubelet;
mod place;
mod story;

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use ::tests::{End, Stage};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::chores::build_ebpf;
use crate::means::packages::Package;
use crate::means::page::{GAP, Ink, Page};
use crate::means::{setup, workspace};
use place::Place;
use story::{CHAPTERS, Chapter, WHOLE};

#[derive(Debug, Args)]
pub struct Options {
    /// No colours, as with NO_COLOR set; a page that is no terminal has none anyway
    #[arg(long)]
    no_color: bool,
}

/// What one death came to.
struct Told {
    chapter: &'static Chapter,
    kubernetes: String,
    logs: String,
    cause: String,
    summary: String,
}

pub fn run(options: Options) -> Result<()> {
    ensure!(
        setup::is_privileged(),
        "the demo needs root, since it makes containers and loads eBPF programs into the kernel: \
         sudo env \"PATH=$PATH\" cargo xtask demo"
    );
    let place = set_up()?;
    build_ebpf::run(build_ebpf::Options::default())?;
    let tracer = workspace::build_release("tracer")?;
    let page = Page::new(options.no_color);
    match tell(&page, &tracer, place) {
        // Whoever reads has read enough.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

/// Installs what the deaths need; without runc they die in plain cgroups.
fn set_up() -> Result<Place> {
    let (runtime, rest): (Vec<Package>, Vec<Package>) = setup::TESTS
        .iter()
        .filter(|package| ["runc", "busybox-static", "gcc", "libc6-dev"].contains(&package.name))
        .partition(|package| package.name == "runc");
    eprintln!("xtask: setting up");
    setup::ensure(&rest)?;
    match setup::ensure(&runtime) {
        Ok(()) => Ok(Place::Container),
        Err(error) => {
            eprintln!("xtask: no containers, plain cgroups instead: {error:#}");
            Ok(Place::Cgroup)
        }
    }
}

fn tell(page: &Page, tracer: &Path, place: Place) -> Result<()> {
    let started = Instant::now();
    page.line("")?;
    page.paragraph(0, Ink::Plain, &format!("{} {}", story::OPENING, place.introduction()))?;
    let (mut told, mut wrong) = (Vec::new(), Vec::new());
    for chapter in CHAPTERS {
        page.line("")?;
        page.paragraph(0, Ink::Strong, &format!("{}. {}", chapter.number, chapter.seen))?;
        page.paragraph(3, Ink::Aside, chapter.provoked)?;
        match die(chapter, tracer, place) {
            Ok(death) => {
                page.paragraph(3, Ink::Cause, &death.cause)?;
                page.paragraph(3, Ink::Plain, &death.summary)?;
                if !death.cause.starts_with(chapter.cause(place)) {
                    wrong.push(format!("{}: expected {}", chapter.number, chapter.cause(place)));
                }
                told.push(death);
            }
            Err(error) => {
                page.paragraph(3, Ink::Plain, &format!("could not be provoked: {error:#}"))?;
                wrong.push(format!("{}: not provoked", chapter.number));
            }
        }
    }
    table(page, &told)?;
    whole_timeline(page, tracer)?;
    page.line("")?;
    let took = format!("{} deaths told in {:.0?}.", told.len(), started.elapsed());
    let here = workspace::root();
    let tracer = tracer.strip_prefix(&here).unwrap_or(tracer).display();
    page.paragraph(0, Ink::Plain, &format!("{took} Now yours: {tracer} exec -- COMMAND"))?;
    ensure!(wrong.is_empty(), "the story came out differently: {}", wrong.join("; "));
    Ok(())
}

/// Provokes one death under the tracer.
fn die(chapter: &'static Chapter, tracer: &Path, place: Place) -> Result<Told> {
    let stage = Stage::new()?;
    let act = chapter.scene(&stage, place)?;
    let file = stage.path("verdict.json");
    let tracer = tracer.to_string_lossy();
    let words = ["exec", "--keep-running", "-o", "json", "--output-file", file.as_str(), "--"];
    let ran = act.run(&[&[&*tracer][..], &words].concat())?;
    let said = [ran.stdout.as_slice(), &ran.stderr].concat();
    let End::Code(code) = ran.end else { bail!("the tracer ended with {:?}", ran.end) };
    let text = fs::read(&file)
        .with_context(|| format!("no verdict: {}", String::from_utf8_lossy(&said)))?;
    let object: Value = serde_json::from_slice(&text).context("the verdict is no JSON")?;
    let text = |key: &str| object["crash"][key].as_str().unwrap_or_default().to_owned();
    Ok(Told {
        chapter,
        kubernetes: kubelet::status(code, &object["timeline"]),
        logs: kubelet::logs(&said),
        cause: format!("{} ({})", text("cause"), text("confidence")),
        summary: text("summary"),
    })
}

fn table(page: &Page, told: &[Told]) -> Result<()> {
    let mut rows = vec![
        ["DEATH", "KUBERNETES SAYS", "KUBECTL LOGS", "THE TRACER SAYS"]
            .map(|title| vec![(Ink::Strong, title.to_owned())]),
    ];
    rows.extend(told.iter().map(|death| {
        let chapter = death.chapter;
        [
            vec![(Ink::Plain, format!("{}. {}", chapter.number, chapter.seen))],
            vec![(Ink::Plain, death.kubernetes.clone())],
            vec![(Ink::Plain, death.logs.clone())],
            vec![(Ink::Cause, death.cause.clone()), (Ink::Plain, death.summary.clone())],
        ]
    }));
    page.line("")?;
    Ok(page.table(&rows, &widths(page.width()))?)
}

/// The last column gets what the others leave.
fn widths(page: usize) -> [usize; 4] {
    let (death, kubernetes, logs) = (page / 5, 15, page / 5);
    [death, kubernetes, logs, page - death - kubernetes - logs - GAP * 3]
}

/// One death once more, as the tracer's own command prints it; not in a container, since its runtime would be told of
/// at length.
fn whole_timeline(page: &Page, tracer: &Path) -> Result<()> {
    let chapter = CHAPTERS.iter().find(|chapter| chapter.number == WHOLE);
    let chapter = chapter.context("the story has no such chapter")?;
    page.line("")?;
    let words = format!("Death {WHOLE} once more, without a container: tracer exec -- gateway");
    page.paragraph(0, Ink::Strong, &words)?;
    page.line("")?;
    let stage = Stage::new()?;
    let act = chapter.scene(&stage, Place::Cgroup)?;
    let mut command = Command::new(tracer);
    command
        .args(["exec", "--keep-running", "--"])
        .args(&act.argv)
        .envs(act.env)
        .stdin(Stdio::null());
    // The tracer prints to stderr: on this page that is where everything else went.
    command.stdout(Stdio::null()).stderr(io::stdout().as_fd().try_clone_to_owned()?);
    // cargo's own: it would show this checkout's folders to the dynamic loader, and so to the recorder.
    command.env_remove("LD_LIBRARY_PATH");
    if !page.is_coloured() {
        command.env("NO_COLOR", "1");
    }
    io::stdout().flush()?;
    let status = command.status().context("cannot run the tracer")?;
    ensure!(status.code() != Some(125), "the tracer failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fill_the_page() {
        for page in [72, 100, 120] {
            assert_eq!(widths(page).iter().sum::<usize>() + GAP * 3, page);
        }
    }
}
