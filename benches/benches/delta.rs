//! What two versions of a big file have in common: cutting and comparing, on one core.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macro writes items without documentation")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dr_core::mirror::{Index, Matcher, Span, sign};

const BYTES: usize = 128 << 20;

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).take(bytes / 8).flatten().collect()
}

/// Gives how many bytes travel.
fn compare(index: Option<&Arc<Index>>, new: &[u8]) -> usize {
    let (mut matcher, mut spans, mut literal) = (Matcher::new(index.cloned(), 0), vec![], 0);
    let mut rest = new;
    let mut count = |spans: &mut Vec<Span>| {
        for span in spans.drain(..) {
            literal += if let Span::Data { bytes, .. } = span { bytes.len() } else { 0 };
        }
    };
    while !rest.is_empty() {
        let space = matcher.space();
        let (now, later) = rest.split_at(rest.len().min(space.capacity() - space.len()));
        space.extend_from_slice(now);
        matcher.look(&mut spans);
        count(&mut spans);
        rest = later;
    }
    black_box(matcher.finish(&mut spans));
    count(&mut spans);
    literal
}

fn comparing(criterion: &mut Criterion) {
    let old = noise(BYTES, 1);
    let index = Index::new(sign(&old)).map(Arc::new).unwrap();
    // As much as 20 MiB in 2 GiB: edits of 16 KiB, and an insertion near the front.
    let mut edited = old.clone();
    for number in 0..80 {
        let place = (number * 0x9e37_79b9 + 12345) % (BYTES - 16_384);
        edited[place..place + 16_384].copy_from_slice(&noise(16_384, number as u64 + 2));
    }
    edited.splice(1000..1000, *b"something new");
    let other = noise(BYTES, 999);

    let mut group = criterion.benchmark_group("a big file");
    group.sample_size(10).throughput(Throughput::Bytes(BYTES as u64));
    group.bench_function("sign", |bencher| bencher.iter(|| sign(black_box(&old))));
    for (name, new) in [("unchanged", &old), ("edited", &edited), ("another", &other)] {
        let name = format!("{name}, {} KiB travel", compare(Some(&index), new) >> 10);
        group.bench_function(name, |bencher| bencher.iter(|| compare(Some(&index), black_box(new))));
    }
    group.finish();
}

criterion_group!(benches, comparing);
criterion_main!(benches);
