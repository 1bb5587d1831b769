//! Going back to a former state of a whole tree.

use crate::error::Result;
use crate::estate::Location;
use crate::mirror::Generation;
use crate::time::Timestamp;
use crate::toolkit::Toolkit;
use crate::world::Control;

impl Toolkit {
    /// The states of this tree that are kept, newest first; the live one is among them. Empty for a tree that was never mirrored with
    /// [`crate::mirror::Options::generations`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::toolkit::Toolkit;
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// let target = "root@us:/var/www".parse().unwrap();
    /// assert_eq!(toolkit.generations(&target, &Control::silent()).await.unwrap(), []);
    /// # });
    /// ```
    pub async fn generations(&self, target: &Location, control: &Control) -> Result<Vec<Generation>> {
        let tree = self.world.endpoints.open(target, control).await?;
        control.run(&format!("look for former states of {target}"), tree.generations()).await
    }

    /// Makes the state before the live one the live one again, at once; with `to`, the one that was live since then. Nothing is lost:
    /// the state that was live is kept, and can be gone back to.
    ///
    /// # Errors
    /// `NotFound` if there is no such state; `Unsupported` where none can be kept (SFTP).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::toolkit::Toolkit;
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// let target = "root@us:/var/www".parse().unwrap();
    /// assert!(toolkit.roll_back_mirror(&target, None, &Control::silent()).await.is_err(), "nothing was kept");
    /// # });
    /// ```
    pub async fn roll_back_mirror(
        &self,
        target: &Location,
        to: Option<Timestamp>,
        control: &Control,
    ) -> Result<Generation> {
        let operation = format!("go back to a former state of {target}");
        let tree = self.world.endpoints.open(target, control).await?;
        control.check(&operation)?;
        // Once begun it is not interrupted: it is one exchange of two names.
        let live = tree.roll_back(to).await?;
        tree.settle().await?;
        Ok(live)
    }
}
