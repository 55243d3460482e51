//! Objects that a line names: files and addresses. It must not know which of them failed.

use crate::capture::event::Address;

use crate::diagnose::verdict::evidence::{failure::Subject, programs};

/// The line names objects of the subject's kind, and the subject is none of them. In lower case.
pub(super) fn names_another(line: &str, subject: &Subject<'_>) -> bool {
    match subject {
        Subject::Path(path) => {
            let path = path.to_string().to_lowercase();
            let name = String::from_utf8_lossy(programs::file_name(path.as_bytes())).into_owned();
            let files: Vec<&str> = files(line).collect();
            let same =
                |file: &&str| named(file) == name || lies_in(&path, file) || lies_in(file, &path);
            // `target "x" does not exist in the project "y"`
            let quoted = || quoted(line).is_some_and(|it| !same(&it));
            let option = || line.split(' ').any(|it| it.starts_with('-') && it.ends_with(':'));
            (!files.is_empty() && !files.iter().any(same))
                || (files.is_empty() && (option() || quoted()))
        }
        Subject::Address { address: Address::Inet(inet), .. } => {
            let ports: Vec<u16> = ports(line).collect();
            !ports.is_empty() && !ports.contains(&inet.port())
        }
        Subject::Address { .. } | Subject::Question { .. } | Subject::None => false,
    }
}

/// The first thing in quotes, if it is one word.
fn quoted(line: &str) -> Option<&str> {
    let at = line.find(['"', '\''])?;
    let begins = at == 0 || line[..at].ends_with([' ', ':', '(', '=']);
    let rest = &line[at + 1..];
    let word = &rest[..rest.find(['"', '\''])?];
    let one = !word.is_empty() && !word.contains(char::is_whitespace);
    (begins && one).then_some(word)
}

/// `/etc/app.conf`, `app.conf`; not the source that a program says it was in, nor the program itself.
fn files(line: &str) -> impl Iterator<Item = &str> {
    const QUOTES: &[char] =
        &['"', '\'', '`', '(', ')', '[', ']', '{', '}', '<', '>', ',', ';', '='];
    let words = line.split(|it: char| it.is_whitespace() || QUOTES.contains(&it));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let is_program = line.split(' ').next().is_some_and(|word| word.ends_with(':'));
    let at_line =
        |at: usize| words.get(at + 1).is_some_and(|word| *word == "line" || *word == "on");
    let found: Vec<&str> = words
        .iter()
        .enumerate()
        .filter(|(at, word)| !(at_line(*at) || is_program && *at == 0) && is_file(word))
        .map(|(_, word)| word.trim_end_matches([':', '.']))
        .collect();
    found.into_iter()
}

fn is_file(word: &str) -> bool {
    let word = word.trim_end_matches([':', '.']);
    // `main.rb:3:in`, `http://host/x`: a place in a source, an address.
    if word.contains(':') || word.len() < 3 {
        return false;
    }
    let extension = word.rsplit_once('.').is_some_and(|(name, extension)| {
        let letters = extension.bytes().all(|it| it.is_ascii_alphanumeric());
        let begins = extension.bytes().next().is_some_and(|it| it.is_ascii_alphabetic());
        let dotted = name.contains('.') && !name.contains('/');
        !name.is_empty() && letters && begins && extension.len() <= 5 && !dotted
    });
    word.starts_with(['/', '.']) && word.contains('/') || extension
}

/// `/data/x/y` in `/data/x`
fn lies_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn named(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// Ports behind hosts: `10.0.0.1:5432`, `db:5432`, `[::1]:80`.
fn ports(line: &str) -> impl Iterator<Item = u16> + '_ {
    let words = line.split(|it: char| it.is_whitespace() || "\"'`(),;<>/=".contains(it));
    words.filter_map(|word| {
        let (host, port) = word.trim_end_matches([':', '.']).rsplit_once(':')?;
        let is_host =
            host.ends_with(']') || host.bytes().any(|it| it == b'.' || it.is_ascii_alphabetic());
        let single = host.ends_with(']') || !host.contains(':');
        // `main.rb:3`: a place in a source.
        let is_place = host.rsplit_once('.').is_some_and(|(_, end)| {
            end.bytes().all(|it| it.is_ascii_alphabetic())
                && end.len() <= 4
                && !host.contains('-')
                && end != "local"
                && end != "svc"
        });
        port.parse().ok().filter(|port: &u16| is_host && single && !is_place && *port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::text::Text;

    fn another(line: &str, path: &str) -> bool {
        names_another(line, &Subject::Path(&Text::from(path)))
    }

    #[test]
    fn an_error_of_another_file_is_not_of_this_one() {
        for line in [
            "filenotfounderror: [errno 2] no such file or directory: '/srv/app/none.json'",
            "{error,{nothing,{\"no such file or directory\",\"nothing.app\"}}}",
            "open /etc/other.yaml: no such file or directory",
            "target \"publish\" does not exist in the project \"shop\".",
            "ld: cannot find -lshop: no such file or directory",
        ] {
            assert!(another(line, "/srv/app/..ez"), "{line}");
        }
        for line in [
            "cannot open settings: no such file or directory at main.pl line 3.",
            "main.rb:3:in `read': no such file or directory",
            "/usr/bin/app: no such file or directory",
            "open etc/app.conf: no such file or directory",
            "no such file or directory",
        ] {
            assert!(!another(line, "/etc/app.conf"), "{line}");
        }
    }

    #[test]
    fn a_refusal_of_another_port_is_not_of_this_one() {
        let address = Address::Inet("127.0.0.1:6379".parse().expect("an address"));
        let subject = Subject::Address { address: &address, port: 6379 };
        assert!(names_another("dial tcp 10.0.0.9:5432: connection refused", &subject));
        assert!(!names_another("dial tcp 127.0.0.1:6379: connection refused", &subject));
        assert!(!names_another("10:00:01 main.go:33 connection refused", &subject));
    }
}
