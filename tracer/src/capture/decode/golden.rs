//! Records written down byte by byte, field after field, independently of the structures that decode
//! them: a moved field fails here.

use tracer_ebpf::abi::{
    bind, cgroup, exec, fork, found as abi_found,
    header::{Header, Kind, Task},
    oom, recorder, said, signal, words,
};

use crate::{
    capture::event::{Process, ProcessId},
    linux::text::Text,
};

/// Bytes in the order of the machine, put one after the other.
#[derive(Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    pub fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    /// `value`, filled up with NUL to `size` bytes.
    pub fn bytes(mut self, value: &[u8], size: usize) -> Self {
        let end = self.0.len() + size;
        self.0.extend(value);
        assert!(self.0.len() <= end, "{value:?} does not fit into {size} bytes");
        self.0.resize(end, 0);
        self
    }

    fn task(self, tgid: u32, flags: u32, comm: &str) -> Self {
        let start = self.0.len();
        let done = self
            .u32(tgid)
            .u32(tgid + 1)
            .u32(7)
            .u32(0)
            .u32(4000)
            .u32(1000)
            .u32(1001)
            .u32(flags)
            .u64(999_000_000)
            .u64(555)
            .u32(4_026_532_000)
            .u32(2)
            .bytes(comm.as_bytes(), 16);
        assert_eq!(done.0.len() - start, size_of::<Task>());
        done
    }

    /// Names the size of a body that is not of the first layout.
    fn of_body(mut self, size: usize) -> Self {
        let at = std::mem::offset_of!(Header, body);
        self.0[at..at + 4].copy_from_slice(&u32::try_from(size).unwrap().to_ne_bytes());
        self
    }

    /// The record, its size put into the header; of the first layout, whose header names no size of the body.
    pub fn record(mut self, body: usize, tail: usize) -> Vec<u8> {
        assert_eq!(self.0.len(), body + tail);
        let size = u32::try_from(self.0.len()).unwrap();
        self.0[4..8].copy_from_slice(&size.to_ne_bytes());
        self.0
    }
}

/// The header of every golden record; its process is [`process`].
pub fn header(kind: Kind) -> Bytes {
    let bytes = Bytes::default().u16(kind as u16).u16(1).u32(0).u64(1_000_000_007).u64(777);
    let bytes = bytes.u32(1).u32(0).task(4242, 1, "app");
    assert_eq!(bytes.0.len(), size_of::<Header>());
    bytes
}

pub fn process() -> Process {
    Process {
        id: ProcessId { pid: 4242, start_ns: 999_000_000 },
        tid: 4243,
        container_pid: 7,
        agent_pid: None,
        parent_pid: 4000,
        uid: 1000,
        gid: 1001,
        cgroup: 555,
        pid_ns: 4_026_532_000,
        seccomp: true,
        comm: Text::from("app"),
        tracked: true,
        root: false,
        runtime_init: false,
        kernel_thread: false,
        below_root: None,
        above: None,
    }
}

/// The second task of a record: a signal's sender, an OOM's trigger.
pub fn other_process() -> Process {
    Process {
        id: ProcessId { pid: 90, start_ns: 999_000_000 },
        tid: 91,
        comm: Text::from("runc"),
        tracked: false,
        ..process()
    }
}

pub fn exec() -> Vec<u8> {
    header(Kind::Exec)
        .u64(9000)
        .u64(0x3ff)
        .u32(13)
        .u32(12)
        .u32(4_026_531_840)
        .u32(4_026_531_841)
        .u32(0x801)
        .u32(0)
        .u64(123_456)
        .u32(4243)
        .u32(0)
        .bytes(b"/usr/bin/app\0", 13)
        .bytes(b"app\0--flag\0\0", 12)
        .record(size_of::<exec::Exec>(), 25)
}

pub fn exec_failed() -> Vec<u8> {
    header(Kind::ExecFailed)
        .i32(2)
        .i32(-100)
        .u32(9)
        .u32(10)
        .u32(0)
        .u32(0)
        .u32(0)
        .u32(0)
        .bytes(b"./missing", 9)
        .bytes(b"missing\0x\0", 10)
        .record(size_of::<exec::ExecFailed>(), 19)
}

