//! What is taken out, what is kept, and what holds of any bytes.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::{
    capture::{
        decode::golden,
        event::{Exec, Stream, Words},
    },
    diagnose::facts::model::SenderFact,
};

fn redactor() -> Redactor {
    Redactor::new(true, &[]).unwrap()
}

/// Without counts that anyone looks at.
static SHARED: LazyLock<Redactor> = LazyLock::new(redactor);

fn text(input: &str) -> String {
    let mut text = Text::from(input);
    SHARED.text(&mut text);
    String::from_utf8(text.0).unwrap()
}

fn arguments(input: &[&str]) -> Vec<String> {
    let mut args: Vec<Text> = input.iter().map(|arg| Text::from(*arg)).collect();
    SHARED.arguments(&mut args);
    args.into_iter().map(|arg| String::from_utf8(arg.0).unwrap()).collect()
}

fn event(what: What) -> Event {
    Event { time_ns: 0, cgroup: 1, process: golden::process(), what }
}

/// Each line holds one secret, `hunter2`, `s3cr3t-of-ours` or a made-up key, in `<>`.
#[test]
fn secrets_in_text_are_taken_out() {
    let key = "A".repeat(36);
    let table = [
        "password=<hunter2>",
        "--password=<hunter2> --user=x",
        "--password <hunter2> --user x",
        "sh -c 'app --token <hunter2>'",
        "PASSWORD=<hunter2> exec app",
        "DB_PASSWORD = <hunter2>",
        "password: <hunter2>",
        "Password:<hunter2>",
        "password := \"<hunter2>\"",
        "password => '<hunter2>'",
        "password == <hunter2>",
        r#"{"user":"x","token":"<hunter2>","n":1}"#,
        r#"{"clientSecret" : "<hunter2 and more>"}"#,
        r#"{\"token\":\"<hunter2>\",\"n\":1}"#,
        r#"{"password":"<hun\"ter2>"}"#,
        "password='<hunter2 x>' y",
        "api_key: <hunter2>, user: x",
        "{password=<hunter2>, user=x}",
        "Server=x;Password=<hunter2>;Database=y",
        "GET /?token=<hunter2>&page=2",
        "https://x/?access_token=<hunter2>",
        "token: <hunter2>",
        "INFO token: <s3cr3t-of-ours>",
        "line\n  token: <hunter2>\nline",
        "Authorization: <Basic dXNlcjpwdw==>",
        "curl -H 'Authorization: <token x y>' https://x",
        r#"{"Authorization":"<Basic x>","a":1}"#,
        "> Cookie: <a=b; c=d>",
        "Set-Cookie: <sid=1; Path=/>\r\nHost: x",
        "sent Bearer <s3cr3t-of-ours> to x",
        "postgres://user:<hunter2>@db:5432/x",
        "redis://:<hunter2>@cache",
        "http://user:<p@ss>@host/",
        "http://user:<pa/ss>@host/",
        "http://user:<pa?ss#x>@host/a@b".trim_end_matches("/a@b"),
        "cannot connect to 'amqp://a:<b>@c'",
        "-----BEGIN RSA PRIVATE KEY-----<\nMIIEow\nAbc=\n>-----END RSA PRIVATE KEY-----\nnext",
        "-----BEGIN PRIVATE KEY-----<\\nMIIEow>",
        "x:\n<MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn\nAbc=\n>-----END PRIVATE KEY-----",
        "got <eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_def>!",
        "id <AKIAIOSFODNN7EXAMPLE>.",
        "push with <ghp_0123456789abcdefghijABCDEFGHIJ012345>",
        "AWS_SECRET_ACCESS_KEY=<wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY>",
        "AWS_SECRET_ACCESS_KEY=</JalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY>",
        "-Djavax.net.ssl.keyStorePassword=<changeit>",
        "--set a=b,auth.password=<hunter2>",
        "password=\t<hunter2>",
        "password=   <hunter2>",
        "PASSWORD= <hunter2>",
        "contraseña: <hunter2>",
        "DB_PASSWORT=<hunter2>",
        "mot_de_passe=<hunter2>",
        "пароль: <hunter2>",
        "数据库密码=<hunter2>",
        "127.0.0.1:6379> AUTH <hunter2>",
        "AUTH default <hunter2>",
        "redis-cli -h cache AUTH <hunter2>",
        "> AUTH PLAIN <AGZvbwBiYXI=>",
        "curl -u user:<hunter2> https://x",
        "curl --user=me@x:<hunter2> https://x",
        "wget -q; mysql -h db -u root -p<hunter2> -e 'select 1'",
        "/usr/bin/mysqldump --all -p<hunter2>",
        "sshpass -p <hunter2> ssh host",
        "redis-cli -a <hunter2> ping",
        "ldapsearch -x -D cn=x -w <hunter2>",
        "mosquitto_pub -u me -P <hunter2> -t x",
        "smbclient //h/s -U me%<hunter2>",
        "openssl pkcs12 -passin pass:<hunter2>",
        "Basic <dXNlcjpwdw>== is sent",
        r#"{"auths":{"r.io":{"auth":"<dXNlcjpodW50ZXIy>"}}}"#,
        "//registry/:_auth=<dXNlcjpodW50ZXIy>",
        "GET https://a.blob.core.windows.net/c/f?sv=2022&sig=<abcDEF123%2Babc%3D0123456789>&se=1",
        "POST https://hooks.slack.com/services/<T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX> 404",
        "https://discord.com/api/webhooks/123456789012345678/<abcDEF_-123>",
        "https://api.telegram.org/bot<123456789:AAabcdefghijklmnopqrstuvwxyz0123456>/getMe",
        "admin:<$apr1$abcdefgh$0123456789abcdefABCDEF>",
        "root:<$6$saltsalt$abcdefghijklmnopqrstuvwxyz./0123456789>:19000:0:",
        "userPassword: <{SSHA}0123456789abcdefABCDEF==>",
    ];
    for marked in table {
        let (front, rest) = marked.split_once('<').unwrap();
        // The last `>` closes: `=>` and the prompt of curl come before.
        let (secret, back) = rest.rsplit_once('>').unwrap();
        let plain = format!("{front}{secret}{back}");
        assert_eq!(text(&plain), format!("{front}[redacted]{back}"), "{plain}");
    }
    assert_eq!(text(&format!("AIza{key}")), "[redacted]");
    assert_eq!(text("password=a&token=b"), "password=[redacted]&token=[redacted]");
    assert_eq!(text("token: password: x"), "token: [redacted]: [redacted]");
    assert_eq!(text("token: Bearer abcdefgh"), "token: [redacted] [redacted]");
}

