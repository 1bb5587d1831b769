//! Mirrors over sshd that are cut short at random: each end killed, the line cut, the disk full. While they run, every file that can be
//! seen is wholly old or wholly new; afterwards the next mirror finishes the work without being told how, and without sending again
//! what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dr_core::Digest;
use dr_tests::proxy::{Line, State};
use dr_tests::{Proxy, Sshd, wait_for};
use rustix::fs::{CWD, FallocateFlags, Mode, OFlags, fallocate};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::garden::{Gardener, Kinds, census, list};
use crate::oracle::{oracle, seeds};

/// What happens to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// `kill -9` of dr at this end.
    KillHere,
    /// `kill -9` of its agents.
    KillThere,
    /// The line is cut.
    CutLine,
    /// The target's disk is full for a while.
    FullDisk,
}

/// A host that is reached over a line that can be cut, and a small disk for targets.
struct Stage {
    directory: TempDir,
    sshd: Sshd,
    proxy: Proxy,
    disk: Option<Disk>,
}

/// A small disk of its own; gone when dropped.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

impl Disk {
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=200m", "dr-test"];
        let mounted = Command::new("mount").args(mount).arg(&at).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }

    /// Takes all that is free.
    fn fill(&self) {
        let filler = std::fs::File::create(self.0.join("filler")).unwrap();
        // Others write meanwhile: less and less is free.
        while let Some(free) = rustix::fs::fstatvfs(&filler).ok().map(|disk| disk.f_bavail * disk.f_frsize) {
            let end = filler.metadata().unwrap().len();
            if free == 0 || fallocate(&filler, FallocateFlags::empty(), end, free.div_ceil(2)).is_err() {
                break;
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Before sshd starts: it sees the mounts of that moment.
        let disk = Disk::mount(directory.path().join("disk"));
        let sshd = Sshd::start();
        let key = directory.path().join("key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        sshd.authorize(&std::fs::read_to_string(key.with_extension("pub")).unwrap());
        let proxy = Proxy::start(sshd.addr());
        let known = format!("[127.0.0.1]:{} {}\n", proxy.addr().port(), sshd.host_key());
        std::fs::write(directory.path().join("known"), known).unwrap();
        Self { directory, sshd, proxy, disk }
    }

    fn far(&self, path: &Path) -> String {
        format!("ssh://{}@{}{}", self.sshd.user(), self.proxy.addr(), path.display())
    }

    fn dr(&self, arguments: &[&str]) -> Command {
        let at = |name: &str| self.directory.path().join(name);
        let mut command = Command::new(dr_tests::dr());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", at("home"));
        command.env("XDG_STATE_HOME", at("home/state")).env("USER", "olivia").stdin(Stdio::null());
        command.args(arguments).arg("-i").arg(at("key")).arg("--known-hosts").arg(at("known"));
        command.arg("--agent-path").arg(dr_tests::dr()).arg("--journal").arg(at("home/journal.db"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The agents on the host: processes of its sshd that are dr.
    fn agents(&self) -> Vec<Pid> {
        let program = dr_tests::dr().canonicalize().unwrap();
        let is_agent =
            |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
        let agents = self.sshd.processes().into_iter().filter(is_agent);
        agents.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).collect()
    }

    /// Mirrors, and it must succeed. Gives how many bytes it sent, and whether it had anything to do.
    fn mirror(&self, words: &[&str], context: &str) -> u64 {
        let begun = Instant::now();
        loop {
            let output = self.dr(words).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() {
                return said.lines().filter_map(|line| figure(line, "sent_bytes")).max().unwrap_or(0);
            }
            // The agent of the run before may not have noticed yet that nobody listens.
            let is_locked = said.contains("another mirror is writing");
            assert!(is_locked && begun.elapsed() < Duration::from_secs(20), "{context}\n{said}");
        }
    }
}

/// A number in a line of JSON.
fn figure(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
    rest.trim_start().split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// The content of every regular file, by its path below the root.
type Contents = BTreeMap<PathBuf, Digest>;

fn contents(root: &Path) -> Contents {
    let is_file = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    let paths = list(root).into_iter().filter(is_file);
    paths
        .map(|path| {
            let content = Digest::of(&std::fs::read(&path).unwrap());
            (path.strip_prefix(root).unwrap().to_owned(), content)
        })
        .collect()
}

/// What a visitor reads there now; none if it is no regular file.
fn read_at(root: &Path, path: &Path) -> Option<Digest> {
    let opened =
        rustix::fs::openat(CWD, root.join(path), OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    if rustix::fs::fstat(&opened).ok()?.st_mode & 0o170_000 != 0o100_000 {
        return None;
    }
    let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&opened));
    std::fs::read(name).ok().map(|content| Digest::of(&content))
}

/// Reads files of the target until told to stop: each is wholly old or wholly new; with generations, all of them together are.
fn watch(
    root: &Path,
    (old, new): (&Contents, &Contents),
    whole: bool,
    mut dice: Gardener,
    stop: &AtomicBool,
) -> u64 {
    let all: Vec<&PathBuf> = old.keys().chain(new.keys()).collect::<BTreeSet<_>>().into_iter().collect();
    let mut looks = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(directory) = std::fs::File::open(root) else { continue };
        let state = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&directory)));
        let (mut are_old, mut are_new) = (true, true);
        for _ in 0..if whole { 12 } else { 1 } {
            let path = all[dice.below(all.len())];
            let seen = read_at(&state, path);
            let (is_old, is_new) = (seen.as_ref() == old.get(path), seen.as_ref() == new.get(path));
            assert!(is_old || is_new || seen.is_none(), "{} is neither old nor new", path.display());
            (are_old, are_new) = (are_old && is_old, are_new && is_new);
            looks += 1;
        }
        assert!(are_old || are_new || !whole, "parts of two states are to be seen together");
    }
    looks
}

