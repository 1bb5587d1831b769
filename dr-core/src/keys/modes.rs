//! Whether others could change a file that decides who may log in: the rule of sshd's StrictModes.

/// What `ls -ldn` says about files that others than their owner can write to: path, and why.
///
/// sshd ignores an authorized_keys file if it, or any directory from it up to the home directory, can be written by group or
/// others (`safe_path` in OpenSSH), and logs so only on the host. Lines that are no such listing say nothing.
///
/// ```
/// let listing = "drwxrwxr-x 5 1000 1000 4096 Nov 22 03:00 .\n-rw------- 1 1000 1000 80 Nov 22 03:00 .ssh/authorized_keys\n";
/// let open = dr_core::keys::too_open(listing);
/// assert_eq!(open, [(".".to_owned(), "its group can write to it (drwxrwxr-x)".to_owned())]);
/// ```
#[must_use]
pub fn too_open(listing: &str) -> Vec<(String, String)> {
    listing.lines().filter_map(line_too_open).collect()
}

fn line_too_open(line: &str) -> Option<(String, String)> {
    let mut words = line.split_ascii_whitespace();
    let mode = words.next()?;
    // Mode, links, owner, group, size, three words of time, name. A mark of access lists may follow the mode.
    let name: Vec<&str> = words.skip(7).collect();
    let bytes = mode.as_bytes();
    if bytes.len() < 10 || !matches!(bytes[0], b'-' | b'd') || name.is_empty() {
        return None;
    }
    let who = match (bytes[5] == b'w', bytes[8] == b'w') {
        (true, true) => "its group and everyone else",
        (true, false) => "its group",
        (false, true) => "everyone",
        (false, false) => return None,
    };
    Some((name.join(" "), format!("{who} can write to it ({mode})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_can_write_to_is_too_open() {
        let check = |line: &str, open: bool| assert_eq!(line_too_open(line).is_some(), open, "{line}");
        check("drwxr-xr-x 5 0 0 4096 Nov 22 03:00 .", false);
        check("drwxr-xrwx 5 0 0 4096 Nov 22 03:00 .", true);
        check("drwx------+ 5 0 0 4096 Nov 22 03:00 .ssh", false);
        check("-rw-rw-r--  1 0 0 4096 Nov 22 03:00 .ssh/authorized_keys", true);
        check("lrwxrwxrwx  1 0 0 4096 Nov 22 03:00 .ssh/authorized_keys -> /x", false);
        check("total 0", false);
        check("", false);
    }
}
