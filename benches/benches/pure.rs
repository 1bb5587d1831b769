//! What is computed without touching the world: reading an estate, comparing two trees.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macro writes items without documentation")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dr_core::Estate;
use dr_core::mirror::{Carries, Entry, Kind, Options, RelPath, Snapshot, diff};

/// An estate of so many sites on two hosts.
fn estate(sites: usize) -> String {
    let mut text = String::from(
        "[hosts.uk]\nssh = \"root@uk.example.net\"\naddresses = [\"192.0.2.10\"]\n\
         [hosts.us]\nssh = \"root@us.example.net\"\naddresses = [\"198.51.100.20\"]\n\
         [name_servers]\nns1 = { address = \"192.0.2.53\" }\n\
         [zones.\"example.org\"]\nprimary = \"ns1\"\nservers = [\"ns1\"]\n",
    );
    for number in 0..sites {
        writeln!(
            text,
            "[sites.site{number}]\nhome = \"uk\"\nstandby = \"us\"\nnames = [\"s{number}.example.org\"]\n\
             trees = [{{ path = \"/var/www/{number}\" }}]"
        )
        .unwrap();
    }
    text
}

/// A tree of so many files, every hundredth of them with another size.
fn tree(files: u64, newer: bool) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for number in 0..files {
        let size_bytes = if newer && number % 100 == 0 { number + 1 } else { number };
        let entry = Entry {
            kind: Kind::File { size_bytes, digest: None },
            mode: 0o644,
            mtime_s: 0,
            mtime_ns: 0,
            owner: None,
            xattrs: None,
        };
        let path = RelPath::new(format!("{}/{number}.html", number % 97).as_bytes()).unwrap();
        snapshot.entries.insert(path, entry);
    }
    snapshot
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read an estate");
    for sites in [1, 100, 1000] {
        let text = estate(sites);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(format!("{sites} sites")),
            &text,
            |bencher, text| {
                bencher.iter(|| Estate::from_toml(black_box(text)).unwrap());
            },
        );
    }
    group.finish();
}

fn comparing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compare two trees");
    let carries = Carries {
        nanoseconds: true,
        owners: true,
        any_name: true,
        hard_links: true,
        xattrs: true,
        special: true,
    };
    for files in [1_000, 100_000] {
        let (source, target) = (tree(files, true), tree(files, false));
        group.throughput(Throughput::Elements(files));
        group.bench_function(BenchmarkId::from_parameter(format!("{files} files")), |bencher| {
            bencher.iter(|| diff(black_box(&source), black_box(&target), &Options::default(), carries));
        });
    }
    group.finish();
}

criterion_group!(benches, reading, comparing);
criterion_main!(benches);
