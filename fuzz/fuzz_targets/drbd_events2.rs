//! No bytes make the reader of `drbdsetup events2` panic, and nothing is told before the end has been seen.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocf_san::kernel::drbd::events2;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match events2::parse(&text) {
        Ok(all) => {
            assert!(text.lines().any(|line| line.trim() == "exists -"));
            for resource in &all {
                assert!(!resource.name.is_empty());
                let peers = resource.peer_devices().filter_map(|(_, peer)| peer.progress);
                assert!(peers.into_iter().all(|progress| progress.permille.is_none_or(|done| done <= 1000)));
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
});
