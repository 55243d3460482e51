//! Which capability a call needs, by its arguments (capabilities(7), Linux 6.18). It must not know who made the call.

use super::failure::Failure;

/// A capability's bit and name (linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diagnose::verdict) struct Capability(pub u8, pub &'static str);

pub(in crate::diagnose::verdict) const NET_BIND_SERVICE: Capability =
    Capability(10, "CAP_NET_BIND_SERVICE");

const CHOWN: Capability = Capability(0, "CAP_CHOWN");
const DAC_READ_SEARCH: Capability = Capability(2, "CAP_DAC_READ_SEARCH");
const KILL: Capability = Capability(5, "CAP_KILL");
const SETGID: Capability = Capability(6, "CAP_SETGID");
const SETUID: Capability = Capability(7, "CAP_SETUID");
const SETPCAP: Capability = Capability(8, "CAP_SETPCAP");
const NET_ADMIN: Capability = Capability(12, "CAP_NET_ADMIN");
const NET_RAW: Capability = Capability(13, "CAP_NET_RAW");
const IPC_LOCK: Capability = Capability(14, "CAP_IPC_LOCK");
const SYS_MODULE: Capability = Capability(16, "CAP_SYS_MODULE");
const SYS_RAWIO: Capability = Capability(17, "CAP_SYS_RAWIO");
const SYS_CHROOT: Capability = Capability(18, "CAP_SYS_CHROOT");
const SYS_PTRACE: Capability = Capability(19, "CAP_SYS_PTRACE");
const SYS_PACCT: Capability = Capability(20, "CAP_SYS_PACCT");
const SYS_ADMIN: Capability = Capability(21, "CAP_SYS_ADMIN");
const SYS_BOOT: Capability = Capability(22, "CAP_SYS_BOOT");
const SYS_NICE: Capability = Capability(23, "CAP_SYS_NICE");
const SYS_RESOURCE: Capability = Capability(24, "CAP_SYS_RESOURCE");
const SYS_TIME: Capability = Capability(25, "CAP_SYS_TIME");
const SYS_TTY_CONFIG: Capability = Capability(26, "CAP_SYS_TTY_CONFIG");
const MKNOD: Capability = Capability(27, "CAP_MKNOD");
const SYSLOG: Capability = Capability(34, "CAP_SYSLOG");
const PERFMON: Capability = Capability(38, "CAP_PERFMON");
const BPF: Capability = Capability(39, "CAP_BPF");

/// Flags of clone(2) and unshare(2) that make a namespace other than a user namespace: cgroup, uts, ipc, pid, net, mount,
/// time (linux/sched.h).
const NAMESPACES: u64 =
    0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x2000_0000 | 0x4000_0000 | 0x0002_0000 | 0x80;
/// An `int` fills the lower half of its register; the upper one may hold anything.
const INT: u64 = 0xffff_ffff;
const NEW_USER: u64 = 0x1000_0000;
/// Bits of a device's mode (linux/stat.h): S_IFMT, S_IFCHR, S_IFBLK.
const S_IFMT: u64 = 0o170_000;
const S_IFCHR: u64 = 0o020_000;
const S_IFBLK: u64 = 0o060_000;
const OPEN_TREE_CLONE: u64 = 1;
const SHM_HUGETLB: u64 = 0o4000;
const SHM_LOCK: u64 = 11;
const PR_CAPBSET_DROP: u64 = 24;
const PR_SET_SECUREBITS: u64 = 28;
const IOPRIO_CLASS_RT: u64 = 1;

/// The capability whose lack makes this very call fail with EPERM, where it is privileged at all. Calls whose arguments
/// are in memory (clone3, capset) do not tell.
pub(in crate::diagnose::verdict) fn needed_by(failure: &Failure<'_>) -> Option<Capability> {
    let args = &failure.args;
    Some(match failure.call {
        "chown" | "fchown" | "lchown" | "fchownat" => CHOWN,
        "kill" | "tkill" | "tgkill" | "pidfd_send_signal" => KILL,
        "setgid" | "setregid" | "setresgid" | "setgroups" | "setfsgid" => SETGID,
        "setuid" | "setreuid" | "setresuid" | "setfsuid" => SETUID,
        "prctl" if [PR_CAPBSET_DROP, PR_SET_SECUREBITS].contains(&args[0]) => SETPCAP,
        "setsockopt" => return of_option(args[1] & INT, args[2] & INT),
        "socket" => return of_socket(args[0] & INT, args[1] & INT),
        "ioctl" => return of_request(args[1] & INT),
        // With a limit other than 0 more locked memory is ENOMEM (mm/mlock.c: can_do_mlock).
        "mlock" | "mlock2" | "mlockall" => IPC_LOCK,
        "shmget" if args[2] & SHM_HUGETLB != 0 => IPC_LOCK,
        "shmctl" if args[1] & 0xff == SHM_LOCK => IPC_LOCK,
        "init_module" | "finit_module" | "delete_module" => SYS_MODULE,
        "ioperm" | "iopl" => SYS_RAWIO,
        "chroot" => SYS_CHROOT,
        "ptrace" | "process_vm_readv" | "process_vm_writev" | "pidfd_getfd" | "kcmp" => SYS_PTRACE,
        "acct" => SYS_PACCT,
        "clone" | "unshare" if args[0] & NAMESPACES != 0 && args[0] & NEW_USER == 0 => SYS_ADMIN,
        "open_tree" if args[2] & OPEN_TREE_CLONE != 0 => SYS_ADMIN,
        "mount" | "umount2" | "pivot_root" | "move_mount" | "fsopen" | "fspick" | "fsconfig"
        | "fsmount" | "mount_setattr" | "setns" | "sethostname" | "setdomainname" | "swapon"
        | "swapoff" | "fanotify_init" => SYS_ADMIN,
        "reboot" | "kexec_load" | "kexec_file_load" => SYS_BOOT,
        "setpriority" | "sched_setscheduler" | "sched_setparam" | "sched_setattr"
        | "sched_setaffinity" | "migrate_pages" => SYS_NICE,
        "ioprio_set" if args[2] >> 13 & 7 == IOPRIO_CLASS_RT => SYS_NICE,
        // Lowering a limit needs nothing, so that a refusal is about raising the hard one (kernel/sys.c: do_prlimit).
        "setrlimit" => SYS_RESOURCE,
        "prlimit64" if args[2] != 0 => SYS_RESOURCE,
        "settimeofday" | "clock_settime" | "adjtimex" | "clock_adjtime" => SYS_TIME,
        "vhangup" => SYS_TTY_CONFIG,
        "mknod" if is_device(args[1]) => MKNOD,
        "mknodat" if is_device(args[2]) => MKNOD,
        "open_by_handle_at" => DAC_READ_SEARCH,
        "syslog" => SYSLOG,
        "perf_event_open" => PERFMON,
        "bpf" => BPF,
        _ => return None,
    })
}

