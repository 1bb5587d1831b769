//! The story, act by act.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dr_core::dns::{Depth, ZoneSpec};
use dr_core::failover::{Observer, Panel};
use dr_core::keys::{KeyKind, KeyOptions};
use dr_core::plan::{Plan, Step};
use dr_core::render;
use dr_core::run::{Direction, Event, Outcome};
use dr_core::toolkit::{Applied, FailoverOptions, InstallOptions, Settings, Toolkit};
use dr_core::world::endpoints::Agents;
use dr_core::world::resolver::StubResolver;
use dr_core::world::ssh::Access;
use dr_core::world::{Control, Swap};
use dr_core::{Error, ErrorKind, Period, Remote, Result, Secret};
use tokio::sync::mpsc::UnboundedSender;

use super::decider::Decider;
use super::embedded::process::{Child, Exit};
use super::scene::{Names, Scene, names};
use super::timeline::{Figures, Timeline, bytes};
use super::visitors::{Visitors, longest_gap};
use super::{observer, website};
use crate::args;
use crate::console::Console;
use crate::context::asked_by;

/// How long visitors go round before the disaster, so that the figures have a before.
const CALM: Duration = Duration::from_millis(1200);
/// How long visitors may be without a page before the demo gives up on them.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long name servers may take to agree.
const AGREED_WITHIN: Period = Period::from_secs(10);
/// What an author writes on the standby while it is home.
const NEW_PAGE: &str = "written-during-the-outage.html";
const NEW_TEXT: &[u8] =
    b"<!doctype html>\n<title>Still here</title>\n<p>Written on the standby, after the fire.</p>\n";

/// Everything that the acts share.
struct Stage<'a> {
    console: &'a Console,
    control: &'a Control,
    timeline: Arc<Mutex<Timeline>>,
    figures: Figures,
    names: Names,
}

impl Stage<'_> {
    fn tell(&self, act: &str, said: &str) {
        tell_in(&self.timeline, self.console, act, said, None);
    }

    /// Applies a plan, each step told as it is done if `act` is given; anything but the new state is an error that says where
    /// it stopped.
    async fn apply(&self, toolkit: &Toolkit, plan: &Plan, act: Option<&'static str>) -> Result<Applied> {
        let applied = toolkit.apply(plan, &asked_by(), &self.following(plan, act)).await?;
        if matches!(applied.outcome, Outcome::New | Outcome::NewDegraded) {
            return Ok(applied);
        }
        let why = applied
            .report
            .findings
            .first()
            .map_or_else(|| "it stopped".to_owned(), |first| first.message.clone());
        Err(Error::new(ErrorKind::Conflict, plan.title.clone(), why)
            .hint("the journal has every step; dr demo --record DIR keeps it"))
    }

    /// A control whose events become lines of the story.
    fn following(&self, plan: &Plan, act: Option<&'static str>) -> Control {
        let titles: Vec<String> = plan.steps.iter().map(|planned| planned.title.clone()).collect();
        let (timeline, console) = (self.timeline.clone(), self.console.clone());
        let mut control = Control::new(move |event| match (event, act) {
            (Event::StepDone { step, .. }, Some(act)) => {
                let title = titles.get(*step).map_or("?", String::as_str);
                tell_in(&timeline, &console, act, &format!("{}. {title}", step + 1), Some(event));
            }
            (Event::StepFailed { step, error, .. }, _) => {
                let title = titles.get(*step).map_or("?", String::as_str);
                let said = format!("{}. {title}: {}", step + 1, error.message);
                tell_in(&timeline, &console, "Failed", &said, Some(event));
            }
            (event, _) if console.is_json() => console.event(event),
            _ => {}
        });
        control.cancel = self.control.cancel.clone();
        control
    }
}

/// A line of the timeline: for programs the event that it tells of, or a note where it tells of none.
fn tell_in(timeline: &Mutex<Timeline>, console: &Console, act: &str, said: &str, of: Option<&Event>) {
    let line = timeline.lock().unwrap_or_else(PoisonError::into_inner).tell(act, said);
    if console.is_json() {
        let note = || Event::Note { message: format!("{act}: {said}") };
        console.event(&of.cloned().unwrap_or_else(note));
    } else {
        console.story(&line);
    }
}

