//! Which names hold a secret, and which values of such names do not. It must not know where they were found.

/// How sure a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// `db_password`, `apiToken`, `--client-secret`
    Secret,
    /// `token`, `key`: also words of every day, as in `unexpected token: }`
    MaybeSecret,
    /// `Authorization`, `Cookie`: the whole line is the value.
    Header,
}

/// A name holds a secret if its last word is one of these, or ends with one.
const SECRETS: [&str; 27] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "token",
    "credential",
    "credentials",
    // The same in other languages.
    "passwort",
    "kennwort",
    "wachtwoord",
    "contraseña",
    "contrasena",
    "motdepasse",
    "lösenord",
    "losenord",
    "salasana",
    "adgangskode",
    "пароль",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "סיסמה",
];

/// Words that end like a secret only together.
const COMPOUNDS: [&str; 6] =
    ["apikey", "accesskey", "secretkey", "privatekey", "authkey", "signingkey"];

/// The last word must be just this.
const WORDS: [&str; 22] = [
    "key",
    "pass",
    "pw",
    "cred",
    "creds",
    "cookie",
    "cookies",
    "psk",
    "passe",
    "clave",
    "senha",
    "heslo",
    "hasło",
    "haslo",
    "parola",
    "lozinka",
    "şifre",
    "sifre",
    "jelszó",
    "jelszo",
    "geheim",
    "geheimnis",
];

/// Words after the secret's that say how it is written.
const SPELLINGS: [&str; 6] = ["value", "base64", "b64", "hex", "hash", "string"];

/// Words before `key` that make it no secret.
const OPEN_KEYS: [&str; 18] = [
    "public",
    "pub",
    "primary",
    "foreign",
    "unique",
    "partition",
    "sort",
    "cache",
    "row",
    "routing",
    "index",
    "object",
    "map",
    "group",
    "unknown",
    "missing",
    "duplicate",
    "invalid",
];

/// What a flag's, variable's, field's or header's name tells.
pub fn holds(name: &[u8]) -> Option<Holds> {
    let words = words(name);
    let spelling = |word: &&String| {
        let digits = word.trim_start_matches('v');
        SPELLINGS.contains(&word.as_str()) || digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let kept = words.len() - words.iter().rev().take_while(spelling).count();
    let (last, before) = words[..kept].split_last()?;
    let last = last.trim_end_matches(|c: char| c.is_ascii_digit());
    if last == "authorization"
        || (last == "cookie" && before.last().is_none_or(|word| word == "set"))
    {
        return Some(Holds::Header);
    }
    if last == "key" && before.last().is_some_and(|word| OPEN_KEYS.contains(&word.as_str())) {
        return None;
    }
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| last.ends_with(suffix));
    if WORDS.contains(&last) || last == "token" {
        return Some(if words.len() == 1 { Holds::MaybeSecret } else { Holds::Secret });
    }
    (ends(&SECRETS) || ends(&COMPOUNDS)).then_some(Holds::Secret)
}

/// Values that are evidence and no secret: paths, references to variables, words for nothing.
pub fn is_open(value: &[u8]) -> bool {
    let nothing: [&[u8]; 6] = [b"", b"true", b"false", b"null", b"nil", b"none"];
    nothing.iter().any(|word| value.eq_ignore_ascii_case(word))
        || is_path(value)
        || is_variable(value)
}

/// True of bytes that names are made of, in any language.
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || !byte.is_ascii()
}

/// `/etc/x.key`, `./x`, `../x`, `~/x`, `file:...`, and `certs/x.pem`, `x.key`: files by their ending.
fn is_path(value: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 20] = [
        b".pem",
        b".key",
        b".crt",
        b".cert",
        b".cer",
        b".der",
        b".p12",
        b".pfx",
        b".jks",
        b".pub",
        b".json",
        b".yaml",
        b".yml",
        b".toml",
        b".txt",
        b".conf",
        b".env",
        b".ini",
        b".properties",
        b".gpg",
    ];
    const STARTS: [&[u8]; 5] = [b"/", b"./", b"../", b"~/", b"file:"];
    // base64 has `+` and `=`, paths hardly ever.
    let fits = |byte: &u8| {
        is_name_byte(*byte)
            || matches!(*byte, b'/' | b'~' | b':' | b'@' | b',' | b'%')
            || !byte.is_ascii()
    };
    value.iter().all(fits)
        && (STARTS.iter().any(|start| value.starts_with(start))
            || ENDINGS.iter().any(|ending| value.ends_with(ending) && value.len() > ending.len()))
}

/// `$NAME` or `${NAME}`, not expanded.
fn is_variable(value: &[u8]) -> bool {
    let Some(rest) = value.strip_prefix(b"$") else { return false };
    let name = rest.strip_prefix(b"{").map_or(Some(rest), |inner| inner.strip_suffix(b"}"));
    let fits = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    name.is_some_and(|name| {
        name.first().is_some_and(|byte| !byte.is_ascii_digit()) && name.iter().all(fits)
    })
}

/// `dbPassword`, `db-password` and `DB_PASSWORD` are `db`, `password`.
fn words(name: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for letter in String::from_utf8_lossy(name).chars() {
        let starts = letter.is_uppercase() && was_lower;
        if (starts || !letter.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase() || letter.is_ascii_digit();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_by_their_last_word() {
        for name in [
            "password",
            "PASSWORD",
            "db_password",
            "DB_PASSWORD",
            "dbPassword",
            "PGPASSWORD",
            "--password",
            "passwd",
            "MYSQL_PWD",
            "client-secret",
            "clientSecret",
            "api_key",
            "apiKey",
            "apikey",
            "X-Api-Key",
            "AWS_SECRET_ACCESS_KEY",
            "access_token",
            "GITHUB_TOKEN",
            "_authToken",
            "session.cookie",
            "credentials",
            "DB_PASS",
            "PASSWORD2",
            "TOKEN_BASE64",
            "secret_v2",
            "spring.datasource.password",
        ] {
            assert_eq!(holds(name.as_bytes()), Some(Holds::Secret), "{name}");
        }
        for name in ["token", "--key", "KEY", "pass"] {
            assert_eq!(holds(name.as_bytes()), Some(Holds::MaybeSecret), "{name}");
        }
        for name in ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"] {
            assert_eq!(holds(name.as_bytes()), Some(Holds::Header), "{name}");
        }
    }

    #[test]
    fn names_of_places_and_counts_are_no_secrets() {
        for name in [
            "",
            "-",
            "1",
            "key-file",
            "TLS_KEY_FILE",
            "token_path",
            "keyboard",
            "monkey",
            "password_file",
            "secretName",
            "token_type",
            "max_tokens",
            "keys",
            "public_key",
            "primary-key",
            "passed",
            "bypass",
            "compass",
            "author",
            "tokenizer",
            "cookiejar",
            "KEYSTORE",
            "key.id",
            "api_key_id",
        ] {
            assert_eq!(holds(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn paths_and_references_are_evidence() {
        for value in [
            "/etc/tls/x.pem",
            "./x",
            "../x",
            "~/.ssh/id",
            "file:///x",
            "certs/server.key",
            "server.pem",
            "$TOKEN",
            "${DB_PASSWORD}",
            "",
            "true",
            "None",
        ] {
            assert!(is_open(value.as_bytes()), "{value}");
        }
        for value in ["hunter2", "/abc+def==", "$ecret", "$2a$10$x", "${a", ".pem", "a b.pem", "$"]
        {
            assert!(!is_open(value.as_bytes()), "{value}");
        }
    }
}
