//! What every endpoint must do, checked against this machine's disk, OpenSSH's sftp-server and a real sshd.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails here fails the test"
)]

mod contract;
mod disk;
mod durable;
mod kinds;
mod large;
mod lots;
mod peers;
mod remembered;
mod states;

use std::path::Path;

use dr_core::world::Endpoint;
use peers::{Peer, agent_over_pipes, agent_over_ssh, hostile_server, local, over_pipes, over_ssh};

/// Runs one check on a fresh directory for every implementation that keeps its tree on this machine's disk.
fn on_every_disk(check: impl AsyncFn(&Peer)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for make in [local, over_pipes, over_ssh, agent_over_pipes, agent_over_ssh] {
        let peer = make();
        eprintln!("--- {}", peer.name);
        runtime.block_on(check(&peer));
    }
}

/// Opens an endpoint for the tree at a path.
async fn open(peer: &Peer, root: &Path) -> Box<dyn Endpoint> {
    peer.open(root).await.unwrap()
}

#[test]
fn the_contract_holds() {
    on_every_disk(async |peer| {
        let root = peer.directory.path().join("tree");
        contract::conformance_endpoint(async || open(peer, &root).await).await;
    });
}

#[tokio::test]
async fn the_contract_holds_in_the_simulated_world() {
    let world = dr_core::world::sim::SimWorld::new().world();
    let place = "root@us:/srv/tree".parse().unwrap();
    let control = dr_core::world::Control::silent();
    contract::conformance_endpoint(async || world.endpoints.open(&place, &control).await.unwrap()).await;
}

#[test]
fn names_of_every_kind_are_carried() {
    on_every_disk(disk::names_of_every_kind);
}

#[test]
fn no_link_leads_out_of_the_tree() {
    on_every_disk(disk::no_link_leads_out);
}

#[test]
fn a_reader_sees_whole_files_only() {
    on_every_disk(disk::a_reader_sees_whole_files_only);
}

#[test]
fn metadata_lands_with_the_content() {
    on_every_disk(disk::metadata_lands_with_the_content);
}

#[test]
fn leftovers_of_a_killed_run_go() {
    on_every_disk(disk::leftovers_of_a_killed_run_go);
}

#[test]
fn a_full_disk_is_named() {
    on_every_disk(disk::a_full_disk_is_named);
}

#[test]
fn what_cannot_be_read_is_listed() {
    on_every_disk(disk::what_cannot_be_read_is_listed);
}

#[test]
fn a_directory_around_the_tree_must_exist() {
    on_every_disk(disk::the_directory_around_must_exist);
}

#[test]
fn everything_a_tree_can_hold_arrives() {
    on_every_disk(kinds::everything_arrives);
}

#[test]
fn hard_links_follow_the_source() {
    on_every_disk(kinds::links_follow);
}

#[test]
fn deep_and_wide_trees_are_seen_whole() {
    on_every_disk(kinds::deep_and_wide);
}

#[tokio::test]
async fn a_lying_server_gets_nothing_out_of_us() {
    for names in [&[&b"../../etc/passwd"[..]][..], &[b"a/b"], &[b""], &[b"a\0b"]] {
        let tree = hostile_server(names).await;
        let seen = tree.scan(&dr_core::mirror::Options::default(), &dr_core::world::Control::silent()).await;
        assert_eq!(seen.unwrap_err().kind(), dr_core::ErrorKind::Protocol, "{names:?}");
    }
}

#[test]
fn files_of_every_size_arrive() {
    on_every_disk(lots::files_of_every_size_arrive);
}

#[test]
fn each_file_of_a_lot_stands_for_itself() {
    on_every_disk(lots::each_file_for_itself);
}

#[test]
fn garbage_does_not_land() {
    on_every_disk(lots::garbage_does_not_land);
}

#[test]
fn changes_may_need_the_ones_before_them() {
    on_every_disk(lots::changes_may_need_the_ones_before_them);
}
