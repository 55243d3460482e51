//! Frames and messages from bytes that nobody should send.

use gateway::{
    frame::Frames,
    message::{Message, decode, encode, incoming},
};

use crate::{dice::Dice, shapes::Shapes};

#[test]
fn whatever_is_read_is_refused_or_means_the_same_when_it_is_written() {
    let (dice, shapes) = (Dice::of(1), Shapes::new());
    let mut frames = Frames::new(1 << 16);
    let (mut refused, mut read) = (0_u64, 0_u64);
    for _ in dice.frames() {
        let bytes = shapes.frame(&dice);
        let (head, tail) = bytes.split_at(dice.below(bytes.len() + 1));
        for piece in [head, tail] {
            frames.push(piece);
            loop {
                match frames.take() {
                    Ok(None) => break,
                    Err(_) => {
                        refused += 1;
                        frames = Frames::new(1 << 16);
                    }
                    Ok(Some(frame)) => match decode(&frame) {
                        Err(error) => {
                            refused += 1;
                            assert_eq!(
                                incoming(&frame),
                                Err(error),
                                "the gateway refuses the same"
                            );
                        }
                        Ok(Message::Unserved(_)) => {}
                        Ok(message) => {
                            read += 1;
                            assert!(incoming(&frame).is_ok());
                            let mut again = Frames::new(u32::MAX);
                            again.push(&encode(&message));
                            assert_eq!(decode(&again.take().unwrap().unwrap()), Ok(message));
                        }
                    },
                }
            }
        }
    }
    assert!(refused > 0 && read > 0, "{refused} refused, {read} read");
}
