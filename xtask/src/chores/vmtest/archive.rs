//! Writes a tree as the archive that the kernel unpacks into its first root: cpio in its "newc"
//! form (Documentation/driver-api/early-userspace/buffer-format.rst). It knows no file.

use crate::means::rootfs::{Entry, Tree};

/// The archive of a tree, every file owned by root.
pub fn newc(tree: &Tree) -> Vec<u8> {
    let mut archive = Vec::new();
    for (inode, (path, entry)) in (1..).zip(tree.entries()) {
        let (mode, bytes) = match entry {
            Entry::Folder => (0o040_755, Vec::new()),
            Entry::File { bytes, mode } => (0o100_000 | mode, bytes.clone()),
            Entry::Link { to } => (0o120_777, to.as_os_str().as_encoded_bytes().to_vec()),
        };
        add(&mut archive, inode, mode, path.as_os_str().as_encoded_bytes(), &bytes);
    }
    add(&mut archive, 0, 0, b"TRAILER!!!", &[]);
    archive
}

fn add(archive: &mut Vec<u8>, inode: u32, mode: u32, name: &[u8], bytes: &[u8]) {
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    let size = u32::try_from(bytes.len()).expect("no file of the tree has 4 GiB");
    let name_size = u32::try_from(name.len() + 1).expect("no path of the tree has 4 GiB");
    archive.extend_from_slice(b"070701");
    for field in [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name);
    archive.push(0);
    pad(archive);
    archive.extend_from_slice(bytes);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_of_hexadecimal_fields_then_name_and_content_padded_to_four() {
        let mut tree = Tree::default();
        tree.add("/init", Entry::File { bytes: b"hello".to_vec(), mode: 0o755 });
        let archive = newc(&tree);
        let entry = b"070701\
            00000001000081ed00000000000000000000000100000000\
            0000000500000000000000000000000000000000\
            0000000500000000init\0\0hello\0\0\0";
        assert_eq!(&archive[..entry.len()], entry);
        assert!(archive.ends_with(b"TRAILER!!!\0\0\0\0"));
    }
}