/// One of each kind of key, made up, as its service writes it.
#[test]
fn keys_of_services_are_taken_out() {
    let (hex, letters) = ("0123456789abcdef".repeat(8), "aB3dE5gH7j".repeat(12));
    for (begins, rest) in [
        ("sk-proj-", &letters[..48]),
        ("sk-ant-api03-", &letters[..93]),
        ("npm_", &letters[..36]),
        ("hvs.", &letters[..95]),
        ("dop_v1_", &hex[..64]),
        ("pypi-AgEIcHlwaS5vcmc", &letters[..60]),
        ("SG.", &format!("{}.{}", &letters[..22], &letters[..43])),
        ("SK", &hex[..32]),
        ("AC", &hex[..32]),
        ("xapp-1-", &letters[..30]),
        ("glrt-", &letters[..20]),
        ("dckr_pat_", &letters[..27]),
        ("hf_", &letters[..34]),
        ("shpat_", &hex[..32]),
        ("sk_test_", &letters[..24]),
        ("rk_live_", &letters[..24]),
        ("dapi", &hex[..32]),
        ("glsa_", &format!("{}_{}", &letters[..32], &hex[..8])),
        ("AGE-SECRET-KEY-1", &"QPZRY9X8".repeat(7)),
        ("", &format!("MTAx{}.GabcdE.{}", &letters[..20], &letters[..30])),
    ] {
        assert_eq!(text(&format!("with {begins}{rest} to")), "with [redacted] to", "{begins}");
    }
}

