#!/usr/bin/env python3
"""The figures of scripts/bench switchover: from what an event left behind to a record, and from the records to a result.

usage: switchover.py clock GUEST                   by how many seconds the host's clock is ahead of a guest's, and how far off that may be
       switchover.py judge DIRECTORY KEY=VALUE...  one event: writes DIRECTORY/record.json and prints it in short
       switchover.py gather DIRECTORY              all records below DIRECTORY/events, DIRECTORY/facts and DIRECTORY/failures, as JSON

An event's DIRECTORY holds: clocks (as `clock` prints), command (the moment at which it began), pacemaker-NODE (the log since), kernel and
corosync (of the node that takes over), failures and notes (a sentence a line), and with a writer report and verified (its answers).
"""
import json
import pathlib
import subprocess
import sys
import time

import switchover_log as logs

LAB = pathlib.Path(__file__).resolve().parent.parent / "lab"
QUESTIONS = 12
LAST = "p_vip"  # the group's last resource


def clock(guest):
    """Asks one shell again and again, because to start a process there takes longer than the answer may be off; the quickest counts."""
    ask = 'while read -r _; do echo "$EPOCHREALTIME"; done'
    answers = []
    with subprocess.Popen(["timeout", "60", LAB, "run", guest, ask], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as shell:
        for _ in range(QUESTIONS):
            begin = time.time()
            shell.stdin.write("\n")
            there = float(shell.stdout.readline())
            end = time.time()
            answers.append((end - begin, (begin + end) / 2 - there))
        shell.stdin.close()
    took, lead = min(answers)
    return lead, took / 2


def lines_of(path):
    return [line for line in path.read_text(errors="replace").splitlines() if line.strip()] if path.exists() else []


def answer(path):
    """An answer of the writer; empty when there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Event:
    """What one event left behind. Moments are the host's, in seconds."""

    def __init__(self, directory, given):
        self.directory, self.given = directory, given
        self.clocks = {guest: (float(lead), float(off)) for guest, lead, off in map(str.split, lines_of(directory / "clocks"))}
        self.why = lines_of(directory / "failures")
        target = given["to"]
        command = lines_of(directory / "command")
        self.command = float(command[0]) + (self.lead(target) if given["event"] == "move" else 0) if command else None
        self.actions, self.order = [], {}
        for node in ("node1", "node2"):
            lines = lines_of(directory / f"pacemaker-{node}")
            self.actions += logs.actions(lines, node, self.command or time.time(), self.lead(node))
            self.order |= logs.orders(lines)
        self.actions = [action for action in self.actions if self.command and action.ended > self.command]
        self.last = logs.last_start(self.actions, LAST, target)

    def lead(self, guest):
        return self.clocks.get(guest, (0, 0))[0]

    def cluster(self):
        """What the cluster took, and of that the agents."""
        if not self.last:
            self.why.append(f"pacemaker's log has no start of {LAST} on {self.given['to']}")
            return {}
        path = logs.critical_path(self.actions, self.order, self.last)
        if not path:
            self.why.append("pacemaker's log does not say what the last start waited for")
        return {
            "to_started": self.last.ended - self.command,
            "to_first_action": min(action.began for action in self.actions) - self.command,
            "transition": self.last.ended - min(action.began for action in self.actions),
            "agents": sum(action.seconds for action in path),
            "starts": sum(action.seconds for action in path if action.action == "start"),
            "path": [{"node": a.node, "resource": a.resource, "action": a.action, "seconds": a.seconds} for a in path],
            "failed_actions": [str(action) for action in self.actions if action.code != 0],
        }

    def power_cut(self):
        """When the loss was noticed, when it was sure, and what DRBD's handlers took of the promotion."""
        target = self.given["to"]
        lines = lines_of(self.directory / "corosync")
        after = self.command - self.lead(target)
        loss, membership = logs.first(logs.LOSS, lines, after), logs.first(logs.MEMBERSHIP, lines, after)
        if loss is None or membership is None:
            self.why.append("corosync's log does not say when the node was lost")
            return {}
        kernel = logs.handlers(lines_of(self.directory / "kernel"))
        handlers = [(begin, end) for name, begin, end in kernel if name == "fence-peer" and begin > after
                    and (not self.last or end <= self.last.ended - self.lead(target))]
        figures = {"loss": loss - after, "membership": membership - after, "handler": sum(end - begin for begin, end in handlers),
                   "handler_calls": len(handlers)}
        if self.last:
            figures["loss_to_started"] = self.last.ended - self.lead(target) - loss
        return figures

    def initiator(self):
        """What the writer says; any error and any loss is a failure, and so is a missing answer."""
        report, verified = answer(self.directory / "report"), answer(self.directory / "verified")
        gap, errors, ended = report.get("gap"), report.get("errors"), report.get("ended")
        lost, read = verified.get("lost"), verified.get("read")
        if gap is None or errors is None:
            self.why.append("the writer has no report")
        elif errors:
            self.why.append(f"{errors} I/O errors at the initiator: {'; '.join(report.get('texts', []))}")
        if lost is None:
            self.why.append(f"nothing was read back: {verified.get('failed', 'no answer')}")
        elif lost or not read:
            self.why.append(f"{lost} acknowledged writes lost of {read} read back: {'; '.join(verified.get('texts', []))}")
        figures = {"gap": gap, "errors": errors, "lost": lost, "read": read}
        if ended is not None and self.last:
            figures["after_start"] = ended + self.lead("ini") - self.last.ended
        return figures

    def record(self):
        given = self.given
        figures = {"who": given["who"], "event": given["event"], "round": int(given["round"]), "from": given["from"], "to": given["to"]}
        if self.command is None:
            self.why.append("nobody knows when it began")
        else:
            figures |= self.cluster()
            if given["event"] == "cut":
                figures |= self.power_cut()
        if given["who"] != "floor":
            figures |= self.initiator()
        whole = figures.get("to_started") if given["who"] == "floor" else figures.get("gap")
        if whole and "agents" in figures:
            figures["share"] = figures["agents"] / whole
        return figures | {"clock_off": max((off for _, off in self.clocks.values()), default=None), "why": self.why,
                          "notes": lines_of(self.directory / "notes")}


def short(record):
    """A line for whoever waits."""
    def seconds(key):
        return "?" if record.get(key) is None else f"{record[key]:.2f} s"

    words = [f"{record['who']}, {record['event']} {record['from']} → {record['to']}:"]
    if record["who"] != "floor":
        words.append(f"gap {seconds('gap')}, {record.get('errors', '?')} errors, {record.get('lost', '?')} of {record.get('read', '?')} lost;")
    words.append(f"last start after {seconds('to_started')}, agents {seconds('agents')}")
    return " ".join(words)


def gather(directory):
    facts = dict(line.split(None, 1) for line in lines_of(directory / "facts"))
    records = [json.loads(path.read_text()) for path in sorted(directory.glob("events/*/record.json"))]
    why = [f"{record['who']}, {record['event']}, round {record['round']}: {sentence}" for record in records for sentence in record["why"]]
    return {"facts": facts, "events": records, "why": why + lines_of(directory / "failures")}


def main(arguments):
    match arguments:
        case ["clock", guest]:
            print(guest, *(f"{value:.6f}" for value in clock(guest)))
        case ["judge", directory, *pairs]:
            record = Event(pathlib.Path(directory), dict(pair.split("=", 1) for pair in pairs)).record()
            pathlib.Path(directory, "record.json").write_text(json.dumps(record) + "\n")
            print("\n".join([short(record), *(f"  FAILED: {sentence}" for sentence in record["why"])]))
        case ["gather", directory]:
            json.dump(gather(pathlib.Path(directory)), sys.stdout, indent=1)
            print()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
