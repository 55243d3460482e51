//! A path that the kernel side noted from the file up to the root. It must not know which file.

use crate::linux::text::Text;

/// `app.log\0log\0var\0` is `/var/log/app.log`. The root is no name at all, an empty one, or `/`. A
/// path that was cut lacks its beginning, and so has no slash in front; of a name that was cut nothing
/// is left, unless it is the only one.
pub(super) fn path(bytes: &[u8], truncated: bool) -> Text {
    let whole = bytes.iter().rposition(|byte| *byte == 0).map(|end| &bytes[..end]);
    let bytes = if truncated { whole.unwrap_or(bytes) } else { bytes };
    let names: Vec<&[u8]> = bytes
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && *name != b"/")
        .rev()
        .collect();
    let path = names.join(&b'/');
    if truncated {
        return Text(path);
    }
    Text([b"/", path.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_file_up_become_a_path() {
        let check = |bytes: &[u8], truncated, expected| {
            assert_eq!(path(bytes, truncated), Text::from(expected));
        };
        check(b"app.log\0log\0var\0", false, "/var/log/app.log");
        check(b"app.log\0log\0var", false, "/var/log/app.log");
        check(b"app.log\0log\0var\0", true, "var/log/app.log");
        check(b"app.log\0log\0va", true, "log/app.log");
        check(b"app.lo", true, "app.lo");
        check(b"x\0/\0mnt\0", false, "/mnt/x");
        check(b"", false, "/");
        check(b"\0", false, "/");
        check(b"/\0", false, "/");
    }
}
