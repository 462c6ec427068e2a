//! No bytes make the reader of `drbdsetup status --json` panic, and what it makes resources of has as many names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocf_san::kernel::drbd::json;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match json::parse(&text) {
        Ok(all) => {
            assert!(all.len() <= text.matches("\"name\"").count() + text.matches('\\').count());
            for resource in &all {
                assert!(!resource.name.is_empty());
                assert!(resource.devices.is_sorted_by_key(|device| device.volume));
                for progress in resource.peer_devices().filter_map(|(_, peer)| peer.progress) {
                    assert!(progress.permille.is_none_or(|done| done <= 1000));
                }
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
});
