//! Frames and messages from bytes that nobody should send.

use gateway::wire::{
    frame::Frames,
    id::FreshIds,
    message::{Incoming, Message, Term, decode, encode, incoming},
};

use crate::{dice::Dice, shapes::Shapes};

#[test]
fn whatever_is_read_is_refused_or_means_the_same_when_it_is_written() {
    let (dice, shapes) = (Dice::of(1), Shapes::new());
    let mut frames = Frames::new(1 << 16);
    let mut fresh = FreshIds::new([7; 8]);
    let (mut refused, mut read) = (0_u64, 0_u64);
    for _ in dice.frames() {
        let bytes = shapes.frame(&dice);
        let (head, tail) = bytes.split_at(dice.below(bytes.len() + 1));
        for piece in [head, tail] {
            frames.push(piece);
            loop {
                match frames.next_frame() {
                    Ok(None) => break,
                    Err(_) => {
                        refused += 1;
                        frames = Frames::new(1 << 16);
                    }
                    Ok(Some(frame)) => match decode(&frame) {
                        Err(error) => {
                            refused += 1;
                            let passed_over = incoming(&frame, &mut fresh);
                            assert!(
                                matches!(&passed_over, Incoming::Unread(unread) if unread.error == error),
                                "the gateway refuses the same: {passed_over:?}"
                            );
                        }
                        Ok(Message::Unserved(_)) => {}
                        Ok(message) => {
                            read += 1;
                            let taken = incoming(&frame, &mut fresh);
                            assert!(!matches!(taken, Incoming::Unread(_)), "{taken:?}");
                            check_terms(&message);
                            let mut again = Frames::new(u32::MAX);
                            again.push(&encode(&message));
                            assert_eq!(decode(&again.next_frame().unwrap().unwrap()), Ok(message));
                        }
                    },
                }
            }
        }
    }
    assert!(refused > 0 && read > 0, "{refused} refused, {read} read");
}

/// What a message carries is one whole value, and has a form in JSON.
fn check_terms(message: &Message) {
    let term = match message {
        Message::Call(call) => Some(&call.args),
        Message::Cast(cast) => Some(&cast.args),
        Message::Reply(reply) => reply.outcome.as_ref().ok(),
        Message::Connect(_)
        | Message::Disconnect(_)
        | Message::Ping(_)
        | Message::Pong(_)
        | Message::Publish(_)
        | Message::Subscribe(_)
        | Message::Unsubscribe(_)
        | Message::RegisterProcedure(_)
        | Message::Unserved(_) => None,
    };
    let Some(term) = term else { return };
    assert_eq!(Term::of_packed(term.packed().clone()).as_ref(), Ok(term));
    term.to_json();
}
