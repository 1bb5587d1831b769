//! Asking a host, or this machine: small scripts for any POSIX shell. Nothing is written there.

use std::net::IpAddr;

use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::estate::discover::{Found, Listing};
use crate::toolkit::Toolkit;
use crate::world::{Control, Output, here};

/// What a command prints is taken in pieces of this many bytes: only so much of it is kept at a time.
const PIECE_BYTES: usize = 1_000_000;
/// As much as is read of a listing.
const PIECES_MAX: usize = 32;
/// More addresses than a host has.
const ADDRESSES_MAX: usize = 64;

/// Where programs are, and how they are run as root.
const PRELUDE: &str = "LC_ALL=C; export LC_ALL; \
    PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin:/usr/local/hestia/bin; \
    if [ \"$(id -u)\" = 0 ]; then p=; else p='sudo -n'; fi; ";

/// What a program that is not there is answered with, as by a shell.
const NOT_THERE: &str = "127";

/// What prints a listing.
fn script(listing: Listing) -> &'static str {
    match listing {
        Listing::Nginx => r#"n=$(command -v nginx) || exit 127; $p "$n" -T"#,
        Listing::Apache => {
            r#"a=$(command -v apache2ctl || command -v apachectl || command -v httpd) || exit 127
o=$($p "$a" -S) || exit
printf '%s\n' "$o"
printf '%s\n' "$o" | sed -n 's/.*(\(\/.*\):[0-9][0-9]*)$/\1/p' | sort -u |
while IFS= read -r f; do printf '# configuration file %s:\n' "$f"; $p cat "$f"; done"#
        }
        // -x: without the secrets of the keys.
        Listing::Bind => r#"n=$(command -v named-checkconf) || exit 127; $p "$n" -p -x"#,
        Listing::Hestia => {
            r#"l=$(command -v v-list-users) || exit 127
d=${l%/*}; h=${HESTIA:-/usr/local/hestia}
for u in $($p env HESTIA="$h" "$l" plain | cut -f1); do for w in web mail dns; do
printf '# %s %s\n' "$w" "$u"; $p env HESTIA="$h" "$d/v-list-$w-domains" "$u" json; done; done"#
        }
        // It prints passwords.
        Listing::Virtualmin => {
            r#"v=$(command -v virtualmin) || exit 127
$p "$v" list-domains --multiline | sed '/^    [^:]*[Pp]assword/d'"#
        }
    }
}

impl Toolkit {
    /// What this machine is called.
    pub(super) async fn ask_name(&self, control: &Control) -> Result<String> {
        let said = here::run("hostname -f 2>/dev/null || hostname", control).await?;
        let name = String::from_utf8_lossy(&said.stdout).trim().to_ascii_lowercase();
        if name.is_empty() {
            let why = "this machine does not say what it is called";
            return Err(
                Error::new(ErrorKind::NotFound, "discover sites and zones", why).hint("name the host")
            );
        }
        Ok(name)
    }

    /// The addresses of a host, those of the machine alone left out.
    pub(super) async fn ask_addresses(
        &self,
        remote: Option<&Remote>,
        control: &Control,
    ) -> Result<Vec<IpAddr>> {
        let ask = "hostname -I 2>/dev/null || ip -o addr show scope global 2>/dev/null || true";
        let said = self.run_there(remote, &format!("{PRELUDE}{ask}"), control).await?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let words = text.split_whitespace().filter_map(|word| word.split('/').next()?.parse::<IpAddr>().ok());
        let mut addresses: Vec<IpAddr> = vec![];
        for address in words.take(ADDRESSES_MAX) {
            let local = match address {
                IpAddr::V4(address) => {
                    address.is_loopback() || address.is_link_local() || address.is_broadcast()
                }
                IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
            };
            if !local && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    /// Asks for a listing and reads it; what is not there is passed over, and what is not told is left out.
    pub(super) async fn ask_listing(
        &self,
        remote: Option<&Remote>,
        listing: Listing,
        found: &mut Found,
        control: &Control,
    ) -> Result<()> {
        let print = format!("{PRELUDE}{{ ( {}\n); printf '\\ndr-end %s\\n' \"$?\"; }}", script(listing));
        let mut bytes = vec![];
        let mut complaint = String::new();
        for piece in 0..PIECES_MAX {
            let from = piece * PIECE_BYTES + 1;
            let command = format!("{print} | tail -c +{from} | head -c {PIECE_BYTES}");
            let said = self.run_there(remote, &command, control).await?;
            let whole = said.stdout.len() < PIECE_BYTES;
            bytes.extend(said.stdout);
            complaint = last_line(&said.stderr);
            if whole {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let what = format!("the listing of {listing}");
        let Some((text, status)) = text.trim_end().rsplit_once("\ndr-end ") else {
            let why = "it is too long, or the host does not let a shell run; hand it over as a text";
            found.leave_out(what, why, "");
            return Ok(());
        };
        match status {
            "0" => found.read(listing, text),
            NOT_THERE => {}
            status => {
                let why = format!("the program ended with status {status}: {complaint}");
                found.leave_out(what, why, "");
            }
        }
        Ok(())
    }

    async fn run_there(&self, remote: Option<&Remote>, command: &str, control: &Control) -> Result<Output> {
        match remote {
            Some(remote) => self.world.shell.run(remote, command, control).await,
            None => here::run(command, control).await,
        }
    }
}

/// What a program complained about last is most of the time the reason.
fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.unwrap_or("it does not say why").chars().filter(|c| !c.is_control()).take(300).collect()
}
