//! `dr keys ca`: certificates signed, and what was signed.

use dr_core::keys::{Bearer, Issued, Permit};
use dr_core::toolkit::{CertifyOptions, read_certificate_or_key};
use dr_core::{Estate, Result};

use super::clean;
use crate::args::{Ca, Common, PermitWord, Signing};
use crate::commands::show_and_apply;
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, estate: Estate, words: Ca) -> Result<u8> {
    let (bearer, key, signing, good_for, from, command, permit) = match words {
        Ca::List { ca } => return list(common, console, estate, &ca),
        Ca::Install { file, remote, after } => {
            let (toolkit, control) = (context::toolkit(common, estate)?, console.control());
            let line = read_certificate_or_key(&file)?;
            let plan = toolkit.plan_certificate_install(&remote, &line, after, &control).await?;
            return show_and_apply(&toolkit, &plan, common, console, &control).await;
        }
        Ca::User { key, signing, good_for, from, command, permit } => {
            (Bearer::User, key, signing, good_for, from, command, permit)
        }
        Ca::Host { key, signing, good_for } => (Bearer::Host, key, signing, good_for, vec![], None, vec![]),
    };
    let Signing { ca, names, id, passphrase_file, ask_passphrase, by_agent } = signing;
    let by_agent = by_agent.then(context::agent_socket).transpose()?;
    let permits = permit.into_iter().map(|word| match word {
        PermitWord::Terminal => Permit::Terminal,
        PermitWord::Ports => Permit::Ports,
        PermitWord::Agent => Permit::Agent,
    });
    let options =
        CertifyOptions { bearer, names, good_for, id, from, command, permits: permits.collect(), by_agent };
    if common.dry_run {
        let terms = context::toolkit(common, estate)?.may_certify_key(&key, &options)?;
        let names = terms.names.join(", ");
        let text = format!(
            "would sign a {bearer}'s certificate for {names}, good for {good_for}, with the id '{}'",
            clean(&terms.id)
        );
        console.result(&text, &serde_json::json!({ "names": terms.names, "id": terms.id }));
        return Ok(0);
    }
    let passphrase = match (passphrase_file, ask_passphrase) {
        (Some(file), _) => Some(context::secret_file(&file)?),
        (None, true) => Some(context::ask_secret("passphrase of the authority: ")?),
        (None, false) => None,
    };
    let toolkit = context::toolkit(common, estate)?;
    let (certificate, path) = toolkit.certify_key(&ca, passphrase.as_ref(), &key, &options).await?;
    let until = certificate.before().map(|at| at.to_string()).unwrap_or_default();
    let told = match bearer {
        Bearer::User => {
            "hosts let it in that trust the authority: by TrustedUserCAKeys (dr keys ca install), or by this line of authorized_keys:"
        }
        Bearer::Host => {
            "the host shows it once it is there (dr keys ca install); whoever connects trusts it by this line of known_hosts:"
        }
    };
    let trusted_by = certificate.trusted_by();
    let text = format!(
        "{}\nnumber {}, for {}, until {until}\n{told}\n{trusted_by}",
        path.display(),
        certificate.serial(),
        certificate.names().join(", ")
    );
    let value = serde_json::json!({
        "path": path, "serial": certificate.serial(), "names": certificate.names(), "until": until,
        "authority": certificate.authority().fingerprint(), "trusted_by": trusted_by,
    });
    console.result(&text, &value);
    Ok(0)
}

fn list(common: &Common, console: &Console, estate: Estate, ca: &std::path::Path) -> Result<u8> {
    let issued = context::toolkit(common, estate)?.issued_certificates(ca)?;
    let row = |one: &Issued| {
        let what = if one.host { "host" } else { "user" };
        let (names, id) = (one.names.join(","), clean(&one.id));
        format!("{:>6} {what} {} until {} for {names} {id}", one.serial, one.key, one.until)
    };
    let rows: Vec<String> = issued.iter().map(row).collect();
    console.result(&rows.join("\n"), &serde_json::json!({ "issued": issued }));
    Ok(0)
}
