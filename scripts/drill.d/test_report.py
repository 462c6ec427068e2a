#!/usr/bin/env python3
"""What the report of scripts/drill makes of records that were made up; the verdict must be able to fail."""
import json
import pathlib
import tempfile
import unittest
from html.parser import HTMLParser

import page
import report
import timeline

GOOD = {"report": '{"gap": 12.5, "silent": 0.1, "writes": 900, "errors": 0, "texts": []}',
        "verified": '{"read": 900, "lost": 0, "texts": []}'}
CRM_MON = """Failed Resource Actions:
  * p_lio start on node2 returned 'error' (saveconfig.json: not JSON (line 3)) at Sat Nov 28 07:00:00 2026 after 1.2s
  * p_vip 5s-interval monitor on node1 returned 'not running' at Sat Nov 28 07:00:00 2026
  * p_lvm stop on node1 could not be executed (Timed Out: 60s) at Sat Nov 28 07:00:00 2026
  * p_drbd:1_monitor_5000 on node1 'degraded' (190): call=9, status='complete', exitreason='diskless', last-rc-change='x'
"""


def judge(**changes):
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "failures").write_text(changes.pop("failures", ""))
        (directory / "cluster-during").write_text(CRM_MON)
        (directory / "acknowledged").write_text("1000.1 0\n1000.2 1\n1013.0 0\n1013.1 1\n")
        given = {"name": "panic", "group": "node", "does": "<does>", "must": "must", "outcome": "moves", "limit": "240", "from": "node1",
                 "to": "node2", "began": "1000", "seconds": "20", "recoveries": "1", **GOOD, **changes}
        return report.judged(directory, given)


class Verdict(unittest.TestCase):
    def test_green_when_nothing_is_wrong(self):
        self.assertEqual((judge()["verdict"], judge()["why"]), ("green", []))

    def test_red_for_each_thing_that_can_be_wrong(self):
        for wrong in ({"report": GOOD["report"].replace('"errors": 0', '"errors": 1')}, {"report": ""}, {"limit": "10"},
                      {"report": GOOD["report"].replace("900", "0")}, {"verified": '{"read": 900, "lost": 1, "texts": ["block 3"]}'},
                      {"verified": '{"failed": "a write does not come back"}'}, {"verified": ""}, {"verified": "[]"},
                      {"verified": '{"read": 0, "lost": 0}'}, {"failures": "the virtual IP is on both nodes\n"}):
            self.assertEqual(judge(**wrong)["verdict"], "red", wrong)

    def test_told_only_where_the_table_says_so_and_nothing_else_is_wrong(self):
        lost = {"verified": '{"read": 900, "lost": 7, "texts": ["block 3"]}'}
        self.assertEqual(judge(**lost, may_lose="yes")["verdict"], "told")
        self.assertEqual(judge(**lost, may_lose="")["verdict"], "red")
        self.assertEqual(judge(**lost, may_lose="yes", limit="10")["verdict"], "red")
        self.assertEqual(judge(may_lose="yes")["verdict"], "green")
        self.assertIn("1 not survived", report.in_words([judge(**lost, may_lose="yes")]))

    def test_reasons_of_the_cluster(self):
        self.assertEqual(judge()["reasons"], [
            "p_lio start on node2: saveconfig.json: not JSON (line 3)", "p_vip monitor on node1: not running",
            "p_lvm stop on node1: Timed Out: 60s", "p_drbd monitor on node1: diskless"])


class Timeline(unittest.TestCase):
    def test_a_gap_is_as_wide_as_it_is_high(self):
        waits = dict(map(tuple, judge()["timeline"]))
        self.assertGreater(waits[5.0], 12_000)
        self.assertLess(waits[19.0], 1000)

    def test_no_write_at_all_is_one_gap(self):
        self.assertTrue(all(wait == 10_000 for _, wait in timeline.bins([], 0, 10)))

    def test_lines_cut_short_are_passed_over(self):
        timeline.bins(["1000.1", "x y", ""], 1000, 5)


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.links = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]


class Html(unittest.TestCase):
    def test_the_page_is_complete_and_has_no_external_parts(self):
        text = page.page([judge(), judge(verified="", report="", to="")])
        seen = Page(text)
        self.assertEqual(seen.tags.count("svg"), 2)
        self.assertTrue(all(link.startswith("#") for link in seen.links))
        self.assertNotIn("script", seen.tags)
        self.assertIn("&lt;does&gt;", text)
        self.assertIn("prefers-color-scheme:dark", text)
        self.assertIn("1 red", text)

    def test_table_and_json(self):
        lines = list(report.table([judge(), judge(report="")]))
        self.assertIn("2 cases, 1 green, 1 red", lines[-1])
        json.dumps(judge())

    def test_what_is_to_be_tried_again_is_what_was_red_or_never_played(self):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory, "drill.json")
            records = [dict(judge(), name="good"), dict(judge(report=""), name="bad"), dict(judge(), name="lossy", verdict="told")]
            file.write_text(json.dumps({"cases": records}))
            self.assertEqual(report.red(file, ["good", "bad", "lossy", "never"]), ["bad", "never"])


if __name__ == "__main__":
    unittest.main()
