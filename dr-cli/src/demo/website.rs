//! The website that the demo moves: the operator's own directory, or a small one that comes with dr.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use dr_core::{Error, ErrorKind, Result};

/// The small website, by path.
const SMALL: &[(&str, &[u8])] = &[
    ("index.html", include_bytes!("../../site/index.html")),
    ("opening-hours.html", include_bytes!("../../site/opening-hours.html")),
    ("posts/the-night-of-the-fire.html", include_bytes!("../../site/posts/the-night-of-the-fire.html")),
    ("posts/why-we-bake-twice.html", include_bytes!("../../site/posts/why-we-bake-twice.html")),
    ("style.css", include_bytes!("../../site/style.css")),
    ("robots.txt", include_bytes!("../../site/robots.txt")),
    ("images/lighthouse.svg", include_bytes!("../../site/images/lighthouse.svg")),
];

/// How many pages of a big website the visitors go round.
const PAGES_MAX: usize = 200;
/// Pages larger than this are left to the mirror's own verification.
const PAGE_BYTES_MAX: u64 = 1 << 20;

/// So much is copied before it is asked whether to stop.
const PIECE_BYTES: u64 = 64 << 20;

/// What visitors ask for and must get, by URL path.
pub(super) type Pages = BTreeMap<String, Vec<u8>>;

/// Puts the website into `target` (the home host's document root), unless it is told to stop.
pub(super) fn install(own: Option<&Path>, target: &Path, stopped: &dyn Fn() -> bool) -> Result<()> {
    match own {
        None => SMALL.iter().try_for_each(|(path, content)| {
            let file = target.join(path);
            let parent = file.parent().unwrap_or(target);
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(&file, content))
                .map_err(|why| Error::io(format!("write {}", file.display()), why))
        }),
        Some(own) if own.is_dir() => copy_tree(own, target, stopped),
        Some(own) => {
            let message = if own.exists() { "it is not a directory" } else { "there is no such directory" };
            let kind = if own.exists() { ErrorKind::Usage } else { ErrorKind::NotFound };
            Err(Error::new(kind, format!("use {} as the website", own.display()), message)
                .hint("give a directory with the files that a web server would serve"))
        }
    }
}

/// A plain copy, links as links: this is the operator's own directory on its way into the sandbox, not a mirror.
fn copy_tree(from: &Path, to: &Path, stopped: &dyn Fn() -> bool) -> Result<()> {
    let failed = |path: &Path, why| Error::io(format!("copy {} into the demo", path.display()), why);
    std::fs::create_dir_all(to).map_err(|why| failed(to, why))?;
    let listed = std::fs::read_dir(from).map_err(|why| failed(from, why))?;
    for entry in listed {
        if stopped() {
            return Err(Error::new(ErrorKind::Cancelled, "copy the website", "it was cancelled"));
        }
        let entry = entry.map_err(|why| failed(from, why))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(|why| failed(&source, why))?;
        if kind.is_dir() {
            copy_tree(&source, &target, stopped)?;
        } else if kind.is_symlink() {
            let link = std::fs::read_link(&source).map_err(|why| failed(&source, why))?;
            std::os::unix::fs::symlink(link, &target).map_err(|why| failed(&source, why))?;
        } else if kind.is_file() {
            copy_file(&source, &target, stopped).map_err(|why| failed(&source, why))?;
        }
    }
    Ok(())
}

/// In pieces, so that whoever stops it need not wait for a large file. What is cut off goes with the whole directory.
fn copy_file(source: &Path, target: &Path, stopped: &dyn Fn() -> bool) -> std::io::Result<()> {
    let (from, mut to) = (File::open(source)?, File::create(target)?);
    while !stopped() && std::io::copy(&mut (&from).take(PIECE_BYTES), &mut to)? > 0 {}
    to.set_permissions(from.metadata()?.permissions())
}

/// The path by which one sees whether the site is up: `/`, or where there is no index the first page.
pub(super) fn front(own: Option<&Path>, root: &Path) -> Result<String> {
    let pages = pages(root)?;
    if pages.contains_key("/index.html") {
        return Ok("/".to_owned());
    }
    pages.into_keys().next().ok_or_else(|| {
        let website = own.unwrap_or(root).display();
        Error::new(ErrorKind::Usage, format!("use {website} as the website"), "it has no files to visit")
            .hint("give a directory with the files that a web server would serve")
    })
}

/// The pages that visitors will go round: the first ones of moderate size, in the order of their paths.
pub(super) fn pages(root: &Path) -> Result<Pages> {
    let mut pages = Pages::new();
    collect(root, root, &mut pages)?;
    Ok(pages)
}

fn collect(root: &Path, directory: &Path, pages: &mut Pages) -> Result<()> {
    let failed = |why| Error::io(format!("read {}", directory.display()), why);
    let mut entries: Vec<_> = std::fs::read_dir(directory).map_err(failed)?.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if pages.len() >= PAGES_MAX {
            return Ok(());
        }
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() {
            collect(root, &path, pages)?;
        } else if kind.is_file() && entry.metadata().is_ok_and(|meta| meta.len() <= PAGE_BYTES_MAX) {
            let Some(url) = path.strip_prefix(root).ok().and_then(url_path) else { continue };
            if let Ok(content) = std::fs::read(&path) {
                pages.insert(url, content);
            }
        }
    }
    Ok(())
}

/// The path of a file as a browser asks for it.
fn url_path(path: &Path) -> Option<String> {
    let mut url = String::new();
    for part in path.components() {
        url.push('/');
        for byte in part.as_os_str().to_str()?.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    url.push(char::from(byte));
                }
                _ => url.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_website_is_all_there() {
        let directory = tempfile::tempdir().unwrap();
        install(None, directory.path(), &|| false).unwrap();
        let pages = pages(directory.path()).unwrap();
        assert_eq!(pages.len(), SMALL.len());
        assert!(pages.contains_key("/posts/why-we-bake-twice.html"));
    }

    #[test]
    fn names_are_escaped_as_browsers_do() {
        assert_eq!(url_path(Path::new("a b/ü%.html")).unwrap(), "/a%20b/%C3%BC%25.html");
    }

    #[test]
    fn what_is_no_website_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (no, to) = (directory.path().join("no"), directory.path().join("to"));
        let missing = install(Some(&no), &to, &|| false).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_eq!(front(None, directory.path()).unwrap_err().kind(), ErrorKind::Usage);
    }
}
