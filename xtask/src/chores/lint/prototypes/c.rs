//! Prototypes of functions as C writes them, as far as tracepoints need it. Pure.

use std::fmt;

/// `void NAME(PARAMETERS)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prototype {
    pub name: String,
    pub parameters: Vec<Parameter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Words and stars, one space between: `const char *`.
    pub kind: String,
    /// Empty where the kernel does not tell it.
    pub name: String,
}

impl Prototype {
    /// The same parameters, as far as both are named.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let same = |(ours, theirs): (&Parameter, &Parameter)| {
            let unnamed = ours.name.is_empty() || theirs.name.is_empty();
            ours.kind == theirs.kind && (unnamed || ours.name == theirs.name)
        };
        self.name == other.name
            && self.parameters.len() == other.parameters.len()
            && self.parameters.iter().zip(&other.parameters).all(same)
    }
}

impl fmt::Display for Prototype {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "void {}(", self.name)?;
        for (index, Parameter { kind, name }) in self.parameters.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let space = if kind.ends_with('*') || name.is_empty() { "" } else { " " };
            write!(to, "{comma}{kind}{space}{name}")?;
        }
        to.write_str(")")
    }
}

/// All prototypes that stand in a text, whatever is between them.
pub fn prototypes(text: &str) -> Vec<Prototype> {
    let mut found = Vec::new();
    for after in text.split("void ").skip(1) {
        let Some((name, rest)) = after.split_once('(') else { continue };
        let Some((parameters, _)) = rest.split_once(')') else { continue };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let parameters = parameters.split(',').map(parameter).collect();
        found.push(Prototype { name: name.to_owned(), parameters });
    }
    found
}

/// The name is the last word.
fn parameter(text: &str) -> Parameter {
    let text = text.trim();
    let at = text.rfind([' ', '*']).map_or(0, |at| at + 1);
    let (kind, name) = text.split_at(at);
    let words: Vec<&str> = kind.split_whitespace().collect();
    Parameter { kind: words.join(" "), name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prototype_is_read_as_it_is_shown() {
        for text in [
            "void cgroup_mkdir(struct cgroup *cgrp, const char *path)",
            "void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)",
            "void sys_exit(struct pt_regs *regs, long int ret)",
        ] {
            assert_eq!(prototypes(text)[0].to_string(), text);
        }
    }

    #[test]
    fn several_prototypes_may_stand_in_one_line() {
        let found = prototypes(" void a(int x), before 6.8 void b(int y): a void in c.h (mm/c.c)");
        let names: Vec<&str> = found.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn kinds_number_and_names_of_parameters_must_be_the_same() {
        let agree = |one: &str, other: &str| {
            prototypes(&format!("void f({one})"))[0]
                .agrees_with(&prototypes(&format!("void f({other})"))[0])
        };
        assert!(agree("int a, const char *b", "int a, const char *b"));
        assert!(!agree("int a, char *b", "int a, const char *b"));
        assert!(!agree("int a", "int a, int b"));
        assert!(!agree("int a", "int b"));
        let mut unnamed = prototypes("void f(int a)");
        unnamed[0].parameters[0].name.clear();
        assert!(unnamed[0].agrees_with(&prototypes("void f(int a)")[0]));
    }
}
