"""The wire: frames, their kinds, MessagePack as Erlang's clients write it. It knows no connection and no gateway."""

import enum
import struct
from dataclasses import dataclass
from typing import Any

import msgpack

VERSION = 1
HEADER = struct.Struct(">BBBBI")


class Kind(enum.IntEnum):
    CONNECT = 0x01
    DISCONNECT = 0x02
    PING = 0x03
    PONG = 0x04
    PUBLISH = 0x10
    SUBSCRIBE = 0x11
    UNSUBSCRIBE = 0x12
    CALL = 0x20
    REPLY = 0x21
    CAST = 0x22
    REGISTER_PROCEDURE = 0x26


# Fields of a gateway's messages that are text.
TEXTS = ("topic", "procedure", "reason", "message")


class WireError(Exception):
    """The other side wrote what the protocol does not allow."""


class Packed(bytes):
    """A term that is packed already: it goes on the wire as it is."""


@dataclass(frozen=True)
class Frame:
    """A frame as it came. Its payload is one map whose keys are `bin`."""

    kind: int
    payload: bytes

    @property
    def name(self) -> str:
        return Kind(self.kind).name if self.kind in set(Kind) else f"{self.kind:#04x}"

    def packed(self) -> dict[str, bytes]:
        """Each field's term as its bytes came."""
        fields = {}
        unpacker = _unpacker()
        unpacker.feed(self.payload)
        try:
            for _ in range(unpacker.read_map_header()):
                key = unpacker.unpack()
                if not isinstance(key, bytes):
                    raise WireError(f"the key {key!r} of {self} is no bin")
                start = unpacker.tell()
                unpacker.skip()
                fields[key.decode()] = self.payload[start : unpacker.tell()]
        except (ValueError, msgpack.UnpackException) as error:
            raise WireError(f"{self} holds no map: {error!r}") from error
        if unpacker.tell() != len(self.payload):
            raise WireError(f"{self} holds more than one map")
        return fields

    def get(self, field: str, default: Any = None) -> Any:
        term = self.packed().get(field)
        return default if term is None else unpack(term)

    def __getitem__(self, field: str) -> Any:
        term = self.packed().get(field)
        if term is None:
            raise WireError(f"{self} lacks {field}")
        return unpack(term)

    def __str__(self) -> str:
        return f"{self.name} {frame(self.kind, self.payload).hex()}"


class Reader:
    """Puts frames together again, however the stream has split and joined them."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> list[Frame]:
        self._left += data
        frames = []
        while len(self._left) >= HEADER.size:
            version, kind, flags, reserved, length = HEADER.unpack_from(self._left)
            if (version, flags, reserved) != (VERSION, 0, 0):
                raise WireError(f"a header is {self._left[:HEADER.size].hex()}")
            end = HEADER.size + length
            if len(self._left) < end:
                break
            frames.append(Frame(kind, self._left[HEADER.size : end]))
            self._left = self._left[end:]
        return frames


def check_text(frame: Frame) -> None:
    """A gateway writes text as `bin`, for upstream reads `str` as a list of characters."""
    fields = frame.packed()
    texts = [unpack(fields[name]) for name in TEXTS if name in fields]
    if frame.kind == Kind.REPLY and "error" in fields:
        error = unpack(fields["error"])
        if not isinstance(error, dict) or b"code" not in error:
            raise WireError(f"the error of {frame} is {error!r}")
        texts += [*error, *error.values()]
    for text in texts:
        if not isinstance(text, bytes):
            raise WireError(f"{text!r} of {frame} is no bin")


def frame(kind: int, payload: bytes, flags: int = 0, reserved: int = 0) -> bytes:
    return HEADER.pack(VERSION, kind, flags, reserved, len(payload)) + payload


def message(kind: int, **fields: Any) -> bytes:
    """A frame with a map of these fields."""
    return frame(kind, pack(fields))


def pack(term: Any) -> bytes:
    """As upstream packs: strings are `bin`, and the empty list is the empty string."""
    if isinstance(term, Packed):
        return bytes(term)
    if isinstance(term, str):
        return msgpack.packb(term.encode(), use_bin_type=True)
    packer = msgpack.Packer(use_bin_type=True)
    if isinstance(term, dict):
        pairs = b"".join(pack(key) + pack(value) for key, value in term.items())
        return packer.pack_map_header(len(term)) + pairs
    if isinstance(term, (list, tuple)):
        return packer.pack_array_header(len(term)) + b"".join(map(pack, term)) if term else b"\xa0"
    return packer.pack(term)


def pack_str(term: Any) -> bytes:
    """As others pack: text is `str`."""
    return msgpack.packb(term, use_bin_type=True)


def unpack(term: bytes) -> Any:
    """`bin` becomes bytes, `str` becomes str: a mistaken one shows."""
    unpacker = _unpacker()
    unpacker.feed(term)
    return unpacker.unpack()


def _unpacker() -> msgpack.Unpacker:
    return msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="surrogateescape")
