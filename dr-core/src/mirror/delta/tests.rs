use std::sync::Arc;

use proptest::prelude::*;

use super::signing::{grains_of, sum_of};
use super::{Index, Matcher, SignedRange, Span, sign};
use crate::mirror::{ChunkSum, GRAIN_BYTES, Signature};

/// Content that nothing else is like.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut content = vec![0; bytes];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
    content
}

/// The spans for `new`, told in steps of so many bytes, and the signature that came out.
fn spans_of(old: &Signature, new: &[u8], offset: u64, step: usize) -> (Vec<Span>, Signature) {
    let mut matcher = Matcher::new(Index::new(old.clone()).map(Arc::new), offset);
    let mut spans = vec![];
    for part in new.chunks(step.max(1)) {
        matcher.space().extend_from_slice(part);
        matcher.look(&mut spans);
    }
    let signature = matcher.finish(&mut spans);
    (spans, signature)
}

/// What a target makes of them.
fn apply(old: &[u8], spans: &[Span], start: u64, bytes: usize) -> Vec<u8> {
    let mut made = vec![];
    for span in spans {
        match span {
            Span::Copy { offset, from, bytes } => {
                assert_eq!(*offset, start + made.len() as u64);
                made.extend_from_slice(&old[*from as usize..(*from + *bytes) as usize]);
            }
            Span::Data { offset, bytes } => {
                assert_eq!(*offset, start + made.len() as u64);
                made.extend_from_slice(bytes);
            }
        }
    }
    assert_eq!(made.len(), bytes);
    made
}

fn literal_bytes(spans: &[Span]) -> usize {
    spans.iter().map(|span| if let Span::Data { bytes, .. } = span { bytes.len() } else { 0 }).sum()
}

/// Makes `new` from `old` and gives how many bytes travelled and in how many spans.
fn check(old: &[u8], new: &[u8]) -> (usize, usize) {
    let (spans, signature) = spans_of(&sign(old), new, 0, 300_000);
    assert!(apply(old, &spans, 0, new.len()) == new);
    assert!(signature.is_sound());
    assert_eq!(signature.size_bytes(), new.len() as u64);
    (literal_bytes(&spans), spans.len())
}

#[test]
fn what_is_equal_is_one_copy() {
    for content in [noise(1, 1), noise(GRAIN_BYTES, 2), noise(GRAIN_BYTES + 1, 3), noise(3_000_000, 4)] {
        assert_eq!(check(&content, &content), (0, 1));
    }
    assert_eq!(check(b"", b""), (0, 0));
}

#[test]
fn the_signature_is_that_of_the_content() {
    let content = noise(1_500_000, 5);
    let signature = sign(&content);
    let mut start = 0;
    for chunk in &signature.chunks {
        let bytes = &content[start..start + chunk.bytes as usize];
        assert_eq!(sign(bytes).chunks, [*chunk], "{} bytes at {start}", bytes.len());
        start += bytes.len();
    }
    assert_eq!(start, content.len());
    let (spans, again) = spans_of(&Signature::default(), &content, 0, 77_777);
    assert_eq!((literal_bytes(&spans), again), (content.len(), signature), "in steps of any length");
}

#[test]
fn an_edit_costs_little_more_than_itself() {
    let old = noise(4_000_000, 6);
    let mut new = old.clone();
    let mut edited = 0;
    for (number, place) in (100_000..3_900_000).step_by(190_000).enumerate() {
        new[place..place + 16_384].copy_from_slice(&noise(16_384, 100 + number as u64));
        edited += 16_384;
    }
    let (literal, _) = check(&old, &new);
    assert!(literal <= edited + 20 * 2 * GRAIN_BYTES, "{literal} bytes for {edited}");
}

#[test]
fn an_insertion_or_removal_costs_two_grains() {
    let old = noise(2_000_000, 7);
    for place in [0, 5, 70_000, 1_000_001, 1_999_990, 2_000_000] {
        let inserted = [&old[..place], b"<p>new</p>", &old[place..]].concat();
        let (literal, _) = check(&old, &inserted);
        assert!(literal <= 2 * GRAIN_BYTES + 10, "{literal} bytes for an insertion at {place}");
        let removed = [&old[..place], &old[(place + 5000).min(old.len())..]].concat();
        let (literal, _) = check(&old, &removed);
        assert!(literal <= 2 * GRAIN_BYTES, "{literal} bytes for a removal at {place}");
    }
}

