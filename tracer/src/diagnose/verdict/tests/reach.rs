//! Peers that do not answer, cannot be reached or hang up, TLS that fails; and the answers of the network that programs live
//! with.

use crate::{
    capture::event::{Address, Object, Protocol, What},
    diagnose::verdict::{
        Cause,
        Confidence::{Likely, Proven},
        scene::{Scene, Who},
    },
    linux::errno::Errno,
};

const PEER: &str = "10.96.0.10:5432";

/// A connect over UDP.
fn over_udp(scene: &mut Scene) {
    if let Some(What::Call(call)) = scene.events.last_mut().map(|event| &mut event.what) {
        call.protocol = Some(Protocol::Udp);
    }
}

fn pending(scene: &mut Scene, who: Who, fd: u64) {
    let address = Address::Inet(PEER.parse().expect("an address"));
    scene.call(who, "connect", Errno::EINPROGRESS, Object::Address(address), [fd, 0, 0, 0, 0]);
}

#[test]
fn a_peer_that_never_answers_is_named() {
    let (mut scene, main) = Scene::running("/app/api");
    scene.fails_to(main, "connect", PEER, Errno::ETIMEDOUT).exits(main, 1);
    let verdict = scene.expect(Cause::ConnectionTimedOut, Likely);
    assert!(verdict.summary.contains(PEER) && verdict.next_step.contains("NetworkPolicy"));
    let (mut scene, main) = Scene::running("/app/api");
    scene.fails_to(main, "connect", PEER, Errno::ETIMEDOUT);
    scene.says(main, "could not connect to 10.96.0.10:5432: Connection timed out\n").exits(main, 1);
    scene.expect(Cause::ConnectionTimedOut, Proven);
}

#[test]
fn a_pending_connect_that_so_error_ended_names_its_peer() {
    let (mut scene, main) = Scene::running("/app/api");
    pending(&mut scene, main, 9);
    scene.after_ms(3000);
    scene.call(main, "getsockopt", Errno::ETIMEDOUT, Object::None, [9, 1, 4, 0, 0]).exits(main, 1);
    let verdict = scene.expect(Cause::ConnectionTimedOut, Likely);
    assert!(verdict.summary.contains(PEER), "{}", verdict.summary);
}

#[test]
fn a_connect_that_never_came_back_is_blamed_with_words_about_it_or_when_tried_again() {
    let (mut scene, main) = Scene::running("/app/api");
    pending(&mut scene, main, 9);
    scene.after_ms(5000).says(main, "dial tcp 10.96.0.10:5432: i/o timeout\n").exits(main, 1);
    let verdict = scene.verdict();
    assert_eq!((verdict.cause, verdict.confidence), (Cause::ConnectionTimedOut, Likely));
    let (mut scene, main) = Scene::running("/app/api");
    pending(&mut scene, main, 9);
    scene.after_ms(2000);
    pending(&mut scene, main, 9);
    scene.after_ms(2000).exits(main, 1);
    let verdict = scene.expect(Cause::ConnectionTimedOut, Likely);
    assert!(verdict.summary.contains(PEER), "{}", verdict.summary);
}

#[test]
fn a_pending_connect_alone_is_no_reason() {
    // It may have come about: successes are not recorded.
    let (mut scene, main) = Scene::running("/app/api");
    pending(&mut scene, main, 9);
    scene.after_ms(5000).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
    let (mut scene, main) = Scene::running("/app/api");
    pending(&mut scene, main, 9);
    scene.after_ms(5000).says(main, "requests: Read timed out. (read timeout=5)\n").exits(main, 1);
    scene.expect_by_words();
}

#[test]
fn a_timeout_of_a_lock_between_threads_is_none_of_the_network() {
    let (mut scene, main) = Scene::running("/app/api");
    scene.fails(main, "futex", Errno::ETIMEDOUT).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn a_host_without_a_route_is_unreachable() {
    for errno in [Errno::ENETUNREACH, Errno::EHOSTUNREACH] {
        let (mut scene, main) = Scene::running("/app/api");
        scene.fails_to(main, "connect", PEER, errno).exits(main, 1);
        let verdict = scene.expect(Cause::HostUnreachable, Likely);
        assert!(verdict.summary.contains(PEER), "{}", verdict.summary);
    }
}

#[test]
fn addresses_that_were_only_sorted_or_had_another_after_them_are_not_blamed() {
    // getaddrinfo asks for a route to each address that it found.
    let (mut scene, main) = Scene::running("/app/api");
    scene.fails_to(main, "connect", "[2001:db8::1]:443", Errno::ENETUNREACH);
    over_udp(&mut scene);
    scene.says(main, "fatal: no licence\n").exits(main, 1);
    scene.expect_by_words();
    // The IPv4 address of the name was tried next, and answered.
    let (mut scene, main) = Scene::running("/app/api");
    scene.fails_to(main, "connect", "[2001:db8::1]:443", Errno::ENETUNREACH).exits(main, 1);
    scene.expect(Cause::ExitedWithError, Proven);
    // localhost is ::1 first.
    let (mut scene, main) = Scene::running("/app/api");
    scene.fails_to(main, "connect", "[::1]:5432", Errno::EADDRNOTAVAIL);
    scene.fails_to(main, "connect", "127.0.0.1:5432", Errno::ECONNREFUSED).exits(main, 1);
    scene.expect(Cause::ConnectionRefused, Likely);
}

#[test]
fn a_reset_names_its_peer() {
    let (mut scene, main) = Scene::running("/app/api");
    pending(&mut scene, main, 9);
    scene.call(main, "read", Errno::ECONNRESET, Object::None, [9, 0, 0, 0, 0]).exits(main, 1);
    let verdict = scene.expect(Cause::ConnectionReset, Likely);
    assert!(verdict.summary.contains(PEER), "{}", verdict.summary);
}

#[test]
fn a_server_whose_client_hangs_up_does_not_end_of_it() {
    for (call, errno) in [("read", Errno::ECONNRESET), ("write", Errno::EPIPE)] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.listens(main, "tcp 0.0.0.0:8080").after_ms(5000);
        scene.fails(main, call, errno).exits(main, 1);
        scene.expect(Cause::ExitedWithError, Proven);
        let (mut scene, main) = Scene::running("/app/worker");
        scene.fails(main, call, errno).says(main, "fatal: licence is over\n").exits(main, 1);
        scene.expect_by_words();
    }
}