pub fn fork() -> Vec<u8> {
    header(Kind::Fork).u32(4000).u32(0).record(size_of::<fork::Fork>(), 0)
}

pub fn exit(status: u32) -> Vec<u8> {
    header(Kind::Exit)
        .u32(status)
        .u32(8)
        .u64(1_048_576)
        .u64(u64::MAX)
        .u64(u64::MAX)
        .u64(0)
        .u64(2560)
        .u64(12)
        .u64(34)
        .u32(40)
        .u32(2)
        .u64(0x400)
        .u32(1)
        .u32(0)
        .u64(5_000_000)
        .u64(6_000_000)
        .bytes(b"app\0srv\0", 8)
        .record(Kind::Exit.first_body(), 8)
}

pub fn signal(number: u32, code: i32, syscall: i32, address: u64) -> Vec<u8> {
    header(Kind::Signal)
        .task(90, 0, "runc")
        .u32(number)
        .i32(code)
        .u32(0)
        .u32(2)
        .u32(1)
        .i32(syscall)
        .u64(address)
        .bytes(b"runc", 32)
        .bytes(&[0x0f, 0x0b], 16)
        .u32(if number == 4 { 2 } else { 0 })
        .u32(0)
        .of_body(size_of::<signal::Signal>())
        .record(size_of::<signal::Signal>(), 0)
}

pub fn threads(threads: &[(u32, u32, i32)]) -> Vec<u8> {
    let bytes = header(Kind::Threads).u32(u32::try_from(threads.len()).unwrap()).u32(70);
    let bytes = threads.iter().fold(bytes, |bytes, (tid, state, syscall)| {
        bytes.u32(*tid).u32(*state).i32(*syscall).u32(0)
    });
    bytes.record(size_of::<signal::Threads>(), threads.len() * size_of::<signal::Thread>())
}

pub fn oom() -> Vec<u8> {
    let bytes = header(Kind::Oom)
        .task(90, 0, "runc")
        .u64(262_144)
        .u64(1)
        .u64(16_000)
        .u64((-5_i64).cast_unsigned())
        .u64(1_000_000_000)
        .u64(0)
        .i32(-998)
        .u32(2);
    let bytes = bytes.u64(31).u64(16_384).u64(16_384).u32(1).u32(0);
    let bytes = bytes.u64(1).u64(90_000).u64(u64::MAX >> 12).u32(0).u32(0);
    bytes.bytes(&[], 10 * size_of::<oom::Memcg>()).record(size_of::<oom::Oom>(), 0)
}

/// A `struct sockaddr_in` as far as it matters.
pub fn sockaddr_in(port: u16, address: [u8; 4]) -> Vec<u8> {
    let mut bytes = Bytes::default().u16(2).0;
    bytes.extend(port.to_be_bytes());
    bytes.extend(address);
    bytes.resize(16, 0);
    bytes
}

pub fn bind(errno: i32, address: &[u8]) -> Vec<u8> {
    header(Kind::Bind)
        .i32(errno)
        .u32(0)
        .u32(3)
        .u32(1)
        .u32(6)
        .u32(2)
        .u32(9443)
        .u32(5)
        .u32(4_026_531_841)
        .u32(128)
        .u32(u32::try_from(address.len()).unwrap())
        .bytes(address, 128)
        .u32(0)
        .record(size_of::<bind::Bind>(), 0)
}

/// One slot of the recorder.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    pub seq: u32,
    pub number: u32,
    pub errno: i32,
    pub data_kind: u16,
    pub flags: u16,
    pub socket: u16,
    pub data: &'a [u8],
}

