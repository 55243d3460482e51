//! Outputs of real deaths, as their runtimes printed them: what is read out of each, whole and as the kernel keeps it. It
//! must not hold an output that nobody saw.

use crate::capture::event::Status;

use super::{
    quote::quote,
    readers,
    reading::{Kind, Reading},
    roles::{self, Role},
    said::{Line, Said},
};

/// How much of the head and of the tail of a stream may be kept.
const KEPT: usize = 2048;

/// One death: the commands, how it ended, the sources, and its output.
struct Sample {
    name: &'static str,
    text: &'static str,
}

macro_rules! samples {
    ($($name:ident)*) => {
        const SAMPLES: &[Sample] = &[$(Sample {
            name: stringify!($name),
            text: include_str!(concat!("samples/", stringify!($name), ".txt")),
        }),*];
    };
}

samples! {
        apache_config beam_app_failure beam_app_start beam_boot_error beam_boot_halt
        beam_boot_undef beam_elixir beam_elixir_compile beam_elixir_module beam_escript
        beam_escript_compile beam_listen beam_no_boot_file curl_certificate curl_refused
        dnsmasq_config go_cobra_usage go_concurrent_map go_custom_error go_custom_type
        go_deadlock go_deadlock_30 go_deadlock_wait_group go_divide go_error_value go_flag_usage
        go_goexit go_index go_log_fatal go_log_fatal_dial go_log_panic go_multi_line go_nil_map
        go_nil_pointer go_out_of_memory go_panic go_panic_30 go_panic_in_library go_repanic
        go_run_build_error go_slog_json go_stack_overflow go_usage go_usage_flag go_wrapped_os
        haproxy_config jvm_array_limit jvm_bad_option jvm_caused_by jvm_class_not_found
        jvm_class_not_found_by_name jvm_connect jvm_direct_memory jvm_heap jvm_heap_crash
        jvm_heap_env jvm_heap_exit jvm_heap_too_large jvm_initializer jvm_logged jvm_long_chain
        jvm_metaspace jvm_multi_line_message jvm_no_jar jvm_null_pointer jvm_other_thread
        jvm_stack_overflow jvm_suppressed jvm_wrong_version kubectl_refused log_logrus log_pino
        log_structlog_console log_structlog_json log_winston log_zap log_zap_dev log_zerolog
        log_zerolog_console lua_error memcached_root mosquitto_config native_asan native_assert
        native_bad_alloc native_double_free native_error_at_line native_fortify
        native_free_invalid native_perror native_pure_virtual native_stack_smashing
        native_terminate native_terminate_int native_thread_left native_vector_at nginx_emerg
        nginx_host nginx_no_file node_aggregate node_assert node_bad_option node_cause
        node_connect_refused node_custom_class node_error_event node_error_without_stack
        node_esm_module_not_found node_esm_named_export node_express_listen node_heap_limit
        node_heap_limit_env node_json_parse node_listen_taken node_logged_last
        node_logged_then_exit node_module_not_found node_no_file node_object_thrown
        node_range_error node_syntax_error node_throw_string node_type_error node_typescript
        node_unhandled_rejection node_unhandled_rejection_string npm_failed_script
        npm_missing_script npm_no_package npm_usage perl_confess perl_croak perl_die
        perl_die_newline perl_method perl_module perl_object perl_open perl_strict perl_syntax
        perl_warn_then_exit php_chain php_memory_limit php_memory_limit_ini php_no_file php_parse
        php_require php_time_limit php_type php_uncaught php_uncaught_both php_uncaught_logged
        php_undefined php_warning_then_exit postgres_no_data postgres_option postgres_root
        postgres_shared_memory psql_refused python_argparse python_assert python_asyncio
        python_atexit python_chained_context python_chained_direct python_chained_long
        python_click_usage python_connection_refused python_dataclass_type python_exception_group
        python_flask_usage python_gunicorn_bad_app python_gunicorn_no_module python_home_wrong
        python_import_error python_indentation python_key_error python_keyboard_interrupt
        python_logged_then_exit python_logged_traceback_last python_loguru
        python_module_not_found python_multi_line_message python_no_file python_pydantic
        python_recursion python_requests python_suppressed python_syntax_error
        python_syntax_error_in_module python_system_exit_text python_thread python_unicode
        python_uvicorn_import python_uvicorn_lifespan redis_config redis_option redis_rdb
        redis_taken ruby_abort ruby_bundler ruby_cause ruby_empty ruby_errno ruby_key_error
        ruby_load_error ruby_multi_line ruby_no_file ruby_no_method ruby_syntax ruby_thread
        rust_alloc rust_anyhow rust_anyhow_one rust_clap_usage rust_double_panic rust_panic
        rust_panic_abort rust_panic_backtrace rust_panic_multi_line rust_result_error
        rust_result_string rust_stack_overflow rust_thread_panic rust_thread_panic_joined
        rust_tracing_error rust_unwrap_io shell_bash_no_file shell_bash_no_script
        shell_bash_not_found shell_bash_required shell_bash_syntax shell_bash_syntax_token
        shell_bash_unbound shell_dash_no_file shell_dash_not_found shell_dash_required
        shell_dash_syntax shell_dash_unbound sshd_config usage_cp usage_curl usage_curl_option
        usage_getopt usage_ls usage_tar
}

