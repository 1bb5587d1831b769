//! What a client and an agent say to each other: whatever can be read is read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dr_core::mirror::wire::{
    Call, Coded, Door, FrameHead, Grain, HEAD_BYTES, Hello, Item, Pack, Reader, Reply, Seen, Version, Writer, unpack,
};
use dr_core::mirror::{Change, ChunkSum, Entry, Generation, Landed, LotFile, Passed, Piece, RelPath};

fn value<T: Coded + PartialEq + std::fmt::Debug>(content: &[u8]) {
    if let Ok(value) = T::take(&mut Reader::new(content.to_vec().into())) {
        let mut to = Writer::new();
        value.put(&mut to);
        assert_eq!(T::take(&mut Reader::new(to.into_bytes())).as_ref(), Ok(&value));
    }
}

fn items<T: Item + PartialEq + std::fmt::Debug>(content: &[u8]) {
    let Ok(items) = unpack::<T>([&[T::KIND], content].concat().into()) else { return };
    let (mut pack, mut again) = (Pack::new(), vec![]);
    for item in &items {
        if pack.push(item) {
            again.extend(pack.take().into_iter().flat_map(|pack| unpack::<T>(pack).unwrap()));
        }
    }
    again.extend(pack.take().into_iter().flat_map(|pack| unpack::<T>(pack).unwrap()));
    assert_eq!(again, items);
}

fuzz_target!(|content: &[u8]| {
    if let Some(head) = content.first_chunk::<HEAD_BYTES>()
        && let Ok(head) = FrameHead::from_bytes(*head)
    {
        assert_eq!(FrameHead::from_bytes(head.to_bytes()), Ok(head));
    }
    let _ = Hello::read(content.to_vec().into());
    value::<Call>(content);
    value::<Reply>(content);
    items::<Seen>(content);
    items::<Change>(content);
    items::<RelPath>(content);
    items::<LotFile>(content);
    items::<ChunkSum>(content);
    items::<Grain>(content);
    items::<Piece>(content);
    items::<Landed>(content);
    items::<Option<Entry>>(content);
    items::<Version>(content);
    items::<Generation>(content);
    items::<Passed>(content);
    value::<Door>(content);
});
