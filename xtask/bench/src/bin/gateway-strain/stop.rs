//! A gateway that is stopped while it has much to do: callers with calls under way, publishers, subscribers, and clients that
//! say nothing, over both transports. Counts who was told, and whether a call that a provider got has no reply.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use gateway::wire::{
    id::{CallId, MessageId},
    message::{
        Call, Message, Ping, Pong, Procedure, Publish, Qos, RegisterProcedure, Reply, Subscribe,
        Term,
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
    time::{Instant, interval, sleep_until, timeout},
};

use crate::client::{Client, Listener, Over, Road, Speaker};

#[derive(Clone, Copy, Debug, Args)]
pub struct Options {
    #[arg(long)]
    pub quic: SocketAddr,
    #[arg(long)]
    pub tcp: SocketAddr,
    /// Clients of each kind over each transport; of those that say nothing twenty times as many
    #[arg(long)]
    pub clients: u32,
    /// Calls that each caller has under way
    #[arg(long)]
    pub calls: u32,
}

const PROCEDURE: &str = "strain.work";
const TOPIC: &str = "strain.news";
/// From a call to its result: so that some are under way at any time.
const WORK: Duration = Duration::from_millis(50);
const PUBLISH_EVERY: Duration = Duration::from_millis(5);
const PAYLOAD: Bytes = Bytes::from_static(&[0; 256]);
const IDLE: u32 = 20;
/// Replies that a provider owes.
const OWED: usize = 4096;
/// Longer than any grace.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all clients saw.
#[derive(Debug, Default)]
struct Seen {
    clients: u64,
    /// Those whose last message was a DISCONNECT that says `draining`.
    told: u64,
    sent: u64,
    results: u64,
    /// By code.
    errors: BTreeMap<String, u64>,
    /// Calls without a reply.
    open: HashSet<CallId>,
    /// Calls that came to a provider, by what they carry.
    asked: HashSet<CallId>,
}

type Shared = Arc<Mutex<Seen>>;

/// `loaded` is called once every caller has had a reply; then the gateway is to be stopped.
pub async fn measure(options: Options, loaded: impl FnOnce()) -> anyhow::Result<Value> {
    let (seen, mut clients) = (Shared::default(), JoinSet::new());
    let (first, mut firsts) = channel(1);
    let roads = [Road::new(options.quic, Over::Quic)?, Road::new(options.tcp, Over::Tcp)?];
    for road in &roads {
        for _ in 0..options.clients {
            clients.spawn(provide(register(road).await?, seen.clone()));
            clients.spawn(hear(subscribe(road).await?, seen.clone()));
        }
    }
    let mut callers = 0;
    for road in &roads {
        for _ in 0..options.clients {
            callers += 1;
            let (client, first) = (road.join().await?, first.clone());
            clients.spawn(call(client, callers, options.calls, seen.clone(), first));
            clients.spawn(publish(road.join().await?, seen.clone()));
        }
        for _ in 0..options.clients * IDLE {
            clients.spawn(hear(road.join().await?, seen.clone()));
        }
    }
    for _ in 0..callers {
        let replied = timeout(PATIENCE, firsts.recv()).await;
        replied.context("callers get no replies")?.context("callers have ended")?;
    }
    drop(first);
    loaded();
    let all_ended = async {
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, all_ended).await.context("the gateway keeps clients")??;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(seen.json())
}

impl Seen {
    fn json(&self) -> Value {
        json!({
            "clients": self.clients, "told": self.told, "calls": self.sent, "results": self.results,
            "errors": self.errors, "asked": self.asked.len(),
            "accepted_without_reply": self.open.intersection(&self.asked).count(),
            "without_reply": self.open.len(),
        })
    }
}

fn with(seen: &Shared, change: impl FnOnce(&mut Seen)) {
    change(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
}

async fn register(road: &Road) -> anyhow::Result<Client> {
    let procedure = Procedure(PROCEDURE.to_owned());
    said(road, Message::RegisterProcedure(RegisterProcedure { procedure })).await
}

async fn subscribe(road: &Road) -> anyhow::Result<Client> {
    let topics = vec![TOPIC.parse()?];
    said(road, Message::Subscribe(Subscribe { topics, qos: Qos::AtMostOnce })).await
}

/// A client that has said so, and knows that it was heard.
async fn said(road: &Road, message: Message) -> anyhow::Result<Client> {
    let mut client = road.join().await?;
    client.speaker.say(&message).await?;
    client.speaker.say(&Message::Ping(Ping { timestamp: 7 })).await?;
    loop {
        let heard = client.listener.next().await?.context("the gateway ended the stream")?;
        if matches!(heard, Message::Pong(_)) {
            return Ok(client);
        }
    }
}

/// Notes whether a client is told why its stream ends.
struct Ear {
    listener: Listener,
    told: bool,
}

impl Ear {
    fn of(listener: Listener) -> Self {
        Self { listener, told: false }
    }

    /// What is said but for a DISCONNECT; `None` at the end.
    async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        loop {
            // A connection that is lost is one that was not told.
            let Ok(Some(message)) = self.listener.next().await else { return Ok(None) };
            ensure!(!self.told, "{message:?} came after the last message");
            match message {
                Message::Disconnect(last) => self.told = last.reason == "draining",
                other => return Ok(Some(other)),
            }
        }
    }

    fn end(self, seen: &Shared) {
        with(seen, |seen| {
            seen.clients += 1;
            seen.told += u64::from(self.told);
        });
    }
}

