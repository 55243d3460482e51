//! The wild set, replayed: recorded deaths of programs that nobody tuned the tracer for, each with the answer that was
//! written down before it happened. It must not know how the deaths were provoked.

use serde_json::to_value;
use tests::wild::{families, score};
use tracer::contract::crash_object;

use crate::deaths::{self, check};

/// Deaths that get a verdict that is not right, as long as that is not mended; docs/verdicts.md tells of each.
const MISSES: &[&str] = &[
    "clisp_no_tariff_after_probes",
    "codec_traps_on_one_of_three_files",
    "ctest_hides_what_its_test_said",
    "elixir_match_error_names_no_file",
    "executor_worker_uses_up_its_processor_time",
    "exit_trap_turns_an_unset_variable_into_success",
    "fish_unknown_command",
    "fortran_grid_missing",
    "getent_is_silent_about_the_name",
    "go_panic_wraps_read_only",
    "honcho_process_refused",
    "ioredis_hides_the_refusal_behind_its_limit",
    "java_counts_on_a_renderer_that_segfaults",
    "java_key_store_missing",
    "java_starts_a_helper_without_x_bit",
    "make_keep_going_buries_the_one_failure",
    "mosquitto_auth_plugin_not_in_the_image",
    "node_mysql_hides_the_refusal",
    "node_spawns_gzip_in_a_missing_folder",
    "node_worker_thread_reaches_its_heap",
    "perl_pool_child_fills_the_volume",
    "php_shards_use_up_the_descriptors",
    "pika_names_no_address",
    "python_calls_a_tool_without_its_library",
    "python_redis_retries_then_invalid_decimal",
    "qemu_img_reaches_the_file_size_limit",
    "rsync_in_place_over_a_running_program",
    "ruby_wraps_a_missing_file_in_its_own_error",
    "s6_finish_script_stops_the_tree",
    "stunnel_service_without_connect",
    "tcsh_undefined_variable",
    "three_importers_one_is_given_a_folder",
    "three_workers_one_denied_the_others_wait_for_a_broker",
    "timeout_wraps_an_import_that_says_too_little",
    "winston_tells_only_its_file",
    "xdpyinfo_display_99_is_not_there",
    "celery_settings_of_two_generations_after_a_missing_cache",
    "consumer_outlives_its_broker_by_three_attempts",
    "postgres_stops_after_the_loss_of_a_backend",
    "java_lease_is_lost_as_the_coordinator_resets",
    "python_log_sidecar_leaves_its_socket",
    "perl_token_is_a_folder_the_runtime_made",
    "seed_does_not_fit_and_a_later_check_complains",
    "erlang_supervisor_gives_up_over_a_missing_runtime_file",
    "python_limits_its_own_memory_from_its_settings",
    "tail_waits_for_a_server_that_segfaults_unheard",
    "program_file_of_no_bytes",
    "ssh_jump_program_missing",
    "lock_conflict_is_declared_a_success",
    "parallel_job_is_out_of_time",
];

#[test]
fn every_wild_death_gets_its_right_answer() {
    let deaths = deaths::all();
    let (mut wrong, mut missing) = (Vec::new(), Vec::new());
    let families = families().unwrap();
    for answer in families.iter().flat_map(|family| &family.deaths) {
        let Some(death) = deaths.iter().find(|death| death.name == answer.name) else {
            missing.push(&answer.name);
            continue;
        };
        let object = crash_object("0123456789ab", &death.timeline, &death.facts, &death.verdict());
        let scored = score::score(&to_value(object).unwrap(), answer).unwrap();
        if let Some((fault, why)) = scored.fault {
            let line = format!("{}: {}: {why}: {}", answer.name, fault.name(), scored.summary);
            // Shown by `--nocapture`.
            println!("{line}");
            wrong.push(line);
        }
    }
    assert!(missing.is_empty(), "not recorded (cargo xtask wild --record): {missing:?}");
    check(&wrong, MISSES);
}
