//! The client against a relay that behaves as upstream's does, which is not as this gateway does.

use std::{net::Ipv4Addr, sync::Arc};

use gateway::{
    client::{Client, Config, Losses, PublishOptions, Term, Transport, Trust},
    wire::{
        frame::{Frames, Kind, header},
        message::{Call, Message, decode},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    SOON,
    server::{Pair, REALM},
    subscribe,
};

struct Relay {
    address: String,
    pair: Arc<Pair>,
    _serving: JoinSet<()>,
}

impl Relay {
    async fn start() -> Self {
        let pair = Pair::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let acceptor = TlsAcceptor::from(pair.tls.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            serve(acceptor.accept(socket).await.unwrap()).await;
        });
        Self { address, pair, _serving: serving }
    }

    async fn client(&self) -> Client {
        let trust = Trust::Authority(self.pair.ca.clone());
        let mut config = Config::new(&self.address, REALM.parse().unwrap(), trust);
        config.transport = Transport::Tcp;
        Client::connect(config).await.unwrap()
    }
}

async fn serve(mut stream: TlsStream<TcpStream>) {
    let mut frames = Frames::new(1 << 20);
    while stream.read_buf(frames.buffer()).await.is_ok_and(|bytes| bytes > 0) {
        let mut out = Vec::new();
        while let Some(frame) = frames.next_frame().unwrap() {
            answer(decode(&frame).unwrap(), &mut out);
        }
        stream.write_all(&out).await.unwrap();
        stream.flush().await.unwrap();
    }
}

/// A frame; `payload` is packed by hand, as nobody here would pack it.
fn frame(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    out.extend(header(kind, u32::try_from(payload.len()).unwrap()));
    out.extend(payload);
}

/// Of Erlang's monotonic time, which is below zero.
const PONG: &[u8] =
    b"\x82\xc4\x09timestamp\xd3\x80\0\0\0\0\0\0\x01\xc4\x0bserver_time\xd3\x80\0\0\0\0\0\0\x01";

fn answer(message: Message, out: &mut Vec<u8>) {
    match message {
        Message::Connect(_) => {
            frame(out, Kind::Other(0x2e), b"a type of a later version");
            frame(out, Kind::Publish, b"\xc1");
            frame(out, Kind::Pong, PONG);
        }
        Message::Ping(_) => frame(out, Kind::Pong, PONG),
        Message::Publish(_) => {
            frame(out, Kind::Other(0x27), b"\x80");
            frame(out, Kind::Reply, b"\x80");
            frame(
                out,
                Kind::Publish,
                b"\x83\xc4\x05topic\xc4\x05a b.\xc3\xc4\x07payload\xc4\x01x\xc4\x0amessage_id\xc4\x0ctwelve bytes",
            );
            frame(
                out,
                Kind::Publish,
                b"\x83\xc4\x05topic\xc4\x05a..*b\xc4\x07payload\xc4\x01x\xc4\x0amessage_id\xc4\x0ctwelve bytes",
            );
        }
        Message::Call(call) => reply(&call, out),
        Message::Disconnect(_)
        | Message::Pong(_)
        | Message::Subscribe(_)
        | Message::Unsubscribe(_)
        | Message::Reply(_)
        | Message::Cast(_)
        | Message::RegisterProcedure(_)
        | Message::Unserved(_) => {}
    }
}

fn reply(call: &Call, out: &mut Vec<u8>) {
    let id = call.call_id.bytes();
    let mut payload = b"\x83\xc4\x06_trace\x91\x01\xc4\x07call_id\xc4".to_vec();
    payload.push(u8::try_from(id.len()).unwrap());
    payload.extend(id);
    payload.extend(match call.procedure.0.as_str() {
        "bare" => &b"\xc4\x05error\x81\xc4\x04code\xc4\x09not_found"[..],
        "map" => b"\xc4\x06result\x82\xc4\x05error\xc0\xc4\x03sum\x03",
        "nil" => b"\xc4\x06result\xc0",
        "coded" => b"\xc4\x06result\x81\xc4\x05error\x82\xc4\x04code\xc4\x04gone\xc4\x07message\xc4\x05moved",
        _ => b"\xc4\x06result\x82\xc4\x05error\xc4\x11unknown_procedure\xc4\x09procedure\xc4\x01p",
    });
    frame(out, Kind::Reply, &payload);
}

#[tokio::test]
async fn a_relay_of_upstream_is_understood() {
    let relay = Relay::start().await;
    let client = relay.client().await;
    client.ping().await.unwrap();
    let call = async |procedure| {
        let result = client.call(procedure, Term::nil(), SOON).await;
        result.map(|result| result.to_json().to_string()).map_err(|error| error.to_string())
    };
    assert_eq!(call("nobody").await, Err("unknown_procedure".to_owned()));
    assert_eq!(call("bare").await, Err("not_found".to_owned()));
    assert_eq!(call("coded").await, Err("gone: moved".to_owned()));
    assert_eq!(call("map").await, Ok("{\"error\":null,\"sum\":3}".to_owned()));
    assert_eq!(call("nil").await, Ok("null".to_owned()));
    assert_eq!(client.losses(), Losses { passed_over: 2, ..Losses::default() });

    let mut messages = subscribe(&client, "#").await;
    client.publish(&"a".parse().unwrap(), "", PublishOptions::default()).await.unwrap();
    let message = messages.next().await.unwrap();
    assert_eq!(
        (message.topic.as_str(), message.message_id.bytes()),
        ("a..*b", &b"twelve bytes"[..])
    );
    assert_eq!((message.retain, message.qos.number()), (false, 0));
    // A topic that is cut within a character, a type and a reply that say nothing.
    assert_eq!(client.losses().passed_over, 5);
    client.ping().await.unwrap();
    client.close().await;
}