#[test]
fn evidence_is_kept() {
    for input in [
        "",
        "open /etc/secrets/token: no such file or directory",
        "--key-file /etc/x.key",
        "--tls-key /etc/x.pem",
        "--tls-key=certs/x.pem",
        "--key server.pem",
        "TLS_KEY_FILE=/etc/x.key",
        "TLS_KEY=/etc/x.key",
        "token_path=abc",
        "keyboard=us",
        "keyboard: us",
        "SyntaxError: unexpected token: }",
        "unknown key: database.url",
        "missing key: name",
        "public_key=abc",
        "password authentication failed for user \"x\"",
        "the flag --token is required",
        "flag needs an argument: --password",
        "--password --verbose",
        "password=$DB_PASSWORD",
        "password=${DB_PASSWORD}",
        "password=",
        "password: null",
        "PASSWORD= --verbose",
        "password= user=x",
        "token::Kind::Comma",
        "cat: token: No such file or directory",
        "open secrets/password: Permission denied",
        "exec: \"/run/secrets/token\": permission denied",
        "exec: \"token\": executable file not found in $PATH",
        "sh: 1: get-token: not found",
        "WWW-Authenticate: Bearer realm=\"x\"",
        "bearer token expected",
        "http://host:8080/path?mail=a@b",
        "http://user@host/",
        "http://[::1]:8080/a@b",
        "dial tcp 10.0.0.1:5432: connect: connection refused",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "12 tests passed: all",
        "AKIA is a prefix",
        "eyJ is none",
        "max_tokens=5",
        "PEM_read_bio_PrivateKey: error:1E08010C:DECODER routines::unsupported",
        "./entrypoint.sh: 4: API_TOKEN: parameter not set",
        "SECRET = os.environ[\"SECRET_KEY\"]",
        "    token = read_token(path)",
        "docker run -u 1000:1000 -p 8080:80 app",
        "chown -u app:app",
        "NOAUTH Authentication required.",
        "AUTH failed",
        "the AUTH command was not sent by the client",
        "mysql -p db",
        "mysqld: ready for connections",
        "enclave: x",
        "basic authentication failed",
        "Basic dGhpcyBpcyB0ZXh0",
        "npm_config_cache=/x npm_lifecycle_event",
        "sk-learn SK1234 AC97 key-value pypi-server hf_hub",
        "com.example.Main.run(Main.java:10)",
        "sha256:0123456789012345678901234567890123456789012345678901234567890123",
        "monkey=1 author: x passed=3",
    ] {
        assert_eq!(text(input), input);
    }
}

#[test]
fn secrets_in_arguments_are_taken_out() {
    let check = |input: &[&str], expect: &[&str]| assert_eq!(arguments(input), expect);
    check(&["app", "--password", "x y", "z"], &["app", "--password", "[redacted]", "z"]);
    check(&["app", "-token", "-5x"], &["app", "-token", "[redacted]"]);
    check(&["app", "--password=my pass 'word"], &["app", "--password=[redacted]"]);
    check(&["env", "PASSWORD=a b", "app"], &["env", "PASSWORD=[redacted]", "app"]);
    check(&["sh", "-c", "PASSWORD=x exec app"], &["sh", "-c", "PASSWORD=[redacted] exec app"]);
    check(&["sh", "-ec", "app --key x"], &["sh", "-ec", "app --key [redacted]"]);
    check(
        &["curl", "-H", "X-Api-Key: x", "https://u:p@h/"],
        &["curl", "-H", "X-Api-Key: [redacted]", "https://u:[redacted]@h/"],
    );
    check(&["app", "--key", "AKIAIOSFODNN7EXAMPLE"], &["app", "--key", "[redacted]"]);
}

#[test]
fn what_follows_a_programs_own_flag_is_taken_out_of_arguments() {
    let check = |input: &[&str], expect: &[&str]| assert_eq!(arguments(input), expect);
    check(&["mysql", "-phun ter2", "db"], &["mysql", "-p[redacted]", "db"]);
    check(
        &["/usr/bin/curl", "-u", "me:my pass", "x"],
        &["/usr/bin/curl", "-u", "me:[redacted]", "x"],
    );
    check(&["redis-cli", "-a", "x y"], &["redis-cli", "-a", "[redacted]"]);
    check(&["redis-cli", "AUTH", "hunter2"], &["redis-cli", "AUTH", "[redacted]"]);
    check(&["sh", "-c", "mysql -phunter2 db"], &["sh", "-c", "mysql -p[redacted] db"]);
    check(&["docker", "run", "-u", "app:app"], &["docker", "run", "-u", "app:app"]);
    check(&["mysql", "-p", "db"], &["mysql", "-p", "db"]);
    check(&["ls", "-phunter2"], &["ls", "-phunter2"]);
}

#[test]
fn paths_and_flags_in_arguments_are_kept() {
    for input in [
        ["app", "--key-file", "/etc/x"],
        ["app", "--tls-key", "/etc/x.pem"],
        ["app", "--key", "server.pem"],
        ["app", "--password", "--verbose"],
        ["app", "--token", "-v"],
        ["app", "--keyboard", "us"],
        ["app", "password", "x"],
        ["app", "--token=/var/run/secrets/token", "x"],
        ["app", "--token", "$TOKEN"],
    ] {
        assert_eq!(arguments(&input), input);
    }
}

