//! The capabilities that matter, by their bits (include/uapi/linux/capability.h). Pure.

use super::check::Check;

const DAC_OVERRIDE: u32 = 1;
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const SYS_RESOURCE: u32 = 24;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

const RUN_AS_ROOT: &str = "run it as root: `sudo tracer doctor`; in a container: a privileged one";

/// One check for each capability, or one that says why they cannot be seen.
pub fn checks(mask: &Result<u64, String>) -> Vec<Check> {
    let mask = match mask {
        Ok(mask) => *mask,
        Err(why) => {
            let lack = ("a refusal of the kernel cannot be explained", "mount -t proc proc /proc");
            return vec![Check::degraded("capabilities", why, lack)];
        }
    };
    let has = |bit: u32| mask >> bit & 1 == 1;
    let required = |name: &str, bit: u32, cost: &str| {
        if has(bit) {
            Check::ok(name, "effective")
        } else if has(SYS_ADMIN) {
            Check::ok(name, "included in CAP_SYS_ADMIN")
        } else {
            Check::missing(name, "not effective", (cost, RUN_AS_ROOT))
        }
    };
    let wanted = |name: &str, there: bool, cost: &str, remedy: &str| {
        if there {
            Check::ok(name, "effective")
        } else {
            Check::degraded(name, "not effective", (cost, remedy))
        }
    };
    vec![
        required("cap_bpf", BPF, "no program can be loaded"),
        required(
            "cap_perfmon",
            PERFMON,
            "programs may not read kernel memory, so none can be loaded",
        ),
        wanted(
            "cap_sys_ptrace",
            has(SYS_PTRACE),
            "who holds a port, and files of a container, cannot be looked up for other processes",
            "add CAP_SYS_PTRACE: `--cap-add SYS_PTRACE`, or securityContext.capabilities",
        ),
        // The root folder of a cgroup hierarchy is writable for nobody by its mode, 0555.
        wanted(
            "cap_dac_override",
            has(DAC_OVERRIDE),
            "cgroups can be made only where their mode allows it, and files that their owner closed to others \
             cannot be described",
            "add CAP_DAC_OVERRIDE: `--cap-add DAC_OVERRIDE`, or securityContext.capabilities",
        ),
        Check::ok(
            "cap_sys_resource",
            if has(SYS_RESOURCE) { "effective" } else { "not effective, not needed" },
        ),
    ]
}
