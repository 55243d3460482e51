//! The kernel struct members that the programs read. rustc emits no CO-RE relocations, so user space
//! resolves each offset from the running kernel's BTF and hands them over as the frozen global OFFSETS.

/// Value of a member that this kernel does not have.
pub const MISSING: u32 = u32::MAX;

/// A struct member: any of `paths` (`struct.member` or `struct.member.member`), first that exists.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub name: &'static str,
    pub paths: &'static [&'static str],
    /// Without it the programs cannot work.
    pub required: bool,
}

macro_rules! members {
    ($($name:ident $required:literal [$($path:literal),+];)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(usize)]
        enum Index { $($name,)* COUNT }
        $(pub const $name: usize = Index::$name as usize;)*
        /// Number of members.
        pub const COUNT: usize = Index::COUNT as usize;
        /// All members, in the order of their indexes.
        pub const MEMBERS: [Member; COUNT] = [
            $(Member { name: stringify!($name), paths: &[$($path),+], required: $required },)*
        ];
    };
}

members! {
    TASK_PID true ["task_struct.pid"];
    TASK_TGID true ["task_struct.tgid"];
    TASK_COMM true ["task_struct.comm"];
    TASK_FLAGS true ["task_struct.flags"];
    TASK_REAL_PARENT true ["task_struct.real_parent"];
    TASK_LEADER true ["task_struct.group_leader"];
    TASK_START true ["task_struct.start_boottime", "task_struct.real_start_time"];
    TASK_CRED true ["task_struct.cred"];
    TASK_COMPAT false ["task_struct.thread_info.status"];
    TASK_SECCOMP false ["task_struct.seccomp.mode"];
    TASK_CGROUPS true ["task_struct.cgroups"];
    TASK_NSPROXY true ["task_struct.nsproxy"];
    TASK_SIGNAL true ["task_struct.signal"];
    TASK_SIGHAND true ["task_struct.sighand"];
    TASK_EXIT_CODE true ["task_struct.exit_code"];
    TASK_MM true ["task_struct.mm"];
    TASK_FS true ["task_struct.fs"];
    TASK_FILES true ["task_struct.files"];
    TASK_THREAD_PID true ["task_struct.thread_pid"];
    TASK_THREAD_NODE true ["task_struct.thread_node"];
    TASK_STATE true ["task_struct.__state", "task_struct.state"];
    TASK_STACK true ["task_struct.stack"];
    TASK_UTIME false ["task_struct.utime"];
    TASK_STIME false ["task_struct.stime"];
    REGS_NR true ["pt_regs.orig_ax", "pt_regs.orig_rax", "pt_regs.syscallno"];
    REGS_ARG0 true ["pt_regs.di", "pt_regs.rdi", "pt_regs.orig_x0"];
    REGS_ARG1 true ["pt_regs.si", "pt_regs.rsi", "pt_regs.regs[1]"];
    REGS_ARG2 true ["pt_regs.dx", "pt_regs.rdx", "pt_regs.regs[2]"];
    REGS_ARG3 true ["pt_regs.r10", "pt_regs.regs[3]"];
    REGS_ARG4 true ["pt_regs.r8", "pt_regs.regs[4]"];
    CRED_EUID true ["cred.euid"];
    CRED_EGID true ["cred.egid"];
    CRED_CAP true ["cred.cap_effective"];
    CRED_BOUNDING true ["cred.cap_bset"];
    CSS_SET_DFL true ["css_set.dfl_cgrp"];
    CSS_SET_SUBSYS true ["css_set.subsys"];
    CSS_CGROUP true ["cgroup_subsys_state.cgroup"];
    CSS_PARENT true ["cgroup_subsys_state.parent"];
    CGROUP_KN true ["cgroup.kn"];
    CGROUP_LEVEL true ["cgroup.level"];
    CGROUP_ROOT true ["cgroup.root"];
    CGROUP_PARENT_CSS true ["cgroup.self.parent"];
    ROOT_HIERARCHY true ["cgroup_root.hierarchy_id"];
    KN_ID true ["kernfs_node.id"];
    KN_NAME true ["kernfs_node.name"];
    PID_LEVEL true ["pid.level"];
    PID_NUMBERS true ["pid.numbers"];
    UPID_NR true ["upid.nr"];
    UPID_NS true ["upid.ns"];
    PIDNS_INUM true ["pid_namespace.ns.inum"];
    NSPROXY_MNT true ["nsproxy.mnt_ns"];
    NSPROXY_NET true ["nsproxy.net_ns"];
    MNTNS_INUM true ["mnt_namespace.ns.inum"];
    NET_INUM true ["net.ns.inum"];
    SIGNAL_LIVE true ["signal_struct.live"];
    SIGNAL_GROUP_EXIT_CODE true ["signal_struct.group_exit_code"];
    SIGNAL_FLAGS true ["signal_struct.flags"];
    SIGNAL_THREAD_HEAD true ["signal_struct.thread_head"];
    SIGNAL_NR_THREADS true ["signal_struct.nr_threads"];
    SIGNAL_RLIM true ["signal_struct.rlim"];
    SIGNAL_MAXRSS true ["signal_struct.maxrss"];
    SIGNAL_UTIME false ["signal_struct.utime"];
    SIGNAL_STIME false ["signal_struct.stime"];
    SIGNAL_OOM_ADJ true ["signal_struct.oom_score_adj"];
    SIGHAND_ACTION true ["sighand_struct.action"];
    SIGINFO_CODE true ["kernel_siginfo.si_code"];
    SIGINFO_ADDR true ["kernel_siginfo._sifields._sigfault._addr"];
    SIGINFO_SYSCALL true ["kernel_siginfo._sifields._sigsys._syscall"];
    MM_ARG_START true ["mm_struct.arg_start"];
    MM_ARG_END true ["mm_struct.arg_end"];
    MM_EXE true ["mm_struct.exe_file"];
    MM_HIWATER true ["mm_struct.hiwater_rss"];
    MM_TOTAL_VM true ["mm_struct.total_vm"];
    MM_RSS true ["mm_struct.rss_stat"];
    RSS_COUNT false ["percpu_counter.count"];
    BPRM_FILENAME true ["linux_binprm.filename"];
    BPRM_FILE true ["linux_binprm.file"];
    FILE_PATH true ["file.f_path"];
    FILE_INODE true ["file.f_inode"];
    FILE_PRIVATE true ["file.private_data"];
    PATH_DENTRY true ["path.dentry"];
    PATH_MNT true ["path.mnt"];
    DENTRY_NAME true ["dentry.d_name"];
    DENTRY_PARENT true ["dentry.d_parent"];
    QSTR_NAME true ["qstr.name"];
    VFSMOUNT_ROOT true ["vfsmount.mnt_root"];
    MOUNT_MNT true ["mount.mnt"];
    MOUNT_PARENT true ["mount.mnt_parent"];
    MOUNT_MOUNTPOINT true ["mount.mnt_mountpoint"];
    INODE_MODE true ["inode.i_mode"];
    INODE_INO true ["inode.i_ino"];
    INODE_RDEV true ["inode.i_rdev"];
    INODE_SB true ["inode.i_sb"];
    SB_DEV true ["super_block.s_dev"];
    FS_PWD true ["fs_struct.pwd"];
    FILES_FDT true ["files_struct.fdt"];
    FDT_FD true ["fdtable.fd"];
    FDT_MAX true ["fdtable.max_fds"];
    SOCKET_TYPE true ["socket.type"];
    SOCKET_SK true ["socket.sk"];
    SK_PROTOCOL true ["sock.sk_protocol"];
    SK_FAMILY true ["sock.__sk_common.skc_family"];
    SK_NUM true ["sock.__sk_common.skc_num"];
    SK_PEER true ["sock.__sk_common.skc_daddr"];
    SK_PEER6 false ["sock.__sk_common.skc_v6_daddr"];
    SK_PEER_PORT true ["sock.__sk_common.skc_dport"];
    SK_REUSE true ["sock.__sk_common.skc_reuse"];
    PIDS_COUNTER false ["pids_cgroup.counter"];
    PIDS_LIMIT false ["pids_cgroup.limit"];
    MEMCG_MEMORY false ["mem_cgroup.memory"];
    MEMCG_OOM_GROUP false ["mem_cgroup.oom_group"];
    COUNTER_USAGE false ["page_counter.usage"];
    COUNTER_MAX false ["page_counter.max"];
    COUNTER_PEAK false ["page_counter.watermark"];
}
