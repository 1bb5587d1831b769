//! When what lands over SFTP is made durable, by the server's own word.

use dr_core::mirror::{Fsync, Landing};
use dr_core::world::Endpoint;
use dr_core::world::endpoints::SftpEndpoint;

use crate::contract::{directory, make, write};
use crate::peers::sftp_server_that_tells;

/// More than are held open at once.
const FILES: usize = 150;

/// What the server did, as one letter each: o(pened), f(synced), r(enamed), c(losed).
async fn deeds(fsync: Fsync) -> String {
    let place = tempfile::tempdir().unwrap();
    let (root, log) = (place.path().join("tree"), place.path().join("log"));
    let streams = vec![sftp_server_that_tells(&log)];
    let tree = SftpEndpoint::over(streams, root.to_str().unwrap(), false).await.unwrap();
    let landing = Landing { pair: None, generations: 0, quarantine: vec![], fsync, fence: None };
    tree.begin(&landing).await.unwrap();
    make(&tree, "", directory()).await;
    for file in 0..FILES {
        write(&tree, &format!("file {file}"), b"content").await;
    }
    tree.settle().await.unwrap();
    let told = std::fs::read_to_string(&log).unwrap();
    let deed = |line: &str| match line.split(' ').next()? {
        "open" => Some('o'),
        "fsync" => Some('f'),
        "posix-rename" => Some('r'),
        "close" => Some('c'),
        _ => None,
    };
    told.lines().filter_map(deed).collect()
}

fn count(deeds: &str, deed: char) -> usize {
    deeds.chars().filter(|one| *one == deed).count()
}

/// The most that `more` was ahead of `less` at any moment.
fn ahead(deeds: &str, more: char, less: char) -> usize {
    (0..=deeds.len())
        .map(|end| count(&deeds[..end], more).saturating_sub(count(&deeds[..end], less)))
        .max()
        .unwrap()
}

#[tokio::test]
async fn each_file_is_durable_before_it_has_its_name() {
    let deeds = deeds(Fsync::Each).await;
    assert_eq!(
        (count(&deeds, 'f'), count(&deeds, 'r'), count(&deeds, 'c')),
        (FILES, FILES, FILES),
        "{deeds}"
    );
    assert_eq!(ahead(&deeds, 'r', 'f'), 0, "{deeds}");
}

#[tokio::test]
async fn all_files_are_durable_in_the_end_and_few_are_open() {
    let deeds = deeds(Fsync::Once).await;
    assert_eq!(
        (count(&deeds, 'f'), count(&deeds, 'r'), count(&deeds, 'c')),
        (FILES, FILES, FILES),
        "{deeds}"
    );
    assert_eq!(ahead(&deeds, 'f', 'r'), 0, "{deeds}");
    assert!((2..100).contains(&ahead(&deeds, 'o', 'c')), "{deeds}");
}

#[tokio::test]
async fn what_can_be_made_again_is_not_waited_for() {
    let deeds = deeds(Fsync::Never).await;
    assert_eq!((count(&deeds, 'f'), count(&deeds, 'r'), count(&deeds, 'c')), (0, FILES, FILES), "{deeds}");
}
