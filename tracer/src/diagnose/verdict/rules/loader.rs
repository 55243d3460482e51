//! Deaths in the dynamic loader: a library or a version of it is missing. It must not know other files.

use crate::{
    capture::event::{BootNs, ProcessId},
    diagnose::facts::model::{LoaderReport, MissingLibrary},
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::{
    Cause, Confidence, Verdict,
    case::Case,
    death::End,
    draft::Draft,
    evidence::{
        failure::Failure,
        pace, probes,
        programs::{self, file_name, folder},
        undone,
    },
    wording,
    words::LastWords,
};

/// glibc's loader ends with 127, after a failed version check with 1 (elf/rtld.c); musl's with 127.
const LOADER_CODES: [u8; 2] = [127, 1];
/// The loader runs before the program: it does not take longer.
const LOADING_NS: u64 = 2_000_000_000;

/// So many different libraries looked for in vain are a habit of the program.
const PLUGINS_MAX: usize = 5;

/// glibc's words (elf/dl-error.c) and musl's (ldso/dynlink.c).
const OF_LOADERS: &[&str] = &[
    "error while loading shared libraries",
    "error loading shared library",
    "error relocating",
    "symbol lookup error",
    "undefined symbol",
];

/// How programs speak of a library that could not be loaded, without its name.
const TOPIC: &[&str] = &["librar", ".so", "shared object", "plugin", "driver", "dlopen"];

/// A library that is nowhere, or one that lacks a version or a symbol.
pub(in crate::diagnose::verdict) fn library(case: &Case<'_>) -> Option<Verdict> {
    let id = case.blamed();
    let end = case.end(id)?;
    if end.status.signal.is_some() || !end.failed() || case.never_execd(id) {
        return None;
    }
    let words = case.last_words();
    let report = report(case, id).filter(|_| in_loader(case, id, &end));
    missing_by_facts(case, id, &end, report, &words)
        .or_else(|| mismatch(case, id, &end, report, &words))
        .or_else(|| missing_by_calls(case, id, &end, &words))
}

/// The report, if it is about the program that the process became.
pub(super) fn report<'a>(case: &Case<'a>, id: ProcessId) -> Option<&'a LoaderReport> {
    let (_, _, exec) = case.last_exec(id)?;
    let same = |path: &Text| file_name(path.as_bytes()) == file_name(exec.path.as_bytes());
    case.facts.loader.as_ref().filter(|report| same(&report.executable))
}

/// It ended as a loader does, and as early.
pub(super) fn in_loader(case: &Case<'_>, id: ProcessId, end: &End<'_>) -> bool {
    let began_ns = case.last_exec(id).map_or(end.time_ns, |(_, time_ns, _)| time_ns);
    let early = end.time_ns.saturating_sub(began_ns) <= LOADING_NS;
    early && end.status.code.is_some_and(|code| LOADER_CODES.contains(&code))
}

/// Failed lookups of one library, where none of its folders had it.
struct Search {
    name: Text,
    folders: Vec<String>,
    entries: Vec<usize>,
    last_ns: BootNs,
    /// As loaders do, who open what they look for.
    opened: bool,
}

fn searches(case: &Case<'_>, id: ProcessId) -> Vec<Search> {
    let mut found: Vec<Search> = Vec::new();
    let all = Failure::all_of(case, id);
    for failure in &all {
        let Some(path) = failure.path().filter(|path| probes::is_library(path)) else { continue };
        if is_module(path, &all) {
            continue;
        }
        if !matches!(failure.errno, Errno::ENOENT | Errno::ENOTDIR) || !opens_or_looks(failure.call)
        {
            continue;
        }
        // Found in another folder.
        if undone::made_good(failure) {
            continue;
        }
        let name = wording::file_name(path);
        let at = match found.iter().position(|it| it.name == name) {
            Some(at) => at,
            None => {
                let (folders, entries) = (Vec::new(), Vec::new());
                found.push(Search { name, folders, entries, last_ns: 0, opened: false });
                found.len() - 1
            }
        };
        let search = &mut found[at];
        search.folders.push(Text(folder(path.as_bytes()).to_vec()).to_json_string());
        search.entries.push(failure.entries[0]);
        search.last_ns = failure.time_ns;
        search.opened |= programs::opens(failure.call);
    }
    found.sort_by_key(|it| it.last_ns);
    found
}

