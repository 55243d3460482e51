"""A connection to a gateway over QUIC or over TLS on TCP: bytes out, bytes in, and how it ended. It knows no frame."""

import asyncio
import ssl
import socket
from typing import Protocol

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamDataReceived, StreamReset

ALPN = "macula"


class Listener(Protocol):
    """Who is told of what the other side does, in its order."""

    def received(self, data: bytes) -> None: ...

    def stream_ended(self) -> None:
        """By its FIN, or over TCP by the end of the data."""

    def closed(self, how: str) -> None:
        """The last that is told."""


class QuicLink(QuicConnectionProtocol):
    """One bidirectional stream of one QUIC connection."""

    def __init__(self, quic: QuicConnection, listener: Listener) -> None:
        super().__init__(quic)
        self._listener = listener
        self._stream: int | None = None

    @classmethod
    async def open(cls, host: str, port: int, ca: str, listener: Listener) -> "QuicLink":
        configuration = QuicConfiguration(
            is_client=True, alpn_protocols=[ALPN], cafile=ca, server_name=host
        )
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, _, _, _, address = found[0]
        _, link = await loop.create_datagram_endpoint(
            lambda: cls(QuicConnection(configuration=configuration), listener),
            family=family,
            local_addr=("::" if family == socket.AF_INET6 else "0.0.0.0", 0),
        )
        link.connect(address)
        await link.wait_connected()
        link._stream = link._quic.get_next_available_stream_id()
        return link

    def write(self, data: bytes) -> None:
        self._quic.send_stream_data(self._stream, data)
        self.transmit()

    def finish(self) -> None:
        self._quic.send_stream_data(self._stream, b"", end_stream=True)
        self.transmit()

    def end(self) -> None:
        """An application's close with the code 0."""
        self.close(error_code=0)

    async def ended(self) -> None:
        self.end()
        await self.wait_closed()
        self._transport.close()

    def quic_event_received(self, event: QuicEvent) -> None:
        match event:
            case StreamDataReceived():
                if event.data:
                    self._listener.received(event.data)
                if event.end_stream:
                    self._listener.stream_ended()
            case StreamReset():
                self._listener.closed(f"the stream was reset with {event.error_code:#x}")
            case ConnectionTerminated():
                self._listener.closed(f"closed with {event.error_code:#x} {event.reason_phrase!r}")


class TcpLink:
    """One TLS connection on TCP."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener: Listener
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._listener = listener
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, host: str, port: int, ca: str, listener: Listener) -> "TcpLink":
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([ALPN])
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        if chosen != ALPN:
            raise ConnectionError(f"the gateway chose ALPN {chosen}, not {ALPN}")
        return cls(reader, writer, listener)

    def write(self, data: bytes) -> None:
        # asyncio's TLS of Python 3.11 cannot take data once it is closed.
        if not self._writer.is_closing():
            self._writer.write(data)

    def finish(self) -> None:
        """TLS in asyncio cannot end one direction alone."""
        self._writer.close()

    def end(self) -> None:
        self._writer.close()

    async def ended(self) -> None:
        self.end()
        await self._reading

    async def _read(self) -> None:
        how = "closed after the end of its data"
        try:
            while data := await self._reader.read(65536):
                self._listener.received(data)
            self._listener.stream_ended()
        except OSError as error:
            how = f"closed by {error!r}"
        self._listener.closed(how)


Link = QuicLink | TcpLink


async def open_link(transport: str, host: str, port: int, ca: str, listener: Listener) -> Link:
    kind = {"quic": QuicLink, "tcp": TcpLink}[transport]
    return await kind.open(host, port, ca, listener)
