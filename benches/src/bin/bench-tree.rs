//! Makes the trees that mirrors are measured with, and edits them: the same every time.
//!
//! ```text
//! bench-tree website DIR FILES   a website: many directories, median 4 KB a file, a tenth of it in archive/
//! bench-tree small DIR FILES     many files of some hundred bytes, a hundred in a directory
//! bench-tree edit DIR ROUND      one file in a hundred changed, added, removed or renamed
//! bench-tree rename DIR ROUND    archive/ gets another name
//! bench-tree big FILE BYTES      one file, half of it text and half noise
//! bench-tree scatter FILE ROUND  20 MiB of edits in pieces of 16 KiB all over it, and 5,000 bytes inserted near its front
//! ```

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dr_benches::dice::Dice;

/// 2026-11-01: files are up to three years older.
const NEWEST_S: u64 = 1_793_491_200;
const SEGMENT_BYTES: usize = 256 << 10;
const EDIT_BYTES: usize = 16 << 10;
const EDITS: u64 = 1280;
const FOLDERS: [&str; 12] =
    ["uploads", "themes", "plugins", "assets", "img", "lib", "lang", "css", "js", "pages", "media", "cache"];
const TEXTS: [&str; 6] = ["html", "php", "css", "js", "svg", "json"];
const IMAGES: [&str; 4] = ["jpg", "png", "webp", "woff2"];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [task, place, number] = words[..] else { return wrong("it takes three words") };
    let Ok(number) = number.parse::<u64>() else { return wrong("the third word is a number") };
    let place = Path::new(place);
    let done = match task {
        "website" => website(place, number),
        "small" => small(place, number),
        "edit" => edit(place, number),
        "rename" => rename(place, number),
        "big" => big(place, number),
        "scatter" => scatter(place, number),
        _ => return wrong("the first word is website, small, edit, rename, big or scatter"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => wrong(&why.to_string()),
    }
}

fn wrong(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "bench-tree: {why}");
    ExitCode::FAILURE
}

/// A tenth below archive/, the rest below site/.
fn website(root: &Path, files: u64) -> io::Result<()> {
    let mut dice = Dice::new(1);
    fs::create_dir_all(root)?;
    fill(&root.join("site"), files - files / 10, &mut dice)?;
    fill(&root.join("archive"), files / 10, &mut dice)
}

/// Directories of 15 files on average, each inside one of those before it.
fn fill(root: &Path, files: u64, dice: &mut Dice) -> io::Result<()> {
    fs::create_dir(root)?;
    let mut directories: Vec<(PathBuf, u32)> = vec![(root.to_owned(), 0)];
    let (mut left, mut content) = (files, Vec::new());
    while left > 0 {
        let (parent, depth) = loop {
            let (parent, depth) = &directories[dice.below(directories.len() as u64) as usize];
            if *depth < 7 {
                break (parent, *depth);
            }
        };
        let folder = FOLDERS[dice.below(12) as usize];
        let directory = parent.join(format!("{folder}-{}", directories.len()));
        fs::create_dir(&directory)?;
        let here = ((-15.0 * dice.fraction().ln()) as u64).clamp(1, left);
        for number in 0..here {
            write_page(&directory, number, dice, &mut content)?;
        }
        if dice.below(20) == 0 {
            std::os::unix::fs::symlink("../current", directory.join("latest"))?;
        }
        directories.push((directory, depth + 1));
        left -= here;
    }
    Ok(())
}

/// One file. Its size is log-normal: median 4 KiB, mean 13 KB, at most 4 MiB; the larger ones are images.
fn write_page(directory: &Path, number: u64, dice: &mut Dice, content: &mut Vec<u8>) -> io::Result<()> {
    let size = (4096.0 * (1.52 * dice.normal()).exp()).min(f64::from(4 << 20)) as usize;
    let is_text = dice.below(10) < if size > 12_000 { 3 } else { 8 };
    content.clear();
    let name = if is_text {
        dice.text(size, content);
        format!("page-{number}.{}", TEXTS[dice.below(6) as usize])
    } else {
        dice.noise(size, content);
        format!("image-{number}.{}", IMAGES[dice.below(4) as usize])
    };
    write_aged(&directory.join(name), content, dice)
}

