//! What must not be kept: output that nobody wants captured, and secrets. All that the agent tells or stores is searched.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result, ensure};
use tests::cri::{Around, ContainerSpec, Pod, PodSpec};

use crate::crash::Crash;
use crate::world::World;

const MISSING: &str = "/etc/macula/cert.pem";

#[test]
fn of_a_selection_without_capture_no_word_is_kept_and_the_cause_is_the_same() -> Result<()> {
    const QUIET: &str = "rhinoceros";
    const LOUD: &str = "salamander";
    let folder = tempfile::Builder::new().prefix("config-").tempdir()?;
    let file = folder.path().join("tracer.toml");
    let config = "[[select]]\nnamespace = \"quiet\"\ncapture_output = false\n\n[[select]]\n";
    fs::write(&file, config)?;
    let options = ["--config", file.to_str().context("a path that is no text")?];
    let Some(mut world) = World::with("no capture", Around::Network, &options)? else {
        return Ok(());
    };
    for (namespace, word) in [("quiet", QUIET), ("loud", LOUD)] {
        let pod = Pod::run(&world.containerd, PodSpec::new(namespace, "gateway-0"))?;
        let words = format!("the {word} says: cannot open {MISSING}\n");
        fs::write(pod.shared().join("words"), words)?;
        let says = ContainerSpec::new("gateway", &["/victim", "say", "/pod/words", MISSING]);
        pod.crash_loop(1, |attempt| pod.start(&says, attempt))?;
        for attempt in 0..=1 {
            let told = Crash::wait(&world, namespace, "gateway-0", "gateway", attempt)?;
            ensure!(told.cause() == "file_not_found", "{namespace}: cause is {}", told.cause());
            ensure!(told.exit_code() == Some(1), "{namespace}: {:?}", told.exit_code());
        }
    }
    for (place, text) in all_that_is_kept(&mut world)? {
        ensure!(!contains(&text, QUIET), "{place} has output that is not to be captured");
        // What is searched is where output would be.
        let is_log = ["stderr", "metrics", "crashes", "explain"].contains(&place.as_str());
        ensure!(
            is_log || place.contains("quiet") || contains(&text, LOUD),
            "{place} has no output"
        );
    }
    Ok(())
}

#[test]
fn secrets_in_arguments_urls_and_output_are_kept_nowhere() -> Result<()> {
    const SECRETS: [&str; 5] = [
        "hunter2hippopotamus",
        "pw0in0url",
        "tok3nOfTheBearer",
        "s3cretInRefusedArgs",
        "dbPassw0rdSaid",
    ];
    let Some(mut world) = World::here("secrets", Around::Network)? else { return Ok(()) };
    let pod = Pod::run(&world.containerd, PodSpec::new("macula", "gateway-0"))?;
    let words = format!(
        "GET /v1/realms\nAuthorization: Bearer {}\nDATABASE_PASSWORD={}\ncannot open {MISSING}\n",
        SECRETS[2], SECRETS[4]
    );
    fs::write(pod.shared().join("words"), words)?;
    let password = format!("--password={}", SECRETS[0]);
    let url = format!("postgres://macula:{}@db.shop.svc/realms", SECRETS[1]);
    let says = ["/victim", "say", "/pod/words", MISSING, &password, "--database", &url];
    let refused = format!("--api-token={}", SECRETS[3]);
    let refused = ["/opt/server", &refused, "--password", SECRETS[0]];
    for (attempt, command, cause) in
        [(0, &says[..], "file_not_found"), (1, &refused[..], "exec_not_found")]
    {
        let started = pod.start(&ContainerSpec::new("gateway", command), attempt)?;
        pod.end_of(&started.id)?;
        let told = Crash::wait(&world, "macula", "gateway-0", "gateway", attempt)?;
        ensure!(told.cause() == cause, "attempt {attempt}: cause is {}", told.cause());
    }
    drop(pod);
    let mut redacted = 0;
    for (place, text) in all_that_is_kept(&mut world)? {
        for secret in SECRETS {
            ensure!(!contains(&text, secret), "{place} has the secret {secret}");
        }
        redacted += usize::from(contains(&text, "[redacted]"));
    }
    ensure!(redacted > 5, "only {redacted} places have anything that was taken out");
    Ok(())
}

/// Everything that the agent and its tools say of all crashes, and the bytes of its store, running and stopped.
fn all_that_is_kept(world: &mut World) -> Result<Vec<(String, Vec<u8>)>> {
    let agent = &world.agent;
    let mut kept = Vec::new();
    for crash in Crash::all(world)? {
        let (id, namespace) = (crash.id().to_owned(), crash.namespace().to_owned());
        for form in ["application/json", "text/plain", "text/html"] {
            let answer = agent.get(&format!("/v1/crashes/{id}"), form)?;
            ensure!(answer.status == 200, "{form} of {id}: {}", answer.body);
            kept.push((format!("{namespace}'s {form}"), answer.body.into_bytes()));
        }
        for form in ["text", "json"] {
            kept.push(("explain".to_owned(), agent.ask("explain", &[&id, "-o", form])?));
        }
    }
    for path in ["/v1/events?limit=10000", "/v1/crashes?all=true", "/metrics"] {
        let answer = agent.get(path, "*/*")?;
        ensure!(answer.status == 200, "{path}: {}", answer.body);
        let name = path.trim_start_matches("/v1/").split('?').next().unwrap_or(path);
        kept.push((name.trim_start_matches('/').to_owned(), answer.body.into_bytes()));
    }
    kept.push(("the running store".to_owned(), bytes_of_store(world)?));
    let (_, lines) = world.agent.stop()?;
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    kept.push(("stdout".to_owned(), lines.join("\n").into_bytes()));
    kept.push(("stderr".to_owned(), world.agent.stderr().into_bytes()));
    kept.push(("the stopped store".to_owned(), bytes_of_store(world)?));
    Ok(kept)
}

/// Database and write-ahead log, as they are on the disk.
fn bytes_of_store(world: &World) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for suffix in ["", "-wal"] {
        let mut path = OsString::from(world.agent.store());
        path.push(suffix);
        // A log is there only while somebody writes.
        bytes.extend(fs::read(path).or_else(|error| match suffix {
            "" => Err(error),
            _ => Ok(Vec::new()),
        })?);
    }
    Ok(bytes)
}

fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|window| window == word.as_bytes())
}
