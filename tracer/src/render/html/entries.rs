//! The timeline of a page, with what its reader wants last folded away, and the last words. It must not know the verdict
//! but for what it cites.

use std::ops::Range;

use serde_json::Value;

use super::escaped;
use crate::{contract::CrashObject, render::row::Row};

/// Fewer entries than this are not worth a fold.
const FOLDED_FROM: usize = 4;

/// What the blamed and the main process wrote last, as it was written.
pub(super) fn last_words(object: &CrashObject) -> String {
    let entries = object.timeline.iter().flatten();
    let of = |entry: &Value, process: &Value| entry["process"]["pid"] == process["pid"];
    let wanted = entries.filter(|entry| {
        entry["kind"] == "words"
            && entry["stream"] != "init"
            && (of(entry, &object.crash.process) || of(entry, &object.process))
    });
    let words: String = wanted
        .map(|entry| {
            let (stream, text) = (&entry["stream"], &entry["text"]);
            let [stream, text] = [stream, text].map(|value| value.as_str().unwrap_or_default());
            let who = Row::of(entry).who;
            format!(
                "<figure><figcaption>{} of {}</figcaption><pre>{}</pre></figure>\n",
                escaped(stream),
                escaped(&who),
                escaped_lines(text.trim_end()),
            )
        })
        .collect();
    if words.is_empty() { words } else { format!("<h2>Last words</h2>\n{words}") }
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
    fn of(entry: &Value) -> Option<Self> {
        let prepares = entry["process"]["runtime_init"] == true;
        match entry["kind"].as_str()? {
            "cgroup" => Some(Self::Preparation),
            "fork" | "call" | "words" | "exit" if prepares => Some(Self::Preparation),
            "fork" => Some(Self::Workers),
            "exit" if entry["exit"]["code"] == 0 => Some(Self::Workers),
            _ => None,
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

fn row(index: usize, entry: &Value, cited: &[usize]) -> String {
    let row = Row::of(entry);
    let (class, mark) = match cited.first() {
        Some(first) if *first == index => ("fatal", "▶ "),
        _ if cited.contains(&index) => ("cited", "• "),
        _ => (row.class, ""),
    };
    let what = match entry["kind"] == "words" {
        true => escaped_lines(&row.what),
        false => escaped(&row.what),
    };
    format!(
        "<tr id=\"entry-{index}\" class=\"{class}\"><td>{mark}{index}</td><td title=\"{}\">{}</td><td>{}</td><td>{what}</td></tr>\n",
        escaped(entry["time"].as_str().unwrap_or_default()),
        escaped(&row.offset),
        escaped(&row.who),
    )
}

/// Line ends stay, each line is [`escaped`].
fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let entry =
            |kind: &str| serde_json::json!({"kind": kind, "process": {"runtime_init": true}});
        for kind in ["exec", "exec_failed", "signal", "oom", "lost", "calls_forgotten"] {
            assert_eq!(Aside::of(&entry(kind)), None, "{kind}");
        }
        assert_eq!(Aside::of(&entry("call")), Some(Aside::Preparation));
    }

    #[test]
    fn each_line_of_output_is_escaped_and_stays_a_line() {
        assert_eq!(escaped_lines("a<b>\n\u{1b}[2J\tc"), "a&lt;b&gt;\n\\u{1b}[2J\\tc");
    }
}
