//! Kernel structures: what each missing member costs. Pure.

use tracer_ebpf::offsets::{self as at, MEMBERS};

use super::check::Check;

const NO_BTF: (&str, &str) = (
    "no program can be loaded: offsets of kernel structures come from there",
    "use a kernel built with CONFIG_DEBUG_INFO_BTF=y; where /sys is not mounted: `mount -t sysfs sysfs /sys`",
);
const UNSUPPORTED: &str = "use a kernel from 5.15 on; if this is one, report it with the output of `tracer doctor -o json`";

/// One check of BTF, and one for each member that this kernel lacks.
pub fn checks(missing: &Result<Vec<usize>, String>) -> Vec<Check> {
    let missing = match missing {
        Ok(missing) => missing,
        Err(why) => return vec![Check::missing("btf", why, NO_BTF)],
    };
    let found = match missing.len() {
        0 => "has every member that the programs read".to_owned(),
        count => format!("lacks {count} of {} members that the programs read", MEMBERS.len()),
    };
    let all = Check::ok("btf", found);
    let lacking = missing.iter().filter_map(|index| Some(lack(*index, MEMBERS.get(*index)?)));
    std::iter::once(all).chain(lacking).collect()
}

fn lack(index: usize, member: &at::Member) -> Check {
    let name = format!("member_{}", member.name.to_ascii_lowercase());
    let found = format!("this kernel has no {}", member.paths.join(" or "));
    if member.required {
        return Check::missing(name, found, ("no program can be loaded", UNSUPPORTED));
    }
    match cost(index) {
        Some(cost) => Check::degraded(name, found, (cost, UNSUPPORTED)),
        None => Check::ok(name, format!("{found}: not needed")),
    }
}

/// What is not told without an optional member; `None` where another way is taken.
fn cost(index: usize) -> Option<&'static str> {
    match index {
        at::TASK_SECCOMP => Some("whether a seccomp filter may have refused a call is not told"),
        at::TASK_COMPAT => {
            Some("calls by the 32-bit entry are read by the numbers of the 64-bit one")
        }
        at::SK_PEER6 => Some("IPv6 peers of connections that broke are not named"),
        at::COUNTER_PEAK => Some("the highest memory use of a container is not told"),
        at::TASK_UTIME | at::TASK_STIME | at::SIGNAL_UTIME | at::SIGNAL_STIME => {
            Some("CPU times are told too small")
        }
        at::MEMCG_MEMORY | at::COUNTER_MAX => {
            Some("OOM kills are told without the cgroups that were full")
        }
        at::COUNTER_USAGE => Some("OOM kills are told without the memory that was in use"),
        at::MEMCG_OOM_GROUP => Some("whether a cgroup is killed as a group is not told"),
        at::PIDS_COUNTER | at::PIDS_LIMIT => Some(
            "which pids cgroup refused a fork is looked up after the end, where it still can be",
        ),
        // Before 6.2 the counts are plain numbers.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn a_missing_required_member_is_named_with_all_its_spellings() {
        let checks = checks(&Ok(vec![at::TASK_STATE]));
        assert_eq!(checks.len(), 2);
        assert_eq!(checks[1].state, State::Missing);
        assert_eq!(checks[1].found, "this kernel has no task_struct.__state or task_struct.state");
    }

    #[test]
    fn every_optional_member_but_those_with_a_detour_has_a_cost() {
        let free: Vec<&str> = MEMBERS
            .iter()
            .enumerate()
            .filter(|(index, member)| !member.required && cost(*index).is_none())
            .map(|(_, member)| member.name)
            .collect();
        assert_eq!(free, ["RSS_COUNT"]);
    }
}
