//! Failed calls about files: absent, on a read-only or full filesystem. It must not know permissions.

use crate::{
    diagnose::facts::model::{FileState, Mount, PathFact},
    linux::text::Text,
};

use crate::diagnose::verdict::{
    Cause, Verdict,
    case::Case,
    draft::Draft,
    evidence::{maker::maker, programs::folder, select::Chosen},
    rules::plain,
    wording,
};

pub(in crate::diagnose::verdict) fn file_not_found(case: &Case<'_>) -> Option<Verdict> {
    let chosen = case.chosen.as_ref().filter(|it| it.cause() == Some(Cause::FileNotFound))?;
    let failure = &chosen.failure;
    let path = failure.path()?;
    let mut draft = begin(case, chosen, Cause::FileNotFound, path);
    let fact = fact(case, path);
    let prefix = match fact.map(|it| &it.file) {
        Some(FileState::Missing { existing_prefix }) => Some(existing_prefix),
        _ => None,
    };
    let parent = Text(folder(path.as_bytes()).to_vec());
    let gone = prefix.filter(|prefix| {
        prefix.as_bytes().len() < parent.as_bytes().len()
            && parent.as_bytes().starts_with(prefix.as_bytes())
    });
    if let Some(prefix) = prefix {
        draft = draft.text("existing_prefix", prefix);
    }
    let leads_to = fact.filter(|it| prefix.is_some() && it.resolved != case.absolute(path));
    let leads_to = leads_to.map(|it| &it.resolved).filter(|it| !it.is_empty() && *it != path);
    // Kubernetes puts the files of ConfigMaps and Secrets behind links: `..data`, `..2026_01_31_...`.
    let is_projected = leads_to.is_some_and(|it| it.contains(b"/.."));
    let link =
        leads_to.map(|it| format!(", which leads to {it} by a symbolic link")).unwrap_or_default();
    if let Some(target) = leads_to {
        draft = draft.text("link_target", target);
    }
    let where_gone = gone.map(|prefix| format!(" (already its folder is missing below {prefix})"));
    let maker = maker(case, failure, |id| case.in_chain(id));
    let made = match &maker {
        Some(maker) => {
            let name = case.name(maker.id);
            draft = draft
                .detail(
                    "creator_pid",
                    case.process(maker.id)
                        .map_or(maker.id.pid, |it| it.agent_pid.unwrap_or(it.id.pid)),
                )
                .detail("creator", name.clone())
                .evidence(
                    format!(
                        "{name} had failed to create it: {} and it {}",
                        maker.text, maker.ended
                    ),
                    maker.entries.clone(),
                );
            format!(
                "; {name}, which should have created it, had failed: {} and it {}",
                maker.text, maker.ended
            )
        }
        None => String::new(),
    };
    let next_step = match &maker {
        Some(maker) => format!(
            "Look at why {} failed to create {path}; its own messages may be discarded.",
            case.name(maker.id)
        ),
        None if is_projected => format!(
            "See whether the ConfigMap or Secret has a key {}, and whether its volume names it in `items`.",
            wording::file_name(path)
        ),
        None if leads_to.is_some() => format!(
            "Provide {} or correct the link: {path} itself is one, or is below one.",
            leads_to.map(Text::to_string).unwrap_or_default()
        ),
        None if path.as_bytes().starts_with(b"/proc/sys/") => format!(
            "This kernel, or its network namespace, has no {}: leave that setting out, or load the module that brings it.",
            kernel_setting(&path.to_string()).unwrap_or_default()
        ),
        None if [&b"/proc/"[..], b"/sys/"].iter().any(|it| path.as_bytes().starts_with(it)) => {
            format!(
                "{path} is the kernel's own: see whether this kernel has it, and whether the container may see it."
            )
        }
        None if path.as_bytes().starts_with(b"/dev/") => {
            format!(
                "Give the container the device {path} (a device plugin, or a volume of the node's), or configure the program without it."
            )
        }
        None => format!(
            "Provide {path} (image, ConfigMap, Secret or volume mount), or correct the path it is looked for at."
        ),
    };
    Some(
        draft
            .summary(format!(
                "{} did not find {path}{link}{} ({}: {}) and {}{made}.",
                case.name(case.blamed()),
                where_gone.unwrap_or_default(),
                failure.call,
                failure.errno,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

pub(in crate::diagnose::verdict) fn read_only_filesystem(case: &Case<'_>) -> Option<Verdict> {
    let chosen = case.chosen.as_ref().filter(|it| it.cause() == Some(Cause::ReadOnlyFilesystem))?;
    let path = chosen.failure.path();
    let name = path.map_or_else(|| "a file".to_owned(), Text::to_string);
    let mount = path.and_then(|path| mount(case, path));
    let place = mount
        .map(|it| format!(" on {}, which is mounted read-only", it.mount_point))
        .unwrap_or_default();
    let setting = path.and_then(|path| kernel_setting(&path.to_string()));
    let next_step = match &setting {
        Some(setting) => format!(
            "Containers see /proc/sys read-only: set {setting} by the pod's securityContext.sysctls or on the node, and let \
             the program do without setting it."
        ),
        None => format!(
            "Mount a writable volume (emptyDir) for {name}, or drop readOnlyRootFilesystem / readOnly of that mount."
        ),
    };
    let draft = match path {
        Some(path) => begin(case, chosen, Cause::ReadOnlyFilesystem, path),
        None => plain::begin_failed_call(case, chosen, Cause::ReadOnlyFilesystem, &name),
    };
    Some(
        with_mount(draft, mount)
            .summary(format!(
                "{} could not write {name}{place} ({}: EROFS) and {}.",
                case.name(case.blamed()),
                chosen.failure.call,
                case.ending()
            ))
            .next_step(next_step)
            .finish(),
    )
}

pub(in crate::diagnose::verdict) fn disk_full(case: &Case<'_>) -> Option<Verdict> {
    let chosen = case.chosen.as_ref().filter(|it| it.cause() == Some(Cause::DiskFull))?;
    let failure = &chosen.failure;
    let path = failure.path();
    let name = path.map_or_else(|| "a file".to_owned(), Text::to_string);
    let mount = path.and_then(|path| mount(case, path));
    let no_inodes = mount.is_some_and(|it| it.free_inodes == Some(0) && it.free_bytes != Some(0));
    let what = match failure.errno {
        crate::linux::errno::Errno::EDQUOT => "the disk quota is used up",
        _ if no_inodes => "no inodes are left",
        _ => "no space is left",
    };
    let place = mount
        .map(|it| {
            let size =
                it.size_bytes.map(|size| format!(", {}", wording::mib(size))).unwrap_or_default();
            format!(" on {} ({}{size})", it.mount_point, it.fs_type)
        })
        .unwrap_or_default();
    let draft = match path {
        Some(path) => begin(case, chosen, Cause::DiskFull, path),
        None => plain::begin_failed_call(case, chosen, Cause::DiskFull, &name),
    };
    Some(
        with_mount(draft, mount)
            .detail("inodes", no_inodes)
            .summary(format!(
                "{} could not write {name}: {what}{place} ({}: {}), and it {}.",
                case.name(case.blamed()),
                failure.call,
                failure.errno,
                case.ending()
            ))
            .next_step(match mount {
                Some(mount) => format!("Make {} larger or find what fills it.", mount.mount_point),
                None => format!("Make the filesystem of {name} larger or find what fills it."),
            })
            .finish(),
    )
}

/// The name of the sysctl at a path: `net.core.somaxconn`.
fn kernel_setting(path: &str) -> Option<String> {
    path.strip_prefix("/proc/sys/").map(|setting| setting.replace('/', "."))
}

/// What was looked up about a path.
pub(in crate::diagnose::verdict) fn fact<'a>(case: &Case<'a>, path: &Text) -> Option<&'a PathFact> {
    case.facts.paths.iter().find(|fact| fact.path == *path || fact.resolved == *path)
}

/// The mount a path is on: as looked up, else the longest mount point above it.
pub(in crate::diagnose::verdict) fn mount<'a>(case: &Case<'a>, path: &Text) -> Option<&'a Mount> {
    let known = fact(case, path).and_then(|fact| fact.mount.as_ref());
    let path = case.absolute(path);
    let above = |mount: &&Mount| {
        let rest = path.as_bytes().strip_prefix(mount.mount_point.as_bytes());
        let root = mount.mount_point.as_bytes() == b"/";
        rest.is_some_and(|rest| root || rest.is_empty() || rest[0] == b'/')
    };
    let by_length = |mount: &&Mount| mount.mount_point.as_bytes().len();
    known.or_else(|| case.facts.mounts.iter().filter(above).max_by_key(by_length))
}

pub(in crate::diagnose::verdict) fn begin(
    case: &Case<'_>,
    chosen: &Chosen<'_>,
    cause: Cause,
    path: &Text,
) -> Draft {
    let draft = plain::begin_failed_call(case, chosen, cause, &path.to_string()).text("path", path);
    let absolute = case.absolute(path);
    if absolute == *path { draft } else { draft.text("absolute_path", &absolute) }
}

pub(in crate::diagnose::verdict) fn with_mount(draft: Draft, mount: Option<&Mount>) -> Draft {
    let Some(mount) = mount else { return draft };
    draft
        .text("mount_point", &mount.mount_point)
        .detail("fs_type", mount.fs_type.as_str())
        .detail("read_only", mount.read_only)
        .known("size_bytes", mount.size_bytes)
        .known("free_bytes", mount.free_bytes)
        .known("free_inodes", mount.free_inodes)
}
