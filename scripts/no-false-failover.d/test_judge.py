#!/usr/bin/env python3
"""What the report of scripts/no-false-failover makes of a run that was made up; the verdict must be able to fail."""
import importlib.machinery
import importlib.util
import json
import pathlib
import tempfile
import unittest

import judge

LOAD = '{"loops": 4, "taken_mib": 640, "available_mib": 70, "oom_kills": 0}'
LOG = """Nov 28 07:00:01.100 node1 pacemaker-execd     [345] (log_finished)  debug: p_lio monitor (call 20, PID 900) exited with status 0 (execution time 0s)
Nov 28 07:00:02.100 node1 pacemaker-execd     [345] (log_finished)  debug: p_drbd monitor (call 21, PID 901) exited with status 8 (execution time 40ms)
Nov 28 07:00:03.100 node1 pacemaker-execd     [345] (log_finished)  debug: p_lvm monitor (call 22, PID 902) exited with status 0
Nov 28 07:00:04.100 node1 pacemaker-execd     [345] (log_finished)  debug: p_vip monitor (call 23, PID 903) exited with status 0 (execution time 0s)
Nov 28 07:00:06.100 node1 pacemaker-execd     [345] (log_finished)  debug: p_lio monitor (call 20, PID 904) exited with status 0 (execution time 0s)
Nov 28 07:00:06.100 node1 pacemaker-execd     [345] (log_finished)  debug: p_lio monitor (call 19) could not be executed: Cancelled (execution time 0s)
"""
TIMES = "900 0.02\n901 0.40\n902 0.06\n903 0.01\n904 1.25 drbdadm=1.20\n"
TIMED_OUT = (
    "x execd [1] (log_finished) debug: p_lvm monitor (call 22, PID 905) could not be executed: Timed Out (Process did not exit) (execution time 20s)\n"
    "x controld [1] (log_executor_event) error: Result of monitor operation for p_lvm on node1: Timed Out after 30s"
    " (Process did not exit) | graph action unconfirmed; call=22 key=p_lvm_monitor_5000\n")
NOT_RUNNING = "x execd [1] (log_finished) debug: p_vip monitor (call 23, PID 906) exited with status 7 (execution time 0s)\n"
PROBE = (
    "x execd [1] (log_finished) debug: p_vip monitor (call 5, PID 906) exited with status 7 (execution time 0s)\n"
    "x controld [1] (log_executor_event) notice: Result of probe operation for p_vip on node1: not running"
    " | graph action confirmed; call=5 key=p_vip_monitor_0 rc=7\n")
START = "x controld [1] (log_executor_event) notice: Result of start operation for p_vip on node2: ok | graph action confirmed; call=40 rc=0\n"
FAIL_COUNT = "Migration Summary:\n  * Node: node1:\n    * p_lvm: migration-threshold=2 fail-count=1 last-failure='x'\n"
DEGRADED = (
    "x execd [1] (log_finished) debug: p_drbd monitor (call 21, PID 907) exited with status 190 (execution time 40ms)\n"
    "x controld [1] (log_executor_event) notice: Result of monitor operation for p_drbd on node1: OCF_DEGRADED (r0 is not connected)"
    " | graph action unconfirmed; call=21 key=p_drbd_monitor_7000 rc=190\n")
DEGRADED_ACTION = "  * p_drbd_monitor_7000 on node1 'degraded' (190): call=21, exitreason='r0 is not connected', last-rc-change='x'\n"
FAILED_ACTION = "  * p_lvm 5s-interval monitor on node1 could not be executed (Timed Out: 30s) at Sat Nov 28 07:00:00 2026\n"
FILES = {"log-node1": LOG, "times-node1": TIMES, "load-node1": LOAD, "left-node1": LOAD, "log-node2": "", "times-node2": "",
         "load-node2": LOAD, "left-node2": LOAD, "cluster": "", "seconds": "600", "failures": "", "notes": "",
         "report": '{"gap": 0.5, "errors": 0}', "verified": '{"read": 900, "lost": 0}'}
GIVEN = {"stack": "ours", "minutes": "0.1", "active": "node1", "now": "node1"}


def judged(files=None, **given):
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        for file, text in (FILES | (files or {})).items():
            (directory / file).write_text(text, encoding="utf-8")
        return judge.judged(directory, GIVEN | given)


