//! The agents that were put on hosts.

use super::Toolkit;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::world::Control;
use crate::world::endpoints::agent::removal;

impl Toolkit {
    /// Removes the agents that dr has put on a host, from the account's `~/.cache/dr`; false if there were none.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use dr_core::toolkit::{Settings, Toolkit};
    /// let directory = tempfile::tempdir().unwrap();
    /// let toolkit = Toolkit::open(Settings { journal: directory.path().join("journal.db"), ..Settings::default() }).unwrap();
    /// let nobody = "root@127.0.0.1:1".parse().unwrap();
    /// let control = dr_core::world::Control::silent();
    /// assert!(toolkit.remove_agents(&nobody, &control).await.is_err());
    /// # });
    /// ```
    pub async fn remove_agents(&self, remote: &Remote, control: &Control) -> Result<bool> {
        let said = self.world.shell.run(remote, &removal(), control).await?;
        if said.status != Some(0) {
            let why = String::from_utf8_lossy(&said.stderr).into_owned();
            return Err(Error::new(ErrorKind::Io, format!("remove agents on {remote}"), why));
        }
        Ok(!said.stdout.is_empty())
    }
}
