//! Every death of the table under the real kernel: `tracer exec` must name its cause and its things, with the output of
//! the command captured and without.

mod bad_input;
mod command_line;
mod expect;
mod tracer;
mod verdict;

macro_rules! live {
    ($($family:ident: $($death:ident)*;)*) => {
        $(mod $family {
            $(#[test]
            fn $death() {
                crate::expect::the_verdict_of(stringify!($death));
            })*
        })*

        /// The families with their tests, to be compared with the table.
        const FAMILIES: &[(&str, &[&str])] =
            &[$((stringify!($family), &[$(stringify!($death)),*])),*];
    };
}

live! {
    exec:
        exec_path_missing exec_not_in_path exec_unknown_to_shell exec_behind_wrapper_missing
        exec_loader_missing exec_shebang_missing exec_shebang_crlf exec_without_x_bit
        exec_x_bit_in_shell exec_noexec_mount exec_closed_folder exec_foreign_machine exec_garbage;
    container:
        runc_path_missing crun_path_missing runc_not_in_path crun_not_in_path runc_loader_missing
        crun_loader_missing runc_shebang_crlf crun_shebang_crlf runc_without_x_bit
        crun_without_x_bit runc_foreign_machine crun_foreign_machine;
    oom:
        oom_silent oom_after_words oom_port_table oom_status_passed_on oom_in_container oom_pod_full
        oom_group oom_group_of_one oom_group_pod oom_child oom_node;
    stopped:
        stopped_never_listened stopped_udp_only stopped_deadlock stopped_ignoring_term
        stopped_killed_at_once;
    heaps:
        memory_limit_of_php;
    faults:
        segfault_null segfault_wild segfault_in_thread segfault_with_core segfault_behind_shell
        bus_truncated_map illegal_opcode processor_too_old divided_by_zero seccomp_killed seccomp_trapped aborted;
    signals:
        killed_from_outside term_without_handler term_handled term_handled_cleanly
        term_ignored_then_kill reader_gone reader_gone_with_sigpipe_ignored file_size_used_up;
    loader:
        library_gone plugin_gone plugin_needs_gone_library library_too_old glibc_too_old symbol_gone;
    bind:
        bind_tcp4_taken bind_tcp6_taken bind_udp4_taken bind_udp6_taken bind_privileged_port
        bind_foreign_address;
    files:
        config_missing config_missing_silently certificate_never_made key_unreadable
        key_unreadable_in_container mount_not_permitted chroot_not_permitted setuid_not_permitted
        mount_refused_by_seccomp state_folder_read_only tmpfs_full config_is_a_folder lock_taken
        pid_file_left mounted_file_replaced program_still_written renamed_to_another_volume
        name_too_long links_in_a_circle volume_without_server;
    limits:
        descriptors_used_up processes_used_up pids_cgroup_full threads_used_up
        address_space_used_up watches_used_up argument_too_long call_unknown_to_seccomp;
    network:
        connect_refused connect_refused_to_epoll connect_refused_to_go
        connect_refused_by_unix_socket name_unknown name_unknown_to_go name_server_failing
        name_known_by_one_family name_server_gone connect_unanswered connect_never_back network_without_route
        connection_reset_by_peer local_ports_used_up ipv6_switched_off certificate_self_signed;
    exceptions:
        exception_in_python exception_with_its_cause exception_after_refused_cache exception_in_perl;
    exits:
        exit_0 exit_0_hiding_a_child exit_3_silent exit_1_with_words wrapper_passes_code_on
        interpreter_syntax_error perl_syntax_error file_done_without set_up_refused bind_retried
        child_failure_handled;
}

#[test]
fn every_death_of_the_table_has_a_live_test() {
    let table: Vec<(&str, Vec<&str>)> = tests::deaths::FAMILIES
        .iter()
        .map(|(family, deaths)| (*family, deaths.iter().map(|death| death.name).collect()))
        .collect();
    let here: Vec<(&str, Vec<&str>)> =
        FAMILIES.iter().map(|(family, names)| (*family, names.to_vec())).collect();
    assert_eq!(here, table);
}