/// Does it to this run. False if the run was over before.
fn strike(stage: &Stage, fault: Fault, run: &mut Child) -> bool {
    if run.try_wait().unwrap().is_some() {
        return false;
    }
    match fault {
        Fault::KillHere => run.kill().unwrap(),
        Fault::KillThere => {
            for agent in stage.agents() {
                let _ = kill_process(agent, Signal::KILL);
            }
        }
        Fault::CutLine => stage.proxy.set_state(State::Reset),
        Fault::FullDisk => stage.disk.as_ref().unwrap().fill(),
    }
    true
}

/// How much of the source is not on the target yet, nor in the state that is being built beside it; there it is of use only if
/// nothing of it has changed since. Of a file that has or had several names nobody knows without a scan.
fn missing_bytes(from: &Path, to: &Path, since: i64) -> u64 {
    let next = to.with_file_name(".dr-kept-to").join("next");
    let same = |one: &Metadata, other: &Path| {
        let look = |found: &Metadata| (found.is_file(), found.len(), found.mtime(), found.mtime_nsec());
        std::fs::symlink_metadata(other).is_ok_and(|other| look(one) == look(&other))
    };
    let several = [from, to].map(names_of_several);
    let mut missing = 0;
    for path in list(from) {
        let (found, below) = (std::fs::symlink_metadata(&path).unwrap(), path.strip_prefix(from).unwrap());
        let has_several = several.iter().any(|several| several.contains(below));
        let is_touched = found.ctime() * 1000 + found.ctime_nsec() / 1_000_000 >= since;
        let is_there = same(&found, &to.join(below)) || !is_touched && same(&found, &next.join(below));
        if found.is_file() && (has_several || !is_there) {
            missing += found.len();
        }
    }
    missing
}

/// Paths below a root that are one of several names of something.
fn names_of_several(root: &Path) -> BTreeSet<PathBuf> {
    let mut names: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for path in list(root) {
        let inode = std::fs::symlink_metadata(&path).unwrap().ino();
        names.entry(inode).or_default().push(path.strip_prefix(root).unwrap().to_owned());
    }
    names.into_values().filter(|names| names.len() > 1).flatten().collect()
}

/// One seed: what is mirrored where, and what happens to it.
struct Season<'a> {
    stage: &'a Stage,
    ground: TempDir,
    dice: Gardener,
    fault: Fault,
    words: Vec<String>,
    keeps_states: bool,
    context: String,
}

impl<'a> Season<'a> {
    fn new(stage: &'a Stage, seed: u64) -> Self {
        let mut dice = Gardener::new(seed ^ 0xfa17, Kinds::All);
        let faults = [Fault::KillHere, Fault::KillThere, Fault::CutLine, Fault::FullDisk];
        let faults = &faults[..if stage.disk.is_some() { 4 } else { 3 }];
        let fault = faults[dice.below(faults.len())];
        let disk = stage.disk.as_ref().filter(|_| fault == Fault::FullDisk);
        let ground = disk.map_or_else(|| stage.directory.path(), |disk| &disk.0);
        let ground = tempfile::tempdir_in(ground).unwrap();
        let (pull, keeps_states) = (dice.below(3) == 0, dice.below(4) == 0);
        let at = |name: &str, is_far: bool| {
            let path = ground.path().join(name);
            if is_far { stage.far(&path) } else { path.to_str().unwrap().to_owned() }
        };
        let fsync = if seed.is_multiple_of(4) { "once" } else { "never" };
        let mut words = vec!["mirror".to_owned(), at("from", pull), at("to", !pull)];
        let more = ["--json", "--compress", "never", "--max-delete", "1000000", "--fsync", fsync];
        words.extend(more.map(str::to_owned));
        words.extend(keeps_states.then(|| "--generations=2".to_owned()));
        let context = format!("seed {seed}, {fault:?}, {}", words.join(" "));
        Self { stage, ground, dice, fault, words, keeps_states, context }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.ground.path().join(name)
    }

