//! The timeline of a page, with what its reader wants last folded away, and the last words. It must not know the verdict
//! but for what it cites.

use std::ops::Range;

use super::escaped;
use crate::{
    contract::{
        CrashObject, Entry, What,
        kinds::{Stream, Words},
    },
    render::text::{Detail, Paint, offset, paint, stream, what, who},
};

/// Fewer entries than this are not worth a fold.
const FOLDED_FROM: usize = 4;

/// What the blamed and the main process wrote last, as it was written.
pub(super) fn last_words(object: &CrashObject) -> String {
    let wanted = [&object.crash.process, &object.process];
    let entries = object.timeline.iter().flatten();
    let entries = entries.filter(|entry| wanted.iter().any(|process| process.is(&entry.process)));
    let words: String = entries.filter_map(|entry| Some(figure(entry, output(entry)?))).collect();
    if words.is_empty() { words } else { format!("<h2>Last words</h2>\n{words}") }
}

/// What a process wrote, but for what a runtime's init tells its runtime.
fn output(entry: &Entry) -> Option<(&str, &Words)> {
    let What::Words(words) = &entry.what else { return None };
    (words.stream != Stream::Init).then(|| (stream(&words.stream), words))
}

fn figure(entry: &Entry, (stream, words): (&str, &Words)) -> String {
    format!(
        "<figure><figcaption>{} of {}</figcaption><pre>{}</pre></figure>\n",
        escaped(stream),
        escaped(&who(entry)),
        escaped_lines(words.text.trim_end()),
    )
}

pub(super) fn timeline(object: &CrashObject) -> String {
    let Some(entries) = &object.timeline else { return String::new() };
    let evidence = object.crash.evidence.iter().flat_map(|evidence| &evidence.timeline);
    let cited: Vec<usize> = evidence.copied().collect();
    let lost = match object.lost {
        0 => String::new(),
        count => format!(
            "<p class=\"gap\">Gap: {count} records of this life were lost; entries may be missing.</p>\n"
        ),
    };
    let legend = match cited.is_empty() {
        true => "",
        false => "<p class=\"aside\">▶ is what the verdict rests on, • its other evidence.</p>\n",
    };
    let aside: Vec<Option<Aside>> = entries
        .iter()
        .enumerate()
        .map(|(at, entry)| Aside::of(entry).filter(|_| !cited.contains(&at)))
        .collect();
    let tables: String = parts(&aside)
        .into_iter()
        .map(|(range, folded)| {
            let rows = range.clone().map(|at| row(at, &entries[at], &cited));
            let table = table(&rows.collect::<String>());
            match folded {
                None => table,
                Some(aside) => format!(
                    "<details><summary>{}–{}: {} {}</summary>\n{table}</details>\n",
                    range.start,
                    range.end - 1,
                    range.len(),
                    aside.words(),
                ),
            }
        })
        .collect();
    format!("<h2>Timeline</h2>\n{lost}{legend}{tables}")
}

/// What is seldom wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aside {
    /// What the runtime does before the container's own program.
    Preparation,
    /// Processes that come, and go without an error.
    Workers,
}

impl Aside {
    fn of(entry: &Entry) -> Option<Self> {
        let prepares = entry.process.runtime_init;
        match &entry.what {
            What::Cgroup(_) => Some(Self::Preparation),
            What::Fork(_) | What::Call(_) | What::Words(_) | What::Exit(_) if prepares => {
                Some(Self::Preparation)
            }
            What::Fork(_) => Some(Self::Workers),
            What::Exit(exit) if exit.exit.code == Some(0) => Some(Self::Workers),
            What::Exec(_)
            | What::ExecFailed(_)
            | What::Found(_)
            | What::Exit(_)
            | What::Signal(_)
            | What::Threads(_)
            | What::Oom(_)
            | What::Bind(_)
            | What::Call(_)
            | What::CallsForgotten(_)
            | What::Words(_)
            | What::Lost(_)
            | What::Unknown(_) => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Preparation => "entries of the container runtime",
            Self::Workers => "processes forked, or ended with status 0",
        }
    }
}

/// Runs of entries that are folded, and those between them.
fn parts(aside: &[Option<Aside>]) -> Vec<(Range<usize>, Option<Aside>)> {
    let mut parts: Vec<(Range<usize>, Option<Aside>)> = Vec::new();
    for run in aside.chunk_by(|one, next| one == next) {
        let folded = run[0].filter(|_| run.len() >= FOLDED_FROM);
        match parts.last_mut() {
            Some((range, None)) if folded.is_none() => range.end += run.len(),
            last => {
                let start = last.map_or(0, |(range, _)| range.end);
                parts.push((start..start + run.len(), folded));
            }
        }
    }
    parts
}

/// Of the same widths as all others.
fn table(rows: &str) -> String {
    format!(
        "<table>\n<colgroup><col class=\"index\"><col class=\"offset\"><col class=\"process\"><col></colgroup>\n\
         <tbody>\n{rows}</tbody>\n</table>\n"
    )
}

fn row(index: usize, entry: &Entry, cited: &[usize]) -> String {
    let (class, mark) = match cited.first() {
        Some(first) if *first == index => ("fatal", "▶ "),
        _ if cited.contains(&index) => ("cited", "• "),
        _ => (class(paint(entry)), ""),
    };
    format!(
        "<tr id=\"entry-{index}\" class=\"{class}\"><td>{mark}{index}</td><td title=\"{}\">{}</td><td>{}</td><td>{}</td></tr>\n",
        escaped(&entry.time),
        escaped(&offset(entry.offset_ns)),
        escaped(&who(entry)),
        escaped_lines(&what(entry, Detail::All).join("\n")),
    )
}

/// By page.css.
fn class(paint: Paint) -> &'static str {
    match paint {
        Paint::Bad | Paint::Fatal => "bad",
        Paint::Words => "words",
        Paint::Gap => "gap",
        // Most failed calls are harmless.
        Paint::Plain | Paint::Aside | Paint::Failed => "",
    }
}

/// Line ends stay, each line is [`escaped`].
fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract::entry, render::samples};

    #[test]
    fn long_runs_are_folded_short_ones_and_what_is_between_are_not() {
        let (runtime, worker) = (Some(Aside::Preparation), Some(Aside::Workers));
        let mut aside = vec![runtime; 5];
        aside.extend([None, worker, runtime, None]);
        aside.extend([worker; 4]);
        assert_eq!(parts(&aside), [(0..5, runtime), (5..9, None), (9..13, worker)]);
        assert_eq!(parts(&[]), []);
    }

    #[test]
    fn the_first_program_and_a_runtime_that_fails_to_start_it_are_not_aside() {
        let (timeline, ..) = samples::every_kind();
        for mut event in timeline.entries {
            event.process.runtime_init = true;
            let entry = entry(&event, 0, 0);
            let is_aside = ["fork", "call", "words", "exit", "cgroup"].contains(&entry.what.kind());
            assert_eq!(Aside::of(&entry), is_aside.then_some(Aside::Preparation), "{entry:?}");
        }
    }

    #[test]
    fn each_line_of_output_is_escaped_and_stays_a_line() {
        assert_eq!(escaped_lines("a<b>\n\u{1b}[2J\tc"), "a&lt;b&gt;\n\\u{1b}[2J\\tc");
    }
}
