//! Tests of what settings come out of flags and file.

use clap::{FromArgMatches, error::ErrorKind};

use super::*;

fn flags(arguments: &[&str]) -> Result<Layer, clap::Error> {
    let command =
        <Layer as clap::Args>::augment_args(clap::Command::new("run").no_binary_name(true));
    Layer::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

fn resolve(arguments: &[&str], file: &str) -> Result<Settings, ConfigError> {
    let layer = flags(arguments).unwrap();
    Settings::resolve(&layer, Some((Path::new("tracer.toml"), file)), "node1")
}

fn error(file: &str) -> String {
    resolve(&[], file).unwrap_err().to_string()
}

#[test]
fn defaults_are_as_documented() {
    let toml = Settings::resolve(&Layer::default(), None, "node1").unwrap().to_toml().unwrap();
    let expect = "\
cgroup_root = []
cri_socket = [\"/run/containerd/containerd.sock\", \"/run/crio/crio.sock\", \"/run/k3s/containerd/containerd.sock\", \"/run/cri-dockerd.sock\"]
recorder = \"auto\"
startup_window = \"2m\"
store = \"/var/lib/tracer/tracer.db\"
store_max_size = \"256MiB\"
store_max_age = \"7d\"
socket = \"/run/tracer/tracer.sock\"
api_listen = \"127.0.0.1:9468\"
metrics_listen = \"[::]:9469\"
pin_dir = \"/sys/fs/bpf/tracer\"
keep_when_stopped = false
node_name = \"node1\"
kubernetes = \"auto\"
annotate_pods = false
stdout = \"events\"
capture_output = true
redact = true
redact_pattern = []
log = \"info\"

[[select]]
namespace = \"*\"
labels = \"app=macula-gateway\"
capture_output = true
";
    assert_eq!(toml, expect);
}

#[test]
fn flags_come_before_the_file() {
    let file = "store_max_age = \"1d\"\nstdout = \"none\"\nselect = [\"a=b\"]\n";
    let settings =
        resolve(&["--store-max-age", "2h", "--select", "shop:x in (a,b)"], file).unwrap();
    assert_eq!(settings.store_max_age, "2h".parse().unwrap());
    assert_eq!(settings.stdout, Stdout::None);
    assert_eq!(settings.select, ["shop:x in (a,b)".parse().unwrap()]);
}

#[test]
fn what_is_printed_can_be_fed_back() {
    let arguments = [
        "--select=shop:app=web,!canary",
        "--select=*:",
        "--cgroup-root=/lab",
        "--cri-socket=/run/x.sock",
        "--recorder=always",
        "--startup-window=90s",
        "--store=/x.db",
        "--store-max-size=20MB",
        "--store-max-age=36h",
        "--socket=/x.sock",
        "--api-listen=off",
        "--metrics-listen=[::1]:1",
        "--pin-dir=/sys/fs/bpf/x",
        "--keep-when-stopped",
        "--node-name=n",
        "--kubernetes=off",
        "--annotate-pods",
        "--stdout=crashes",
        "--capture-output=no",
        "--redact=false",
        "--redact-pattern=a\"b\\d",
        "--log=tracer=debug,info",
    ];
    let settings = resolve(&arguments, "").unwrap();
    assert!(settings.keep_when_stopped && !settings.redact && !settings.capture_output);
    assert_eq!(resolve(&[], &settings.to_toml().unwrap()).unwrap(), settings);
    let named = arguments.map(|argument| argument.split('=').next().unwrap().to_owned());
    for key in keys() {
        let flag = format!("--{}", key.replace('_', "-"));
        assert!(named.contains(&flag), "{flag} is not part of this test");
    }
}

#[test]
fn one_rule_names_flag_variable_and_key() {
    let command = <Layer as clap::Args>::augment_args(clap::Command::new("run"));
    for argument in command.get_arguments() {
        let key = argument.get_id().as_str();
        assert_eq!(argument.get_long(), Some(key.replace('_', "-").as_str()));
        let variable = format!("TRACER_{}", key.to_uppercase());
        assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
    }
    let settings = Settings::resolve(&Layer::default(), None, "n").unwrap();
    let printed: toml::Table = settings.to_toml().unwrap().parse().unwrap();
    let mut printed: Vec<_> = printed.keys().cloned().collect();
    let mut known = keys();
    printed.sort();
    known.sort();
    assert_eq!(printed, known);
}

#[test]
fn items_of_a_list_in_a_variable_are_lines() {
    let layer = flags(&["--select", "app in (a,b)\nshop:"]).unwrap();
    assert_eq!(layer.select.unwrap().len(), 2);
}

#[test]
fn a_flag_that_cannot_be_read_says_what_to_write() {
    let error = flags(&["--store-max-age", "soon"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ValueValidation);
    assert!(error.to_string().contains("e.g. `10m` or `7d`"), "{error}");
}

#[test]
fn an_unknown_key_is_answered_by_the_nearest() {
    let text = error("store_max_aeg = \"1d\"");
    assert!(text.contains("`store_max_aeg`") && text.contains("`store_max_age`"), "{text}");
    assert!(error("zzz = 1").contains("known are"), "no key is near to it");
    assert!(error("config = \"x\"").contains("unknown key `config`"));
}

#[test]
fn a_wrong_value_is_named() {
    let table = [
        ("store_max_size = \"5\"", "store_max_size"),
        ("store_max_age = 7", "store_max_age"),
        ("select = []", "nothing would be watched"),
        ("select = [\"a=b c\"]", "a comma is expected"),
        ("api_listen = \"0.0.0.0:1\"", "no loopback address"),
        ("redact_pattern = [\"(\"]", "redact_pattern"),
        ("log = \"tracer=loud\"", "log"),
        ("node_name = \"\"", "node_name"),
        ("store = [", "tracer.toml"),
        ("[[select]]\nlabel = \"x\"", "`labels`"),
    ];
    for (file, expect) in table {
        let text = error(file);
        assert!(text.contains(expect), "{file}: {text}");
    }
}

/// Settings whose default is found on the machine, or is nothing: it is told in words.
const IN_WORDS: [&str; 4] = ["cgroup_root", "cri_socket", "node_name", "redact_pattern"];

/// Looks whether a setting is by default what a text says.
fn is_default(key: &str, told: &str) {
    let by_default = resolve(&[], "").unwrap();
    let flag = format!("--{}", key.replace('_', "-"));
    assert_eq!(resolve(&[&flag, told], "").unwrap(), by_default, "{flag} {told}");
}

#[test]
fn the_help_tells_the_defaults() {
    let command = <Layer as clap::Args>::augment_args(clap::Command::new(""));
    for argument in command.get_arguments() {
        let (key, help) = (argument.get_id().as_str(), argument.get_help().unwrap().to_string());
        let told = help.split_once("[default: ").and_then(|(_, rest)| rest.strip_suffix(']'));
        match told {
            Some(told) if !IN_WORDS.contains(&key) => is_default(key, told),
            Some(_) | None => assert!(IN_WORDS.contains(&key), "{key}: {help}"),
        }
    }
}

#[test]
fn the_manual_tells_every_setting_with_its_default() {
    let manual = include_str!("../../../docs/operations.md");
    let table = manual.split("| setting | default | what it is |\n").nth(1).unwrap();
    let mut told = Vec::new();
    for row in table.lines().skip(1).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let flags = cells[1].split(", ").filter_map(|word| word.strip_prefix("`--"));
        let keys: Vec<String> =
            flags.map(|flag| flag.trim_end_matches('`').replace('-', "_")).collect();
        // A list of words belongs to its only setting.
        let defaults: Vec<&str> =
            if keys.len() == 1 { vec![cells[2]] } else { cells[2].split(", ").collect() };
        assert_eq!(keys.len(), defaults.len(), "{row}");
        for (key, default) in keys.iter().zip(defaults) {
            if !IN_WORDS.contains(&key.as_str()) {
                is_default(key, default.trim_matches('`'));
            }
        }
        told.extend(keys);
    }
    let mut known = keys();
    told.sort_unstable();
    known.sort_unstable();
    assert_eq!(told, known);
}
