//! Labels of the metrics. Each has few values, all of them ours: none comes from a container.

use prometheus_client::encoding::EncodeLabelSet;

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($label:ident: $type:ty),* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
            pub struct $name {
                $(pub $label: $type,)*
            }
        )*
    };
}

labels! {
    /// A kind of event, `contract::KINDS`, or what a `lost` entry counts.
    ByKind { kind: &'static str }
    /// `verdict::Cause::name`.
    ByCause { cause: &'static str }
    /// `events`, `deaths`
    ByRing { ring: &'static str }
    /// A table of the store.
    ByTable { table: &'static str }
    /// A rule of redaction: its name, not what it found.
    ByRule { rule: &'static str }
    /// A hook of the kernel.
    ByHook { hook: String }
    /// A request to the Kubernetes API, and how it fared.
    ByRequest { request: &'static str, result: &'static str }
    /// Why something was given up.
    ByReason { reason: &'static str }
    /// An eBPF program.
    ByProgram { program: String }
    Build { version: &'static str }
}

impl Build {
    pub(super) fn this() -> Self {
        Self { version: env!("CARGO_PKG_VERSION") }
    }
}
