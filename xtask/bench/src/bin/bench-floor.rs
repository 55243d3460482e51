//! Attaches an empty program to `sys_exit`, of the same kind as the tracer's recorder: what any
//! program there costs. And makes the kernel count how long programs run. `cargo xtask bench` tells it
//! what to do, one order a line. It is a program of its own, so that the other chores need not compile
//! aya first. It knows nothing about the tracer.

use std::io::{BufRead as _, Write as _};
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, bail};
use aya::programs::tp_btf::BtfTracePointLinkId;
use aya::programs::{BtfTracePoint, Program};
use aya::sys::{Stats, enable_stats};
use aya::{Btf, Ebpf};
use object::write::{Object, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

const FLOOR: &str = "floor";
const HOOK: &str = "sys_exit";
/// `r0 = 0; exit`: struct bpf_insn (include/uapi/linux/bpf.h) twice.
const EMPTY: [u8; 16] = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

fn main() -> Result<()> {
    let mut floor = Floor::load()?;
    let mut counting: Option<OwnedFd> = None;
    for order in std::io::stdin().lock().lines() {
        match order?.as_str() {
            "attach" => floor.attach()?,
            "detach" => floor.detach()?,
            "count" => {
                let on = enable_stats(Stats::RunTime).context("the kernel counts no run times")?;
                counting = Some(on);
            }
            // The kernel counts for as long as the descriptor is open.
            "stop" => drop(counting.take()),
            other => bail!("cannot understand {other}"),
        }
        println!("done");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// The empty program, loaded.
struct Floor {
    ebpf: Ebpf,
    link: Option<BtfTracePointLinkId>,
}

impl Floor {
    fn load() -> Result<Self> {
        let mut ebpf = Ebpf::load(&object()?).context("cannot load the empty program")?;
        let btf = Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
        program(&mut ebpf)?.load(HOOK, &btf).context("the kernel refuses the empty program")?;
        Ok(Self { ebpf, link: None })
    }

    fn attach(&mut self) -> Result<()> {
        self.link = Some(program(&mut self.ebpf)?.attach().context("cannot attach")?);
        Ok(())
    }

    fn detach(&mut self) -> Result<()> {
        if let Some(link) = self.link.take() {
            program(&mut self.ebpf)?.detach(link).context("cannot detach")?;
        }
        Ok(())
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut BtfTracePoint> {
    let program: &mut Program = ebpf.program_mut(FLOOR).context("the object has no program")?;
    program.try_into().context("the program is of another kind")
}

/// An ELF object as a compiler for BPF makes it.
fn object() -> Result<Vec<u8>> {
    let mut elf = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let section =
        elf.add_section(Vec::new(), format!("tp_btf/{HOOK}").into_bytes(), SectionKind::Text);
    elf.append_section_data(section, &EMPTY, 8);
    elf.add_symbol(Symbol {
        name: FLOOR.into(),
        value: 0,
        size: EMPTY.len() as u64,
        kind: SymbolKind::Text,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    });
    let license = elf.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    elf.append_section_data(license, b"Dual MIT/GPL\0", 1);
    elf.write().context("cannot write the ELF object")
}
