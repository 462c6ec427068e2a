#!/usr/bin/env python3
"""What scripts/bench switchover reads out of logs, and what its report makes of it. The verdict must be able to fail.

switchover-samples has what Pacemaker 2.1.5 and corosync 3.1.7 wrote on two nodes with the agents of the floor: a move of the group from
node1 to node2, and the loss of node2, whose power went off at CUT.
"""
import contextlib
import io
import json
import pathlib
import tempfile
import unittest

import report_switchover
import switchover
import switchover_log as logs

SAMPLES = pathlib.Path(__file__).resolve().parent / "switchover-samples"
MOVED, CUT = 1795858303.622, 1795858474.190
GOOD = {"report": {"gap": 8.0, "ended": 1795858305.963, "errors": 0, "writes": 9, "texts": []}, "verified": {"read": 900, "lost": 0, "texts": []}}
NOISY = "Nov 28 09:31:43.963 node2 pacemaker-execd     [73] (log_finished) \tinfo: "
ANSWERED = "Nov 28 09:31:43.947 node2 pacemaker-controld  [76] (process_graph_event) \tnotice: "
KERNEL = """boot 2000.5 1000.5
[   83.650435] drbd r0: helper command: /sbin/drbdadm fence-peer r0
[   84.900435] drbd r0: helper command: /sbin/drbdadm fence-peer r0 exit code 5 (0x500)
[   90.000000] block drbd0: helper command: /sbin/drbdadm before-resync-target minor-0
"""


def sample(name):
    return (SAMPLES / name).read_text().splitlines()


def moved():
    actions = logs.actions(sample("move-node1"), "node1", MOVED) + logs.actions(sample("move-node2"), "node2", MOVED)
    return actions, logs.orders(sample("move-node2"))


class Lines(unittest.TestCase):
    def test_times_in_words(self):
        for text, seconds in (("0s", 0), ("87ms", 0.087), ("1000ms", 1), ("2.345s", 2.345), ("1m2.345s", 62.345), ("1m7ms", 60.007),
                              ("60s", 60), ("1h1m", 3660)):
            self.assertAlmostEqual(logs.seconds_of(text), seconds, msg=text)
        for text in ("", "soon", "3"):
            self.assertRaises(ValueError, logs.seconds_of, text)

    def test_a_stamp_has_the_year_that_is_nearest(self):
        new_year = 1798761600  # 2027-01-01 00:00 UTC
        self.assertAlmostEqual(logs.moment("Dec 31 23:59:59.500", new_year + 5), new_year - 0.5)
        self.assertAlmostEqual(logs.moment("Jan  1 00:00:01", new_year - 5), new_year + 1)

    def test_an_action_with_all_that_may_be_said_of_it(self):
        lines = [NOISY + "p_lio start (call 33, PID 9) exited with status 1 (not there (line 3)) (execution time 1m2.345s after being queued 5ms)",
                 NOISY + "p_vip:0 stop (call 34) could not be executed: Timed Out (took too long) (execution time 10.002s)",
                 NOISY + "p_vip monitor (call 35, PID 10) exited with status 0 (execution time 1ms)", "not a line of a log", ""]
        found = logs.actions(lines, "node2", MOVED)
        self.assertEqual([(a.resource, a.action, a.code, a.seconds) for a in found], [("p_lio", "start", 1, 62.345), ("p_vip", "stop", None, 10.002)])
        self.assertAlmostEqual(found[0].ended - found[0].began, 62.345)

    def test_an_answer_that_was_not_expected_is_one(self):
        asked = ANSWERED + "Initiating start operation p_lio_start_0 locally on node2 | action 42"
        answer = ANSWERED + ("Transition 2 action 42 (p_lio_start_0 on node2): expected 'ok' but got 'error' | target-rc=0 rc=1 call-id=33 "
                             "event='arrived after initial scheduling'")
        self.assertEqual(logs.orders([asked, answer]), {("node2", "33"): (0, 1)})

    def test_handlers(self):
        ((name, began, ended),) = logs.handlers(KERNEL.splitlines())
        self.assertEqual(name, "fence-peer")
        self.assertAlmostEqual(began, 1083.650435)
        self.assertAlmostEqual(ended - began, 1.25)

    def test_loss_of_a_node(self):
        lines = sample("cut-corosync")
        self.assertAlmostEqual(logs.first(logs.LOSS, lines, CUT) - CUT, 4.789)
        self.assertAlmostEqual(logs.first(logs.MEMBERSHIP, lines, CUT) - CUT, 10.789)
        self.assertIsNone(logs.first(logs.LOSS, lines, CUT + 60))