#[test]
fn what_is_appended_or_cut_off_costs_itself() {
    let old = noise(1_000_000, 8);
    let (literal, _) = check(&old, &[old.clone(), noise(3000, 9)].concat());
    assert_eq!(literal, 3000);
    let (literal, _) = check(&old, &old[..777_777]);
    assert!(literal < GRAIN_BYTES, "{literal}");
}

#[test]
fn edits_in_every_chunk_are_still_only_edits() {
    let old = noise(3_000_000, 10);
    let mut new = old.clone();
    let mut count = 0;
    for place in (5000..new.len()).step_by(20_000) {
        new[place] ^= 1;
        count += 1;
    }
    let (literal, _) = check(&old, &new);
    assert!(literal <= count * GRAIN_BYTES, "{literal} bytes for {count} edits");
}

#[test]
fn a_range_finds_what_was_moved_into_it() {
    let old = noise(3_000_000, 11);
    let new = [noise(1234, 12), old.clone()].concat();
    let (spans, signature) = spans_of(&sign(&old), &new[1_000_000..2_000_000], 1_000_000, 1 << 20);
    assert!(apply(&old, &spans, 1_000_000, 1_000_000) == new[1_000_000..2_000_000]);
    assert!(literal_bytes(&spans) <= 2 * GRAIN_BYTES, "{}", literal_bytes(&spans));
    assert_eq!(signature.size_bytes(), 1_000_000);
}

#[test]
fn nothing_in_common_and_repetition() {
    assert_eq!(check(&noise(900_000, 13), &noise(900_000, 14)).0, 900_000);
    assert_eq!(check(&[], &noise(70_000, 15)).0, 70_000);
    let (literal, _) = check(&vec![0; 2_000_000], &vec![0; 5_000_000]);
    assert!(literal < 1 << 18, "{literal} bytes for more zeroes");
    let line = noise(100_000, 16).repeat(10);
    check(&line, &noise(100_000, 16).repeat(17));
}

#[test]
fn a_new_signature_serves_as_well_as_one_made_anew() {
    let mut content = noise(2_000_000, 17);
    let mut signature = sign(&content);
    for round in 0..5 {
        let old = content.clone();
        content.splice(round * 300_000..round * 300_000, noise(5000, 20 + round as u64));
        content[1_900_000 - round * 1000] ^= 1;
        let (spans, next) = spans_of(&signature, &content, 0, 1 << 20);
        assert!(apply(&old, &spans, 0, content.len()) == content);
        assert!(literal_bytes(&spans) < 5000 + 4 * GRAIN_BYTES, "round {round}: {}", literal_bytes(&spans));
        signature = next;
    }
}

#[test]
fn holes_are_in_the_signature_and_not_in_the_spans() {
    let (before, after) = (noise(100_000, 18), noise(50_000, 19));
    for hole in [1, 4096, 300_000, 1_000_000] {
        let content = [before.clone(), vec![0; hole], after.clone()].concat();
        let look = |index: Option<Arc<Index>>| {
            let mut matcher = Matcher::new(index, 0);
            let mut spans = vec![];
            matcher.space().extend_from_slice(&before);
            matcher.look(&mut spans);
            matcher.skip(hole as u64, &mut spans);
            matcher.space().extend_from_slice(&after);
            (matcher.finish(&mut spans), spans)
        };
        let (signature, spans) = look(None);
        assert_eq!(literal_bytes(&spans), before.len() + after.len());
        assert!(signature.is_sound());
        let mut start = 0;
        for chunk in &signature.chunks {
            let end = start + chunk.bytes as usize;
            let grains: Vec<u64> = grains_of(&content[start..end]).collect();
            assert_eq!(chunk.sum, sum_of(&grains));
            start = end;
        }
        assert_eq!(start, content.len());
        let (again, spans) = look(Index::new(signature.clone()).map(Arc::new));
        assert_eq!((again, literal_bytes(&spans)), (signature, 0));
    }
}

