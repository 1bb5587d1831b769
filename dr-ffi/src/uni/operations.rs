// Made from the table of operations and the types it names: DR_BLESS=1 cargo test -p dr-ffi --test uniffi
//! The operations, each with its own types.

use std::sync::Arc;

use super::call::{CancelToken, Listener};
use super::error::DrError;
use super::records::*;
use super::toolkit::Toolkit;

#[uniffi::export]
impl Toolkit {
    /// Ask every name server of a zone whether it would send visitors to the right host.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn check_zone(
        &self,
        request: CheckZone,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Report, DrError> {
        self.typed("check_zone", request, progress, cancel).await
    }

    /// Change record sets of zones, and wait until every name server shows it.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn change_records(
        &self,
        request: ChangeRecords,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<RecordsChanged, DrError> {
        self.typed("change_records", request, progress, cancel).await
    }

    /// Let a secondary name server take the primary's place: checks, configuration, and who follows.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn promote_secondary(
        &self,
        request: PromoteSecondary,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<SecondaryPromoted, DrError> {
        self.typed("promote_secondary", request, progress, cancel).await
    }

    /// A zone as a name server has it, or what changed in it since a version.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn transfer_zone(
        &self,
        request: TransferZone,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<ZoneTransferred, DrError> {
        self.typed("transfer_zone", request, progress, cancel).await
    }

    /// Ask a host which sites and zones it has, and draft what is new for the estate.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn discover(
        &self,
        request: Discover,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Discovered, DrError> {
        self.typed("discover", request, progress, cancel).await
    }

    /// Mirror the sites and check the zones that hosting panels told of.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn work_off_hooks(
        &self,
        request: WorkOffHooks,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<HooksWorkedOff, DrError> {
        self.typed("work_off_hooks", request, progress, cancel).await
    }

    /// Make a tree like another, here or on a host.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn mirror(
        &self,
        request: MirrorTrees,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Mirrored, DrError> {
        self.typed("mirror", request, progress, cancel).await
    }

    /// Mirror the sites of the estate, each from its home to its standby.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn mirror_sites(
        &self,
        request: MirrorSites,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<MirroredSites, DrError> {
        self.typed("mirror_sites", request, progress, cancel).await
    }

    /// Read two trees to the last byte and tell what differs.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn verify_mirror(
        &self,
        request: MirrorTrees,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Report, DrError> {
        self.typed("verify_mirror", request, progress, cancel).await
    }

    /// The former states of a tree that are kept.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn generations(
        &self,
        request: RollBack,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Generations, DrError> {
        self.typed("generations", request, progress, cancel).await
    }

    /// Make a former state of a tree the live one.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn roll_back_mirror(
        &self,
        request: RollBack,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Generation, DrError> {
        self.typed("roll_back_mirror", request, progress, cancel).await
    }

    /// Make a key pair; nothing is ever overwritten.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn generate_key(
        &self,
        request: GenerateKey,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<GeneratedKey, DrError> {
        self.typed("generate_key", request, progress, cancel).await
    }

