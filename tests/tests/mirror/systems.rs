//! Targets whose file systems can do less.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use dr_core::mirror::Options;
use dr_core::report::{Report, code};
use dr_core::run::Outcome;
use dr_core::world::Control;
use rustix::fs::XattrFlags;

use crate::{here, mirror, plan, rsync_would_change, toolkit};

/// Something mounted; gone when dropped.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

impl Mount {
    /// None where nobody may mount anything.
    fn by(command: &mut Command, at: &Path) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mounted = command.arg(at).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let is_mounted =
            mounted.expect("mount and lowntfs-3g: apt-get install ntfs-3g (./test does it)").success();
        if !is_mounted {
            println!("nothing can be mounted here: the test ends early");
        }
        is_mounted.then(|| Self(at.to_owned()))
    }
}

fn says(report: &Report, code: dr_core::report::Code, words: &[&str]) {
    let is_it = |message: &String| words.iter().all(|word| message.contains(word));
    let found = report.findings.iter().filter(|finding| finding.code == code);
    assert!(found.map(|finding| &finding.message).any(is_it), "{words:?}: {:#?}", report.findings);
}

#[tokio::test]
async fn a_target_without_attributes_gets_everything_else() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let Some(disk) = Mount::by(Command::new("mount").args(["-t", "ramfs", "dr-test"]), &at("disk")) else {
        return;
    };
    std::fs::create_dir_all(at("from/sub")).unwrap();
    for name in ["from/page", "from/sub/noted"] {
        std::fs::write(at(name), name).unwrap();
    }
    rustix::fs::setxattr(at("from/sub/noted"), "user.note", b"kept", XattrFlags::empty()).unwrap();
    let to = disk.0.join("to");
    let planned = plan(&toolkit(), &here(&at("from")), &here(&to), &Options::default()).await.unwrap();
    says(&planned.report, code::MIRROR_ATTRIBUTES_NOT_KEPT, &["1 paths have attributes"]);
    let (_, applied) = mirror(&toolkit(), &here(&at("from")), &here(&to), &Options::default()).await;
    assert_eq!(applied.report.findings, vec![], "all that can be is there");
    assert_eq!(rsync_would_change(&at("from"), &to), "");
}

#[tokio::test]
async fn two_names_for_a_target_that_does_not_tell_upper_from_lower_case() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::File::create(at("image")).unwrap().set_len(32 << 20).unwrap();
    let made = Command::new("/usr/sbin/mkntfs").args(["-Q", "-F", "-q"]).arg(at("image")).output();
    assert!(made.expect("mkntfs: apt-get install ntfs-3g (./test does it)").status.success());
    let mut command = Command::new("lowntfs-3g");
    command.args(["-o", "ignore_case,permissions"]).arg(at("image"));
    let Some(disk) = Mount::by(&mut command, &at("disk")) else { return };
    // In whole seconds, which is what every file system can keep.
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let write = |path: PathBuf, content: &str| {
        std::fs::write(&path, content).unwrap();
        std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    };
    for where_to in ["new", "empty", "full"] {
        let (from, to) = (at(&format!("from {where_to}")), disk.0.join(where_to));
        std::fs::create_dir_all(from.join("sub")).unwrap();
        write(from.join("PAGE"), "upper");
        write(from.join("page"), "lower, and longer");
        write(from.join("sub/other"), "other");
        if where_to != "new" {
            std::fs::create_dir(&to).unwrap();
        }
        if where_to == "full" {
            write(to.join("old"), "old");
        }
        let before = std::fs::metadata(&to).map(|root| (root.mtime(), root.mtime_nsec())).ok();
        let toolkit = toolkit();
        let planned = plan(&toolkit, &here(&from), &here(&to), &Options::default()).await.unwrap();
        says(&planned.report, code::MIRROR_FILE_NOT_MIRRORED, &["page", "upper from lower case", "PAGE"]);
        let after = std::fs::metadata(&to).map(|root| (root.mtime(), root.mtime_nsec())).ok();
        assert_eq!(
            (before, std::fs::read_dir(&disk.0).unwrap().count() > 9),
            (after, false),
            "only looked at"
        );
        let applied = toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
        assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report);
        assert_eq!(std::fs::read_to_string(to.join("page")).unwrap(), "upper");
        assert_eq!(std::fs::read_to_string(to.join("sub/other")).unwrap(), "other");
        assert!(!to.join("old").exists());
    }
}
