//! What only DRBD 9 tells.

use ocf_san::kernel::drbd::json;
use ocf_san::kernel::drbd::model::Resource;

use super::{Beside, NOTHING, answer, fixture, r0};

#[test]
fn drbd_9_tells_more_and_it_counts() {
    let text = fixture("drbd9/primary-connected.status.json");
    let told = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        r0(json::parse(&text.replacen(from, to, 1)).unwrap())
    };
    let frozen = |seconds| Beside { frozen_for: seconds, ..NOTHING };
    let fenced = told("\"suspended-fencing\": false", "\"suspended-fencing\": true");
    let (code, why, points) = answer(&fenced, frozen(60));
    assert_eq!((code, points.as_str()), (191, "10000"));
    assert!(why.contains("peer not fenced"), "{why}");
    let (code, why, points) = answer(&told("\"quorum\": true", "\"quorum\": false"), NOTHING);
    assert_eq!((code, points.as_str()), (9, "-"), "{why}");
    let (code, why, _) = answer(&told("\"force-io-failures\": false", "\"force-io-failures\": true"), NOTHING);
    assert_eq!(code, 9, "{why}");
    let client = |primary: bool| {
        let text = fixture("drbd9/diskless.status.json").replacen("\"client\": false", "\"client\": true", 1);
        let role = if primary { "\"Primary\"" } else { "\"Secondary\"" };
        r0(json::parse(&text.replacen("\"Secondary\"", role, 1)).unwrap())
    };
    assert_eq!(answer(&client(true), NOTHING), (8, String::new(), "9999".into()));
    assert_eq!(answer(&client(false), NOTHING), (0, String::new(), "9999".into()));
    // No volume at all is no client.
    let (code, why, points) = answer(&Resource { name: "r0".into(), ..Resource::default() }, NOTHING);
    assert_eq!((code, points.as_str()), (1, "-"), "{why}");
}