    /// Put a public key into an account's authorized_keys, and prove that it opens.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn install_key(
        &self,
        request: InstallKey,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("install_key", request, progress, cancel).await
    }

    /// Log in afresh with a key and nothing else.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn verify_key(
        &self,
        request: AskAboutKey,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Report, DrError> {
        self.typed("verify_key", request, progress, cancel).await
    }

    /// Ask a host whether it would let a public key in.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn probe_key(
        &self,
        request: AskAboutKey,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Report, DrError> {
        self.typed("probe_key", request, progress, cancel).await
    }

    /// Who can log in as whom, where, by which key, and what is wrong with that.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn audit_keys(
        &self,
        request: AuditKeys,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<AuditedKeys, DrError> {
        self.typed("audit_keys", request, progress, cancel).await
    }

    /// Put a new key into the place of an old one, everywhere or nowhere.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn rotate_key(
        &self,
        request: RotateKey,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("rotate_key", request, progress, cancel).await
    }

    /// Take a key, or a certificate, out everywhere.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn revoke_key(
        &self,
        request: RevokeKey,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("revoke_key", request, progress, cancel).await
    }

    /// Switch passwords off on a host, once every account is proved to open by a key.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn lock_down(
        &self,
        request: LockDown,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("lock_down", request, progress, cancel).await
    }

    /// Take what lock_down wrote out again.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn unlock(
        &self,
        request: Unlock,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("unlock", request, progress, cancel).await
    }

    /// Show the keys by which a host proves itself, and take up those that were compared.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn trust_host(
        &self,
        request: TrustHost,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<TrustedHost, DrError> {
        self.typed("trust_host", request, progress, cancel).await
    }

    /// The SSHFP records of host keys.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn sshfp_records(
        &self,
        request: SshfpOf,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<SshfpRecords, DrError> {
        self.typed("sshfp_records", request, progress, cancel).await
    }

    /// Sign a certificate for a user's or a host's key.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn certify_key(
        &self,
        request: CertifyKey,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<CertifiedKey, DrError> {
        self.typed("certify_key", request, progress, cancel).await
    }

    /// What an authority has signed.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn issued_certificates(
        &self,
        request: IssuedBy,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<IssuedCertificates, DrError> {
        self.typed("issued_certificates", request, progress, cancel).await
    }

    /// Bring a host its certificate, or the authority whose users it is to let in.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn install_certificate(
        &self,
        request: InstallCertificate,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("install_certificate", request, progress, cancel).await
    }

    /// The keys that an ssh-agent holds.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn list_agent_keys(
        &self,
        request: AgentKeys,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<HeldKeys, DrError> {
        self.typed("list_agent_keys", request, progress, cancel).await
    }

    /// Give an ssh-agent a private key.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn add_agent_key(
        &self,
        request: AddAgentKey,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<HeldKeys, DrError> {
        self.typed("add_agent_key", request, progress, cancel).await
    }

    /// Let an ssh-agent forget a key.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn remove_agent_key(
        &self,
        request: RemoveAgentKey,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<HeldKeys, DrError> {
        self.typed("remove_agent_key", request, progress, cancel).await
    }

    /// Whether sites could be moved now: every guard, explained.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn failover_status(
        &self,
        request: FailoverStatus,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Report, DrError> {
        self.typed("failover_status", request, progress, cancel).await
    }

    /// Who moved which site, when and why, and whether the journal is as it was written.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn failover_audit(
        &self,
        request: AuditFailover,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<FailoverAudit, DrError> {
        self.typed("failover_audit", request, progress, cancel).await
    }

    /// Move a site to its other host, records and all.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn failover(
        &self,
        request: FailOver,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("failover", request, progress, cancel).await
    }

    /// Mirror in reverse, then bring a site home again.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn failback(
        &self,
        request: BringBack,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("failback", request, progress, cancel).await
    }

    /// How the seats are that the agent of this host keeps: where each stands and why, who votes what.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn list_seats(
        &self,
        request: ListSeats,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Seats, DrError> {
        self.typed("list_seats", request, progress, cancel).await
    }

    /// Say something to a seat of the agent of this host.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn order_seat(
        &self,
        request: OrderSeat,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<SeatOrdered, DrError> {
        self.typed("order_seat", request, progress, cancel).await
    }

    /// What the agent of this host told lately.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn seat_history(
        &self,
        request: SeatHistory,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<SeatsTold, DrError> {
        self.typed("seat_history", request, progress, cancel).await
    }

    /// Do what a dry run has shown, and only if the world is still so.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn apply_plan(
        &self,
        request: ApplyPlan,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("apply_plan", request, progress, cancel).await
    }

    /// What was done, newest first, and how it ended.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn list_runs(
        &self,
        request: ListRuns,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Runs, DrError> {
        self.typed("list_runs", request, progress, cancel).await
    }

    /// Go on with a run that stopped or whose process died.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn resume_run(
        &self,
        request: GoOn,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("resume_run", request, progress, cancel).await
    }

    /// Take a run back, every step in reverse order.
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn undo_run(
        &self,
        request: GoOn,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Done, DrError> {
        self.typed("undo_run", request, progress, cancel).await
    }
}