/// Tells it; gives the exit code.
pub(super) async fn tell(
    console: &Console,
    control: &Control,
    words: &args::Demo,
    directory: &Path,
    ends: UnboundedSender<Exit>,
) -> Result<u8> {
    let mut stage = Stage {
        console,
        control,
        timeline: Arc::new(Mutex::new(Timeline::new())),
        figures: Figures::default(),
        names: names()?,
    };
    let front = bring_website(control, words, directory).await?;
    let mut scene = control.run("start the demo", set(&mut stage, &front, directory, ends)).await?;
    let played = control.run("play the demo", play(&mut stage, &mut scene)).await;
    stage.figures.total_ms = millis(stage.timeline.lock().unwrap_or_else(PoisonError::into_inner).elapsed());
    close(&mut stage, scene, directory, played).await
}

/// Puts the website where uk serves it from; gives the page by which one sees whether it is up. It stops by itself, so that
/// no file lands where the directory has just been removed.
async fn bring_website(control: &Control, words: &args::Demo, directory: &Path) -> Result<String> {
    let (site, root) = (words.site.clone(), super::scene::document_root(directory, "uk"));
    let cancel = control.cancel.clone();
    tokio::task::spawn_blocking(move || {
        website::install(site.as_deref(), &root, &|| cancel.is_cancelled())?;
        website::front(site.as_deref(), &root)
    })
    .await
    .map_err(|why| Error::new(ErrorKind::Internal, "copy the website", why.to_string()))?
}

/// Starts hosts and name servers.
async fn set(
    stage: &mut Stage<'_>,
    front: &str,
    directory: &Path,
    ends: UnboundedSender<Exit>,
) -> Result<Scene> {
    let scene = Scene::set(directory, front, &ends).await?;
    let said = format!(
        "hosts uk {} and us {}, name servers ns1 to ns{} from {}: every one a process of its own, on loopback",
        scene.uk.ready().http.ip(),
        scene.us.ready().http.ip(),
        scene.servers.len(),
        scene.servers[0].ready().address.ip(),
    );
    stage.tell("Start", &said);
    Ok(scene)
}

async fn play(stage: &mut Stage<'_>, scene: &mut Scene) -> Result<()> {
    install_keys(stage, scene).await?;
    let toolkit = open(scene, BTreeMap::new())?;
    let mirrored_at = mirror(stage, scene, &toolkit).await?;
    check(stage, scene, &toolkit).await?;

    let visitors = visitors(stage, scene)?;
    let coming = visitors.keep_coming();
    let (decider, mut observers) = watch(stage, scene, &toolkit).await?;

    let disaster = kill_home(stage, scene, &visitors, mirrored_at).await?;
    fail_over(stage, &toolkit, &decider, disaster).await?;
    served_again(stage, scene, &visitors, disaster).await?;

    write_on_standby(stage, scene, &toolkit, &visitors).await?;
    come_home(stage, scene, &toolkit, &visitors, &mut observers).await?;
    drop(coming);
    stage.figures.visits = visitors.count();
    Ok(())
}

fn open(scene: &Scene, passwords: BTreeMap<Remote, Secret>) -> Result<Toolkit> {
    // The key's file is named in the estate.
    let access = Access { passwords, ..Access::default() };
    let journal = scene.directory.join("journal.db");
    // The demo's hosts have SFTP and no shell that could run an agent.
    let agents = Agents { off: true, ..Agents::default() };
    Toolkit::open(Settings { estate: scene.estate.clone(), journal, access, agents, ..Settings::default() })
}

