//! Words that acquit a failed call: they tell of something else, go on after it, or say how the program does without. It must
//! not decide on its own.

use super::{
    LastWords,
    lines::Sought,
    loggers, objects,
    phrases::goes_on,
    reading::Kind,
    roles,
    spoken::{INABILITY, Spoken},
};
use crate::diagnose::verdict::{
    Cause,
    evidence::{answers, failure::Failure},
};

impl LastWords<'_> {
    /// After the line that names this failed call they complain of something else, or of something that came up while
    /// it was handled.
    pub fn complain_after_naming(&self, failure: &Failure<'_>) -> bool {
        let handled = || {
            let told = self.told()?;
            let sought = Sought::of(failure);
            let last = told.reading.text().to_ascii_lowercase();
            Some(told.reading.while_handling && !sought.named(last.as_bytes()))
        };
        // Logged below that line, though maybe with it.
        let reported = || {
            let told = self.reported()?;
            let sought = Sought::of(failure);
            let text = told.reading.text().to_ascii_lowercase();
            Some(!sought.named(text.as_bytes()))
        };
        self.after(failure).any(|it| it.complains_after_naming(failure))
            || handled() == Some(true)
            || reported() == Some(true)
    }

    /// Below the last line that names this failed call the same process says something that is no mere end.
    pub fn go_on_after_naming(&self, failure: &Failure<'_>) -> bool {
        self.say_more_after_naming(failure, |line| !roles::is_vague(line))
    }

    /// The same, and what it says has no word of what the failed call was about.
    pub fn go_on_to_another(&self, failure: &Failure<'_>) -> bool {
        let topic = topic(failure);
        let about = |line: &str| topic.iter().any(|word| line.contains(word));
        self.say_more_after_naming(failure, |line| !roles::is_vague(line) && !about(line))
    }

    fn say_more_after_naming(&self, failure: &Failure<'_>, counts: impl Fn(&str) -> bool) -> bool {
        let sought = Sought::of(failure);
        let more = |lines: &[(usize, String)]| lines.iter().any(|(_, it)| counts(it));
        self.after(failure).any(|it| {
            let Some(below) = it.below(|line| sought.named(line)) else { return false };
            // On the other stream, too.
            let later = self.spoken.iter().filter(|other| {
                other.place == it.place && other.index != it.index && other.time_ns > it.time_ns
            });
            more(below) || later.into_iter().any(|other| more(&other.said))
        })
    }

    /// Something else was complained of in the time before this failed call, and nothing was said since.
    pub fn complained_within(&self, failure: &Failure<'_>, within_ns: u64) -> bool {
        let time_ns = failure.time_ns;
        let sought = Sought::of(failure);
        let complains = |line: &str| {
            roles::complains(line) && !goes_on(line.as_bytes()) && !sought.named(line.as_bytes())
        };
        let own = || self.spoken.iter().filter(|it| it.place == 0);
        let before = |it: &Spoken<'_>| {
            it.time_ns < time_ns && time_ns - it.time_ns <= within_ns && it.telling().any(complains)
        };
        own().any(before) && !own().any(|it| it.time_ns >= time_ns && it.telling().next().is_some())
    }

    /// They say after this failed call that something could not be done, and name no other file.
    pub fn complain_of_no_other(&self, failure: &Failure<'_>) -> bool {
        let lines: Vec<&str> = self.after(failure).flat_map(Spoken::telling).collect();
        let unable = |line: &&str| INABILITY.iter().any(|sign| line.contains(sign));
        let other = |line: &&str| objects::names_another(line, &failure.subject);
        lines.iter().any(unable) && !lines.iter().any(other)
    }

    /// Below the last line that names this failed call another one complains of something else.
    pub fn complain_of_another_after(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        let names = |line: &[u8]| sought.both(line) || sought.error(line);
        self.after(failure).any(|it| {
            let below = it.below(names).unwrap_or_default();
            let other = |line: &str| roles::complains(line) && !roles::is_vague(line);
            below.iter().any(|(_, line)| other(line) && !goes_on(line.as_bytes()))
        })
    }

    /// The process ended by an exception that tells of something else.
    pub fn end_by_another(&self, failure: &Failure<'_>) -> bool {
        let Some(told) = self.decided().or_else(|| self.reported()) else { return false };
        let sought = Sought::of(failure);
        let reading = &told.reading;
        let text = [reading.text(), reading.root_cause.clone().unwrap_or_default()].join("\n");
        let first = reading.telling.iter().copied().min().unwrap_or(reading.last);
        let spoken = self.spoken.iter().find(|it| it.index == told.index);
        let lines = spoken.into_iter().flat_map(|it| &it.said);
        let within = lines.filter(|(at, _)| (first..=reading.last).contains(at));
        let mut all =
            text.lines().map(str::to_ascii_lowercase).chain(within.map(|it| it.1.clone()));
        let above = spoken.is_some_and(|it| {
            let logged = reading.kind == Kind::Reported && it.logs_with(first, &sought);
            logged || it.logged_above(first, reading, &sought)
        });
        !(above || all.any(|line| sought.named(line.as_bytes())))
    }

    /// Something was said after this failed call that does not name it: of a lookup this is enough to say that it was
    /// not the reason, of a refusal or exhaustion if it tells of another.
    pub fn speak_against(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        if self.end_by_another(failure)
            || self.after(failure).any(|it| it.is_fatal_of_contents(&sought))
        {
            return true;
        }
        if self.naming(failure).is_some() {
            return false;
        }
        if self.after(failure).any(|it| it.usage) {
            return true;
        }
        // What a parent says as it gives up speaks of nothing else.
        let speaks = |it: &Spoken<'_>, line: &str| it.place == 0 || !roles::is_vague(line);
        let telling: Vec<&str> = self
            .after(failure)
            .flat_map(|it| it.telling().filter(move |line| speaks(it, line)))
            .collect();
        if telling.is_empty() {
            return false;
        }
        let answer = failure.is_lookup() || answers::gives_way_to_words(failure);
        if answer || self.wave_off(failure) || self.tell_of_a_program_error() {
            return true;
        }
        let complaint = |line: &&str| roles::complains(line) && !goes_on(line.as_bytes());
        // A warning is no reason where something else is marked as an error.
        let graver = loggers::any_error(telling.iter().map(|line| loggers::level(line)));
        let mild = |line: &&str| graver && loggers::is_mild(loggers::level(line));
        let mut reasons = telling;
        reasons.retain(|it| !roles::is_neutral(it) && !roles::is_vague(it) && !mild(it));
        // What is said beside complaints is no reason.
        if reasons.iter().any(complaint) {
            reasons.retain(complaint);
        }
        let topic = topic(failure);
        let about = |line: &&str| {
            topic.iter().any(|word| line.contains(word))
                && !sought.tells_another_error(line.as_bytes())
        };
        !reasons.is_empty() && !reasons.iter().any(about)
    }

    /// Only a line that says how the program goes on names it.
    pub fn wave_off(&self, failure: &Failure<'_>) -> bool {
        let sought = Sought::of(failure);
        let mut lines = self.after(failure).flat_map(|it| it.said.iter());
        let waved = lines.any(|(_, it)| goes_on(it.as_bytes()) && sought.named(it.as_bytes()));
        waved && self.naming(failure).is_none()
    }
}

