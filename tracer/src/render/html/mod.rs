//! A crash as one page: the verdict on top, then its evidence, the last words, who died, and the timeline with its gaps.
//! It needs nothing from anywhere, and runs nothing. It must not decide anything or do I/O.

mod entries;

use self::entries::{last_words, timeline};
use super::explain::Named;
use crate::contract::{CrashLoop, CrashObject, Evidence, K8s};

const CSS: &str = include_str!("page.css");

/// A whole HTML document.
pub fn crash_page(object: &CrashObject) -> String {
    let crash = &object.crash;
    let named = Named::of(object.names());
    let title = match &named.pod {
        Some(pod) => format!("{}: {}", pod, crash.cause),
        None => format!("{}: {}", crash.id, crash.cause),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n{}{}{}{}{}</body>\n</html>\n",
        escaped(&title),
        verdict(object, &named),
        evidence(object),
        last_words(object),
        about(object, &named),
        timeline(object),
    )
}

fn verdict(object: &CrashObject, named: &Named) -> String {
    let crash = &object.crash;
    let who = [named.pod.as_ref(), named.container.as_ref(), Some(&to_seconds(&crash.time))]
        .map(|part| part.map(|part| format!("<span>{}</span>", escaped(part))).unwrap_or_default())
        .concat();
    let confidence = match crash.cause.as_str() {
        "none" => String::new(),
        _ => format!(" <span class=\"confidence\">{}</span>", escaped(&crash.confidence)),
    };
    let next = match crash.next_step.as_str() {
        "" => String::new(),
        next => format!("<p class=\"next\"><b>Next step:</b> {}</p>\n", escaped(next)),
    };
    format!(
        "<header>\n<p class=\"who\">{who}</p>\n<p class=\"cause\">{}{confidence}</p>\n<h1>{}</h1>\n{next}</header>\n",
        escaped(&crash.cause),
        escaped(&crash.summary),
    )
}

fn evidence(object: &CrashObject) -> String {
    if object.crash.evidence.is_empty() {
        return String::new();
    }
    let rows = object.timeline.as_ref().map_or(0, Vec::len);
    let items = object.crash.evidence.iter().map(|evidence| evidence_item(evidence, rows));
    format!("<h2>Evidence</h2>\n<ul>\n{}</ul>\n", items.collect::<String>())
}

fn evidence_item(evidence: &Evidence, rows: usize) -> String {
    let mut indexes = evidence.timeline.clone();
    indexes.sort_unstable();
    let links: String = indexes
        .iter()
        .map(|index| match *index < rows {
            true => format!(" <a href=\"#entry-{index}\">[{index}]</a>"),
            false => format!(" [{index}]"),
        })
        .collect();
    format!("<li>{}{links}</li>\n", escaped(&evidence.text))
}

/// Who, when and how, as a list of names and values.
fn about(object: &CrashObject, named: &Named) -> String {
    let exit = &object.exit;
    let ended = match (exit.code, &exit.signal) {
        (_, Some(signal)) if exit.core => format!("killed by {signal}, core dumped"),
        (_, Some(signal)) => format!("killed by {signal}"),
        (Some(code), None) => format!("exited with status {code}"),
        (None, None) => "its end was not recorded".to_owned(),
    };
    let image =
        object.container.as_ref().and_then(|container| container.image.as_ref()?.name.clone());
    let node = object.k8s.as_ref().and_then(K8s::node_name);
    let process = &object.process;
    let rows = [
        ("Pod", named.pod.clone()),
        ("Container", named.container.clone()),
        ("Crash loop", object.crash.crash_loop().map(again)),
        ("Image", image),
        ("Node", node.map(str::to_owned)),
        ("Main process", Some(ended)),
        ("Command", process.command_args.as_ref().map(|words| words.join(" "))),
        ("User", process.user.map(|user| format!("uid {}", user.id))),
        ("Time", Some(object.crash.time.clone())),
        ("Crash", Some(format!("{}, revision {}", object.crash.id, object.crash.revision))),
    ];
    let rows: String = rows
        .iter()
        .filter_map(|(name, value)| {
            Some(format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(value.as_ref()?)))
        })
        .collect();
    format!("<dl>\n{rows}</dl>\n")
}

/// What the crashes before it were.
fn again(again: CrashLoop) -> String {
    let before = match again.same_cause {
        true => " of the same cause".to_owned(),
        false => format!(": {}", again.previous_cause.as_deref().unwrap_or("unknown")),
    };
    format!("{} crashes, the one before{before}", again.crashes)
}

