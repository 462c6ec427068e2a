#!/usr/bin/env python3
"""LIO, in the guest: measures all contestants in turns and prints the figures as one JSON object. Progress goes to stderr."""

import argparse
import json
import os
import platform
import subprocess
import sys

import devices
import lio_config as config
from measure import HERE, OCF, PATH, Call, add, agents, environment, median, say

TREE = "/sys/kernel/config/target"


class Ours:
    def __init__(self, file):
        self.env = environment("p_lio", "LIO", config=file)

    def call(self, action):
        return Call([f"{OCF}/resource.d/san/LIO", action], self.env)

    def calls(self, action):
        return [self.call(action)]


class Floor:
    def __init__(self, file):
        self.file = file

    def calls(self, action):
        return [Call([f"{HERE}/lio_floor", "up" if action == "start" else "down", self.file])]


class Targetctl:
    def __init__(self, file):
        self.file = file

    def calls(self, action):
        return [Call(["targetctl", "restore", self.file] if action == "start" else ["targetctl", "clear"])]


class ResourceAgents:
    """iSCSITarget and one iSCSILogicalUnit for each LUN, with lio-t."""

    def __init__(self, luns, acls):
        initiators = " ".join(config.initiator(a) for a in range(acls))
        portal = f"{config.PORTAL[0]}:{config.PORTAL[1]}"
        target = environment("p_target", "iSCSITarget", implementation="lio-t", iqn=config.IQN, portals=portal, allowed_initiators=initiators)
        self.all = [("iSCSITarget", target)]
        for n in range(luns):
            lun = {"implementation": "lio-t", "target_iqn": config.IQN, "lun": n, "path": config.device(n)}
            self.all.append(("iSCSILogicalUnit", environment(f"p_lun{n}", "iSCSILogicalUnit", **lun)))

    def calls(self, action):
        calls = [Call([f"{OCF}/resource.d/heartbeat/{agent}", action], env) for agent, env in self.all]
        return calls[::-1] if action == "stop" else calls


def count(pattern):
    """Directories that match, by one level of names at a time."""
    return int(subprocess.run(f"ls -d {TREE}/{pattern} 2>/dev/null | wc -l", shell=True, check=True, stdout=subprocess.PIPE).stdout)


def expect(what, luns, acls):
    """Nothing is measured that did not do its work."""
    tpg = f"iscsi/{config.IQN}/tpgt_1"
    live = (count(f"{tpg}/lun/lun_*/statistics"), count(f"{tpg}/acls/*/lun_*/write_protect"), count("core/iblock_*/*/udev_path"))
    if live != (luns, luns * acls, luns):
        sys.exit(f"bench: after {what}: {live} LUNs, mapped LUNs, backstores; {(luns, luns * acls, luns)} expected")


def layout(text):
    luns, acls = map(int, text.split("x"))
    return luns, acls


class Monitors:
    """Monitors are taken while their contestant is up anyway: to start the slow ones takes a minute."""

    COUNTS = {"ours": 100, "empty": 100, "shell": 20, "agents": 2}  # runs of the driver's loop

    def __init__(self):
        self.taken = {}

    def take(self, who, calls):
        figures = add([call.measure(self.COUNTS[who]) for call in calls])
        say(f"monitor: {who} {figures['wall'] * 1e3:.2f} ms")
        if who not in self.taken:
            self.taken[who] = {"trace": agents(calls, Call.trace), "runs": []}
        self.taken[who]["runs"].append(figures)

    def all(self, who, contestant):
        env = environment("p_lio", "LIO")
        if who == "ours":
            self.take("empty", [Call([f"{HERE}/empty"], env)])
            self.take("shell", [Call([f"{HERE}/shell-monitor", "monitor"], env)])
        if who in self.COUNTS:
            self.take(who, contestant.calls("monitor"))

    def result(self):
        return {who: median(t["runs"]) | t["trace"] | {"count": self.COUNTS[who]} for who, t in self.taken.items()}


def start_and_stop(name, contestants, runs, monitors):
    luns, acls = layout(name)
    taken = {}
    for run in range(max(runs.values())):
        for who, contestant in contestants.items():
            if run >= runs[who]:
                continue
            for action in ("start", "stop"):
                figures = agents(contestant.calls(action))
                say(f"{name} run {run + 1}: {who} {action} {figures['wall']:.3f} s")
                if action == "start":
                    expect(f"{who} {action}", luns, acls)
                    if monitors:
                        monitors.all(who, contestant)
                else:
                    expect(f"{who} {action}", 0, 0)
                taken.setdefault(who, {}).setdefault(action, []).append(figures)
    return taken


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--layouts", default="4x4 64x16 250x16")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--slow-runs", type=int, default=1, help="of targetctl with 2,000 mapped LUNs and more, and of the shell agents")
    parser.add_argument("--only", default="", help="contestants, separated by commas")
    parser.add_argument("--skip", default="", help="WHO:LAYOUT,...")
    options = parser.parse_args()
    os.environ["PATH"] = PATH
    sizes = options.layouts.split()
    files = {}
    devices.make([(f"bench{n}", "") for n in range(max(layout(size)[0] for size in sizes))])
    os.umask(0o077)
    for size in sizes:
        files[size] = f"/root/bench-{size}.json"
        with open(files[size], "w", encoding="utf-8") as file:
            json.dump(config.make(f"{HERE}/saveconfig.json", *layout(size)), file, sort_keys=True, indent=2)
    wanted = options.only.split(",") if options.only else None

    say("loading the modules")
    for action in ("start", "stop"):
        agents(Ours(files[sizes[0]]).calls(action))
    monitors = Monitors()
    result = {"kernel": platform.release(), "cpus": os.cpu_count(), "layouts": {}}
    for size in sizes:
        file, (luns, acls) = files[size], layout(size)
        contestants = {"ours": Ours(file), "floor": Floor(file), "targetctl": Targetctl(file)}
        runs = {"ours": options.runs, "floor": options.runs, "targetctl": options.slow_runs if luns * acls >= 2000 else options.runs}
        if luns <= 4:
            contestants["agents"] = ResourceAgents(luns, acls)
            runs["agents"] = options.slow_runs
        skipped = options.skip.split(",")
        runs = {who: n for who, n in runs.items() if (wanted is None or who in wanted) and f"{who}:{size}" not in skipped}
        contestants = {who: contestants[who] for who in runs}
        taken = start_and_stop(size, contestants, runs, monitors if size == sizes[0] else None)
        result["layouts"][size] = {who: {a: median(t) for a, t in actions.items()} for who, actions in taken.items()}

    result["monitor"] = monitors.result()
    json.dump(result, sys.stdout, indent=1)


main()
