//! Mirrors a tree, showing the plan first: `mirror /var/www/shop root@us.example.net:/var/www/shop JOURNAL`.
#![allow(clippy::print_stdout, reason = "a program talks on standard output")]

use dr_core::mirror::Options;
use dr_core::render::{self, Style};
use dr_core::run::Outcome;
use dr_core::toolkit::{Settings, Toolkit};
use dr_core::world::Control;
use dr_core::{Error, ErrorKind, Location};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match mirror(std::env::args().skip(1).collect()).await {
        Ok(Outcome::New | Outcome::NewDegraded) => 0.into(),
        Ok(_) => 1.into(),
        Err(error) => {
            eprint!("{}", render::error(&error, Style::default()));
            error.kind().code().into()
        }
    }
}

async fn mirror(words: Vec<String>) -> dr_core::Result<Outcome> {
    let usage = |why: String| Error::new(ErrorKind::Usage, "mirror a tree", why);
    let [source, target, journal] = words.as_slice() else {
        return Err(usage("name the source, the target and the journal's file".into()));
    };
    let place = |text: &str| text.parse::<Location>().map_err(usage);
    let (source, target) = (place(source)?, place(target)?);

    let toolkit = Toolkit::open(Settings { journal: journal.into(), ..Settings::default() })?;
    let control = Control::silent();
    let planned = toolkit.plan_mirror(&source, &target, &Options::default(), None, &control).await?;
    print!("{}", render::plan(&planned.plan, Style::default()));
    let applied = toolkit.apply(&planned.plan, "the example", &control).await?;
    print!("{}", render::report(&applied.report, Style::default()));
    Ok(applied.outcome)
}