/// A key pair, brought to both hosts by password and proven; then the passwords are switched off.
async fn install_keys(stage: &mut Stage<'_>, scene: &mut Scene) -> Result<()> {
    let path = scene.directory.join("id_ed25519");
    let public =
        open(scene, scene.passwords.clone())?.generate_key(&path, KeyKind::Ed25519, "dr demo", None).await?;
    stage.tell("Keys", &format!("made an ed25519 key, {}", public.fingerprint()));
    let installer = open(scene, scene.passwords.clone())?;
    let options = InstallOptions {
        allow: KeyOptions { restrict: true, ..KeyOptions::default() },
        ..InstallOptions::default()
    };
    for host in [&stage.names.uk, &stage.names.us] {
        let remote = &scene.estate.hosts[host].ssh;
        let plan = installer.plan_key_install(remote, &public.to_string(), &options, stage.control).await?;
        stage.apply(&installer, &plan, None).await.map(drop)?;
    }
    for host in [&mut scene.uk, &mut scene.us] {
        let mut options = host.options().clone();
        options.password = None;
        host.update(options).await.map_err(|why| Error::io("switch passwords off", why))?;
    }
    stage.tell("Keys", "installed on uk and us by password, proven by a fresh login; passwords are off now");
    Ok(())
}

/// The first mirror; gives when it began.
async fn mirror(stage: &mut Stage<'_>, scene: &Scene, toolkit: &Toolkit) -> Result<Instant> {
    let began = Instant::now();
    let planned = toolkit.plan_mirror_site(&stage.names.site, stage.control).await?;
    let summary = planned.summary;
    stage.apply(toolkit, &planned.plan, None).await.map(drop)?;
    stage.figures.bytes = summary.bytes;
    stage.figures.files = count_files(&scene.document_root("us"));
    let said = format!(
        "{} files, {}, from uk to us over SSH in {}, verified",
        stage.figures.files,
        bytes(summary.bytes),
        crate::console::elapsed(began),
    );
    stage.tell("Mirror", &said);
    Ok(began)
}

fn count_files(directory: &Path) -> u64 {
    std::fs::read_dir(directory).into_iter().flatten().flatten().fold(0, |count, entry| {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        count + if is_directory { count_files(&entry.path()) } else { 1 }
    })
}

/// The zone on all six servers, and whether a failover would succeed.
async fn check(stage: &mut Stage<'_>, scene: &Scene, toolkit: &Toolkit) -> Result<()> {
    let spec = ZoneSpec::from_estate(&scene.estate, &stage.names.zone)?;
    // On one machine, all servers are rightly in one place.
    let spec = ZoneSpec { depth: Depth::Records, ..spec };
    let mut report = toolkit.check_zone(&spec, stage.control).await?;
    report.absorb(toolkit.failover_status(&stage.names.site, stage.control).await?);
    stage.figures.findings = report.findings.len() as u64;
    let said = match report.findings.first() {
        None => format!(
            "{} on {} name servers: all agree; every guard passes",
            stage.names.zone,
            scene.servers.len()
        ),
        Some(worst) => {
            format!("{} findings, first: {}: {}", report.findings.len(), worst.code, worst.message)
        }
    };
    stage.tell("Check", &said);
    Ok(())
}

fn visitors(stage: &Stage<'_>, scene: &Scene) -> Result<Visitors> {
    let servers: Vec<_> = scene.servers.iter().map(|server| server.ready().address).collect();
    let pages = website::pages(&scene.document_root("uk"))?;
    let port = scene.uk.ready().http.port();
    Ok(Visitors::new(stage.names.www.clone(), port, StubResolver::new(&servers)?, pages))
}

/// Three observers, and the decider that counts their votes.
async fn watch(
    stage: &mut Stage<'_>,
    scene: &Scene,
    toolkit: &Toolkit,
) -> Result<(Decider, Vec<Child<observer::Options>>)> {
    let observers: Vec<Observer> = observer::PLACES
        .iter()
        .map(|(id, place)| {
            let id = id.parse().map_err(|why: dr_core::estate::NameError| {
                Error::new(ErrorKind::Internal, "name an observer", why.to_string())
            })?;
            Ok(Observer { id, failure_domain: (*place).to_owned() })
        })
        .collect::<Result<_>>()?;
    let panel =
        Panel::new(observers).map_err(|why| Error::new(ErrorKind::Internal, "seat the observers", why))?;
    let token = super::scene::random_secret()?;
    let decider = Decider::listen(panel, &token, toolkit.world.clock.clone()).await?;
    let observers = scene.start_observers(decider.address, &token).await?;
    decider.until_all_up(stage.control).await?;
    let places: Vec<String> = observer::PLACES.iter().map(|(id, place)| format!("{id} ({place})")).collect();
    let said = format!("observers {} see {} up; visitors come by name", places.join(", "), stage.names.www);
    stage.tell("Watch", &said);
    Ok((decider, observers))
}