/// A client that says only what it must.
async fn hear(mut client: Client, seen: Shared) -> anyhow::Result<()> {
    let mut ear = Ear::of(client.listener);
    while let Some(message) = ear.next().await? {
        if let Message::Ping(ping) = message {
            let pong = Pong { timestamp: ping.timestamp, server_time: ping.timestamp };
            client.speaker.say(&Message::Pong(pong)).await?;
        }
    }
    ear.end(&seen);
    Ok(())
}

async fn provide(client: Client, seen: Shared) -> anyhow::Result<()> {
    let (owes, owed) = channel(OWED);
    let mut ear = Ear::of(client.listener);
    let asked = async {
        while let Some(message) = ear.next().await? {
            if let Message::Call(call) = message {
                let own = CallId::of(&call.args.bytes()?).context("a call of somebody else")?;
                with(&seen, |seen| {
                    seen.asked.insert(own);
                });
                owes.send((Instant::now() + WORK, call.call_id)).await?;
            }
        }
        drop(owes);
        ear.end(&seen);
        Ok(())
    };
    tokio::try_join!(asked, reply(client.speaker, owed)).map(drop)
}

/// What can no longer be said is missed by its caller.
async fn reply(mut speaker: Speaker, mut owed: Receiver<(Instant, CallId)>) -> anyhow::Result<()> {
    while let Some((at, call_id)) = owed.recv().await {
        sleep_until(at).await;
        let outcome = Ok(Term::nil());
        let _ = speaker.say(&Message::Reply(Reply { call_id, outcome })).await;
    }
    Ok(())
}

/// What one caller knows of its calls.
struct Calls {
    speaker: Speaker,
    number: u32,
    sent: u64,
    results: u64,
    errors: BTreeMap<String, u64>,
    open: HashSet<CallId>,
}

impl Calls {
    async fn another(&mut self) {
        let call_id =
            CallId::from((u128::from(self.number) << 64 | u128::from(self.sent)).to_be_bytes());
        self.sent += 1;
        self.open.insert(call_id.clone());
        let (procedure, args) = (Procedure(PROCEDURE.to_owned()), Term::from(call_id.bytes()));
        let call = Message::Call(Call { procedure, args, call_id, timeout: None });
        // What can no longer be said has no reply, and was not accepted.
        let _ = self.speaker.say(&call).await;
    }

    fn end(self, seen: &Shared) {
        with(seen, |seen| {
            seen.sent += self.sent;
            seen.results += self.results;
            seen.open.extend(self.open);
            for (code, count) in self.errors {
                *seen.errors.entry(code).or_default() += count;
            }
        });
    }
}

/// A call for each reply, until one is refused: then it would go to another gateway.
async fn call(
    client: Client,
    number: u32,
    calls: u32,
    seen: Shared,
    first: Sender<()>,
) -> anyhow::Result<()> {
    let mut ear = Ear::of(client.listener);
    let (errors, open) = (BTreeMap::new(), HashSet::new());
    let mut own = Calls { speaker: client.speaker, number, sent: 0, results: 0, errors, open };
    for _ in 0..calls {
        own.another().await;
    }
    while let Some(message) = ear.next().await? {
        let Message::Reply(reply) = message else { continue };
        ensure!(own.open.remove(&reply.call_id), "a reply came twice, or to no call");
        match reply.outcome {
            Ok(_) => own.results += 1,
            Err(error) => *own.errors.entry(error.code).or_default() += 1,
        }
        if own.results == 1 {
            let _ = first.send(()).await;
        }
        if own.errors.is_empty() {
            own.another().await;
        }
    }
    own.end(&seen);
    ear.end(&seen);
    Ok(())
}

async fn publish(client: Client, seen: Shared) -> anyhow::Result<()> {
    let Client { listener, mut speaker } = client;
    let publish = Message::Publish(Publish {
        topic: TOPIC.parse()?,
        payload: PAYLOAD,
        qos: Qos::AtMostOnce,
        retain: false,
        message_id: MessageId::from([0; 16]),
    });
    let mut ticks = interval(PUBLISH_EVERY);
    let publishing = async {
        loop {
            ticks.tick().await;
            // The stream ends before this fails for good.
            let _ = speaker.say(&publish).await;
        }
    };
    let mut ear = Ear::of(listener);
    let listening = async {
        while ear.next().await?.is_some() {}
        anyhow::Ok(())
    };
    tokio::select! {
        ended = listening => ended?,
        () = publishing => {}
    }
    ear.end(&seen);
    Ok(())
}
