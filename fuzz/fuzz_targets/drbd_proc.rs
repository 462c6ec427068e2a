//! No bytes make the parser of `/proc/drbd` panic; what it finds is within what the kernel can have; and a text that is cut at its end is an
//! error or has no minor more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocf_san::kernel::drbd::version::Version;
use ocf_san::kernel::drbd::{proc_drbd, resource84};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let _ = Version::parse(&text);
    let Ok(minors) = proc_drbd::parse(&text) else { return };
    assert!(minors.len() <= text.lines().count());
    for minor in &minors {
        assert!(minor.minor < 1 << 20, "{}", minor.minor);
        assert!(minor.paused_by.len() <= 3);
        if let Some(progress) = minor.progress {
            assert!(progress.permille.is_none_or(|done| done <= 1000));
            assert!(progress.speed.is_some() || progress.left.is_none(), "an end without a speed");
        }
    }
    let volumes: Vec<_> = (0..).zip(minors.iter().map(|minor| minor.minor)).collect();
    let resource = resource84::resource("r0", &volumes, &minors);
    assert_eq!(resource.devices.len(), minors.len());
    if let Some((cut, _)) = text.char_indices().next_back() {
        assert!(proc_drbd::parse(&text[..cut]).map_or(0, |part| part.len()) <= minors.len());
    }
});