/// An interpreter's search for a module, which may be a library or a script: `cjson.so` beside `cjson.lua`.
fn is_module(path: &Text, all: &[Failure<'_>]) -> bool {
    let name = probes::stem(path.as_bytes());
    let alike = |it: &Text| !probes::is_library(it) && probes::stem(it.as_bytes()) == name;
    let beside = |it: &Failure<'_>| it.is_lookup() && it.path().is_some_and(alike);
    !name.starts_with(b"lib") && all.iter().any(beside)
}

fn missing_by_facts(
    case: &Case<'_>,
    id: ProcessId,
    end: &End<'_>,
    report: Option<&LoaderReport>,
    words: &LastWords<'_>,
) -> Option<Verdict> {
    let report = report?;
    let searches = searches(case, id);
    let searched = |library: &MissingLibrary| searches.iter().find(|it| it.name == library.name);
    let library =
        report.missing.iter().find(|it| searched(it).is_some()).or(report.missing.first())?;
    let search = searched(library);
    let said = words.mention_word(&library.name);
    let sure = search.is_some() || said.is_some();
    // Where it was really looked for is known: LD_LIBRARY_PATH may have led it to the library.
    if !sure
        && (words.mention(OF_LOADERS).is_some() || case.saw_all_of(id) && !case.forgot_calls(id))
    {
        return None;
    }
    let confidence = if sure { Confidence::Proven } else { Confidence::Likely };
    let folders: Vec<String> = library.searched.iter().map(Text::to_json_string).collect();
    let mut entries: Vec<usize> = search.map(|it| it.entries.clone()).unwrap_or_default();
    entries.extend(said);
    entries.push(end.index);
    let missing =
        Missing { name: &library.name, needed_by: Some(&library.needed_by), folders, entries };
    Some(missing.tell(case, id, end, confidence))
}

/// Without a report: the loader's own status after a search that found nothing, or a plugin's library that was
/// looked for last.
fn missing_by_calls(
    case: &Case<'_>,
    id: ProcessId,
    end: &End<'_>,
    words: &LastWords<'_>,
) -> Option<Verdict> {
    let searches = searches(case, id);
    // A loader complains of nothing else; of a library that it tried while it ran a program may tell in passing.
    let by_loader = in_loader(case, id, end) && words.mention(OF_LOADERS).is_some();
    let blames = |name: &Text| {
        if by_loader { words.mention_word(name) } else { words.complaint_of_word(name) }
    };
    let named = searches.iter().rev().find(|it| blames(&it.name).is_some());
    let named = named.filter(|it| !always_found(case, id, it));
    let last = searches.last();
    let complete = report(case, id).is_some_and(|report| report.missing.is_empty());
    let by_status =
        || last.filter(|_| !complete && end.status.code == Some(127) && in_loader(case, id, end));
    // dlopen(3): the program goes on to end with a status of its own.
    let by_time = || last.filter(|it| is_last(case, id, end, it) && !always_found(case, id, it));
    let search = named.or_else(by_status).or_else(by_time)?;
    let said = words.mention_word(&search.name);
    let confidence = if said.is_some() { Confidence::Proven } else { Confidence::Likely };
    let entries = search.entries.iter().copied().chain(said).chain([end.index]).collect();
    let missing =
        Missing { name: &search.name, needed_by: None, folders: search.folders.clone(), entries };
    Some(missing.tell(case, id, end, confidence))
}

/// Nothing else went wrong between the search and the end, and no words tell of something else.
fn is_last(case: &Case<'_>, id: ProcessId, end: &End<'_>, search: &Search) -> bool {
    let soon = end.time_ns.saturating_sub(search.last_ns) <= pace::SOON_NS;
    let later = Failure::all_of(case, id).into_iter().any(|it| {
        let library = it.path().is_some_and(probes::is_library);
        it.time_ns > search.last_ns && it.cause().is_some() && !library && !probes::is_idle(&it)
    });
    let chosen = case.chosen.as_ref();
    let better =
        chosen.is_some_and(|it| it.confidence == Confidence::Proven || !it.failure.is_lookup());
    let words = case.last_words();
    let few = searches(case, id).len() <= PLUGINS_MAX;
    let about = |it: &str| TOPIC.iter().any(|word| it.contains(word));
    let mut complaints = words.complaints().peekable();
    // Who speaks of something else, if only to say how it goes, had not lost everything by it.
    let silent = !words.tell_of_a_program_error()
        && (complaints.peek().is_some() || !words.since(search.last_ns))
        && complaints.all(about);
    soon && few && search.opened && was_exhausted(search) && !later && !better && silent
}

/// It was one file that was asked for, or the folders of the system, which come last, did not have it either: from
/// a folder in between it may have been loaded.
fn was_exhausted(search: &Search) -> bool {
    let system = search.folders.last().is_some_and(|folder| {
        let folder = folder.strip_prefix("/usr").unwrap_or(folder);
        let below = folder.strip_prefix("/lib64").or_else(|| folder.strip_prefix("/lib"));
        below.is_some_and(|below| below.matches('/').count() <= 1)
    });
    search.folders.len() == 1 || system
}

/// A library that the program itself needs and that was found in the end, or else it would not have begun to run.
fn always_found(case: &Case<'_>, id: ProcessId, search: &Search) -> bool {
    let c_library = search.name.as_bytes().starts_with(b"libc.so");
    match report(case, id) {
        Some(report) => {
            let missing = report.missing.iter().any(|it| it.name == search.name);
            !missing && (c_library || report.found.contains(&search.name))
        }
        None => false,
    }
}

struct Missing<'a> {
    name: &'a Text,
    needed_by: Option<&'a Text>,
    folders: Vec<String>,
    entries: Vec<usize>,
}