class Path(unittest.TestCase):
    EXPECTED = ["p_vip stop", "p_lio stop", "p_lvm stop", "p_drbd demote", "p_drbd notify", "p_drbd notify", "p_drbd promote", "p_drbd notify",
                "p_lvm start", "p_lio start", "p_vip start"]

    def test_what_runs_beside_the_path_is_not_on_it(self):
        actions, order = moved()
        path = logs.critical_path(actions, order, logs.last_start(actions, "p_vip", "node2"))
        self.assertEqual([f"{a.resource} {a.action}" for a in path], self.EXPECTED)
        self.assertEqual([a.node for a in path], ["node1"] * 6 + ["node2"] * 5)
        self.assertEqual(len(actions), 16)
        self.assertAlmostEqual(sum(a.seconds for a in path), 0.036)

    def test_without_the_controller_nothing_is_known(self):
        actions, _ = moved()
        self.assertEqual(logs.critical_path(actions, {}, actions[-1]), [])

    def test_a_start_elsewhere_or_one_that_failed_is_not_the_last(self):
        actions, _ = moved()
        self.assertIsNone(logs.last_start(actions, "p_vip", "node1"))
        for action in actions:
            action.code = 1
        self.assertIsNone(logs.last_start(actions, "p_vip", "node2"))


def judged(kind="move", who="ours", lead=0.0, without=(), **changes):
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        target = "node2" if kind == "move" else "node1"
        for node in ("node1", "node2"):
            if (SAMPLES / f"{kind}-{node}").exists():
                (directory / f"pacemaker-{node}").write_text((SAMPLES / f"{kind}-{node}").read_text())
        (directory / "command").write_text(f"{MOVED if kind == 'move' else CUT}\n")
        (directory / "clocks").write_text("".join(f"{guest} {lead} 0.002\n" for guest in ("node1", "node2", "ini")))
        (directory / "corosync").write_text((SAMPLES / "cut-corosync").read_text())
        for key in ("report", "verified"):
            (directory / key).write_text(json.dumps(GOOD[key] | changes.pop(key, {})))
        (directory / "failures").write_text(changes.pop("failures", ""))
        for file in without:
            (directory / file).unlink()
        return switchover.Event(directory, {"who": who, "event": kind, "round": "1", "from": "x", "to": target}).record()


class Record(unittest.TestCase):
    def test_a_move(self):
        record = judged()
        self.assertEqual(record["why"], [])
        for key, value in (("to_started", 0.341), ("to_first_action", 0.161), ("transition", 0.18), ("agents", 0.036), ("starts", 0.005),
                           ("gap", 8.0), ("share", 0.0045), ("after_start", 2.0)):
            self.assertAlmostEqual(record[key], value, places=6, msg=key)

    def test_clocks_that_differ_from_the_host_s_change_nothing(self):
        self.assertAlmostEqual(judged(lead=-3.0)["to_started"], judged()["to_started"], places=6)

    def test_the_floor_has_no_writer(self):
        record = judged(who="floor", without=("report", "verified"))
        self.assertEqual(record["why"], [])
        self.assertAlmostEqual(record["share"], 0.036 / 0.341, places=5)
        self.assertNotIn("gap", record)

    def test_a_power_cut(self):
        record = judged("cut")
        self.assertEqual(record["why"], [])
        for key, value in (("loss", 4.789), ("membership", 10.789), ("to_started", 10.925), ("loss_to_started", 6.136), ("handler", 0)):
            self.assertAlmostEqual(record[key], value, places=3, msg=key)

    def test_red_for_each_thing_that_can_be_wrong(self):
        for wrong in ({"report": {"errors": 1}}, {"verified": {"lost": 1}}, {"verified": {"read": 0}}, {"failures": "late\n"}, {"without": ["report"]},
                      {"without": ["verified"]}, {"verified": {"lost": None, "failed": "no"}}, {"without": ["pacemaker-node2"]}, {"without": ["command"]},
                      {"kind": "cut", "without": ["corosync"]}):
            self.assertNotEqual(judged(**wrong)["why"], [], wrong)


FACTS = {"kernel": "6.1", "cpus": "1", "accel": "tcg", "pacemaker": "2", "corosync": "3", "drbd-utils": "9", "resource-agents": "4", "token": "5000",
         "consensus": "6000"}


def report(*events, why=()):
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()) as said:
        file = pathlib.Path(name, "result.json")
        file.write_text(json.dumps({"facts": FACTS, "events": events, "why": why}))
        failed = report_switchover.main(file)
    return failed, said.getvalue()


class Report(unittest.TestCase):
    def test_goals_reached_and_missed(self):
        everyone = [judged(kind, who) for who in ("peer", "floor", "ours") for kind in ("move", "cut")]
        everyone[0]["gap"] = 24.1
        everyone[5]["gap"] = 12.2
        failed, said = report(*everyone)
        self.assertFalse(failed)
        self.assertEqual(said.count("| reached |"), 3, said)
        everyone[0]["gap"] = 23.9
        everyone[4]["share"] = 0.1
        everyone[5]["gap"] = 12.3
        self.assertEqual(report(*everyone)[1].count("**missed**"), 3)

    def test_fails_with_the_run(self):
        failed, said = report(judged(), why=["1 I/O errors"])
        self.assertTrue(failed)
        self.assertIn("**FAILED**: 1 I/O errors", said)
        self.assertTrue(report()[0])

    def test_whoever_did_not_play_has_no_goal(self):
        failed, said = report(judged(who="floor"))
        self.assertFalse(failed)
        self.assertNotIn("target", said)


if __name__ == "__main__":
    unittest.main()
