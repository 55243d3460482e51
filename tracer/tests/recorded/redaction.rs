//! Ordinary output loses nothing to redaction: what programs wrote before they died, line by line.

use tracer::{capture::event::What, linux::text::Text, node::redact::Redactor};

use super::deaths::{Recorded, check, each};

/// Deaths whose output holds a password, or source code that reads like one.
const SECRETS: &[&str] = &[
    "celery_broker_refused",
    "django_secret_key_is_empty",
    "pymysql_names_no_port",
    "sbcl_undefined_function",
    "sbcl_unparsable_number",
];

#[test]
fn no_ordinary_line_is_taken_for_a_secret() {
    let redactor = Redactor::new(true, &[]).unwrap();
    let wrong = each(|death| {
        let lines = lines(death).into_iter();
        let changed = lines.filter_map(|line| {
            let mut text = Text(line.clone());
            redactor.text(&mut text);
            (text.0 != line).then(|| format!("{}: {}", death.name, text))
        });
        changed.collect()
    });
    check(&wrong, SECRETS);
}

/// Every line of every process's words.
fn lines(death: &Recorded) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for event in &death.timeline.entries {
        let What::Words(words) = &event.what else { continue };
        for text in [&words.head, &words.bytes] {
            lines.extend(text.as_bytes().split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        }
    }
    lines
}
