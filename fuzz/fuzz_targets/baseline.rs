//! A file that should hold what a tree was: whatever it holds, it is read to its end or refused, and what was read can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dr_core::mirror::{BaselineReader, BaselineWriter, Record};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = BaselineReader::new(bytes) else { return };
    let mut records: Vec<Record> = vec![];
    loop {
        match reader.read() {
            Ok(Some(record)) => records.push(record.clone()),
            Ok(None) => break,
            Err(_) => return,
        }
    }
    let mut writer = BaselineWriter::new(vec![], reader.name()).unwrap();
    records.iter().for_each(|record| writer.push(record).unwrap());
    let again = writer.finish().unwrap();
    let mut reader = BaselineReader::new(&again[..]).unwrap();
    for record in &records {
        assert_eq!(reader.read().unwrap(), Some(record));
    }
    assert_eq!(reader.read().unwrap(), None);
});