/// A recorder with `slots` in its first places.
pub fn calls(seen: u32, slots: &[Slot<'_>]) -> Vec<u8> {
    let bytes = header(Kind::Calls).u32(seen).u32(9).u32(1).u32(2).u32(3).u32(0);
    let bytes = slots.iter().fold(bytes, |bytes, slot| call(bytes, *slot));
    let empty = (recorder::SLOTS - slots.len()) * size_of::<recorder::Call>();
    bytes.bytes(&[], empty).record(Kind::Calls.first_body(), 0)
}

fn call(bytes: Bytes, slot: Slot<'_>) -> Bytes {
    bytes
        .u64(500 + u64::from(slot.seq))
        .u32(slot.seq)
        .u32(4243)
        .u32(slot.number)
        .i32(slot.errno)
        .u64(1)
        .u64(2)
        .u64(3)
        .u64(4)
        .u64(u64::MAX)
        .u16(slot.data_kind)
        .u16(slot.flags)
        .u16(u16::try_from(slot.data.len()).unwrap())
        .u16(slot.socket)
        .bytes(slot.data, 168)
}

/// A call with its whole path.
pub fn long_call(slot: Slot<'_>, path: &[u8]) -> Vec<u8> {
    call(header(Kind::LongCall), slot)
        .u32(u32::try_from(path.len()).unwrap())
        .u32(0)
        .bytes(path, path.len())
        .record(size_of::<recorder::LongCall>(), path.len())
}

/// One stream: total, time, next, end, and how its ring begins.
pub type Ring<'a> = (u64, u64, u32, u32, &'a [u8]);

pub fn words(rings: [Ring<'_>; 3]) -> Vec<u8> {
    let bytes = rings.iter().fold(header(Kind::Words), |bytes, (total, time, next, end, begin)| {
        let mut ring = vec![b'#'; words::RING];
        ring[..begin.len()].copy_from_slice(begin);
        bytes.u64(*total).u64(*time).u32(*next).u32(*end).u32(0).u32(0).bytes(&ring, words::RING)
    });
    bytes.record(size_of::<words::Words>(), 0)
}

/// One stream of a process.
pub struct Stream<'a> {
    pub stream: u32,
    pub next: u32,
    pub tail: &'a [u8],
    /// Where the beginning starts in its ring, and the ring.
    pub head: Option<(u32, &'a [u8])>,
    pub burst: u64,
    pub total: u64,
    pub earlier: u64,
    pub discarded: bool,
}

pub fn said(said: &Stream<'_>) -> Vec<u8> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
    let (start, head) = said.head.unwrap_or_default();
    header(Kind::Said)
        .u32(said.stream)
        .u32(said.next)
        .u32(size(said.tail))
        .u32(start)
        .u32(size(head))
        .u32(0)
        .u64(said.total)
        .u64(400)
        .u64(said.burst)
        .u64(said.earlier)
        .u32(u32::from(said.discarded))
        .u32(0)
        .bytes(said.tail, said.tail.len())
        .bytes(head, head.len())
        .of_body(size_of::<said::Said>())
        .record(size_of::<said::Said>(), said.tail.len() + head.len())
}

pub fn cgroup(change: u32) -> Vec<u8> {
    header(Kind::Cgroup)
        .u32(change)
        .u32(3)
        .u64(777)
        .u32(13)
        .u32(0)
        .bytes(b"/kubepods/x/y", 13)
        .record(size_of::<cgroup::Cgroup>(), 13)
}

pub fn found() -> Vec<u8> {
    header(Kind::Found).record(size_of::<abi_found::Found>(), 0)
}

/// One valid record of every kind.
pub fn all() -> Vec<Vec<u8>> {
    let slot = Slot {
        seq: 5,
        number: 257,
        errno: 2,
        data_kind: recorder::data_kind::PATH,
        flags: 0,
        socket: 0,
        data: b"/etc/app.yml",
    };
    let address = sockaddr_in(5432, [10, 0, 0, 7]);
    let connect = Slot {
        seq: 6,
        number: 42,
        errno: 111,
        data_kind: recorder::data_kind::ADDRESS,
        socket: 0x0601,
        data: &address,
        ..slot
    };
    vec![
        exec(),
        exec_failed(),
        fork(),
        exit(0x8b),
        signal(11, 1, -1, 0x10),
        threads(&[(1, 0, -1), (2, 1, 202)]),
        oom(),
        bind(98, &sockaddr_in(9443, [0; 4])),
        calls(9, &[slot, connect]),
        words([(0, 0, 0, 0, b""), (3, 400, 3, 0, b"oh!"), (0, 0, 0, 0, b"")]),
        cgroup(0),
        long_call(slot, b"/etc/app.yml"),
        found(),
        said(&Stream {
            stream: 1,
            next: 3,
            tail: b"oh!",
            head: None,
            burst: 3,
            total: 3,
            earlier: 0,
            discarded: false,
        }),
    ]
}