class Verdict(unittest.TestCase):
    def test_green_when_nothing_is_wrong(self):
        record = judged()
        self.assertEqual((record["verdict"], record["seen"]), ("green", []))
        row = record["resources"]["p_lio"]
        self.assertEqual((row["monitors"], row["failed"], row["timed_out"], row["slowest_s"]), (2, 0, 0, 1.25))
        self.assertEqual(row["slowest_below"], ["drbdadm=1.20"])

    def test_degraded_is_no_failure(self):
        record = judged({"log-node1": LOG + DEGRADED, "cluster": DEGRADED_ACTION})
        self.assertEqual((record["verdict"], record["seen"]), ("green", []))

    def test_red_for_each_thing_that_can_be_wrong(self):
        half = LOAD.replace("640", "320")
        for wrong in ({"log-node1": LOG + TIMED_OUT}, {"log-node1": LOG + NOT_RUNNING}, {"log-node2": START}, {"cluster": FAIL_COUNT},
                      {"cluster": FAILED_ACTION}, {"log-node1": ""}, {"left-node1": half}, {"left-node2": LOAD.replace("4", "3", 1)},
                      {"left-node1": ""}, {"report": '{"gap": 0.5, "errors": 1}'}, {"report": ""}, {"verified": ""},
                      {"verified": '{"read": 9, "lost": 1}'}, {"verified": '{"read": 0, "lost": 0}'}, {"failures": "node1 has no log"}):
            self.assertEqual(judged(wrong)["verdict"], "red", wrong)
        self.assertEqual(judged(now="node2")["verdict"], "red")
        self.assertEqual(judged(now="")["verdict"], "red")

    def test_a_monitor_that_timed_out_is_told_from_one_that_failed(self):
        rows = judged({"log-node1": LOG + TIMED_OUT + NOT_RUNNING})["resources"]
        self.assertEqual((rows["p_lvm"]["timed_out"], rows["p_lvm"]["failed"]), (1, 0))
        self.assertEqual((rows["p_vip"]["timed_out"], rows["p_vip"]["failed"]), (0, 1))

    def test_a_probe_is_no_monitor(self):
        self.assertEqual(judged({"log-node1": LOG + PROBE})["verdict"], "green")

    def test_a_process_number_that_comes_again_is_taken_in_order(self):
        again = LOG + LOG.splitlines(keepends=True)[0]
        row = judged({"log-node1": again, "times-node1": TIMES + "900 3.00\n"})["resources"]["p_lio"]
        self.assertEqual((row["monitors"], row["slowest_s"]), (3, 3.0))

    def test_peer_has_no_verdict_whatever_was_seen(self):
        record = judged({"log-node1": LOG + TIMED_OUT, "log-node2": START, "cluster": FAIL_COUNT}, stack="peer", now="node2")
        self.assertEqual((record["verdict"], record["recoveries"], record["fail_counts"]), ("none", 1, {"p_lvm": "1"}))
        self.assertTrue(record["seen"])


class Output(unittest.TestCase):
    def test_table_and_json(self):
        lines = list(judge.table([judged(), judged({"log-node2": START}, stack="peer")]))
        self.assertEqual(sum(line.startswith("ours ") for line in lines), 5)
        self.assertIn("  green", lines)
        self.assertIn("  shown to compare with; no verdict", lines)
        json.dumps(judged())

    def test_a_stack_that_was_not_watched_to_the_end_is_a_failure(self):
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name, "ours")
            directory.mkdir()
            (directory / "record.json").write_text(json.dumps(judged()))
            self.assertTrue(judge.main(["table", name, "ours"]))
            self.assertFalse(judge.main(["table", name, "ours", "peer"]))


class Stopwatch(unittest.TestCase):
    def test_children_of_the_executor_are_read_from_the_kernels_records(self):
        path = str(pathlib.Path(__file__).with_name("stopwatch"))
        spec = importlib.util.spec_from_loader("stopwatch", importlib.machinery.SourceFileLoader("stopwatch", path))
        stopwatch = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(stopwatch)
        ended = ((900, 345, 2.0, b"LIO"), (901, 900, 500.0, b"orphan"), (904, 903, 110.0, b"drbdsetup"), (905, 903, 20.0, b"sh"),
                 (903, 902, 120.0, b"drbdadm"), (902, 345, 125.0, b"DRBD-helper"), (902, 345, 150.0, b"LIO"))
        records = b"".join(stopwatch.RECORD.pack(0, 3, 0, 0, 0, 0, pid, parent, 1_700_000_000, ticks, name)
                           for pid, parent, ticks, name in ended)
        self.assertEqual(list(stopwatch.records(records + b"cut off", {345})),
                         [(900, 0.02, []), (902, 1.25, ["drbdsetup=1.10", "drbdadm=1.20"]), (902, 1.5, [])])


if __name__ == "__main__":
    unittest.main()