#[test]
fn no_local_port_is_left() {
    let (mut scene, main) = Scene::running("/app/crawler");
    scene.fails_to(main, "connect", PEER, Errno::EADDRNOTAVAIL).exits(main, 1);
    scene.expect(Cause::PortsExhausted, Likely);
}

#[test]
fn ipv6_that_is_off_is_named_unless_ipv4_was_used_instead() {
    let (mut scene, main) = Scene::running("/app/server");
    scene.call(main, "socket", Errno::EAFNOSUPPORT, Object::None, [10, 1, 0, 0, 0]);
    let mut instead = scene.clone();
    scene.exits(main, 1);
    let verdict = scene.expect(Cause::AddressFamilyUnsupported, Likely);
    assert_eq!(verdict.details["family"], "AF_INET6");
    instead.listens(main, "tcp 0.0.0.0:8080").exits(main, 1);
    instead.expect(Cause::ExitedWithError, Proven);
}

#[test]
fn tls_that_fails_says_why() {
    for (line, reason) in [
        ("curl: (60) SSL certificate problem: certificate has expired", "expired"),
        ("x509: certificate is valid for a.example, not b.example", "host_name"),
        ("Error: self-signed certificate in certificate chain", "unknown_authority"),
        (
            "requests.exceptions.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number",
            "protocol",
        ),
    ] {
        let (mut scene, main) = Scene::running("/app/client");
        scene.says(main, &format!("starting\n{line}\n")).exits(main, 1);
        let verdict = scene.verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::TlsFailed, Proven), "{line}");
        assert_eq!(verdict.details["reason"], reason);
        assert!(verdict.summary.contains(line), "{}", verdict.summary);
    }
}

#[test]
fn tls_that_failed_for_a_client_or_was_put_up_with_is_no_reason() {
    for words in [
        "http: TLS handshake error from 10.0.0.7:41000: remote error: tls: bad certificate\nfatal: disk quota\n",
        "warning: self-signed certificate, continuing\n",
        "certificate verify failed, ignoring\nno licence\n",
        "error: certificate has expired\nfatal error: cannot parse configuration\n",
    ] {
        let (mut scene, main) = Scene::running("/app/server");
        scene.says(main, words).exits(main, 1);
        scene.expect_by_words();
    }
}

#[test]
fn a_port_named_in_words_names_its_peer() {
    for words in [
        "curl: (7) Failed to connect to 10.96.0.10 port 5432 after 0 ms: Couldn't connect to server\n",
        "cannot reach 10.96.0.10, port 5432\n",
    ] {
        let (mut scene, main) = Scene::running("/usr/bin/curl http://x");
        scene.fails_to(main, "connect", PEER, Errno::ENETUNREACH);
        scene.says(main, words).exits(main, 7);
        assert_eq!(scene.verdict().cause, Cause::HostUnreachable, "{words}");
    }
    let (mut scene, main) = Scene::running("/usr/bin/curl http://x");
    scene.fails_to(main, "connect", PEER, Errno::ENETUNREACH);
    scene.says(main, "fatal: report 54321 is broken, see port 54320\n").exits(main, 7);
    assert_eq!(scene.verdict().cause, Cause::ExitedWithError);
}

#[test]
fn time_that_ran_out_within_a_connect_is_that_of_the_peer() {
    let timed_out = |call: &str| {
        let (mut scene, main) = Scene::running("/usr/bin/python3 app.py");
        pending(&mut scene, main, 9);
        let words = format!(
            "Traceback (most recent call last):\n  File \"/app.py\", line 2, in <module>\n    main()\n  File \"/usr/lib/python3.11/socket.py\", line 836, in f\n    {call}\nTimeoutError: timed out\n"
        );
        scene.after_ms(2000).says(main, &words).exits(main, 1);
        scene.verdict()
    };
    let verdict = timed_out("sock.connect(sa)");
    assert_eq!(verdict.cause, Cause::ConnectionTimedOut);
    assert!(verdict.summary.contains(PEER), "{}", verdict.summary);
    assert_eq!(timed_out("self.sock.recv(1)").cause, Cause::UncaughtException);
}

#[test]
fn a_mapped_address_is_written_as_people_know_it() {
    let (mut scene, main) = Scene::running("/usr/bin/java Main");
    scene.fails_to(main, "connect", "[::ffff:127.0.0.1]:5432", Errno::ECONNREFUSED);
    scene.exits(main, 1);
    let verdict = scene.verdict();
    assert!(verdict.summary.contains(" 127.0.0.1:5432"), "{}", verdict.summary);
    assert_eq!(verdict.details["address"], "127.0.0.1");
}
