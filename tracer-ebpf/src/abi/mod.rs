//! The records, one file per hook. Layouts are `repr(C)` without implicit padding, in the
//! byte order of the machine; sizes are pinned by const asserts beside each definition.

pub mod bind;
pub mod cgroup;
pub mod exec;
pub mod exit;
pub mod fork;
pub mod found;
pub mod header;
pub mod oom;
pub mod recorder;
pub mod said;
pub mod signal;
pub mod state;
pub mod words;

/// Version of what the layouts mean: it stands in each record's header and in pin paths. A field that is added at the
/// end of a record needs no new one; a field that moves or means something else does.
pub const ABI: u16 = 1;

/// Declares a record: `repr(C)`, checked decoding in user space, pinned size.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident [$size:expr] { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        #[cfg_attr(feature = "user", derive(
            Debug, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
        ))]
        pub struct $name { $($(#[$field_doc])* pub $field: $ty,)* }
        const _: () = assert!(core::mem::size_of::<$name>() == $size);
    };
}
pub(crate) use record;