    fn mirror(&self) -> u64 {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        self.stage.mirror(&words, &self.context)
    }

    /// Grows the trees: most were mirrored once, and the source has changed since.
    fn grow(&mut self, gardener: &mut Gardener) {
        let from = self.at("from");
        gardener.grow(&from, 40);
        if self.dice.below(4) == 0 {
            gardener.grow(&self.at("to"), 25);
        } else {
            let _ = self.mirror();
            gardener.change(&from, 15);
        }
        for number in 0..60 {
            std::fs::write(from.join(format!("page {number}")), self.dice.next().to_le_bytes().repeat(2500))
                .unwrap();
        }
    }

    /// A run to which it happens, while somebody looks at the target. False if the run was over before.
    fn run(&mut self) -> bool {
        let Self { stage, fault, .. } = *self;
        let (to, contents) = (self.at("to"), (contents(&self.at("to")), contents(&self.at("from"))));
        // The pages alone are more than a megabyte.
        let until = if self.dice.below(4) == 0 { 60_000 } else { 1_300_000 };
        let moment = self.dice.below(until) as u64;
        let rate = 3_000_000 + self.dice.below(20_000_000) as u64;
        stage.proxy.set(Line { bytes_per_second: Some(rate), ..Line::default() });
        let passed = || stage.proxy.passed().0 + stage.proxy.passed().1;
        let (before, eyes, stop) =
            (passed(), Gardener::new(self.dice.next(), Kinds::All), AtomicBool::new(false));
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let status = std::thread::scope(|scope| {
            let watching =
                scope.spawn(|| watch(&to, (&contents.0, &contents.1), self.keeps_states, eyes, &stop));
            let mut run = stage.dr(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            while passed() - before < moment && run.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let is_hit = strike(stage, fault, &mut run);
            let status = run.wait().unwrap();
            stop.store(true, Ordering::Relaxed);
            assert!(watching.join().unwrap() > 0, "nobody looked");
            if is_hit && fault == Fault::FullDisk {
                stage.disk.as_ref().unwrap().free();
            }
            status
        });
        stage.proxy.set(Line::default());
        wait_for("the agents to end", Duration::from_secs(20), || stage.agents().is_empty().then_some(()));
        !status.success()
    }

    /// The next run has to do only what was not done, and leaves nothing beside the trees.
    fn end(&self, since: i64) {
        let (from, to) = (self.at("from"), self.at("to"));
        let missing = missing_bytes(&from, &to, since);
        let sent = self.mirror();
        let context = format!("{}, {}", self.context, census(&from));
        assert_eq!(oracle(&from, &to), "", "{context}");
        assert!(sent <= missing, "{context}: {sent} bytes were sent, and only {missing} were missing");
        let beside = std::fs::read_dir(self.ground.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let names: BTreeSet<_> = beside.collect();
        let kept = ["from", "to", ".dr-kept-to"].map(Into::into);
        assert!(names.is_subset(&kept.into()), "{context}: something is left: {names:?}");
        assert!(names.len() == 2 || self.keeps_states, "{context}: something is left: {names:?}");
    }
}

/// Gives the fault, and whether it cut the run short.
fn season(stage: &Stage, seed: u64) -> (Fault, bool) {
    let (mut season, mut gardener) = (Season::new(stage, seed), Gardener::new(seed, Kinds::All));
    season.grow(&mut gardener);
    let is_hit = season.run();
    // The kernel dates by a clock that may be a tick behind.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - Duration::from_millis(20);
    if seed % 2 == 1 {
        gardener.change(&season.at("from"), 8);
    }
    season.end(i64::try_from(since.as_millis()).unwrap());
    (season.fault, is_hit)
}

#[test]
fn whatever_happens_to_a_run_the_next_one_finishes_its_work() {
    let stage = Stage::new();
    let mut hits: BTreeMap<Fault, (u32, u32)> = BTreeMap::new();
    for seed in seeds(12) {
        let (fault, is_hit) = season(&stage, seed);
        let (times, hit) = hits.entry(fault).or_default();
        *times += 1;
        *hit += u32::from(is_hit);
    }
    println!("faults, and how many of them cut a run short: {hits:?}");
    assert!(hits.values().any(|(_, hit)| *hit > 0), "no run was ever cut short");
}
