//! The model of a CIB, on CIBs of Pacemaker 2.1.5.

use super::*;

/// Of a two-node cluster whose replication link was cut, with the constraint of crm-fence-peer.sh.
const LINK_CUT: &str = include_str!("../../../tests/fixtures/cib/link-cut.xml");
/// With templates, groups and the old element for a promotable clone.
const VARIANTS: &str = include_str!("../../../tests/fixtures/cib/variants.xml");

fn cib(text: &str) -> Cib {
    Cib::parse(text).unwrap()
}

fn with_status(states: &str) -> Cib {
    cib(&format!("<cib><configuration/><status>{states}</status></cib>"))
}

#[test]
fn a_running_cluster_is_read() {
    let cib = cib(LINK_CUT);
    assert!(cib.has_quorum() && !cib.fences());
    assert_eq!(cib.promoted(), "Promoted");
    assert_eq!(cib.nodes().collect::<Vec<_>>(), ["node1", "node2"]);
    assert_eq!((cib.seen("node1"), cib.seen("node2"), cib.seen("node3")), (Seen::Online, Seen::Online, Seen::Never));
    assert_eq!(cib.clones_of("r0"), ["p_drbd_r0-clone"]);
    assert!(cib.clones_of("r1").is_empty());
}

#[test]
fn the_clone_of_a_resource_is_found_through_templates_groups_and_references() {
    let cib = cib(VARIANTS);
    assert_eq!(cib.clones_of("r1"), ["ms_r1"], "not the one of another provider");
    assert_eq!(cib.clones_of("r2"), ["cl_r2"]);
    assert_eq!(cib.clones_of("r3"), ["cl_r3"], "its own parameter counts before that of the template");
    assert_eq!(cib.clones_of("r4"), ["cl_r4b"]);
    assert!(cib.clones_of("r5").is_empty(), "that one runs on one node only");
    assert!(cib.fences(), "as Pacemaker does where nobody says otherwise");
    let by_reference = r#"<clone id="cl_r4"><primitive id="p_r4" class="ocf" provider="linbit" type="drbd">
        <instance_attributes id-ref="shared-ia"/></primitive></clone></resources>"#;
    let cib = Cib::parse(&VARIANTS.replace("</resources>", by_reference)).unwrap();
    assert_eq!(cib.clones_of("r4"), ["cl_r4b", "cl_r4"]);
    let by_pair =
        VARIANTS.replace(r#"<nvpair id="p_r2-res" name="drbd_resource" value="r2"/>"#, r#"<nvpair id-ref="shared-res"/>"#);
    assert_eq!(Cib::parse(&by_pair).unwrap().clones_of("r4"), ["cl_r2", "cl_r4b"]);
}

#[test]
fn a_node_is_known_with_and_without_its_domain_when_that_is_unambiguous() {
    let cib = cib(VARIANTS);
    for (host, node) in [
        ("alpha.example.com", Some("alpha.example.com")),
        ("ALPHA", Some("alpha.example.com")),
        ("beta.example.com", Some("beta")),
        ("bet", None),
        ("beta2", None),
        ("", None),
    ] {
        assert_eq!(cib.node(host), node, "{host}");
    }
    let two = Cib::parse(&VARIANTS.replace("\"beta\"", "\"alpha.other\"")).unwrap();
    assert_eq!((two.node("alpha"), two.node("alpha.other")), (None, Some("alpha.other")));
}

#[test]
fn the_state_of_a_node_is_read_in_both_spellings() {
    let seen = |attributes: &str| with_status(&format!(r#"<node_state uname="n" {attributes}/>"#)).seen("n");
    let cases = [
        (r#"in_ccm="true" crmd="online" join="member" expected="member""#, Seen::Online),
        (r#"in_ccm="1701234567" crmd="1701234568" join="member" expected="member""#, Seen::Online),
        (r#"in_ccm="false" crmd="offline" join="down" expected="down""#, Seen::Down),
        (r#"in_ccm="0" crmd="0" join="down" expected="down""#, Seen::Down),
        (r#"in_ccm="false" crmd="offline" join="member" expected="member""#, Seen::Unclean),
        (r#"in_ccm="0" crmd="0" join="member" expected="member""#, Seen::Unclean),
        (r#"in_ccm="true" crmd="offline" join="member" expected="member""#, Seen::Unclean),
        (r#"in_ccm="false" crmd="online" join="member" expected="down""#, Seen::Unclean),
        ("", Seen::Unclean),
    ];
    for (attributes, wanted) in cases {
        assert_eq!(seen(attributes), wanted, "{attributes}");
    }
}

#[test]
fn the_role_is_spelled_as_the_schema_has_it() {
    let role = |schema: &str| cib(&format!("<cib validate-with='{schema}'><configuration/></cib>")).promoted();
    for (schema, wanted) in [
        ("pacemaker-3.9", "Promoted"),
        ("pacemaker-3.10", "Promoted"),
        ("pacemaker-4.0", "Promoted"),
        ("pacemaker-3.7", "Promoted"),
        ("pacemaker-next", "Promoted"),
        ("pacemaker-3.6", "Master"),
        ("pacemaker-2.10", "Master"),
        ("none", "Master"),
    ] {
        assert_eq!(role(schema), wanted, "{schema}");
    }
}

#[test]
fn a_constraint_of_crm_fence_peer_is_ours() {
    let cib = cib(LINK_CUT);
    let ours = |role, allowed: &[&str]| Fence::new("r0", "p_drbd_r0-clone", None, role, allowed);
    let fence = ours("Promoted", &["node1"]);
    assert_eq!(fence.id(), "drbd-fence-by-handler-r0-p_drbd_r0-clone");
    assert_eq!(fence.standing(&cib), Standing::Only(vec!["node1".into()]));
    // The same down to the ids, but for the spelling of the role.
    let theirs: String = LINK_CUT.lines().skip_while(|l| !l.contains("<rsc_location")).take(5).map(str::trim).collect();
    assert_eq!(ours("Master", &["node1"]).xml(), theirs);
    assert_eq!(Fence::new("r1", "p_drbd_r0-clone", None, "Master", &["node1"]).standing(&cib), Standing::None);
    assert_eq!(Fence::new("r0", "p_drbd_r0-clone", Some("mine"), "Master", &["node1"]).id(), "mine-r0-p_drbd_r0-clone");
}

#[test]
fn what_is_written_is_read_and_what_nobody_would_write_is_unknown() {
    let fence = Fence::new("a/b", "c<1>", Some(""), "Promoted", &["n2", "n1", "n2"]);
    let around = |xml: &str| cib(&format!("<cib><configuration><constraints>{xml}</constraints></configuration></cib>"));
    let xml = fence.xml();
    assert_eq!(fence.standing(&around(&xml)), Standing::Only(vec!["n1".into(), "n2".into()]));
    assert!(xml.contains("drbd-fence-by-handler-a_b-expr-1-c&lt;1&gt;"), "{xml}");
    let changes = [
        ("-INFINITY", "-1000"),
        ("role=\"Promoted\"", "role=\"Started\""),
        ("#uname", "#site"),
        ("operation=\"ne\"", "operation=\"eq\""),
        ("<rule ", "<rule boolean-op=\"or\" "),
        ("rsc=\"c&lt;1&gt;\"", "rsc=\"another\""),
        ("<rule ", "<date_expression "),
    ];
    for (from, to) in changes {
        let other = xml.replace(from, to).replace("</rule>", if to.contains("date") { "</date_expression>" } else { "</rule>" });
        assert_ne!(other, xml);
        assert_eq!(fence.standing(&around(&other)), Standing::Unknown, "{to}");
    }
    assert_eq!(fence.standing(&around(&fence.reference())), Standing::Unknown);
}

#[test]
fn a_cib_that_is_cut_short_is_none() {
    for end in (0..LINK_CUT.trim_end().len()).step_by(11) {
        if LINK_CUT.is_char_boundary(end) {
            assert!(Cib::parse(&LINK_CUT[..end]).is_err(), "{end}");
        }
    }
    assert!(Cib::parse("<crm_mon><configuration/></crm_mon>").is_err());
}

#[test]
fn several_names_are_a_list() {
    assert_eq!([names(&["a"]), names(&["a", "b"]), names(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
}