impl Missing<'_> {
    fn tell(
        self,
        case: &Case<'_>,
        id: ProcessId,
        end: &End<'_>,
        confidence: Confidence,
    ) -> Verdict {
        let Self { name, needed_by, mut folders, entries } = self;
        let mut seen = std::collections::HashSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        let needs = needed_by.map(|it| format!(", which {it} needs,")).unwrap_or_default();
        let shown = folders.iter().take(4).cloned().collect::<Vec<_>>();
        let place = match (folders.len(), shown.is_empty()) {
            (_, true) => "in no folder that its loader searches".to_owned(),
            (count, false) if count > shown.len() => {
                format!("in none of {} folders ({}, ...)", count, shown.join(", "))
            }
            (_, false) => format!("not in {}", wording::list(&shown)),
        };
        let foreign = is_foreign_loader(name);
        let next_step = if foreign {
            format!(
                "{name} belongs to another C library than the image's: use a build for this image's C library, \
                 or an image with the one it was built for."
            )
        } else {
            format!(
                "Install the package that has {name} in the image, or set its folder in the rpath or LD_LIBRARY_PATH."
            )
        };
        let mut draft = Draft::new(Cause::SharedLibraryMissing, confidence, id)
            .status(end.status)
            .text("library", name)
            .detail("searched", folders)
            .evidence(format!("{name} was looked for and found nowhere"), entries)
            .summary(format!(
                "{} {} because the shared library {name}{needs} was found nowhere: {place}.",
                case.name(id),
                wording::ended(end.status)
            ))
            .next_step(next_step);
        if let Some(needed_by) = needed_by {
            draft = draft.text("needed_by", needed_by);
        }
        draft.finish()
    }
}

fn mismatch(
    case: &Case<'_>,
    id: ProcessId,
    end: &End<'_>,
    report: Option<&LoaderReport>,
    words: &LastWords<'_>,
) -> Option<Verdict> {
    let report = report?;
    let draft = |said: Option<usize>| {
        let confidence = if said.is_some() { Confidence::Proven } else { Confidence::Likely };
        let exec = case.last_exec(id).map(|(index, _, _)| index);
        let entries: Vec<usize> = exec.into_iter().chain(said).chain([end.index]).collect();
        (Draft::new(Cause::LibraryVersionMismatch, confidence, id).status(end.status), entries)
    };
    let subject = format!("{} {}", case.name(id), wording::ended(end.status));
    if let Some(it) = report.versions.first() {
        let said = words.mention_word(&it.version).or_else(|| words.mention(&["version `"]));
        let (draft, entries) = draft(said);
        let has = it
            .highest
            .as_ref()
            .map(|highest| format!(", which ends at {highest}"))
            .unwrap_or_default();
        let mut draft = draft
            .text("version", &it.version)
            .text("library", &it.library)
            .text("library_path", &it.library_path)
            .text("needed_by", &it.needed_by)
            .evidence(format!("{} needs {} of {}", it.needed_by, it.version, it.library), entries);
        if let Some(highest) = &it.highest {
            draft = draft.text("highest", highest);
        }
        return Some(
            draft
                .summary(format!(
                    "{subject} because {} needs {} of {}, and {} does not define it{has}.",
                    it.needed_by, it.version, it.library, it.library_path
                ))
                .next_step(format!(
                    "Build {} against the {} of the image, or use an image with a newer one.",
                    it.needed_by, it.library
                ))
                .finish(),
        );
    }
    // glibc binds functions when they are first called: only its own status tells that one was missing.
    let it = report.symbols.first().filter(|_| end.status.code == Some(127))?;
    let (draft, entries) = draft(words.mention_word(&it.symbol));
    Some(
        draft
            .text("symbol", &it.symbol)
            .text("needed_by", &it.needed_by)
            .evidence(format!("{} needs the symbol {}", it.needed_by, it.symbol), entries)
            .summary(format!(
                "{subject} because {} needs the symbol {}, which none of its libraries defines.",
                it.needed_by, it.symbol
            ))
            .next_step(format!(
                "Build {} for the C library and the versions of the image (a glibc build does not run on musl).",
                it.needed_by
            ))
            .finish(),
    )
}

fn opens_or_looks(call: &str) -> bool {
    matches!(
        call,
        "open"
            | "openat"
            | "openat2"
            | "stat"
            | "newfstatat"
            | "statx"
            | "access"
            | "faccessat"
            | "faccessat2"
    )
}

/// The loader or C library of the other family.
fn is_foreign_loader(name: &Text) -> bool {
    [&b"ld-linux"[..], b"ld-musl", b"libc.musl"]
        .iter()
        .any(|begin| name.as_bytes().starts_with(begin))
}
