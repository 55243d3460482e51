//! Frames: a header of 8 bytes and a payload. Builds whole frames from the pieces that a stream delivers. Messages are not
//! known here.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// The header is version, type, flags, reserved byte, and the payload's length as 32 bits, big-endian.
pub const HEADER_BYTES: usize = 8;
/// The longest payload of the first frame, a CONNECT. Those of macula's clients have some 200 bytes, a token some hundreds more.
pub const FIRST_PAYLOAD_BYTES: u32 = 4 << 10;
/// The only version of frames.
pub const VERSION: u8 = 1;

/// Why the bytes of a stream are no frames. After such an error the stream cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error("a frame has version {0}, this gateway speaks version 1")]
    Version(u8),
    #[error("a frame has a payload of {bytes} bytes, {most} are allowed (--max-frame)")]
    TooLong { bytes: u32, most: u32 },
    #[error(
        "the first frame has a payload of {0} bytes, a connect has no more than {FIRST_PAYLOAD_BYTES}"
    )]
    FirstTooLong(u32),
}

macro_rules! kinds {
    ($($name:ident = $code:literal)*) => {
        /// The type in a frame's header.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($name,)*
            /// A type without a name here, by its code.
            Other(u8),
        }

        impl Kind {
            /// All types with a name.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub const fn of(code: u8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }
        }
    };
}

kinds! {
    Connect = 0x01
    Disconnect = 0x02
    Ping = 0x03
    Pong = 0x04
    Publish = 0x10
    Subscribe = 0x11
    Unsubscribe = 0x12
    Call = 0x20
    Reply = 0x21
    Cast = 0x22
    RegisterProcedure = 0x26
    SwimPing = 0x30
    SwimAck = 0x31
    SwimPingReq = 0x32
    FindNode = 0x40
    FindNodeReply = 0x41
    Store = 0x42
    FindValue = 0x43
}

impl Kind {
    /// The protocol's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Call => "call",
            Self::Reply => "reply",
            Self::Cast => "cast",
            Self::RegisterProcedure => "register_procedure",
            Self::SwimPing => "swim_ping",
            Self::SwimAck => "swim_ack",
            Self::SwimPingReq => "swim_ping_req",
            Self::FindNode => "find_node",
            Self::FindNodeReply => "find_node_reply",
            Self::Store => "store",
            Self::FindValue => "find_value",
            Self::Other(_) => "a frame of another type",
        }
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    whole: Bytes,
}

impl Frame {
    /// Header and payload, as they came.
    pub fn whole(&self) -> &Bytes {
        &self.whole
    }

    /// The payload: one MessagePack map.
    pub fn payload(&self) -> &[u8] {
        self.whole.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// Bytes of the payload, to keep. They share the memory of what was read with the frame.
    pub fn part(&self, bytes: &[u8]) -> Bytes {
        self.whole.slice_ref(bytes)
    }

    /// Whether flags and the reserved byte are zero, as they should be.
    pub fn is_plain(&self) -> bool {
        self.whole.get(2..4) == Some(&[0, 0])
    }
}

/// The header of a frame with a payload of this length.
pub fn header(kind: Kind, payload_bytes: u32) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = payload_bytes.to_be_bytes();
    [VERSION, kind.code(), 0, 0, a, b, c, d]
}

/// Iterates over the frames in bytes that are whole frames.
pub fn each(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let [_, _, _, _, a, b, c, d] = *bytes.first_chunk::<HEADER_BYTES>()?;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let (frame, rest) = bytes.split_at_checked(HEADER_BYTES.checked_add(length)?)?;
        bytes = rest;
        Some(frame)
    })
}

/// Builds frames from the pieces of a stream. Holds at most one frame and one read ahead.
#[derive(Debug)]
pub struct Frames {
    buffer: BytesMut,
    most_payload_bytes: u32,
    /// Whether no more than the first frame may come, which is short.
    is_first: bool,
}

impl Frames {
    /// `most_payload_bytes`: a longer frame is an error as soon as its header is there.
    pub fn new(most_payload_bytes: u32) -> Self {
        Self { buffer: BytesMut::new(), most_payload_bytes, is_first: false }
    }

    /// The same for a client that has yet to say who it is: until [`Frames::admit`] a frame has no more than
    /// [`FIRST_PAYLOAD_BYTES`].
    pub fn of_stranger(most_payload_bytes: u32) -> Self {
        Self { is_first: true, ..Self::new(most_payload_bytes) }
    }

    /// From now on frames may be as long as an admitted client's.
    pub fn admit(&mut self) {
        self.is_first = false;
    }

