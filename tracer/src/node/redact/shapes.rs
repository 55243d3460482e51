//! Secrets that are known by their own shape: bearer tokens, passwords in URLs, private keys, JWTs, keys of well-known
//! services. It must not know names.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

use super::Rule;

/// The regular expressions, built once.
#[derive(Debug)]
pub struct Shapes {
    bearer: Regex,
    url: Regex,
    key_begin: Regex,
    key_end: Regex,
    jwt: Regex,
    service_key: Regex,
}

const SERVICE_KEYS: &str = r"(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,}|xox[abeprs]-[A-Za-z0-9\-]{10,}|[sr]k_live_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_\-]{30,})";

impl Shapes {
    /// No pattern asks for a word's edge before it: what stands there may itself be taken out.
    pub fn new() -> Result<Self, regex::Error> {
        let regex = |pattern: &str| RegexBuilder::new(pattern).unicode(false).build();
        Ok(Self {
            bearer: regex(r"(?i)bearer[ \t]+([A-Za-z0-9._~+/=\-]{6,})")?,
            url: regex("[A-Za-z][A-Za-z0-9+.\\-]*://([^\\s\"'<>`]*)")?,
            key_begin: regex("-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")?,
            key_end: regex("-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")?,
            jwt: regex(r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?")?,
            service_key: regex(SERVICE_KEYS)?,
        })
    }

    /// Adds every place that has such a shape.
    pub fn find(&self, text: &[u8], found: &mut Vec<(Range<usize>, Rule)>) {
        for captures in self.bearer.captures_iter(text) {
            if let Some(token) = captures.get(1).filter(|token| !is_challenge(token.as_bytes())) {
                found.push((token.range(), Rule::Bearer));
            }
        }
        for captures in self.url.captures_iter(text) {
            if let Some(rest) = captures.get(1)
                && let Some(password) = password_of_url(rest.as_bytes())
            {
                let range = rest.start() + password.start..rest.start() + password.end;
                found.push((range, Rule::Url));
            }
        }
        self.private_keys(text, found);
        for (regex, rule) in [(&self.jwt, Rule::Jwt), (&self.service_key, Rule::ServiceKey)] {
            found.extend(regex.find_iter(text).map(|shape| (shape.range(), rule)));
        }
    }

    /// What stands between the lines of a PEM block; of one whose beginning or end was cut, what is left of it.
    fn private_keys(&self, text: &[u8], found: &mut Vec<(Range<usize>, Rule)>) {
        let mut from = 0;
        while let Some(end) = self.key_end.find_at(text, from) {
            let begin =
                self.key_begin.find_at(text, from).filter(|begin| begin.end() <= end.start());
            let start = match begin {
                Some(begin) => begin.end(),
                None => from + start_of_base64(&text[from..end.start()]),
            };
            found.push((start..end.start(), Rule::PrivateKey));
            from = end.end();
        }
        if let Some(begin) = self.key_begin.find_at(text, from) {
            found.push((begin.end()..text.len(), Rule::PrivateKey));
        }
    }
}

/// What a server says that it wants, or prose: `Bearer realm="x"`, `bearer token expected`.
fn is_challenge(token: &[u8]) -> bool {
    let words: [&[u8]; 8] = [
        b"realm=",
        b"error=",
        b"scope=",
        b"token",
        b"tokens",
        b"authentication",
        b"authorization",
        b"header",
    ];
    words.iter().any(|word| {
        let (head, rest) = token.split_at(token.len().min(word.len()));
        head.eq_ignore_ascii_case(word) && (word.ends_with(b"=") || rest.is_empty())
    })
}

/// Of `user:password@host/path`, which follows `://`. A password may hold what it should not: `@`, and `/` where it
/// cannot be taken for a port.
fn password_of_url(rest: &[u8]) -> Option<Range<usize>> {
    let authority = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let colon = rest[..authority].iter().position(|byte| *byte == b':')?;
    if let Some(at) = rest[..authority].iter().rposition(|byte| *byte == b'@') {
        return (colon < at).then_some(colon + 1..at);
    }
    let looks_like_host =
        rest.starts_with(b"[") || rest[colon + 1..authority].iter().all(u8::is_ascii_digit);
    let at = rest.iter().position(|byte| *byte == b'@')?;
    (!looks_like_host).then_some(colon + 1..at)
}

/// Where the lines of base64 begin with which the text ends.
fn start_of_base64(text: &[u8]) -> usize {
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r".contains(byte);
    let mut start = text.len();
    let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for line in lines.into_iter().rev() {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let whole = start == text.len() || start == line.len() || content.len() >= 16;
        if !content.iter().all(base64) || !whole {
            break;
        }
        start -= line.len();
    }
    start
}