impl Sample {
    fn output(&self) -> &'static [u8] {
        let (_, output) = self.text.split_once("\n--- output\n").expect("an output");
        output.as_bytes()
    }

    fn status(&self) -> Status {
        let mut lines = self.text.lines();
        let status = lines.find(|line| line.starts_with("status ") || line.starts_with("signal "));
        let (what, number) = status.and_then(|line| line.split_once(' ')).expect("a status");
        let number: u8 = number.parse().expect("a number");
        match what {
            "status" => Status { code: Some(number), signal: None, core: false },
            _ => Status {
                code: None,
                signal: Some(crate::linux::signal::Signal(number.into())),
                core: false,
            },
        }
    }

    fn lines(&self) -> Vec<Line> {
        Said::tail(self.output(), false).lines()
    }

    /// As the kernel keeps it: its head and its tail.
    fn kept(&self, head: usize, tail: usize) -> Vec<Line> {
        let output = self.output();
        if output.len() <= head + tail {
            return self.lines();
        }
        let (lost_between, end) = (output.len() - head - tail, output.len() - tail);
        let lost_between = u64::try_from(lost_between).expect("a length");
        let (head, tail) = (&output[..head], &output[end..]);
        Said { head, tail, lost_between, cut_before: false }.lines()
    }
}

fn sample(name: &str) -> &'static Sample {
    SAMPLES.iter().find(|it| it.name == name).expect("a sample of that name")
}

fn described(sample: &Sample, lines: &[Line]) -> String {
    let reading = readers::read(lines);
    let mut text = format!("{}\n", sample.name);
    if let Some(it) = &reading {
        let fit = it.fit(sample.status());
        text += &format!("    {:?} {:?} {fit:?}: {}\n", it.runtime, it.kind, it.text());
        for (what, value) in [("root", &it.root_cause), ("frame", &it.frame)] {
            if let Some(value) = value {
                text += &format!("    {what}: {value}\n");
            }
        }
        if let Some(limit) = &it.limit {
            text += &format!("    limit: {limit:?}\n");
        }
    }
    let quote = quote(lines, reading.as_ref());
    text + &format!("    quote: {}\n", quote.map_or("nothing".to_owned(), |it| it.text))
}

/// Whether some line that is quoted is a call of a stack trace, a piece of source or of a usage text.
fn quotes_a_frame(lines: &[Line], text: &str) -> bool {
    let roles = roles::roles(lines);
    let at = |part: &str| lines.iter().position(|line| line.trimmed().replace('\t', " ") == part);
    let parts = text.split(" / ").filter_map(at);
    parts.into_iter().any(|at| roles[at] == Role::Frame)
}

#[test]
fn no_call_of_a_stack_trace_is_quoted() {
    for sample in SAMPLES {
        for (head, tail) in [(KEPT, KEPT), (512, 512), (0, 600), (0, 1000)] {
            let lines = sample.kept(head, tail);
            let Some(quote) = quote(&lines, readers::read(&lines).as_ref()) else { continue };
            assert!(!quotes_a_frame(&lines, &quote.text), "{}: {}", sample.name, quote.text);
        }
    }
}

#[test]
fn head_and_tail_are_enough_to_know_the_exception() {
    for sample in SAMPLES {
        let Some(whole) = readers::read(&sample.lines()).filter(Reading::ended_it) else {
            continue;
        };
        let kept = readers::read(&sample.kept(KEPT, KEPT));
        let kept = kept.unwrap_or_else(|| panic!("{}: nothing is left", sample.name));
        assert_eq!((kept.kind, kept.text()), (whole.kind, whole.text()), "{}", sample.name);
    }
}

#[test]
fn calls_without_their_message_are_said_to_be_that() {
    let lines = sample("jvm_stack_overflow").kept(0, 2005);
    let quote = quote(&lines, readers::read(&lines).as_ref()).expect("a quote");
    assert_eq!(quote.text, "(calls of a stack trace alone)");
}

#[test]
fn of_a_chain_whose_first_links_are_lost_no_first_is_named() {
    let reading = readers::read(&sample("python_chained_long").kept(512, 1500)).expect("a reading");
    assert_eq!(reading.text(), "RuntimeError: cannot start the service");
    assert!(reading.root_cause.is_none() && !reading.complete);
}

#[test]
fn a_dump_without_its_first_lines_is_no_more_than_a_panic() {
    let reading = readers::read(&sample("go_panic_30").kept(0, 900)).expect("a reading");
    assert!(!reading.complete && reading.message.is_empty() && reading.kind == Kind::Uncaught);
}

#[test]
fn the_innermost_cause_is_left_where_the_head_of_a_trace_is_lost() {
    let reading = readers::read(&sample("jvm_long_chain").kept(0, 1200)).expect("a reading");
    assert!(!reading.complete);
    assert_eq!(reading.text(), "java.lang.NumberFormatException: For input string: \"x\"");
}

#[test]
fn output_of_any_kind_is_read_without_a_panic() {
    for sample in SAMPLES {
        for cut in (0..sample.output().len()).step_by(301) {
            let said = Said::tail(&sample.output()[cut..], true);
            let lines = said.lines();
            let reading = readers::read(&lines);
            quote(&lines, reading.as_ref());
        }
    }
}

#[test]
fn each_sample_is_read_as_it_should_be() {
    let found: String = SAMPLES.iter().map(|it| described(it, &it.lines())).collect();
    let expected = include_str!("samples/readings.txt");
    let differing = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert_eq!(differing, None, "what is read, and what samples/readings.txt says");
    assert_eq!(found.len(), expected.len(), "what is read, all of it:\n{found}");
}