fn write_aged(path: &Path, content: &[u8], dice: &mut Dice) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    let age = Duration::new(dice.below(3 * 365 * 86_400), dice.below(1_000_000_000) as u32);
    file.set_modified(UNIX_EPOCH + Duration::from_secs(NEWEST_S) - age)
}

fn small(root: &Path, files: u64) -> io::Result<()> {
    let (mut dice, mut content) = (Dice::new(2), Vec::new());
    for number in 0..files {
        let hundred = number / 100;
        let directory = root.join(format!("{}/{hundred}", hundred / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&directory)?;
        }
        content.clear();
        let size = 100 + dice.below(400) as usize;
        dice.text(size, &mut content);
        write_aged(&directory.join(format!("entry-{number}.json")), &content, &mut dice)?;
    }
    Ok(())
}

/// Of the files that are chosen, four in ten get another content, and two in ten each are added beside, removed, renamed.
fn edit(root: &Path, round: u64) -> io::Result<()> {
    let mut files = vec![];
    list(root, &mut files)?;
    files.sort();
    let mut dice = Dice::new(round.wrapping_mul(1000) + 3);
    let mut content = vec![];
    for (number, path) in files.iter().enumerate() {
        if dice.below(100) != 0 {
            continue;
        }
        content.clear();
        let size = (4096.0 * (1.52 * dice.normal()).exp()).min(f64::from(4 << 20)) as usize;
        match dice.below(10) {
            0..4 => {
                dice.text(size, &mut content);
                fs::write(path, &content)?;
            }
            4..6 => {
                dice.text(size, &mut content);
                fs::write(path.with_file_name(format!("new-{round}-{number}.html")), &content)?;
            }
            6..8 => fs::remove_file(path)?,
            _ => fs::rename(path, path.with_file_name(format!("moved-{round}-{number}.bin")))?,
        }
    }
    Ok(())
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn rename(root: &Path, round: u64) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b"archive") {
            return fs::rename(entry.path(), root.join(format!("archive-{round}")));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "there is no archive"))
}

fn big(path: &Path, bytes: u64) -> io::Result<()> {
    let mut dice = Dice::new(4);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut left, mut segment) = (bytes as usize, vec![]);
    while left > 0 {
        segment.clear();
        let length = SEGMENT_BYTES.min(left);
        match dice.below(2) {
            0 => dice.noise(length, &mut segment),
            _ => dice.text(length, &mut segment),
        }
        file.write_all(&segment)?;
        left -= length;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.set_modified(SystemTime::now())
}

/// As an editor does it: a new file that takes the old one's place.
fn scatter(path: &Path, round: u64) -> io::Result<()> {
    let mut dice = Dice::new(round.wrapping_mul(1000) + 5);
    let mut old = File::open(path)?;
    let size = old.metadata()?.len();
    let edits = EDITS.min(size / EDIT_BYTES as u64 / 8);
    let mut places: Vec<u64> = (0..edits).map(|_| dice.below(size - EDIT_BYTES as u64)).collect();
    places.sort_unstable();
    let beside = path.with_extension("new");
    let mut new = BufWriter::with_capacity(1 << 20, File::create(&beside)?);
    let (mut at, mut places, mut piece) = (0_u64, places.into_iter().peekable(), vec![0; SEGMENT_BYTES]);
    let insertion = 1_000_003.min(size / 8);
    loop {
        let read = old.read(&mut piece)?;
        if read == 0 {
            break;
        }
        let piece = &mut piece[..read];
        let (start, end) = (at, at + read as u64);
        while let Some(place) = places.next_if(|place| *place < end) {
            let mut edit = vec![];
            dice.noise(EDIT_BYTES, &mut edit);
            let from = place.saturating_sub(start) as usize;
            let length = EDIT_BYTES.min(read - from.min(read));
            piece[from..from + length].copy_from_slice(&edit[..length]);
        }
        if (start..end).contains(&insertion) {
            let mut extra = vec![];
            dice.noise(5000, &mut extra);
            new.write_all(&extra)?;
        }
        new.write_all(piece)?;
        at = end;
    }
    new.into_inner().map_err(io::IntoInnerError::into_error)?;
    fs::rename(beside, path)
}
