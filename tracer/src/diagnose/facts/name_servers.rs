//! The name servers and search domains of /etc/resolv.conf. Pure.

use crate::linux::text::Text;

/// Servers that are kept; resolvers use three.
const SERVERS_MAX: usize = 8;

/// Addresses of the `nameserver` lines (resolv.conf(5)), in order.
pub fn parse(file: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(file)
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next().map(str::to_owned))?
        })
        .take(SERVERS_MAX)
        .collect()
}

/// Domains of the last `search` or `domain` line, which alone counts, without their last dots.
pub fn search_domains(file: &[u8]) -> Vec<Text> {
    let text = String::from_utf8_lossy(file).into_owned();
    let mut lists = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("search" | "domain")).then_some(words)
    });
    let domains = lists.next_back().into_iter().flatten();
    domains
        .map(|domain| Text::from(domain.trim_end_matches('.')))
        .filter(|it| !it.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_search_line_counts() {
        let file = b"search a.b\nnameserver ::1\n search prod.svc.cluster.local. cluster.local\n#search x\n";
        assert_eq!(search_domains(file), ["prod.svc.cluster.local".into(), "cluster.local".into()]);
        assert_eq!(search_domains(b"nameserver ::1\n"), []);
    }

    #[test]
    fn only_whole_nameserver_lines_count() {
        let file = b"# nameserver 10.0.0.1\nsearch a.b\nnameserver 127.0.0.1\nnameserver\t::1 \nnameserver\n\xff";
        assert_eq!(parse(file), ["127.0.0.1", "::1"]);
    }
}
