//! All recorded deaths, of the corpus and of the wild set, ready to be judged again and again. It must not know how they
//! were provoked.

use std::{
    fs::{self, File},
    path::Path,
    sync::LazyLock,
    thread,
};

use tracer::{
    capture::event::Event,
    diagnose::{
        facts::Facts,
        timeline::Timeline,
        verdict::{Terms, Verdict, verdict},
    },
    exec::Recording,
};

/// One death as it was recorded, with its output.
pub struct Recorded {
    pub name: String,
    pub facts: Facts,
    pub timeline: Timeline,
}

impl Recorded {
    /// Its verdict if these were all the events.
    pub fn judged(&self, events: Vec<Event>) -> Option<Verdict> {
        let timeline = Timeline::build(events).ok()?;
        Some(verdict(&timeline, &self.facts, &Terms::default()))
    }

    pub fn verdict(&self) -> Verdict {
        verdict(&self.timeline, &self.facts, &Terms::default())
    }
}

/// Fails where a line is of a death that is not on the list of known ones, and where one of the list is no longer wrong.
pub fn check(wrong: &[String], known: &[&str]) {
    let name = |line: &String| line.split(':').next().unwrap_or_default().to_owned();
    let unknown: Vec<&String> = wrong.iter().filter(|it| !known.contains(&&*name(it))).collect();
    assert!(unknown.is_empty(), "{} are wrong:\n{unknown:#?}", unknown.len());
    let mended: Vec<&&str> =
        known.iter().filter(|known| !wrong.iter().any(|line| name(line) == **known)).collect();
    assert!(mended.is_empty(), "no longer wrong, so take them off the list: {mended:?}");
}

fn workspace() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All of both, read once.
pub fn all() -> &'static [Recorded] {
    static ALL: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
        let mut deaths = corpus();
        deaths.extend(wild());
        deaths
    });
    &ALL
}

/// What is wrong about each, found by all processors at once.
pub fn each(wrong: impl Fn(&Recorded) -> Vec<String> + Sync) -> Vec<String> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let wrong = &wrong;
    thread::scope(|scope| {
        let share = |first| all().iter().skip(first).step_by(processors).flat_map(wrong).collect();
        let shares: Vec<_> =
            (0..processors).map(|first| scope.spawn(move || share(first))).collect();
        shares.into_iter().flat_map(|it| -> Vec<String> { it.join().unwrap() }).collect()
    })
}

/// The deaths of tests/corpus.
fn corpus() -> Vec<Recorded> {
    let folder = workspace().join("tests/corpus");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut deaths: Vec<Recorded> = names.map(|path| loaded(file_name(&path), &path)).collect();
    deaths.sort_by(|a, b| a.name.cmp(&b.name));
    deaths
}

/// The deaths of tests/wild that are recorded.
fn wild() -> Vec<Recorded> {
    let Ok(entries) = fs::read_dir(tests::wild::recordings()) else { return Vec::new() };
    let mut deaths: Vec<Recorded> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            unpacked(file_name(&path).trim_end_matches(".tar.gz"), &path)
        })
        .collect();
    deaths.sort_by(|a, b| a.name.cmp(&b.name));
    deaths
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn unpacked(name: &str, archive: &Path) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let file = File::open(archive).unwrap();
    let unpacked = tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(folder.path());
    unpacked.unwrap_or_else(|error| panic!("{name}: {error}"));
    loaded(name, folder.path())
}

fn loaded(name: &str, folder: &Path) -> Recorded {
    let recording =
        Recording::load(folder, true).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    Recorded { name: name.to_owned(), facts: recording.facts, timeline: recording.timeline }
}
