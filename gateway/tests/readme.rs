//! The README's commands of the gateway: the binary takes each as it is written there.

use std::process::Command;

const README: &str = include_str!("../../README.md");

#[test]
fn every_gateway_command_of_the_readme_is_accepted() {
    let commands = README.lines().filter_map(|line| line.strip_prefix("$ gateway "));
    let mut found = 0;
    for command in commands {
        let arguments = command.split_whitespace().map(|word| word.trim_matches('\''));
        let said = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args(arguments)
            .arg("--help")
            .output()
            .expect("the binary can be run");
        let error = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "gateway {command}: {error}");
        found += 1;
    }
    assert!(found > 2);
}