fn is_device(mode: u64) -> bool {
    [S_IFCHR, S_IFBLK].contains(&(mode & S_IFMT))
}

/// Options that are privileged, by level and number (asm-generic/socket.h, linux/in.h, in6.h, tcp.h; net/core/sock.c,
/// net/ipv4/ip_sockglue.c, net/ipv6/ipv6_sockglue.c, net/ipv4/tcp.c).
fn of_option(level: u64, option: u64) -> Option<Capability> {
    const SOL_IP: u64 = 0;
    const SOL_SOCKET: u64 = 1;
    const SOL_TCP: u64 = 6;
    const SOL_IPV6: u64 = 41;
    match (level, option) {
        // SO_DEBUG, SO_PRIORITY, SO_SNDBUFFORCE, SO_RCVBUFFORCE, SO_MARK, SO_BUSY_POLL, SO_TXTIME, SO_PREFER_BUSY_POLL,
        // SO_BUSY_POLL_BUDGET.
        (SOL_SOCKET, 1 | 12 | 32 | 33 | 36 | 46 | 61 | 69 | 70) => Some(NET_ADMIN),
        // SO_BINDTODEVICE.
        (SOL_SOCKET, 25) => Some(NET_RAW),
        // IP_IPSEC_POLICY, IP_XFRM_POLICY, IP_TRANSPARENT, IPT_SO_SET_REPLACE and its kin.
        (SOL_IP, 16 | 17 | 19 | 64..=67) => Some(NET_ADMIN),
        // IPV6_IPSEC_POLICY, IPV6_XFRM_POLICY, IPV6_TRANSPARENT, IP6T_SO_SET_REPLACE and its kin.
        (SOL_IPV6, 34 | 35 | 75 | 64 | 65) => Some(NET_ADMIN),
        // IPV6_HOPOPTS, IPV6_RTHDRDSTOPTS, IPV6_DSTOPTS.
        (SOL_IPV6, 54 | 55 | 59) => Some(NET_RAW),
        // TCP_CONGESTION, TCP_REPAIR.
        (SOL_TCP, 13 | 19) => Some(NET_ADMIN),
        _ => None,
    }
}

/// Packet sockets and raw ones of the internet's families (net/packet/af_packet.c, net/ipv4/af_inet.c).
fn of_socket(family: u64, kind: u64) -> Option<Capability> {
    const AF_INET: u64 = 2;
    const AF_INET6: u64 = 10;
    const AF_KEY: u64 = 15;
    const AF_PACKET: u64 = 17;
    const AF_XDP: u64 = 44;
    const SOCK_RAW: u64 = 3;
    const SOCK_PACKET: u64 = 10;
    match (family, kind & 0xf) {
        (AF_PACKET | AF_XDP, _) | (AF_INET | AF_INET6, SOCK_RAW) | (AF_INET, SOCK_PACKET) => {
            Some(NET_RAW)
        }
        (AF_KEY, _) => Some(NET_ADMIN),
        _ => None,
    }
}

/// Requests that change network interfaces and routes, or make them (linux/sockios.h, linux/if_tun.h).
fn of_request(request: u64) -> Option<Capability> {
    const TUNSETIFF: u64 = 0x4004_54ca;
    // SIOCADDRT, SIOCDELRT; SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFDSTADDR, SIOCSIFBRDADDR, SIOCSIFNETMASK, SIOCSIFMTU,
    // SIOCSIFNAME, SIOCSIFHWADDR.
    const CHANGES: [u64; 10] =
        [0x890b, 0x890c, 0x8914, 0x8916, 0x8918, 0x891a, 0x891c, 0x8922, 0x8923, 0x8924];
    (request == TUNSETIFF || CHANGES.contains(&request)).then_some(NET_ADMIN)
}
