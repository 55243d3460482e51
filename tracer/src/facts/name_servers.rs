//! The name servers of /etc/resolv.conf. Pure.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_nameserver_lines_count() {
        let file = b"# nameserver 10.0.0.1\nsearch a.b\nnameserver 127.0.0.1\nnameserver\t::1 \nnameserver\n\xff";
        assert_eq!(parse(file), ["127.0.0.1", "::1"]);
    }
}
