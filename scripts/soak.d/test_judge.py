#!/usr/bin/env python3
"""What the report of scripts/soak makes of a run that was made up; the verdict must be able to fail."""
import json
import pathlib
import tempfile
import unittest

import judge
import leaks

REPORT = {"gap": 12.5, "silent": 0.1, "writes": 900, "errors": 0, "texts": []}
VERIFIED = {"read": 900, "lost": 0, "texts": []}
AT_THE_END = {"report": json.dumps(REPORT), "all": '{"read": 9000, "lost": 0, "texts": []}', "seconds": "3600", "ended": ""}
THINGS = {"processes": ["corosync", "pacemakerd"], "ocf-san processes": [], "iSCSI and DRBD tasks": ["iscsi_np"], "other kernel tasks": ["jbd2"],
          "descriptors": ["corosync"] * 40, "configfs objects": ["/a", "/b"], "dm devices": ["vg1-lv--lun0"], "files of ocf-san": [],
          "temporary files": []}
FIGURES = {"open files": 800, "kernel memory KiB": 300_000, "memory taken KiB": 400_000, "processes' memory KiB": 90_000, "slab KiB": 40_000, "MemAvailable KiB": 700_000, "tmpfs KiB": 5000}
AFTER = (2, 10, 20, 30, 40, 50)


def sample(moves, **changes):
    things = {name: changes.get(name, those) for name, those in THINGS.items()}
    return {"moves": moves, "things": things, "figures": {name: changes.get(name, value) for name, value in FIGURES.items()},
            "memory": {"corosync": 20_000, "pacemaker-based": 9000 + 100 * moves}}


def run(moves=None, last=None, grows=(), failures="", **given):
    """The result of a run of 50 switch-overs, on node1 with these changes to the last sample, and with what grows by so much a move."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        lines = moves if moves is not None else [json.dumps({"number": 1, "why": "", "report": REPORT, "verified": VERIFIED})] * 50
        (directory / "moves").write_text("\n".join(lines))
        (directory / "failures").write_text(failures)
        for after in AFTER:
            for node, role in (("node1", "active"), ("node2", "passive")):
                changes = {key: FIGURES[key] + int(step * after) for key, step in grows}
                if node == "node1" and after == AFTER[-1]:
                    changes |= last or {}
                text = json.dumps(sample(after, **changes))
                (directory / f"count-{after:04}-{node}-{role}").write_text(text)
        return judge.judged(directory, AT_THE_END | given)


def move(**changes):
    return json.dumps({"number": 1, "why": "", "report": REPORT, "verified": VERIFIED, **changes})


class Verdict(unittest.TestCase):
    def test_green_when_nothing_is_wrong(self):
        result = run()
        self.assertEqual((result["verdict"], result["why"]), ("green", []))
        self.assertEqual(result["gap_s"], {"min": 12.5, "median": 12.5, "max": 12.5})

    def test_red_for_each_thing_that_can_be_wrong_with_a_switch_over(self):
        for wrong in (move(report=None), move(report={**REPORT, "errors": 1}), move(verified=None), move(verified={"failed": "no"}),
                      move(verified={**VERIFIED, "lost": 1}), move(verified={**VERIFIED, "read": 0}), move(why="not within 240 s"),
                      '{"number": 1, "report": {"ga'):
            self.assertEqual(run(moves=[move(), wrong, move()])["verdict"], "red", wrong)
        self.assertEqual(run(moves=[])["verdict"], "red")

    def test_red_for_what_is_wrong_at_the_end(self):
        for wrong in ({"report": ""}, {"report": json.dumps({**REPORT, "texts": ["block 3: Input/output error"]})}, {"all": ""},
                      {"all": '{"read": 9, "lost": 1}'}, {"ended": "cut short"}, {"failures": "node1 could not be counted"}):
            self.assertEqual(run(**wrong)["verdict"], "red", wrong)

    def test_red_for_each_thing_that_is_left_behind_or_gone(self):
        for name in leaks.EXACT:
            for there in (THINGS[name] + ["one more"], THINGS[name][1:]):
                if there != THINGS[name]:
                    result = run(last={name: there})
                    self.assertEqual((result["verdict"], result["counted"]["node1"]["things"][name]["leaked"]), ("red", True), name)
        self.assertIn("+1 sleep", run(last={"processes": THINGS["processes"] + ["sleep"]})["why"][0])

    def test_memory_leaks_when_it_grows_and_goes_on_growing(self):
        self.assertEqual(run(grows=[("kernel memory KiB", 80), ("slab KiB", 30)])["verdict"], "red")
        self.assertEqual(run(grows=[("kernel memory KiB", 30), ("slab KiB", 10)])["verdict"], "green")
        self.assertEqual(run(last={"kernel memory KiB": 320_000})["verdict"], "green")  # one bad sample
        filled = [(after, 300_000 + min(after, 10) * 1000) for after in AFTER]
        self.assertFalse(leaks.has_leaked(filled, 48, 3072))

    def test_few_samples_say_nothing_of_memory_and_one_says_nothing_at_all(self):
        few = leaks.judged([sample(2), sample(10, **{"kernel memory KiB": 900_000})])
        self.assertIsNone(few["kernel memory KiB"]["leaked"])
        self.assertFalse(few["processes"]["leaked"])
        _, why = judge.seen_on_nodes({"node1": ("active", [sample(2)])})
        self.assertTrue(why)


class Output(unittest.TestCase):
    def test_the_table_has_a_row_for_each_thing_and_the_verdict_last(self):
        lines = list(judge.table(run(last={"dm devices": []})))
        self.assertTrue(lines[-1].startswith("red: 50 switch-overs in 3600 s"))
        self.assertEqual(sum("LEAKED" in line for line in lines), 1)
        for name in (*leaks.EXACT, *leaks.GROWING, *leaks.SHOWN):
            self.assertTrue(any(line.startswith(name) for line in lines), name)
        self.assertEqual(sum(line.startswith("whose memory") and "pacemaker-based 9200 → 14000 KiB" in line for line in lines), 2)
        json.dumps(run())

    def test_a_run_that_saw_nothing_has_a_table_too(self):
        with tempfile.TemporaryDirectory() as name:
            result = judge.judged(pathlib.Path(name), {"ended": "cut short"})
            self.assertTrue(list(judge.table(result))[-1].startswith("red: 0 switch-overs"))


if __name__ == "__main__":
    unittest.main()
