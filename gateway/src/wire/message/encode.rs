//! Messages to frames, in the forms that macula peers read: keys and texts are `bin`.

use bytes::Bytes;
use rmp::encode::ByteBuf;

use super::{Message, RealmId, pack::Writer};
use crate::wire::frame::{HEADER_BYTES, header};

/// Encodes a message as a whole frame: header and payload.
pub fn encode(message: &Message) -> Bytes {
    let mut out = ByteBuf::with_capacity(HEADER_BYTES + 128 + body_bytes(message));
    out.as_mut_vec().extend_from_slice(&[0; HEADER_BYTES]);
    payload(message, &mut Writer(&mut out));
    let mut out = out.into_vec();
    // A payload is as long as a message that was received or configured, which is at most 16 MiB.
    let payload_bytes = u32::try_from(out.len() - HEADER_BYTES).unwrap_or(u32::MAX);
    out[..HEADER_BYTES].copy_from_slice(&header(message.kind(), payload_bytes));
    out.into()
}

fn body_bytes(message: &Message) -> usize {
    match message {
        Message::Publish(publish) => publish.payload.len() + publish.topic.bytes().len(),
        Message::Call(call) => call.args.packed().len() + call.procedure.0.len(),
        Message::Cast(cast) => cast.args.packed().len() + cast.procedure.0.len(),
        Message::Reply(reply) => reply.outcome.as_ref().map_or(0, |result| result.packed().len()),
        Message::Connect(_)
        | Message::Disconnect(_)
        | Message::Ping(_)
        | Message::Pong(_)
        | Message::Subscribe(_)
        | Message::Unsubscribe(_)
        | Message::RegisterProcedure(_)
        | Message::Unserved(_) => 0,
    }
}

fn payload(message: &Message, out: &mut Writer<'_>) {
    match message {
        Message::Connect(connect) => {
            out.map(if connect.token.is_some() { 5 } else { 4 });
            out.text("version").text(&connect.version);
            out.text("node_id").bytes(&connect.node_id.0);
            match &connect.realm_id {
                RealmId::Name(name) => out.text("realm_id").text(name),
                RealmId::Sha256(hash) => out.text("realm_id").bytes(hash),
            };
            out.text("capabilities").array(connect.capabilities.len());
            for capability in &connect.capabilities {
                out.text(capability);
            }
            if let Some(token) = &connect.token {
                out.text("token").bytes(token);
            }
        }
        Message::Disconnect(disconnect) => {
            out.map(2).text("reason").text(&disconnect.reason);
            out.text("message").text(&disconnect.message);
        }
        Message::Ping(ping) => {
            out.map(1).text("timestamp").number(ping.timestamp);
        }
        Message::Pong(pong) => {
            out.map(2).text("timestamp").number(pong.timestamp);
            out.text("server_time").number(pong.server_time);
        }
        Message::Publish(publish) => {
            out.map(5).text("topic").bytes(publish.topic.bytes());
            out.text("payload").bytes(&publish.payload);
            out.text("qos").number(u64::from(publish.qos.number()));
            out.text("retain").boolean(publish.retain);
            out.text("message_id").bytes(publish.message_id.bytes());
        }
        Message::Subscribe(subscribe) => {
            out.map(2).text("topics").array(subscribe.topics.len());
            for topic in &subscribe.topics {
                out.bytes(topic.bytes());
            }
            out.text("qos").number(u64::from(subscribe.qos.number()));
        }
        Message::Unsubscribe(unsubscribe) => {
            out.map(1).text("topics").array(unsubscribe.topics.len());
            for topic in &unsubscribe.topics {
                out.bytes(topic.bytes());
            }
        }
        Message::Call(call) => {
            out.map(if call.timeout.is_some() { 4 } else { 3 });
            out.text("procedure").text(&call.procedure.0);
            out.text("args").packed(call.args.packed());
            out.text("call_id").bytes(call.call_id.bytes());
            if let Some(timeout) = call.timeout {
                out.text("timeout").number(timeout);
            }
        }
        Message::Reply(reply) => {
            out.map(2).text("call_id").bytes(reply.call_id.bytes());
            match &reply.outcome {
                Ok(result) => {
                    out.text("result").packed(result.packed());
                }
                Err(error) => {
                    out.text("error").map(2).text("code").text(&error.code);
                    out.text("message").text(&error.message);
                }
            }
        }
        Message::Cast(cast) => {
            out.map(2).text("procedure").text(&cast.procedure.0);
            out.text("args").packed(cast.args.packed());
        }
        Message::RegisterProcedure(register) => {
            out.map(1).text("procedure").text(&register.procedure.0);
        }
        Message::Unserved(_) => {
            out.map(0);
        }
    }
}
