//! What becomes of a client whose connection is lost.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use gateway::client::{Client, Error, Status, SubscribeOptions, Term, Transport, WhenFull};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use crate::{
    SOON, publish,
    server::{BOTH, Server},
    subscribe,
};

/// Waits for the loss of the connection and for the next one.
async fn again(client: &Client) {
    let mut status = client.status();
    let lost = |status: &Status| matches!(status, Status::Reconnecting { .. });
    status.wait_for(lost).await.unwrap();
    client.connected().await.unwrap();
}

#[tokio::test]
async fn subscriptions_and_procedures_outlive_a_restart_of_the_gateway() {
    for transport in BOTH {
        let mut server = Server::start().await;
        let client = server.client(transport).await;
        let mut messages = subscribe(&client, "a.#").await;
        drop(subscribe(&client, "b").await);
        client.register("echo", |args| async move { Ok(args) }).await.unwrap();
        for _ in 0..3 {
            let (restarted, ()) =
                tokio::join!(server.restart(crate::server::REALM), again(&client));
            server = restarted;
            // What was told anew was processed before the answer to this.
            client.ping().await.unwrap();
            let counts = server.hub.counts();
            assert_eq!((counts.clients, counts.subscriptions, counts.registrations), (1, 1, 1));
            let other = server.client(transport).await;
            publish(&other, "a.b", "again").await;
            assert_eq!(messages.next().await.unwrap().payload, "again");
            assert_eq!(other.call("echo", "x", SOON).await.unwrap(), "x");
        }
    }
}

#[tokio::test]
async fn who_subscribes_without_a_connection_is_subscribed_with_the_next() {
    let server = Server::start().await;
    let client = server.client(Transport::Tcp).await;
    let (quic, tcp, pair) = (server.quic, server.tcp, server.pair.clone());
    server.stop().await;
    let mut status = client.status();
    status.wait_for(|status| matches!(status, Status::Reconnecting { .. })).await.unwrap();
    let failed = client.call("echo", "", SOON).await.unwrap_err();
    assert_eq!(failed.code, "peer_disconnected");
    let mut messages = subscribe(&client, "a").await;
    let server = Server::again(quic, tcp, pair).await;
    client.connected().await.unwrap();
    client.ping().await.unwrap();
    let other = server.client(Transport::Quic).await;
    publish(&other, "a", "x").await;
    assert_eq!(messages.next().await.unwrap().payload, "x");
}

#[tokio::test]
async fn calls_end_with_the_connection() {
    for transport in BOTH {
        let server = Server::start().await;
        let provider = server.client(transport).await;
        let (begun, has_begun) = oneshot::channel();
        let begun = std::sync::Mutex::new(Some(begun));
        let hangs = move |_: Term| {
            begun.lock().unwrap().take().map(|begun| begun.send(()));
            std::future::pending()
        };
        provider.register("hangs", hangs).await.unwrap();
        let caller = server.client(transport).await;
        let (result, ()) = tokio::join!(caller.call("hangs", "", Duration::from_secs(60)), async {
            has_begun.await.unwrap();
            server.stop().await;
        });
        assert_eq!(result.unwrap_err().code, "peer_disconnected");
    }
}

#[tokio::test]
async fn a_realm_that_is_not_served_is_final() {
    for transport in BOTH {
        let server = Server::start().await;
        let mut config = server.config(transport);
        config.realm = "elsewhere".parse().unwrap();
        let is_unknown = |error: &Error| matches!(error, Error::Disconnected { reason, .. } if reason == "unknown_realm");
        assert!(is_unknown(&Client::connect(config).await.unwrap_err()));

        let client = server.client(transport).await;
        let mut messages = subscribe(&client, "a").await;
        let mut status = client.status();
        let _server = server.restart("elsewhere").await;
        let ended = status.wait_for(|status| matches!(status, Status::Closed(_))).await.unwrap();
        let Status::Closed(why) = &*ended else { panic!("{ended:?}") };
        assert!(is_unknown(why), "{why}");
        assert_eq!(messages.next().await, None);
    }
}

#[tokio::test]
async fn a_subscription_ends_with_the_last_handle() {
    let server = Server::start().await;
    let client = server.client(Transport::Quic).await;
    let mut messages = subscribe(&client, "a").await;
    assert!(!client.status().has_changed().unwrap(), "nothing has changed since it connected");
    let clone = client.clone();
    drop(client);
    clone.ping().await.unwrap();
    drop(clone);
    assert_eq!(messages.next().await, None);
}