/// The disaster: SIGKILL, without warning.
async fn kill_home(
    stage: &mut Stage<'_>,
    scene: &mut Scene,
    visitors: &Visitors,
    mirrored_at: Instant,
) -> Result<Instant> {
    tokio::time::sleep(CALM).await;
    let before = visitors.count();
    let disaster = Instant::now();
    let exit = scene.uk.kill9().await;
    stage.figures.rpo_ms = Some(millis(disaster.saturating_duration_since(mirrored_at)));
    stage.tell("DISASTER", &format!("host uk (pid {}) gets kill -9, after {before} good visits", exit.pid));
    Ok(disaster)
}

/// Detection, decision, and the plan that moves the site.
async fn fail_over(
    stage: &mut Stage<'_>,
    toolkit: &Toolkit,
    decider: &Decider,
    disaster: Instant,
) -> Result<()> {
    let site = stage.names.site.clone();
    let control = stage.control;
    let decided = decider.until_move(control, || toolkit.failover_guards(&site, control)).await?;
    stage.figures.detection_ms = Some(millis(decided.detected.saturating_duration_since(disaster)));
    stage.figures.decision_ms = Some(millis(decided.decided.saturating_duration_since(disaster)));
    stage.tell("Detect", &decided.why);
    let plan = toolkit.plan_failover(&site, &FailoverOptions::default(), control).await?;
    let plan = impatient(plan);
    stage.tell(
        "Plan",
        &format!("{}: {} steps, durable in the journal before the first", plan.title, plan.steps.len()),
    );
    let base = (Instant::now(), toolkit.world.clock.read().wall);
    let applied = stage.apply(toolkit, &plan, Some("Move")).await?;
    let done = |step: usize| {
        let line = applied.lines.iter().find(|line| {
            matches!(line.event, Event::StepDone { step: of, direction: Direction::Forward, .. } if of == step)
        })?;
        Some(millis(base.0.saturating_duration_since(disaster) + line.at.since(base.1)))
    };
    let mut agreements = vec![];
    for (step, planned) in plan.steps.iter().enumerate() {
        match &planned.step {
            Step::ChangeZone(_) => stage.figures.dns_changed_ms = done(step),
            Step::AwaitAgreement(_) => agreements.push(done(step)),
            _ => {}
        }
    }
    // A server that was silent is asked in a step of its own, and belongs to all of them.
    let agreements: Option<Vec<u64>> = agreements.into_iter().collect();
    stage.figures.servers_agree_ms = agreements.and_then(|times| times.into_iter().max());
    Ok(())
}

/// The same plan, waiting for name servers no longer than a demo can: on loopback they agree at once or never.
fn impatient(mut plan: Plan) -> Plan {
    for planned in &mut plan.steps {
        if let Step::AwaitAgreement(agreement) = &mut planned.step {
            agreement.within = agreement.within.min(AGREED_WITHIN);
        }
    }
    plan
}

/// Visitors have whole pages again, from the standby, under the same name.
async fn served_again(
    stage: &mut Stage<'_>,
    scene: &Scene,
    visitors: &Visitors,
    disaster: Instant,
) -> Result<()> {
    let again = visitors.good_after(disaster, PATIENCE).await.ok_or_else(|| {
        Error::new(ErrorKind::Timeout, "see the site again", "no visitor had a whole page in time")
    })?;
    let (pages, address) = visitors.compare_all().await?;
    let expected = scene.us.ready().http.ip();
    if address != expected {
        let message = format!("the pages come from {address}, not from {expected}");
        return Err(Error::new(ErrorKind::Conflict, "see the site on the standby", message));
    }
    stage.figures.rto_ms = Some(millis(again.saturating_duration_since(disaster)));
    stage.figures.visits_in_vain = in_vain(visitors, disaster);
    stage.figures.pages_compared = pages;
    let said =
        format!("{} answers from us ({address}): {pages} pages, byte for byte the same", stage.names.www);
    stage.tell("Served", &said);
    Ok(())
}

