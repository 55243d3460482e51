//! Who should have made a file that is missing, and failed. It must not decide that it mattered.

use crate::{
    capture::event::ProcessId,
    diagnose::verdict::{death::Death, wording},
    linux::{errno::Errno, text::Text},
};

use super::{
    failure::Failure,
    programs::{file_name, folder},
};

/// O_CREAT of open(2), the same on x86_64 and aarch64.
const O_CREAT: u64 = 0o100;

/// Another process of the life that should have created the missing file, and failed.
pub(in crate::diagnose::verdict) struct Maker {
    pub id: ProcessId,
    pub text: String,
    pub ended: String,
    pub entries: Vec<usize>,
}

pub(in crate::diagnose::verdict) fn maker(
    death: &Death<'_>,
    missing: &Failure<'_>,
    in_chain: impl Fn(ProcessId) -> bool,
) -> Option<Maker> {
    let path = missing.path()?;
    let before = 0..missing.entries[0];
    before.rev().find_map(|index| {
        let id = death.event(index).process.id;
        let own = id == missing.process.id || in_chain(id);
        let end =
            death.end(id).filter(|end| !own && end.failed() && end.time_ns <= missing.time_ns)?;
        let failure = Failure::at(death, index)?;
        let tried = failure.path()?;
        let related = creates(&failure) && concerns(tried, path);
        let named = || creates(&failure) && told_to_make(death, id, path);
        (related || named()).then(|| Maker {
            id,
            text: format!("{} of {tried} gave {}", failure.call, failure.errno),
            ended: wording::ended(end.status),
            entries: vec![index, end.index],
        })
    })
}

/// The call by which the process itself should have made the missing file, or a folder above it, and which was refused: node
/// and `mkdir -p` then look, and tell that there is nothing.
pub(in crate::diagnose::verdict) fn refused_before<'f, 'a>(
    missing: &Failure<'a>,
    all: &'f [Failure<'a>],
) -> Option<&'f Failure<'a>> {
    let path = missing.path().filter(|_| missing.errno == Errno::ENOENT)?.as_bytes();
    let above = |tried: &[u8]| {
        path.strip_prefix(tried).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    let is_it = |it: &&Failure<'_>| {
        let refused = matches!(
            it.errno,
            Errno::EROFS | Errno::EACCES | Errno::EPERM | Errno::ENOSPC | Errno::EDQUOT
        );
        let earlier = it.time_ns <= missing.time_ns && it.process.id == missing.process.id;
        refused && earlier && creates(it) && it.path().is_some_and(|it| above(it.as_bytes()))
    };
    all.iter().rfind(is_it)
}

fn creates(failure: &Failure<'_>) -> bool {
    match failure.call {
        "open" => failure.args[1] & O_CREAT != 0,
        "openat" => failure.args[2] & O_CREAT != 0,
        "openat2" => true,
        call => ["creat", "mkdir", "rename", "symlink", "link", "mknod"]
            .iter()
            .any(|it| call.starts_with(it)),
    }
}

/// The same file, or one beside it; quote characters that slipped into a name do not count.
fn concerns(tried: &Text, missing: &Text) -> bool {
    let plain =
        |bytes: &[u8]| bytes.iter().copied().filter(|it| !b"'\"".contains(it)).collect::<Vec<u8>>();
    let (tried, missing) = (plain(tried.as_bytes()), plain(missing.as_bytes()));
    let beside = folder(&tried) == folder(&missing) && folder(&tried).len() > 1;
    file_name(&tried) == file_name(&missing) || beside || tried == folder(&missing)
}

/// Its arguments name the missing file.
fn told_to_make(death: &Death<'_>, id: ProcessId, missing: &Text) -> bool {
    let name = file_name(missing.as_bytes());
    name.len() > 2
        && death
            .last_exec(id)
            .is_some_and(|(_, _, exec)| exec.args.iter().any(|it| it.contains(name)))
}