/// `2026-01-31 10:00:00 UTC`; what is no time stays as it is.
fn to_seconds(time: &str) -> String {
    match (time.get(..10), time.get(10..11), time.get(11..19)) {
        (Some(date), Some("T"), Some(clock)) => format!("{date} {clock} UTC"),
        _ => time.to_owned(),
    }
}

/// For text and for values of attributes; what could turn the direction of reading is shown as its number.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in super::printable(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        contract::{What, crash_object},
        render::samples,
    };

    #[test]
    fn a_page_has_the_verdict_its_evidence_and_every_entry() {
        let (timeline, facts, verdict) = samples::missing_file();
        let page = crash_page(&crash_object("0123456789ab", &timeline, &facts, &verdict));
        for part in [
            "<h1>app exited with 1 because /etc/app.yml does not exist.</h1>",
            "<a href=\"#entry-1\">[1]</a>",
            "<tr id=\"entry-1\" class=\"fatal\">",
            "openat &quot;/etc/app.yml&quot; = ENOENT (no such file or directory)",
            "<b>Next step:</b> Mount the file at /etc/app.yml.",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert_eq!(page.matches("<tr id=").count(), timeline.entries.len());
    }

    #[test]
    fn a_page_needs_nothing_from_anywhere() {
        let (timeline, facts, verdict) = samples::every_kind();
        let page = crash_page(&crash_object("0123456789ab", &timeline, &facts, &verdict));
        for outside in ["<script", "src=", "@import", "url(", "<link", "javascript:"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("12 records of this life were lost"), "{page}");
    }

    #[test]
    fn what_a_container_says_cannot_become_markup() {
        let (timeline, facts, verdict) = samples::missing_file();
        let mut object = crash_object("<i>", &timeline, &facts, &verdict);
        let hostile = "\"><script>alert('1')</script>\u{202e}\u{1b}[2J";
        object.crash.summary = hostile.to_owned();
        object.k8s = serde_json::from_value(json!({"pod": {"name": hostile}})).unwrap();
        let entries = json!([
            {"time": hostile, "offset_ns": 1, "kind": hostile, "process": {"comm": hostile, "pid": 1}},
            {"time": "", "offset_ns": 1, "kind": "words", "stream": hostile, "text": hostile, "total_bytes": 1},
        ]);
        object.timeline = serde_json::from_value(entries).unwrap();
        object.process = object.timeline.as_ref().unwrap()[1].process.clone();
        let page = crash_page(&object);
        assert!(!page.contains("<script") && !page.contains("<i>"), "{page}");
        assert!(page.chars().all(|c| c == '\n' || !c.is_control()) && !page.contains('\u{202e}'));
    }

    #[test]
    fn the_last_words_stand_as_they_were_written() {
        let (timeline, facts, verdict) = samples::missing_file();
        let mut object = crash_object("0123456789ab", &timeline, &facts, &verdict);
        for entry in object.timeline.iter_mut().flatten() {
            if let What::Words(words) = &mut entry.what {
                words.text = "one\n  two <three>\n".to_owned();
            }
        }
        let page = crash_page(&object);
        assert!(page.contains("<figcaption>stderr of app[4242]</figcaption>"), "{page}");
        assert!(page.contains("<pre>one\n  two &lt;three&gt;</pre>"), "{page}");
    }

    #[test]
    fn a_page_says_whose_crash_it_is_and_what_came_before() {
        let (timeline, facts, verdict) = samples::missing_file();
        let mut object = crash_object("0123456789ab", &timeline, &facts, &verdict);
        let k8s = json!({"pod": {"name": "cart-0"}, "namespace": {"name": "shop"}});
        object.k8s = serde_json::from_value(k8s).unwrap();
        let again = json!({"crashes": 3, "previous_cause": "segfault", "same_cause": false});
        object.crash.details.insert("crash_loop".to_owned(), again);
        object.crash.time = "2026-01-31T10:00:00.123456789Z".to_owned();
        let page = crash_page(&object);
        assert!(page.contains("<span>shop/cart-0</span>"), "{page}");
        assert!(page.contains("<span>2026-01-31 10:00:00 UTC</span>"), "{page}");
        assert!(page.contains("<dd>3 crashes, the one before: segfault</dd>"), "{page}");
    }
}