#[test]
fn damaged_bytes_are_no_signature() {
    let part = SignedRange { range: 70..70_070, signature: sign(&noise(70_000, 20)) };
    let packed = part.pack();
    assert_eq!(SignedRange::unpack(&packed), Some(part.clone()));
    assert_eq!(SignedRange::range_of(&packed[..SignedRange::HEAD]), Some(70..70_070));
    for place in (0..packed.len()).step_by(37) {
        let mut damaged = packed.clone();
        damaged[place] ^= 1;
        assert_eq!(SignedRange::unpack(&damaged), None, "byte {place}");
        assert_eq!(SignedRange::unpack(&packed[..place]), None, "cut at {place}");
    }
    let elsewhere = SignedRange { range: 70..80_000, ..part };
    assert_eq!(SignedRange::unpack(&elsewhere.pack()), None, "it does not cover its range");
}

/// Something done to content: where and how much of it, in 1024ths, and what.
fn edit(content: &mut Vec<u8>, place: usize, bytes: usize, what: u8) {
    let from = content.len() * place / 1024;
    let upto = (from + bytes).min(content.len());
    match what {
        0 => drop(content.splice(from..from, noise(bytes, place as u64))),
        1 => drop(content.drain(from..upto)),
        2 => drop(content.splice(from..upto, noise(upto - from, bytes as u64))),
        3 => content[from..upto].fill(0),
        4 => {
            let moved: Vec<u8> = content.drain(from..upto).collect();
            content.extend(moved);
        }
        _ => content.truncate(upto),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_new_content_comes_out(
        size in 0_usize..900_000,
        zeroes in any::<bool>(),
        edits in prop::collection::vec((0_usize..=1024, 0_usize..200_000, 0_u8..6), 0..6),
        step in 10_000_usize..2_000_000,
        border in 0_usize..=1024,
    ) {
        let old = if zeroes { vec![0; size] } else { noise(size, size as u64) };
        let mut new = old.clone();
        for (place, bytes, what) in edits {
            edit(&mut new, place, bytes, what);
        }
        let signature = sign(&old);
        let (spans, next) = spans_of(&signature, &new, 0, step);
        prop_assert!(apply(&old, &spans, 0, new.len()) == new);
        prop_assert_eq!(next.size_bytes(), new.len() as u64);
        prop_assert!(next.is_sound());
        // In two ranges.
        let border = new.len() * border / 1024;
        for (start, part) in [(0, &new[..border]), (border, &new[border..])] {
            let (spans, _) = spans_of(&signature, part, start as u64, step);
            prop_assert!(apply(&old, &spans, start as u64, part.len()) == part);
        }
    }

    #[test]
    fn a_hostile_signature_only_costs_time(
        chunks in prop::collection::vec((any::<u32>(), any::<u8>()), 0..40),
        small in any::<bool>(),
        spare in 0_usize..3,
        offset in any::<u64>(),
        content in prop::collection::vec(any::<u8>(), 0..20_000),
    ) {
        let mut known = sign(&content);
        for (bytes, sum) in chunks {
            let bytes = if small { bytes % 9000 } else { bytes };
            let sum = if sum < 30 { [0; 16] } else { known.chunks.first().map_or([sum; 16], |first| first.sum) };
            known.chunks.push(ChunkSum { bytes, sum });
            let grains = (bytes as usize).div_ceil(GRAIN_BYTES).min(100) + spare / 2;
            known.grains.extend(std::iter::repeat_n(u64::from(bytes), grains));
        }
        let (spans, signature) = spans_of(&known, &content, offset, 4096);
        prop_assert!(signature.is_sound());
        let told: u64 = spans.iter().map(|span| match span {
            Span::Copy { bytes, .. } => *bytes,
            Span::Data { bytes, .. } => bytes.len() as u64,
        }).sum();
        prop_assert_eq!(told, content.len() as u64);
    }
}