fn in_vain(visitors: &Visitors, since: Instant) -> u64 {
    visitors.since(since).iter().filter(|visit| !visit.good).count() as u64
}

/// Life goes on where the site lives now.
async fn write_on_standby(
    stage: &mut Stage<'_>,
    scene: &Scene,
    toolkit: &Toolkit,
    visitors: &Visitors,
) -> Result<()> {
    let estate = &scene.estate;
    let remote = &estate.hosts[&stage.names.us].ssh;
    let path = format!("{}/{NEW_PAGE}", estate.sites[&stage.names.site].trees[0].path);
    toolkit.world.shell.replace_file(remote, &path, Swap::new(None, Some(NEW_TEXT), 0o644)).await?;
    visitors.expect(&format!("/{NEW_PAGE}"), NEW_TEXT);
    stage.tell("Life", &format!("an author publishes /{NEW_PAGE} on us"));
    Ok(())
}

/// The old home comes back, receives what was written since, and takes the site over again.
async fn come_home(
    stage: &mut Stage<'_>,
    scene: &mut Scene,
    toolkit: &Toolkit,
    visitors: &Visitors,
    observers: &mut [Child<observer::Options>],
) -> Result<()> {
    scene.uk.restart().await.map_err(|why| Error::io("bring uk back", why))?;
    stage.tell("Return", "uk is back; it serves nothing yet, and no mirror of its may write into us");
    let began = Instant::now();
    let site = stage.names.site.clone();
    let plan = impatient(toolkit.plan_failback(&site, stage.control).await?);
    stage.tell("Plan", &format!("{}: {} steps", plan.title, plan.steps.len()));
    stage.apply(toolkit, &plan, Some("Failback")).await.map(drop)?;
    // Resolvers may still hold the old address for one TTL; both hosts serve the same pages meanwhile.
    let home = scene.uk.ready().http.ip();
    let deadline = Instant::now() + PATIENCE;
    let (pages, address) = loop {
        let (pages, address) = visitors.compare_all().await?;
        if address == home || Instant::now() > deadline {
            break (pages, address);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    if address != home {
        let message = format!("the pages come from {address}, not from {home}");
        return Err(Error::new(ErrorKind::Conflict, "see the site at home", message));
    }
    let ended = Instant::now();
    stage.figures.pages_compared += pages;
    stage.figures.visits_in_vain_failback = in_vain(visitors, began);
    stage.figures.failback_gap_ms = millis(longest_gap(&visitors.since(began), began, ended));
    let said = format!(
        "{} answers from uk ({address}) again: {pages} pages the same, the new one among them",
        stage.names.www
    );
    stage.tell("Home", &said);
    for observer in observers {
        observer.kill9().await;
    }
    Ok(())
}

/// Stops everything, writes down what is worth keeping, shows the table.
async fn close(stage: &mut Stage<'_>, scene: Scene, directory: &Path, played: Result<()>) -> Result<u8> {
    let estate_text = scene.estate.to_toml()?;
    // A demo that stopped in the middle may have no journal yet.
    let moves = match open(&scene, BTreeMap::new()) {
        Ok(toolkit) => toolkit.memo_moves().await.unwrap_or_default(),
        Err(_) => vec![],
    };
    let facts = render::MemoFacts { moves, ..render::MemoFacts::default() };
    let memo = render::memo(&scene.estate, &facts, dr_core::toolkit::now());
    let timeline = {
        let timeline = stage.timeline.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!({ "moments": timeline.moments, "figures": stage.figures })
    };
    let written = [
        ("dr.toml", estate_text),
        ("memo.md", memo.to_markdown()),
        ("memo.html", memo.to_html()),
        ("timeline.json", format!("{timeline:#}\n")),
    ];
    let written = written.into_iter().try_for_each(|(name, text)| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|why| Error::io(format!("write {}", path.display()), why))
    });
    let Scene { uk, us, servers, .. } = scene;
    uk.stop().await;
    us.stop().await;
    for server in servers {
        server.stop().await;
    }
    played.and(written)?;
    let said =
        format!("{} s; every process that was started has been stopped", stage.figures.total_ms / 1000);
    stage.tell("End", &said);
    stage.console.result(&format!("\n{}\n", stage.figures.table()), &timeline);
    Ok(0)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
