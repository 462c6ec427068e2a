//! No bytes make the parser of `saveconfig.json` panic, what it complains of is short and tells no secret, and whatever it accepts can be
//! planned.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ocf_san::kernel::lio::inventory::Inventory;
use ocf_san::kernel::lio::saveconfig;
use serde_json::Value;

/// The longest thing that a complaint may quote is a path or name of the configuration, and those have limits of their own.
const MESSAGE_MAX: usize = 4096;

/// Shorter ones may well be in a complaint by chance.
const SECRET_MIN: usize = 6;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match saveconfig::parse(Path::new("/f"), &text) {
        Ok(config) => {
            let plan = Inventory::planned(&config);
            assert_eq!((plan.backstores.len(), plan.targets.len()), (config.backstores.len(), config.targets.len()));
            assert_eq!(plan.tpgs().count(), config.targets.iter().map(|target| target.tpgs.len()).sum::<usize>());
        }
        Err(e) => {
            let message = e.to_string();
            assert!(message.len() <= MESSAGE_MAX, "{} bytes: {message:.200}", message.len());
            if let Ok(value) = serde_json::from_str(&text) {
                let (mut secrets, mut others) = (Vec::new(), Vec::new());
                sort(&value, &mut secrets, &mut others);
                for secret in secrets {
                    // A text that stands elsewhere in the file, too, or that every complaint may have, tells nothing.
                    let is_public = others.iter().any(|other| other.contains(secret));
                    assert!(is_public || !message.contains(secret) || is_wording(secret), "tells {secret:?}: {message}");
                }
            }
        }
    }
});

/// Passwords here, all other keys and texts there.
fn sort<'a>(value: &'a Value, secrets: &mut Vec<&'a str>, others: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                others.push(key);
                match value.as_str() {
                    Some(text) if key.ends_with("_password") && text.len() >= SECRET_MIN => secrets.push(text),
                    _ => sort(value, secrets, others),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| sort(value, secrets, others)),
        Value::String(text) => others.push(text),
        _ => {}
    }
}

/// Words of the complaints themselves and the keys they name, which a fuzzer finds to be fine passwords.
fn is_wording(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || "_ .[];,()".contains(c) || c.is_ascii_digit();
    text.chars().all(is_word)
}
