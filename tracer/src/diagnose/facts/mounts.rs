//! Mount points of a process, from the text of /proc/PID/mountinfo. It must not do I/O.

use super::model::Mount;
use crate::linux::text::Text;

/// File systems whose files are served by another machine or program, which may never answer.
const ELSEWHERE: [&str; 11] =
    ["9p", "afs", "autofs", "beegfs", "ceph", "cifs", "fuse", "lustre", "nfs", "nfs4", "smb3"];

/// All lines that can be read (Documentation/filesystems/proc.rst, 3.5). Sizes are not filled in.
pub fn parse(mountinfo: &[u8]) -> Vec<Mount> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

/// The mount that a path is on; of several at one point the last, which hides the others.
pub fn mount_of<'m>(mounts: &'m [Mount], path: &Text) -> Option<&'m Mount> {
    mounts
        .iter()
        .filter(|mount| is_below(mount.mount_point.as_bytes(), path.as_bytes()))
        .max_by_key(|mount| mount.mount_point.0.len())
}

/// True if looking at its files may wait for someone else.
pub fn is_served_from_elsewhere(mount: &Mount) -> bool {
    ELSEWHERE.contains(&mount.fs_type.as_str()) || mount.fs_type.starts_with("fuse.")
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mount_point = unescape(fields.nth(4)?);
    let options = fields.next()?;
    // Optional fields end at a single hyphen.
    fields.find(|field| *field == b"-")?;
    let fs_type = String::from_utf8_lossy(&unescape(fields.next()?)).into_owned();
    let source = unescape(fields.next()?);
    let super_options = fields.next().unwrap_or_default();
    let has = |options: &[u8], name: &[u8]| options.split(|byte| *byte == b',').any(|o| o == name);
    Some(Mount {
        mount_point: Text(mount_point),
        fs_type,
        source: Text(source),
        read_only: has(options, b"ro") || has(super_options, b"ro"),
        noexec: has(options, b"noexec"),
        nodev: has(options, b"nodev"),
        ..Mount::default()
    })
}

/// Space, tab, newline and backslash stand as `\ooo` (fs/proc_namespace.c, `mangle`).
pub fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| *first == b'\\').and_then(octal_byte);
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

fn octal_byte(digits: &[u8]) -> Option<u8> {
    let value = digits.iter().try_fold(0_u32, |value, digit| match digit {
        b'0'..=b'7' => Some(value * 8 + u32::from(digit - b'0')),
        _ => None,
    })?;
    u8::try_from(value).ok()
}

/// True if `path` is the mount point or below it.
fn is_below(mount_point: &[u8], path: &[u8]) -> bool {
    match path.strip_prefix(mount_point) {
        Some(rest) => mount_point == b"/" || rest.is_empty() || rest.starts_with(b"/"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLE: &[u8] = b"\
22 1 0:21 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a
23 22 0:22 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
24 22 8:1 /vol /data\\040dir\\011x ro,relatime master:1 propagate_from:2 - ext4 /dev/sda1 rw
25 22 0:40 / /mnt rw,relatime - nfs4 server:/export rw
26 25 0:41 / /mnt rw,relatime - tmpfs tmpfs ro,size=4k
";

    #[test]
    fn mounts_are_read_with_their_options() {
        let mounts = parse(SAMPLE);
        assert_eq!(mounts.len(), 5);
        assert_eq!(mounts[0].fs_type, "overlay");
        assert!(!mounts[0].read_only && !mounts[0].noexec);
        assert!(mounts[1].noexec && mounts[1].nodev);
        assert!(!mounts[0].nodev);
        assert!(mounts[2].read_only);
        assert_eq!(mounts[2].source, Text::from("/dev/sda1"));
        assert!(is_served_from_elsewhere(&mounts[3]));
        assert!(mounts[4].read_only);
    }

    #[test]
    fn octal_escapes_are_undone() {
        assert_eq!(parse(SAMPLE)[2].mount_point, Text::from("/data dir\tx"));
        assert_eq!(unescape(b"a\\134b\\012\\999\\04"), b"a\\b\n\\999\\04");
    }

    #[test]
    fn the_innermost_and_last_mount_of_a_path_is_found() {
        let mounts = parse(SAMPLE);
        let fs_type = |path: &str| mount_of(&mounts, &Text::from(path)).unwrap().fs_type.clone();
        assert_eq!(fs_type("/etc/passwd"), "overlay");
        assert_eq!(fs_type("/proc"), "proc");
        assert_eq!(fs_type("/procfs"), "overlay");
        assert_eq!(fs_type("/mnt/x"), "tmpfs");
    }

    #[test]
    fn the_mounts_of_this_process_are_read() {
        let mounts = parse(&std::fs::read("/proc/self/mountinfo").unwrap());
        assert!(mount_of(&mounts, &Text::from("/")).is_some());
        assert!(mounts.iter().any(|mount| mount.fs_type == "proc"));
    }

    proptest! {
        #[test]
        fn no_mutated_text_panics(edits in prop::collection::vec((0..SAMPLE.len(), any::<u8>()), 0..20)) {
            let mut bytes = SAMPLE.to_vec();
            for (at, value) in edits {
                bytes[at] = value;
            }
            let _ = parse(&bytes);
        }
    }
}
