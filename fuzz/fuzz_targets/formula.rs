#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatepost::fuzzing::formula(bytes));
