//! Secrets that are known by their own shape: bearer tokens, passwords in URLs, webhooks, private keys, JWTs, hashes of
//! passwords, base64 of `user:password`. It must not know names.

use std::ops::Range;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use regex::bytes::{Regex, RegexBuilder};

use super::{Rule, keys};

/// The regular expressions, built once.
#[derive(Debug)]
pub struct Shapes {
    bearer: Regex,
    url: Regex,
    key_begin: Regex,
    key_end: Regex,
    jwt: Regex,
    service_key: Regex,
    webhook: Regex,
    signature: Regex,
    password_hash: Regex,
    encoded: Regex,
}

/// Addresses that let in whoever has them: the part that does.
const WEBHOOKS: &str = concat!(
    r#"(?i)hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/([^\s"'<>`]+)"#,
    r#"|discord(?:app)?\.com/api(?:/v[0-9]+)?/webhooks/[0-9]+/([^\s"'<>`/?]+)"#,
    r#"|webhook\.office\.com/webhookb2/([^\s"'<>`]+)"#,
    r#"|api\.telegram\.org/bot([^\s"'<>`/]+)"#,
);

/// Signatures that open what they sign: Azure's SAS, AWS, Google.
const SIGNATURES: &str =
    r"(?i)[?&](?:sig|x-amz-signature|x-goog-signature|signature)=([A-Za-z0-9%+/_.~=\-]{16,})";

/// Hashes of passwords as crypt(5) and LDAP write them.
const PASSWORD_HASHES: &str = concat!(
    r"\$(?:apr1|1|5|6|y|gy|7|2[abxy]|argon2(?:id|i|d)|pbkdf2[a-z0-9\-]*|scrypt)\$[A-Za-z0-9./$=,+\-]{16,}",
    r"|\{(?:S?SHA(?:256|384|512)?|S?MD5|CRYPT)\}[A-Za-z0-9+/=$.]{12,}",
);

/// `Basic dXNlcjpwdw==`, `"auth": "dXNlcjpwdw=="` (docker's settings), `_auth=dXNlcjpwdw==` (npm's).
const ENCODED: &str =
    r#"(?i)(?:basic[ \t]+|auth[\\"']*[ \t]*[:=][ \t]*[\\"']*)([A-Za-z0-9+/_\-]{6,})={0,2}"#;

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
            service_key: regex(&keys::pattern())?,
            webhook: regex(WEBHOOKS)?,
            signature: regex(SIGNATURES)?,
            password_hash: regex(PASSWORD_HASHES)?,
            encoded: regex(ENCODED)?,
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
        let whole = [
            (&self.jwt, Rule::Jwt),
            (&self.service_key, Rule::ServiceKey),
            (&self.password_hash, Rule::PasswordHash),
        ];
        for (regex, rule) in whole {
            found.extend(regex.find_iter(text).map(|shape| (shape.range(), rule)));
        }
        for (regex, rule) in [(&self.webhook, Rule::Url), (&self.signature, Rule::Url)] {
            let parts =
                regex.captures_iter(text).filter_map(|it| it.iter().skip(1).flatten().next());
            found.extend(parts.map(|part| (part.range(), rule)));
        }
        for captures in self.encoded.captures_iter(text) {
            if let Some(token) = captures.get(1).filter(|it| is_user_and_password(it.as_bytes())) {
                found.push((token.range(), Rule::Encoded));
            }
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

/// base64 of `user:password`.
fn is_user_and_password(token: &[u8]) -> bool {
    // Of what was cut, whole groups are left.
    let whole = &token[..token.len() - usize::from(token.len() % 4 == 1)];
    let decoded = STANDARD_NO_PAD.decode(whole).or_else(|_| URL_SAFE_NO_PAD.decode(whole));
    decoded.is_ok_and(|bytes| {
        bytes.contains(&b':') && bytes.iter().all(|byte| (b' '..=b'~').contains(byte))
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
