//! The README's commands of the gateway do what is written there: the client's run against a gateway in this process.

#![allow(clippy::unwrap_used, reason = "a test that fails by panicking works")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    thread::yield_now,
};

use gateway::{config::Settings, life::Gateway};

const README: &str = include_str!("../../README.md");

/// The program with the words of a line that quotes with single quotes alone.
fn command(line: &str, at: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => command.args(part.split_whitespace()),
            _ => command.arg(part),
        };
    }
    command.env("GATEWAY_SERVER", at.to_string()).stdout(Stdio::piped());
    command
}

/// The sum of clients' subscriptions and procedures.
fn registered(health: SocketAddr) -> u64 {
    let mut socket = TcpStream::connect(health).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let of = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    of("macula_gateway_subscriptions_total ") + of("macula_gateway_registrations_total ")
}

/// Killed when it is dropped.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_gateway_command_of_the_readme_does_what_is_written_there() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let gateway = runtime.block_on(Gateway::start(Settings::local())).unwrap();
    let lines: Vec<&str> = README.lines().collect();
    let (mut found, mut background) = (0, Vec::<Background>::new());
    for (number, line) in lines.iter().enumerate() {
        let Some(line) = line.strip_prefix("$ gateway ") else { continue };
        found += 1;
        if line.starts_with("run") {
            let mut run = command(line.trim_end_matches(" &"), gateway.udp);
            assert!(run.arg("--help").output().unwrap().status.success(), "{line}");
        } else if let Some(line) = line.strip_suffix(" &") {
            let before = registered(gateway.health);
            background.push(Background(command(line, gateway.udp).spawn().unwrap()));
            while registered(gateway.health) == before {
                yield_now();
            }
        } else {
            let ended = command(line, gateway.udp).output().unwrap();
            assert!(ended.status.success(), "{line}");
            // What it prints is written below it, unless it differs each time.
            let printed = String::from_utf8(ended.stdout).unwrap();
            if !printed.is_empty() && !line.contains("ping") && !line.contains("bench") {
                assert_eq!(printed, format!("{}\n", lines[number + 1]), "{line}");
            }
        }
    }
    // What came in the background is written there too.
    assert!(found > 4);
    let mut heard = [0; 21];
    background[0].0.stdout.take().unwrap().read_exact(&mut heard).unwrap();
    assert!(README.contains(str::from_utf8(&heard).unwrap()));
    runtime.block_on(async { drop(gateway) });
}
