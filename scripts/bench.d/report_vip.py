#!/usr/bin/env python3
"""Makes markdown of what vip.py measured: report_vip.py RESULT.json BINARY MACHINE"""

import json
import os
import statistics
import sys

from tables import mebibytes, millis, monitor_targets, ratio, table
from tables import targets as print_targets

WHO = {"ours": "**ocf-san VIP**", "floor": "floor", "peer": "IPaddr2"}
ACTIONS = {
    "monitor": "monitor", "probe": "probe, not running", "start": "start", "again": "start, already running", "stop": "stop",
    "validate-all": "validate-all",
}


def row(name, who, f):
    left = f"{millis(f['left_cpu'])} CPU in {f['left_wall']:.1f} s, {f['left_calls']} calls" if f["left_processes"] else "–"
    return (name, who, millis(f["wall"]), millis(f["cpu"]), str(f["processes"]), str(f["execs"]), str(f["calls"]), mebibytes(f["memory"]), left)


def times(figures, ours):
    return f"{millis(figures['wall'])} ({ratio(figures['wall'] / ours['wall'])})"


def announced(taken):
    seen = [value for value in taken if value is not None]
    if not seen:
        return "never"
    missing = f", {len(taken) - len(seen)} of {len(taken)} not at all" if len(seen) < len(taken) else ""
    return f"{millis(statistics.median(seen))} ({millis(min(seen))} to {millis(max(seen))}){missing}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        result = json.load(file)
    binary, machine = sys.argv[2:4]
    cases = result["cases"]
    name, first = next(iter(cases.items()))
    runs = first["actions"]["ours"]["start"]["runs"]
    peer = f"IPaddr2 of resource-agents {result['peer']}" if result["peer"] else "IPaddr2 is not installed here, so it is left out"
    print(f"Linux {result['kernel']}, {result['cpus']} processors, {machine}; {peer}. Median of {runs} runs, the contestants in turns. Wall "
          "time is that until the agent answers. The floor is one process that sends the netlink messages of the action and nothing "
          "else: no check, no announcement.\n")
    print(f"Every action, {name}. Afterwards: what lives on after the answer, to announce the address.\n")
    rows = [row("an empty Rust program", "", result["empty"])]
    for action, text in ACTIONS.items():
        for who, actions in first["actions"].items():
            if action in actions:
                rows.append(row(text, WHO[who], actions[action]))
    table(("action", "", "wall", "CPU", "processes", "execs", "system calls", "peak memory", "afterwards"), rows)

    print("\nWall time in all cases; in brackets how many times ours that is:\n")
    contestants = [who for who in WHO if who in first["actions"]]
    rows = []
    for case, taken in cases.items():
        for action in ("monitor", "start", "stop"):
            ours = taken["actions"]["ours"][action]
            others = [times(taken["actions"][who][action], ours) if who in taken["actions"] else "–" for who in contestants[1:]]
            rows.append((case, action, f"**{millis(ours['wall'])}**", *others))
    table(("", "action", "ocf-san", *[WHO[who] for who in contestants[1:]]), rows)

    print("\nFrom the moment the kernel says that the address may be used to its first announcement at the other end of the cable, median "
          "and range:\n")
    speakers = [who for who in contestants if who != "floor"]
    table(("", *[WHO[who] for who in speakers]), [(case, *[announced(taken["announced"][who]) for who in speakers]) for case, taken in cases.items()])
    print(f"\nThe binary, with all its agents: {os.path.getsize(binary) / (1 << 20):.2f} MiB, static.\n")
    print_targets(targets(first, "TCG" in machine))


def targets(taken, is_emulated):
    """What was promised, what came out, whether that is enough. Times are no promise for an emulated processor."""
    ours = taken["actions"]["ours"]
    monitor = ours["monitor"]
    rows = monitor_targets(monitor)
    if "peer" in taken["actions"]:
        value = taken["actions"]["peer"]["monitor"]["cpu"] / monitor["cpu"]
        rows.append(("monitor: 30 × less CPU than IPaddr2", ratio(value), value >= 30))
    if not is_emulated:
        rows += [(f"{action} within 20 ms", millis(ours[action]["wall"]), ours[action]["wall"] <= 0.02) for action in ("start", "stop")]
        seen = taken["announced"]["ours"]
        is_met = None not in seen and statistics.median(seen) <= 0.01
        rows.append(("announced within 10 ms of being there", announced(seen), is_met))
    return rows


main()
