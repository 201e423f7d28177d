#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| thingspeak_sandbox::fuzzing::packets(bytes));