#[test]
fn events_are_redacted_without_a_hint_at_lengths() {
    let exec = |secret: &str| {
        let args = [Text::from("app"), format!("--token={secret}").as_str().into()];
        let length = args.iter().map(|arg| arg.0.len() + 1).sum::<usize>();
        let what = What::Exec(Exec {
            path: "/app".into(),
            args: args.to_vec(),
            args_truncated: false,
            args_length: u64::try_from(length).unwrap(),
            cap_effective: 0,
            mount_ns: 0,
            net_ns: 0,
            device: 0,
            inode: 0,
        });
        event(what)
    };
    let (mut short, mut long) = (exec("x"), exec("much longer than the other"));
    let redactor = redactor();
    redactor.event(&mut short);
    redactor.event(&mut long);
    assert_eq!(short, long);
    let What::Exec(exec) = short.what else { panic!() };
    assert_eq!(exec.args_length, 4 + 18 + 1);
    assert_eq!(redactor.counts()[0], (Rule::Named, 2));
}

#[test]
fn words_and_senders_are_redacted() {
    let words =
        Words { total_bytes: 110, ..crate::render::samples::words(Stream::Stderr, b"password=x") };
    let mut event = event(What::Words(words));
    let command = "kill --token x 1".into();
    let mut facts = Facts {
        senders: vec![SenderFact { pid: 1, command }],
        runtime_message: Some("exec [app --password=x]: not found".to_owned()),
        ..Facts::default()
    };
    let redactor = redactor();
    redactor.event(&mut event);
    redactor.facts(&mut facts);
    let What::Words(words) = event.what else { panic!() };
    assert_eq!(words.bytes, Text::from("password=[redacted]"));
    assert_eq!(words.total_bytes, 119);
    assert_eq!(facts.senders[0].command, Text::from("kill --token [redacted] 1"));
    assert_eq!(facts.runtime_message.unwrap(), "exec [app --password=[redacted]]: not found");
}

#[test]
fn patterns_of_the_user_take_out_their_group() {
    let patterns = ["card ([0-9]+)".to_owned(), "zz+".to_owned()];
    let redactor = Redactor::new(true, &patterns).unwrap();
    let mut text = Text::from("card 1234 zzz");
    redactor.text(&mut text);
    assert_eq!(text, Text::from("card [redacted] [redacted]"));
    assert_eq!(redactor.counts()[Rule::Pattern as usize], (Rule::Pattern, 2));
    assert!(Redactor::new(true, &["(".to_owned()]).is_err());
}

#[test]
fn nothing_is_touched_when_it_is_off() {
    let redactor = Redactor::new(false, &["x".to_owned()]).unwrap();
    let mut args = [Text::from("--password"), Text::from("x")];
    redactor.arguments(&mut args);
    assert_eq!(args[1], Text::from("x"));
}

#[test]
fn every_rule_has_its_own_count() {
    for (index, rule) in Rule::ALL.into_iter().enumerate() {
        assert_eq!(rule as usize, index, "{}", rule.name());
    }
}

/// Text made of pieces that rules look for, with any bytes in between.
fn suspicious() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "password",
        "token",
        "key",
        "Cookie",
        "Authorization",
        "=",
        ":",
        ": ",
        "\"",
        "'",
        "\\\"",
        "\\",
        " ",
        "--",
        "&",
        ",",
        ";",
        ")",
        "]",
        "\n",
        "://",
        "u:p@h",
        "@",
        "/",
        "Bearer ",
        "abcdef12",
        "[redacted]",
        "[",
        "redacted",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "MIIEowIBAAKCAQEA",
        "eyJabcdefgh.abcdefgh",
        "AKIAIOSFODNN7EXAMPLE",
        "$X",
        "is",
        "-c",
        "AUTH ",
        "-u ",
        "mysql -p",
        "Basic dXNlcjpwdw==",
        "пароль",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn redacting_twice_changes_nothing(bytes in suspicious()) {
        let mut once = Text(bytes);
        SHARED.text(&mut once);
        let mut twice = once.clone();
        SHARED.text(&mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn any_arguments_are_taken(args in prop::collection::vec(suspicious(), 0..6)) {
        let mut once: Vec<Text> = args.into_iter().map(Text).collect();
        let count = once.len();
        SHARED.arguments(&mut once);
        prop_assert_eq!(once.len(), count);
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        SHARED.text(&mut Text(bytes));
    }

    #[test]
    fn a_named_secret_never_stays(secret in "[A-Za-z0-9+=!%*]{6,40}", name in "(db_|X-|api)?(password|secret|Token)") {
        prop_assume!(!names::is_open(secret.as_bytes()) && !name.contains(&secret));
        for line in [format!("{name}={secret}"), format!("\"{name}\": \"{secret}\""), format!("a --{name} {secret} b")] {
            prop_assert!(!text(&line).contains(&secret), "{}", line);
        }
    }
}
