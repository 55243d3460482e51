//! The client library and `gateway client` where clients prove who they are.

use std::{fs, path::PathBuf, process::Command};

use gateway::{
    client::{Client, Config, Error, Status, Transport, Trust},
    wire::id::NodeId,
};
use tokio::task::spawn_blocking;

use crate::{
    authority::Authority,
    peer::{NODE, Over},
    world::{CLOSED, REALM, World},
};

/// Writes a client's pair; returns certificate and key.
fn write(name: &str, world: &World, authority: &Authority, uri: &str) -> (PathBuf, PathBuf) {
    let own = authority.client(uri);
    let path = |end: &str| world.folder.path().join(format!("{name}.{end}"));
    let (chain, key) = (path("crt"), path("key"));
    fs::write(&chain, own.cert.pem()).unwrap();
    fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    (chain, key)
}

fn config(world: &World, over: Over) -> Config {
    let trust = Trust::Authority(world.folder.path().join("ca.crt"));
    let address = format!("localhost:{}", world.at(over).port());
    let mut config = Config::new(address, CLOSED.parse().unwrap(), trust);
    config.transport = match over {
        Over::Quic => Transport::Quic,
        Over::Tcp => Transport::Tcp,
    };
    config
}

#[tokio::test]
async fn a_client_proves_itself_by_its_certificate() {
    let world = World::new().await;
    let (chain, key) =
        write("node", &world, &world.authority, &format!("macula://{CLOSED}/{NODE}"));
    for over in Over::BOTH {
        let config = config(&world, over).with_certificate(&chain, &key).unwrap();
        assert_eq!(Some(config.node_id), NodeId::from_hex(&NODE.to_string()));
        let client = Client::connect(config.clone()).await.unwrap();
        client.ping().await.unwrap();
        // Another client with this certificate takes its place, for good.
        let _again = Client::connect(config).await.unwrap();
        let mut status = client.status();
        let ended = status.wait_for(|status| matches!(status, Status::Closed(_))).await;
        let Status::Closed(why) = ended.unwrap().clone() else { panic!("it stays") };
        assert!(matches!(&why, Error::Disconnected { reason, .. } if reason == "replaced"));
    }
}

#[tokio::test]
async fn a_client_without_the_right_certificate_is_told_so() {
    let world = World::new().await;
    let uri = format!("macula://{CLOSED}/{NODE}");
    for over in Over::BOTH {
        let error = Client::connect(config(&world, over)).await.unwrap_err();
        assert!(matches!(&error, Error::Disconnected { reason, .. } if reason == "identity"));

        let (chain, key) = write("node", &world, &Authority::new(), &uri);
        let stranger = config(&world, over).with_certificate(chain, key).unwrap();
        let error = Client::connect(stranger).await.unwrap_err().to_string();
        assert!(error.contains("aborted by peer") || error.contains("fatal alert"), "{error}");

        let (chain, key) = write("node", &world, &world.authority, "https://example.com");
        let nobody = config(&world, over).with_certificate(chain, key).unwrap_err().to_string();
        assert!(nobody.contains("macula://REALM/NODE_ID_HEX"), "{nobody}");
    }
}

#[tokio::test]
async fn a_shell_proves_itself_by_flags_or_variables() {
    let world = World::new().await;
    let uri = format!("macula://{CLOSED}/{NODE}");
    let (chain, key) = write("node", &world, &world.authority, &uri);
    let address = format!("localhost:{}", world.at(Over::Quic).port());
    let ca = world.folder.path().join("ca.crt");
    let ping = |realm: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.args(["client", "ping", "-n", "1"]).env_clear();
        command.env("GATEWAY_SERVER", &address).env("GATEWAY_CA", &ca).env("GATEWAY_REALM", realm);
        command
    };
    let mut flags = ping(CLOSED);
    flags.arg("--cert").arg(&chain).arg("--key").arg(&key);
    let mut variables = ping(CLOSED);
    variables.env("GATEWAY_CERT", &chain).env("GATEWAY_KEY", &key);
    let (chain, key) = write("stranger", &world, &Authority::new(), &uri);
    let mut stranger = ping(CLOSED);
    stranger.env("GATEWAY_CERT", &chain).env("GATEWAY_KEY", &key);
    for (mut command, code, says) in [
        (flags, 0, ""),
        (variables, 0, ""),
        (ping(REALM), 0, ""),
        (ping(CLOSED), 2, "--cert and --key"),
        (stranger, 2, "--client-ca"),
        (ping("nowhere"), 2, "--realm or GATEWAY_REALM"),
    ] {
        let ended = spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
    }
}
