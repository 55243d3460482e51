//! Each hook names the prototype of its tracepoint, and the running kernel's BTF has the same. It must not know what
//! a hook does with its arguments.
//!
//! A line of a hook file's header that begins with `match-proto:` has prototypes as C writes them,
//! `void sched_process_exit(struct task_struct *p, bool group_dead)`, and may say anything between them. Where kernels
//! differ it has several of one name: one of them must hold.

mod btf;
mod c;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::chores::lint::source::Source;
use btf::Btf;
use c::{Prototype, prototypes};

/// Where the hooks are.
const HOOKS: &str = "tracer-ebpf/src/programs";
const KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// Looks at every hook below `root`.
///
/// # Errors
///
/// When a hook has no prototype, or a prototype has no hook, or the kernel has another: the error lists all.
pub fn check(root: &Path) -> Result<()> {
    let kernel = match fs::read(KERNEL) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {KERNEL}")),
    };
    let kernel = kernel.as_deref().map(Btf::parse).transpose().with_context(|| KERNEL)?;
    if kernel.is_none() {
        eprintln!("xtask: {KERNEL} is missing: prototypes of hooks not compared with a kernel");
    }
    let mut breaches = Vec::new();
    for source in Source::all(root, HOOKS)? {
        breaches.extend(without_a_partner(&source));
        for of_one in by_name(&prototypes_of(&source)) {
            let Some(kernel) = &kernel else { continue };
            let name = &of_one[0].name;
            match kernel.tracepoint(name) {
                Some(there) => breaches.extend(mismatch(&source.path, &of_one, &there)),
                None => eprintln!("xtask: this kernel has no tracepoint {name}: not compared"),
            }
        }
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} prototypes of hooks are wrong:\n{}", breaches.len(), breaches.join("\n"));
}

fn prototypes_of(source: &Source) -> Vec<Prototype> {
    let lines = source.header().filter_map(|line| line.trim().strip_prefix("match-proto:"));
    lines.flat_map(prototypes).collect()
}

fn by_name(all: &[Prototype]) -> Vec<Vec<&Prototype>> {
    let mut groups: Vec<Vec<&Prototype>> = Vec::new();
    for prototype in all {
        match groups.iter_mut().find(|group| group[0].name == prototype.name) {
            Some(group) => group.push(prototype),
            None => groups.push(vec![prototype]),
        }
    }
    groups
}

/// Hooks without a prototype, and prototypes without a hook in the same file.
fn without_a_partner(source: &Source) -> Vec<String> {
    let (path, there) = (&source.path, prototypes_of(source));
    let hooks = hooks(&source.text);
    let bare = hooks.iter().filter(|hook| there.iter().all(|prototype| prototype.name != **hook));
    let bare = bare.map(|hook| format!("{path}: {hook} has no `match-proto:` in the header"));
    let idle = there.iter().filter(|prototype| !hooks.contains(&prototype.name.as_str()));
    let idle = idle.map(|prototype| format!("{path}: no program is hooked to {}", prototype.name));
    bare.chain(idle).collect()
}

/// The tracepoints that programs of a file are hooked to.
fn hooks(text: &str) -> Vec<&str> {
    let marks = ["#[btf_tracepoint(function = \"", "#[raw_tracepoint(tracepoint = \""];
    let named = |line| marks.iter().find_map(|mark| str::strip_prefix(line, mark));
    text.lines().filter_map(|line| named(line)?.split('"').next()).collect()
}

/// Nothing where one of the prototypes is the kernel's.
fn mismatch(path: &str, ours: &[&Prototype], kernel: &Prototype) -> Option<String> {
    if ours.iter().any(|ours| ours.agrees_with(kernel)) {
        return None;
    }
    let ours: Vec<String> = ours.iter().map(ToString::to_string).collect();
    Some(format!("{path}: `{}`, but this kernel has `{kernel}`", ours.join("` or `")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: &str = "//! match-proto: void exit(struct task_struct *p, bool dead), before 6.17 void exit(struct \
        task_struct *p)\n#[btf_tracepoint(function = \"exit\")]\nfn exit() {}\n";

    fn source(text: &str) -> Source {
        Source::parse("x.rs", text).unwrap()
    }

    fn kernel(text: &str) -> Prototype {
        prototypes(text).remove(0)
    }

    #[test]
    fn the_hooks_of_this_repository_are_those_of_the_running_kernel() {
        check(&crate::means::workspace::root()).unwrap();
    }

    #[test]
    fn one_of_a_hooks_prototypes_must_be_the_kernels() {
        let ours = prototypes_of(&source(EXIT));
        let groups = by_name(&ours);
        let against = |kernel_has: &str| mismatch("x.rs", &groups[0], &kernel(kernel_has));
        assert_eq!(groups.len(), 1);
        assert_eq!(against("void exit(struct task_struct *p, bool dead)"), None);
        assert_eq!(against("void exit(struct task_struct *p)"), None);
        assert_eq!(
            against("void exit(int pid)").unwrap(),
            "x.rs: `void exit(struct task_struct *p, bool dead)` or `void exit(struct task_struct *p)`, \
             but this kernel has `void exit(int pid)`"
        );
    }

    #[test]
    fn a_hook_without_a_prototype_and_a_prototype_without_a_hook_are_named() {
        assert_eq!(without_a_partner(&source(EXIT)), [""; 0]);
        let bare = EXIT.replace("//! match-proto", "//! proto");
        assert_eq!(
            without_a_partner(&source(&bare)),
            ["x.rs: exit has no `match-proto:` in the header"]
        );
        let idle = EXIT.replace("\"exit\"", "\"fork\"");
        assert_eq!(without_a_partner(&source(&idle)).len(), 3);
    }
}
