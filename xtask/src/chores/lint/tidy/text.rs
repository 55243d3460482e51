//! What no file of ours may say, whatever its language. It knows no Rust.

/// Paths of the machines that this was written on. Each is put together here, so that this file
/// does not break its own rule.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/tmp", "/w/"), concat!("/root/.", "cargo")];

const UNFINISHED: [&str; 4] = [
    concat!("to", "do!("),
    concat!("un", "implemented!("),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];

pub fn breaches(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        for machine in MACHINE_PATHS.iter().filter(|machine| line.contains(**machine)) {
            breaches.push(format!("{path}:{number}: a path of one machine: {machine}"));
        }
        for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
            breaches.push(format!("{path}:{number}: unfinished: {word}"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::super::tests::compare;
    use super::*;

    #[test]
    fn nothing_is_unfinished_or_bound_to_one_machine() {
        let text = concat!("see /wo", "rk/main\n", "TO", "DO later\n");
        let found = breaches("README.md", text);
        compare(&found, &["README.md:1: a path", "README.md:2: unfinished"]);
    }
}
