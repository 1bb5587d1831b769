//! Mail servers greet (RFC 5321 section 3.1, RFC 3501 section 7.1.1), and have a certificate where one is asked for (RFC 3207, RFC
//! 3501 section 6.2.1).

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Looked, down, judge, tcp, tls, wrong};
use crate::estate::{Certified, DnsName};
use crate::failover::{DownKind, Sight};
use crate::world::tls::Authorities;

/// No line of these protocols is longer; what is longer is something else.
const LINE_BYTES: u64 = 8 * 1024;
/// So many lines may an answer have.
const LINES: usize = 100;

/// What is asked once the line is to be secured.
pub(super) struct Secured<'a> {
    pub(super) host: &'a DnsName,
    pub(super) wanted: &'a Certified,
    pub(super) authorities: &'a Authorities,
}

pub(super) async fn smtp(address: SocketAddr, secured: Option<Secured<'_>>) -> Looked {
    let mut talk = Talk::begin(address).await?;
    talk.reply(220).await?;
    talk.say("EHLO dr-probe.invalid\r\n").await?;
    let offers = talk.reply(250).await?;
    let Some(secured) = secured else {
        // Whatever becomes of the farewell, the server is up.
        let _ = talk.say("QUIT\r\n").await;
        return Ok(());
    };
    if !offers.iter().any(|offer| offer.eq_ignore_ascii_case("STARTTLS")) {
        return Err(wrong(format!("{address} offers no STARTTLS")));
    }
    talk.say("STARTTLS\r\n").await?;
    talk.reply(220).await?;
    talk.secure(secured).await
}

pub(super) async fn imap(address: SocketAddr, secured: Option<Secured<'_>>) -> Looked {
    let mut talk = Talk::begin(address).await?;
    let greeting = talk.line().await?;
    if !greeting.starts_with("* OK") && !greeting.starts_with("* PREAUTH") {
        return Err(wrong(format!("{address} greets with '{}'", greeting.escape_debug())));
    }
    let Some(secured) = secured else {
        let _ = talk.say("a LOGOUT\r\n").await;
        return Ok(());
    };
    talk.say("a STARTTLS\r\n").await?;
    for _ in 0..LINES {
        let line = talk.line().await?;
        // Others speak of something else.
        if let Some(answer) = line.strip_prefix("a ") {
            if answer.starts_with("OK") {
                return talk.secure(secured).await;
            }
            return Err(wrong(format!("{address} answers STARTTLS with '{}'", answer.escape_debug())));
        }
    }
    Err(wrong(format!("{address} does not answer STARTTLS")))
}

/// A conversation line by line.
struct Talk {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Talk {
    async fn begin(address: SocketAddr) -> Result<Self, Sight> {
        Ok(Self { address, stream: BufReader::new(tcp::connect(address).await?) })
    }

    async fn say(&mut self, words: &str) -> Result<(), Sight> {
        self.stream.write_all(words.as_bytes()).await.map_err(|why| judge(self.address, &why))
    }

    /// One line, without its end.
    async fn line(&mut self) -> Result<String, Sight> {
        let mut line = vec![];
        let read = (&mut self.stream).take(LINE_BYTES).read_until(b'\n', &mut line).await;
        read.map_err(|why| judge(self.address, &why))?;
        match line.strip_suffix(b"\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).trim_end_matches('\r').to_owned()),
            None if line.len() as u64 == LINE_BYTES => {
                Err(wrong(format!("{} sends a line without end", self.address)))
            }
            None => Err(down(DownKind::Closed, format!("{} closed in the middle of a line", self.address))),
        }
    }

    /// The lines of a reply of SMTP, without the code that each begins with; it must be this one.
    async fn reply(&mut self, wanted: u16) -> Result<Vec<String>, Sight> {
        let mut said = vec![];
        for _ in 0..LINES {
            let line = self.line().await?;
            let (code, rest) = line.split_at_checked(3).unwrap_or((&line, ""));
            if code.parse() != Ok(wanted) {
                return Err(wrong(format!(
                    "{} answers '{}' instead of {wanted}",
                    self.address,
                    line.escape_debug()
                )));
            }
            said.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok(said);
            }
        }
        Err(wrong(format!("{} does not end its answer", self.address)))
    }

    async fn secure(self, secured: Secured<'_>) -> Looked {
        let Self { address, stream } = self;
        if !stream.buffer().is_empty() {
            // Anybody on the way may have put it there (CVE-2011-0411).
            return Err(wrong(format!("{address} goes on in clear text after STARTTLS")));
        }
        let Secured { host, wanted, authorities } = secured;
        let (_, late) = tls::secured(stream.into_inner(), address, host, wanted, authorities).await?;
        late.map_or(Ok(()), Err)
    }
}