/// Words that may speak of a failed call without naming it.
fn topic(failure: &Failure<'_>) -> &'static [&'static str] {
    match failure.cause() {
        Some(Cause::ConnectionRefused) => &["connect", "dial", "reach", "refuse", "unavailable"],
        Some(Cause::NameResolutionFailed) => &["resol", "host", "dns", "lookup"],
        Some(Cause::FileNotFound) => &[
            "file", "config", "setting", "load", "read", "open", "found", "missing", "exist",
            "import",
        ],
        Some(Cause::PermissionDenied | Cause::BindPermissionDenied) => &[
            "permission",
            "denied",
            "access",
            "permitted",
            "privilege",
            "root",
            "capab",
            "forbidden",
            " read ",
            " open ",
            "creat",
            "write ",
            "writing",
            "save",
        ],
        Some(Cause::ReadOnlyFilesystem) => &[
            "read-only",
            "readonly",
            "writ",
            "creat",
            "open",
            "save",
            "mkdir",
            "director",
            "lock",
            "store",
        ],
        Some(Cause::DiskFull) => &[
            "space", "disk", "writ", "wrote", "quota", "full", "flush", "save", "i/o", "store",
            "persist", "short",
        ],
        Some(Cause::FdLimit) => {
            &["open", "file", "descriptor", "accept", "socket", "too many", "limit", "pipe"]
        }
        Some(Cause::PidLimit) => {
            &["fork", "thread", "spawn", "process", "resource", "worker", "clone", "exec"]
        }
        Some(Cause::MemoryAllocationFailed) => {
            &["memory", "alloc", "map", "reserve", "heap", "stack", "thread"]
        }
        Some(Cause::BindAddressInUse | Cause::BindAddressUnavailable) => {
            &["bind", "listen", "address", "port", "socket", "use"]
        }
        _ => &[],
    }
}
