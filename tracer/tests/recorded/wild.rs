//! The wild set, replayed: recorded deaths of programs that nobody tuned the tracer for, each with the answer that was
//! written down before it happened. It must not know how the deaths were provoked.

use serde_json::to_value;
use tests::wild::{families, score};
use tracer::render::crash_object;

use crate::deaths::{self, check};

/// Deaths that get a verdict that is not right, as long as that is not mended. Nothing may be added.
const MISSES: &[&str] = &[
    "cache_folder_refused_then_timeout_message",
    "capability_probe_then_bad_argument",
    "curl_host_unreachable_route",
    "django_settings_missing",
    "go_panic_nil_map",
    "gunicorn_app_not_found",
    "gunicorn_worker_fails_to_boot",
    "haproxy_unknown_keyword",
    "java_caused_by",
    "java_class_too_new",
    "java_connection_refused",
    "java_heap_space",
    "java_stack_overflow",
    "link_across_devices",
    "lua_module_missing",
    "make_recipe_fails",
    "mlock_refused_then_value_error",
    "mosquitto_certificate_of_another_key",
    "nginx_upstream_not_found",
    "node_entry_missing",
    "node_heap_limit",
    "node_module_missing",
    "node_small_address_space",
    "node_type_error",
    "node_upload_folder_read_only",
    "npm_script_missing",
    "operation_unknown_to_kernel",
    "optional_library_then_crash",
    "pdns_recursor_bad_setting",
    "perl_module_missing",
    "php_memory_limit",
    "php_script_missing",
    "postgres_disk_full",
    "python_cache_down_then_value_error",
    "python_chained_exceptions",
    "python_key_error_on_read_only_root",
    "python_module_missing",
    "python_recursion",
    "retried_until_it_worked_then_bug",
    "rsync_source_missing",
    "ruby_gem_missing",
    "ruby_key_error",
    "ruby_no_method",
    "supervisor_script_gives_up_after_three",
    "systemd_notify_socket_refused_then_bug",
    "tar_archive_is_garbage",
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
            wrong.push(format!("{}: {}: {why}: {}", answer.name, fault.name(), scored.summary));
        }
    }
    assert!(missing.is_empty(), "not recorded (cargo xtask wild --record): {missing:?}");
    check(&wrong, MISSES);
}
