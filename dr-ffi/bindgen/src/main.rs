//! `dr-bindgen generate libdr.so --language kotlin --out-dir OUT`: the sources that call libdr, read out of the library itself.

fn main() {
    uniffi::uniffi_bindgen_main();
}
