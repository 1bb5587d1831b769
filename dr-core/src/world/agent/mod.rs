//! The far end of a mirror: serves one tree of this machine over its standard input and output.
//!
//! It is a [`crate::world::endpoints::LocalEndpoint`] behind the frames of [`crate::mirror::wire`]. It listens on no port and
//! outlives no connection: when its input ends, it stops, and nothing half-written is visible. More channels of the same
//! connection can join it (see `join`), so that one process has the tree, however many there are.

mod join;
pub(in crate::world) mod line;
mod serve;
pub(in crate::world) mod stdio;

use std::path::PathBuf;

pub(in crate::world) use serve::greeting;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Result;
use crate::world::ssh::Access;

/// What an agent may do, whatever its client asks for. It is meant for the `command=` of a key (sshd(8), authorized_keys).
///
/// ```
/// use dr_core::world::agent::Restrictions;
/// let backup = Restrictions { root: Some("/var/www".into()), read_only: true, ..Restrictions::default() };
/// assert_ne!(backup, Restrictions::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// The only tree that it serves; none: any that the account may reach.
    pub root: Option<PathBuf>,
    /// It changes nothing in the tree.
    pub read_only: bool,
    /// Where it remembers what it last agreed on with others; none: it remembers nothing.
    pub state_dir: Option<PathBuf>,
}

/// Serves a client over standard input and output until the input ends. Nothing but frames is written. With `access` it reaches
/// other hosts if its client asks for it, so that content goes there directly; under restrictions it never does.
///
/// # Errors
/// `Protocol` if who speaks there is no dr, or one that speaks another version.
pub async fn serve_stdio(restrictions: Restrictions, access: Option<Access>) -> Result<()> {
    serve::stdio(restrictions, access).await
}

/// Serves a client over any two streams until the input ends.
///
/// # Errors
/// As [`serve_stdio`].
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use dr_core::world::agent::{Restrictions, serve};
/// use dr_core::world::{Endpoint, endpoints::AgentEndpoint};
/// let here = tempfile::tempdir().unwrap();
/// let (ours, theirs) = tokio::io::duplex(1 << 16);
/// let (input, output) = tokio::io::split(theirs);
/// let agent = tokio::spawn(serve(Restrictions::default(), input, output));
/// let tree = AgentEndpoint::over(ours, here.path().to_str().unwrap()).await.unwrap();
/// assert!(tree.stat(&dr_core::mirror::RelPath::root()).await.unwrap().unwrap().is_directory());
/// drop(tree);
/// agent.await.unwrap().unwrap();
/// # });
/// ```
pub async fn serve(
    restrictions: Restrictions,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> Result<()> {
    let (input, output) = (line::Incoming::Stream(Box::new(input)), line::Outgoing::Stream(Box::new(output)));
    serve::first_lane((restrictions, None), line::Frames::new(input), output, None).await
}
