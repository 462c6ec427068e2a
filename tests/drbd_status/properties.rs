//! What holds for any text at all: what the kernel writes is read back whole, what is cut short is never taken for less, and rubbish is
//! nothing.

use ocf_san::kernel::drbd::{events2, json, proc_drbd};

use super::fixture;
use super::rendered::{Chance, minors, render};

#[test]
fn what_the_kernel_writes_is_read_back_whole() {
    let mut chance = Chance(1);
    for round in 0..3000 {
        let seed = chance.0;
        let expected = minors(&mut chance);
        let text = render(&expected, &mut chance);
        assert_eq!(proc_drbd::parse(&text).as_deref(), Ok(expected.as_slice()), "round {round}, seed {seed}:\n{text}");
    }
}

/// Whether a part of the text is an error, or has fewer minors and all of them as they are. How far a resync is may be missing from the last.
fn is_part(text: &str, cut: usize) -> bool {
    let whole = proc_drbd::parse(text).unwrap();
    let Some(Ok(part)) = text.get(..cut).map(proc_drbd::parse) else { return true };
    let last = part.len().saturating_sub(1);
    let is_same = |(at, minor): (usize, &proc_drbd::Minor)| {
        let mut full = whole[at].clone();
        if at == last {
            full.progress = minor.progress;
        }
        *minor == full
    };
    part.len() <= whole.len() && part.iter().enumerate().all(is_same)
}

#[test]
fn a_proc_file_that_is_cut_anywhere_is_an_error_or_a_shorter_list() {
    let mut chance = Chance(2);
    let mut texts = vec![fixture("drbd84/many.proc-drbd"), fixture("drbd9/compat.proc-drbd")];
    texts.extend((0..40).map(|_| render(&minors(&mut chance), &mut chance)));
    for text in texts {
        for cut in 0..=text.len() {
            assert!(is_part(&text, cut), "{cut}:\n{text}");
        }
    }
}

#[test]
fn what_drbdsetup_says_is_an_error_wherever_it_is_cut() {
    let text = fixture("drbd9/synctarget.events2");
    for cut in 0..text.trim_end().len() {
        assert!(events2::parse(&text[..cut]).is_err(), "{cut}");
    }
    let text = fixture("drbd9/synctarget.status.json");
    for cut in 0..text.trim_end().len() {
        assert!(json::parse(&text[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn rubbish_is_no_resource_and_no_absence() {
    let mut chance = Chance(3);
    let words = [
        "exists",
        "resource",
        "-",
        "name:r0",
        "cs:Connected",
        " 0:",
        "ns:1",
        "oos:",
        "\n",
        "\t",
        " ",
        "{",
        "}",
        "[",
        "\"name\"",
        ":",
        ",",
        "∞",
    ];
    for _ in 0..5000 {
        let text: String = (0..chance.below(30)).map(|_| chance.one(&words)).collect();
        let _ = proc_drbd::parse(&text);
        let is_ended = text.lines().any(|line| line.split_whitespace().eq(["exists", "-"]));
        assert!(is_ended || events2::parse(&text).is_err(), "{text:?}");
        let is_list = text.split_whitespace().eq(["[", "]"]) || text.split_whitespace().eq(["[]"]);
        assert!(is_list || json::parse(&text).is_err(), "{text:?}");
    }
}
