//! Trees of every kind that a file system knows, grown by a seed, and changed at random.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

/// What may grow in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinds {
    /// Everything that root can make.
    All,
    /// Files, directories and symbolic links, with names in UTF-8: what every endpoint carries.
    Plain,
}

/// Grows and changes trees: one seed, one tree.
pub(crate) struct Gardener {
    seed: u64,
    kinds: Kinds,
}

impl Gardener {
    pub(crate) fn new(seed: u64, kinds: Kinds) -> Self {
        let is_root = rustix::process::getuid().is_root();
        Self { seed, kinds: if is_root { kinds } else { Kinds::Plain } }
    }

    /// The next number (splitmix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn any<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let number = self.below(of.len());
        &of[number]
    }

    /// A tree of about so many paths. It always has one plain file: an emptied source is refused.
    pub(crate) fn grow(&mut self, root: &Path, paths: usize) {
        fs::create_dir_all(root).unwrap();
        fs::write(root.join("anchor"), b"holds").unwrap();
        for _ in 0..paths {
            self.plant(root);
        }
        for directory in list(root).iter().rev().filter(|path| is_directory(path)) {
            self.dress(directory);
        }
    }

    /// So many changes of every kind.
    pub(crate) fn change(&mut self, root: &Path, changes: usize) {
        for _ in 0..changes {
            let paths = list(root);
            let paths: Vec<&PathBuf> = paths.iter().filter(|path| !path.ends_with("anchor")).collect();
            if paths.is_empty() {
                self.plant(root);
                continue;
            }
            let path = self.any(&paths).to_path_buf();
            match self.below(8) {
                0 | 1 => self.plant(root),
                2 => remove(&path),
                3 => self.rewrite(&path),
                4 => {
                    // Something of another kind, most likely, under the same name.
                    remove(&path);
                    self.plant_at(root, &path);
                }
                5 => {
                    let to = self.somewhere(root);
                    // Into itself, or over what is there: not every wish can be granted.
                    if !to.starts_with(&path) && fs::symlink_metadata(&to).is_err() {
                        let _ = fs::rename(&path, to);
                    }
                }
                _ => self.dress(&path),
            }
        }
    }

    /// A new path in one of the directories.
    fn plant(&mut self, root: &Path) {
        let path = self.somewhere(root);
        if fs::symlink_metadata(&path).is_err() {
            self.plant_at(root, &path);
        }
    }

    fn somewhere(&mut self, root: &Path) -> PathBuf {
        let mut directories = list(root);
        directories.retain(|path| is_directory(path));
        directories.push(root.to_owned());
        // Deep trees grow where the last directory is.
        let last = directories.len() - 1;
        let parent =
            if self.below(3) == 0 { &directories[last.saturating_sub(1)] } else { self.any(&directories) };
        let parent = parent.clone();
        parent.join(OsStr::from_bytes(&self.name()))
    }

    fn name(&mut self) -> Vec<u8> {
        let plain = format!("n{}", self.below(1000)).into_bytes();
        match self.below(if self.kinds == Kinds::All { 10 } else { 7 }) {
            0 => "ü ñ 汉字".as_bytes().to_vec(),
            1 => b"-rf *\n\x1b[2J".to_vec(),
            2 => [b".hidden.", plain.as_slice()].concat(),
            3 => vec![b'x'; 1 + self.below(255)],
            4..7 => plain,
            _ => {
                let length = 1 + self.below(24);
                let bytes = (0..length).map(|_| 1 + self.below(255) as u8);
                // What is left out here is what no file system allows.
                let name: Vec<u8> = bytes.map(|byte| if byte == b'/' { b'|' } else { byte }).collect();
                if name.iter().all(|byte| *byte == b'.') { plain } else { name }
            }
        }
    }

    fn plant_at(&mut self, root: &Path, path: &Path) {
        let what = self.below(if self.kinds == Kinds::All { 16 } else { 11 });
        match what {
            0..6 => self.write(path),
            6..=8 => fs::create_dir(path).unwrap(),
            9 => {
                let to = self.any(&["anchor", "../..", "/no/such/place", "n1", "\n", "."]);
                symlink(to, path).unwrap();
            }
            10 => self.write_holes(path),
            11 | 12 => {
                let files: Vec<PathBuf> = list(root).into_iter().filter(|path| !is_directory(path)).collect();
                let to = self.any(&files).clone();
                // Some file systems link no symbolic links.
                let _ = fs::hard_link(to, path);
            }
            _ => {
                let kind = *self.any(&[
                    FileType::Fifo,
                    FileType::Socket,
                    FileType::CharacterDevice,
                    FileType::BlockDevice,
                ]);
                let device = rustix::fs::makedev(1 + self.below(200) as u32, self.below(100_000) as u32);
                // Where even root may make no devices (containers), there are none.
                let _ = rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), device);
            }
        }
        if fs::symlink_metadata(path).is_ok() {
            self.dress(path);
        }
    }

    fn write(&mut self, path: &Path) {
        let size = *self.any(&[0, 1, 5, 4096, 70_000, 300_000, 1_500_000]);
        let letter = self.next().to_le_bytes();
        let content: Vec<u8> = letter.iter().copied().cycle().take(size).collect();
        fs::write(path, content).unwrap();
        self.date(path);
    }

    /// Not every server keeps more than whole seconds: two contents of one size would look alike if they were written within one.
    fn date(&mut self, path: &Path) {
        if self.kinds == Kinds::Plain {
            let seconds = 1_000_000_000 + self.next() % 700_000_000;
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
    }

    fn write_holes(&mut self, path: &Path) {
        let mut file = File::create(path).unwrap();
        for _ in 0..self.below(4) {
            file.seek(SeekFrom::Start(self.below(6_000_000) as u64)).unwrap();
            file.write_all(b"island").unwrap();
        }
        let length = file.metadata().unwrap().len() + self.below(3_000_000) as u64;
        file.set_len(length).unwrap();
        self.date(path);
    }

    /// Other content of a regular file.
    fn rewrite(&mut self, path: &Path) {
        let metadata = fs::symlink_metadata(path).unwrap();
        if !metadata.is_file() {
            return self.dress(path);
        }
        match self.below(3) {
            0 => self.write(path),
            1 => {
                let mut file = OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(&self.next().to_le_bytes()).unwrap();
                self.date(path);
            }
            _ => {
                let mut file = OpenOptions::new().write(true).open(path).unwrap();
                file.seek(SeekFrom::Start(self.below(metadata.len() as usize + 1) as u64)).unwrap();
                file.write_all(&self.next().to_le_bytes()).unwrap();
                self.date(path);
            }
        }
    }

    /// Owner, mode, access list, attributes and time.
    fn dress(&mut self, path: &Path) {
        let kind = fs::symlink_metadata(path).unwrap().file_type();
        if self.kinds == Kinds::All && self.below(3) == 0 {
            let (user, group) = (self.below(70_000) as u32, self.below(70_000) as u32);
            lchown(path, Some(user), Some(group)).unwrap();
        }
        if !kind.is_symlink() {
            let modes: &[u32] = match (self.kinds, kind.is_dir()) {
                (Kinds::All, true) => &[0o755, 0o700, 0o2775, 0o1777, 0o555, 0o000],
                (Kinds::All, false) => &[0o644, 0o600, 0o4755, 0o6711, 0o444, 0o000],
                (Kinds::Plain, true) => &[0o755, 0o700, 0o750],
                (Kinds::Plain, false) => &[0o644, 0o600, 0o755, 0o640],
            };
            fs::set_permissions(path, Permissions::from_mode(*self.any(modes))).unwrap();
        }
        if self.kinds == Kinds::All && (kind.is_file() || kind.is_dir()) {
            self.decorate(path, kind.is_dir());
        }
        if self.below(2) == 0 {
            let nanoseconds = if self.kinds == Kinds::All { self.below(1_000_000_000) } else { 0 };
            let seconds = self.below(4_000_000_000) as i64 - if self.kinds == Kinds::All { 1000 } else { 0 };
            let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
            let times = Timestamps { last_access: time, last_modification: time };
            rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
    }

    fn decorate(&mut self, path: &Path, is_directory: bool) {
        let value: Vec<u8> = (0..self.below(300)).map(|_| self.below(256) as u8).collect();
        let name = format!("user.dr {}", self.below(3));
        let set = |name: &str, value: &[u8]| {
            // Not every file system has every sort of attributes; what cannot be set cannot be lost.
            let _ = rustix::fs::setxattr(path, name, value, XattrFlags::empty());
        };
        match self.below(12) {
            0 | 1 => set(&name, &value),
            2 => drop(rustix::fs::removexattr(path, name.as_str())),
            3 => set("trusted.dr", &value),
            4 => set("system.posix_acl_access", &self.access_list()),
            5 if is_directory => set("system.posix_acl_default", &self.access_list()),
            6 if !is_directory => {
                // cap_net_bind_service=ep, as setcap(8) writes it.
                let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                set("security.capability", &capability);
            }
            _ => {}
        }
    }

    /// As the kernel stores it: version 2, then tag, permissions and identifier of each entry (acl(5), linux/posix_acl_xattr.h).
    fn access_list(&mut self) -> Vec<u8> {
        let nobody = u32::MAX;
        let named = self.below(60_000) as u32;
        let mut list = 2_u32.to_le_bytes().to_vec();
        let mask = 4 + self.below(4) as u16;
        for (tag, permissions, id) in
            [(1_u16, 6_u16, nobody), (2, 4, named), (4, 4, nobody), (16, mask, nobody), (32, 0, nobody)]
        {
            list.extend(tag.to_le_bytes());
            list.extend(permissions.to_le_bytes());
            list.extend(id.to_le_bytes());
        }
        list
    }
}

/// Everything below, parents before children, in an order that only the names decide.
pub(crate) fn list(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut names: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names {
        let is_directory = is_directory(&path);
        found.push(path.clone());
        if is_directory {
            found.extend(list(&path));
        }
    }
    found
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().is_dir()
}

fn remove(path: &Path) {
    if is_directory(path) { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

/// The kinds there are below, to see that a seed has grown what it is for.
pub(crate) fn census(root: &Path) -> String {
    let count = |is: &dyn Fn(&fs::Metadata) -> bool| {
        list(root).iter().filter(|path| is(&fs::symlink_metadata(path).unwrap())).count()
    };
    format!(
        "{} files, {} directories, {} links, {} with several names, {} nodes",
        count(&|metadata| metadata.is_file()),
        count(&fs::Metadata::is_dir),
        count(&|metadata| metadata.is_symlink()),
        count(&|metadata| !metadata.is_dir() && metadata.nlink() > 1),
        count(&|metadata| {
            let kind = metadata.file_type();
            kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device()
        })
    )
}