#[tokio::test]
async fn a_gateway_that_drains_is_left_and_come_back_to() {
    let server = Server::start().await;
    let client = server.client(Transport::Quic).await;
    let mut status = client.status();
    let lost = status.wait_for(|status| matches!(status, Status::Reconnecting { .. }));
    let drained = async { server.hub.drain() };
    let (lost, ()) = tokio::join!(lost, drained);
    let Status::Reconnecting { why, .. } = lost.unwrap().clone() else { panic!("no loss") };
    let Error::Disconnected { reason, .. } = why else { panic!("{why}") };
    assert_eq!(reason, "draining");
    client.connected().await.unwrap();
    client.ping().await.unwrap();
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_named() {
    let server = Server::start().await;
    let mut config = server.config(Transport::Tcp);
    let _pair = server.pair.clone();
    server.stop().await;
    let error = Client::connect(config.clone()).await.unwrap_err().to_string();
    assert!(error.contains(&config.address) && error.contains("refused"), "{error}");
    config.transport = Transport::Quic;
    let error = Client::connect(config.clone()).await.unwrap_err().to_string();
    assert!(error.contains(&config.address) && error.contains("refused"), "{error}");
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    config.address = silent.local_addr().unwrap().to_string();
    config.timing.connect_within = Duration::from_millis(100);
    let error = Client::connect(config.clone()).await.unwrap_err().to_string();
    assert!(error.contains("no answer within 0.1 seconds"), "{error}");
    for wrong in ["localhost", "localhost:99999", "a b:1"] {
        config.address = wrong.to_owned();
        let error = Client::connect(config.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{wrong}: {error}");
    }
}

#[tokio::test]
async fn a_gateway_that_says_nothing_is_left_but_not_for_a_subscriber_that_does_not_read() {
    let server = Server::start().await;
    let mut config = server.config(Transport::Tcp);
    config.timing.ping_every = Duration::from_millis(100);
    let client = Client::connect(config.clone()).await.unwrap();
    let full = SubscribeOptions {
        most_messages: 0,
        when_full: WhenFull::Wait,
        ..SubscribeOptions::default()
    };
    let mut messages = client.subscribe(&"a".parse().unwrap(), full).await.unwrap();
    let other = server.client(Transport::Quic).await;
    publish(&other, "a", "1").await;
    publish(&other, "a", "2").await;
    let mut status = client.status();
    let lost = status.wait_for(|status| matches!(status, Status::Reconnecting { .. }));
    assert!(timeout(5 * config.timing.ping_every, lost).await.is_err());
    assert_eq!(messages.next().await.unwrap().payload, "1");
    assert_eq!(messages.next().await.unwrap().payload, "2");
    client.ping().await.unwrap();

    let silent = Silent::between(server.tcp).await;
    config.address = silent.address.to_string();
    let client = Client::connect(config).await.unwrap();
    silent.falls_silent();
    let mut status = client.status();
    let lost = status.wait_for(|status| matches!(status, Status::Reconnecting { .. })).await;
    let Status::Reconnecting { why, .. } = lost.unwrap().clone() else { panic!("no loss") };
    assert_eq!(why, Error::Lost("nothing came in 0.1 seconds".to_owned()));
}

#[tokio::test]
async fn a_path_that_was_forgotten_is_left_for_that_of_a_new_socket() {
    let server = Server::start().await;
    let mut config = server.config(Transport::Quic);
    config.timing.ping_every = Duration::from_millis(200);
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    config.address = near.local_addr().unwrap().to_string();
    let (forget, forgets) = mpsc::channel(1);
    let _router = JoinSet::from_iter([forgetful(near, server.quic, forgets)]);
    let client = Client::connect(config).await.unwrap();
    let mut messages = subscribe(&client, "a").await;
    client.register("echo", |args| async move { Ok(args) }).await.unwrap();
    let other = server.client(Transport::Tcp).await;
    for _ in 0..2 {
        forget.send(()).await.unwrap();
        again(&client).await;
        client.ping().await.unwrap();
        publish(&other, "a", "x").await;
        assert_eq!(messages.next().await.unwrap().payload, "x");
        // The gateway passes calls to the old connections too, until it knows that they are dead.
        while other.call("echo", "y", Duration::from_millis(200)).await.is_err() {}
    }
}

/// Passes datagrams as a router does. Of a path that it is told to forget nothing passes any more, in either direction.
async fn forgetful(near: UdpSocket, gateway: SocketAddr, mut forgets: mpsc::Receiver<()>) {
    let near = Arc::new(near);
    let mut paths: HashMap<SocketAddr, Option<Arc<UdpSocket>>> = HashMap::new();
    let mut back = JoinSet::new();
    let mut datagram = vec![0; 1 << 16];
    loop {
        tokio::select! {
            received = near.recv_from(&mut datagram) => {
                let Ok((length, source)) = received else { continue };
                if let Entry::Vacant(path) = paths.entry(source) {
                    let far = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
                    far.connect(gateway).await.unwrap();
                    back.spawn(pass_back(far.clone(), near.clone(), source));
                    path.insert(Some(far));
                }
                if let Some(Some(far)) = paths.get(&source) {
                    far.send(&datagram[..length]).await.unwrap();
                }
            }
            Some(()) = forgets.recv() => {
                back.shutdown().await;
                paths.values_mut().for_each(|path| *path = None);
            }
        }
    }
}

async fn pass_back(far: Arc<UdpSocket>, near: Arc<UdpSocket>, source: SocketAddr) {
    let mut datagram = vec![0; 1 << 16];
    while let Ok(length) = far.recv(&mut datagram).await {
        // A client may be gone.
        let _ = near.send_to(&datagram[..length], source).await;
    }
}

/// Passes bytes between a client and a gateway until it falls silent.
struct Silent {
    address: SocketAddr,
    passes: tokio::sync::watch::Sender<bool>,
    _passing: JoinSet<()>,
}

impl Silent {
    async fn between(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (passes, mut stops) = tokio::sync::watch::channel(true);
        let mut passing = JoinSet::new();
        passing.spawn(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(gateway).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = stops.changed() => std::future::pending().await,
            }
        });
        Self { address, passes, _passing: passing }
    }

    fn falls_silent(&self) {
        self.passes.send_replace(false);
    }
}