    /// Adds what the stream delivered.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer, at whose end a stream may be read into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Removes and returns the next whole frame; `None` until more is delivered.
    ///
    /// # Errors
    /// Why the bytes are no frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((&[version, code, _flags, _reserved, a, b, c, d], _)) =
            self.buffer.split_first_chunk::<HEADER_BYTES>()
        else {
            return Ok(None);
        };
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let kind = Kind::of(code);
        let bytes = u32::from_be_bytes([a, b, c, d]);
        if self.is_first && bytes > FIRST_PAYLOAD_BYTES {
            return Err(FrameError::FirstTooLong(bytes));
        }
        if bytes > self.most_payload_bytes {
            return Err(FrameError::TooLong { bytes, most: self.most_payload_bytes });
        }
        // At most 16 MiB: it fits.
        let whole = HEADER_BYTES + usize::try_from(bytes).unwrap_or(usize::MAX - HEADER_BYTES);
        if self.buffer.len() < whole {
            return Ok(None);
        }
        Ok(Some(Frame { kind, whole: self.buffer.split_to(whole).freeze() }))
    }

    /// How long the frame is that has begun, with its header; `None` where that is not known yet.
    pub fn begun(&self) -> Option<usize> {
        let [_, _, _, _, a, b, c, d] = *self.buffer.first_chunk::<HEADER_BYTES>()?;
        let bytes = u32::from_be_bytes([a, b, c, d]).min(self.most_payload_bytes);
        usize::try_from(bytes).ok()?.checked_add(HEADER_BYTES)
    }

    /// Whether a frame has begun that is not whole: a stream that ends now was cut off.
    pub fn is_amid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> Vec<u8> {
        [&header(Kind::Ping, 3)[..], b"abc"].concat()
    }

    #[test]
    fn frames_are_found_wherever_the_stream_was_cut() {
        let stream = [ping(), ping()].concat();
        for cut in 0..=stream.len() {
            let mut frames = Frames::new(64);
            let mut found = Vec::new();
            for piece in [&stream[..cut], &stream[cut..]] {
                frames.push(piece);
                while let Some(frame) = frames.next_frame().unwrap() {
                    found.push((frame.kind, frame.part(frame.payload())));
                }
            }
            let one = (Kind::Ping, Bytes::from_static(b"abc"));
            assert_eq!(found, [one.clone(), one], "cut at {cut}");
            assert!(!frames.is_amid_frame());
        }
    }

    #[test]
    fn flags_and_the_reserved_byte_are_ignored() {
        let mut frames = Frames::new(64);
        frames.push(&[1, 3, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(frames.next_frame().unwrap().map(|frame| frame.kind), Some(Kind::Ping));
    }

    #[test]
    fn what_is_no_frame_is_refused_by_its_header() {
        let refused = |bytes: &[u8]| {
            let mut frames = Frames::new(64);
            frames.push(bytes);
            frames.next_frame().unwrap_err()
        };
        assert_eq!(refused(&[2, 3, 0, 0, 0, 0, 0, 0]), FrameError::Version(2));
        let too_long = FrameError::TooLong { bytes: 65, most: 64 };
        assert_eq!(refused(&[1, 3, 0, 0, 0, 0, 0, 65]), too_long);
    }

    #[test]
    fn the_first_frame_of_a_client_is_short_and_later_ones_may_be_long() {
        let mut frames = Frames::of_stranger(1 << 20);
        frames.push(&header(Kind::Connect, FIRST_PAYLOAD_BYTES + 1));
        let refused = FrameError::FirstTooLong(FIRST_PAYLOAD_BYTES + 1);
        assert_eq!(frames.next_frame(), Err(refused));
        let mut frames = Frames::of_stranger(1 << 20);
        let most = usize::try_from(FIRST_PAYLOAD_BYTES).unwrap();
        frames.push(&[&header(Kind::Connect, FIRST_PAYLOAD_BYTES)[..], &vec![0; most]].concat());
        assert_eq!(frames.next_frame().unwrap().unwrap().payload().len(), most);
        frames.admit();
        frames.push(&header(Kind::Publish, 1 << 20));
        assert_eq!(frames.next_frame(), Ok(None));
    }

    #[test]
    fn each_kind_has_its_code() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.code()), *kind);
        }
        assert_eq!(Kind::ALL.len(), 18);
        for code in 0..=u8::MAX {
            assert_eq!(Kind::of(code).code(), code);
        }
    }

    #[test]
    fn a_frame_of_any_type_is_passed_by_its_length() {
        for code in 0..=u8::MAX {
            let mut frames = Frames::new(64);
            frames.push(&[&[1, code, 0, 0, 0, 0, 0, 2, 0xc1, 0xc1][..], &ping()].concat());
            assert_eq!(frames.next_frame().unwrap().unwrap().kind, Kind::of(code));
            assert_eq!(frames.next_frame().unwrap().unwrap().kind, Kind::Ping);
        }
    }
}
