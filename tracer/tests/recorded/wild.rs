//! The wild set, replayed: recorded deaths of programs that nobody tuned the tracer for, each with the answer that was
//! written down before it happened. It must not know how the deaths were provoked.

use serde_json::to_value;
use tests::wild::{families, score};
use tracer::render::crash_object;

use crate::deaths::{self, check};

/// Deaths that get a verdict that is not right, as long as that is not mended. Nothing may be added.
const MISSES: &[&str] = &[
    "apache_run_folder_not_defined",
    "capability_probe_then_bad_argument",
    "curl_host_unreachable_route",
    "fd_folder_missing",
    "java_connection_refused",
    "java_stack_overflow",
    "link_across_devices",
    "lua_module_missing",
    "make_recipe_fails",
    "mariadb_as_root",
    "mosquitto_certificate_of_another_key",
    "node_small_address_space",
    "node_upload_folder_read_only",
    "operation_unknown_to_kernel",
    "optional_library_then_crash",
    "pdns_recursor_bad_setting",
    "php_script_missing",
    "postgres_bad_setting",
    "postgres_disk_full",
    "probes_then_usage_error",
    "prometheus_data_denied",
    "prometheus_data_read_only",
    "python_connect_times_out",
    "redis_dump_is_garbage",
    "redis_port_taken",
    "rsync_source_missing",
    "rsyslog_pid_file_of_running",
    "supervisor_script_gives_up_after_three",
    "tar_archive_is_garbage",
    "tar_disk_full",
    "wait_for_port_gives_up",
];

#[test]
fn every_wild_death_gets_its_right_answer() {
    let deaths = deaths::wild();
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
