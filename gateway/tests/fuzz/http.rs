//! Requests to the health port that are none.

use std::sync::Arc;

use gateway::observe::health::Health;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{clients::hub, dice::Dice, files::spoilt};

const GOOD: &[u8] = b"GET /live HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n";
const TIMES: usize = 500;

#[tokio::test]
async fn the_health_port_answers_after_whatever_it_was_asked() {
    let dice = Dice::of(6);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let hub = Arc::new(hub());
    let health = Arc::new(Health::new(hub.clone(), hub.metrics.clone()));
    let served = tokio::spawn(async move { axum::serve(listener, health.routes()).await });
    let ask = async |request: &[u8]| {
        let mut socket = TcpStream::connect(at).await.unwrap();
        let mut answer = Vec::new();
        // It may be closed before all was said.
        let _ = socket.write_all(request).await;
        let _ = socket.shutdown().await;
        let _ = socket.read_to_end(&mut answer).await;
        answer
    };
    for _ in 0..TIMES {
        let request = if dice.once_in(2) { spoilt(&dice, GOOD) } else { dice.bytes(200) };
        ask(&request).await;
    }
    assert!(ask(GOOD).await.starts_with(b"HTTP/1.1 200 OK"));
    served.abort();
}
