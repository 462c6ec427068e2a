#!/usr/bin/env python3
"""VIP, in a network namespace that nobody else uses: measures all contestants in turns and prints the figures as one JSON object. Progress
goes to stderr."""

import argparse
import json
import os
import platform
import sys
import tempfile

import wire
from measure import HERE, OCF, PATH, Call, Taken, environment, median, version

LINGER = 15  # seconds; announcing goes on for some six after a start
ANNOUNCED_WITHIN = 10  # seconds from the start of the agent
RUNNING, STOPPED = 0, 7

# The first is as in the cluster that this suite was written for. Whichever comes first is measured in every action, the others in three.
CASES = {
    "v4": {"ip": "192.0.2.50", "cidr_netmask": 26, "iflabel": 1},
    "v4, run_arping": {"ip": "192.0.2.50", "cidr_netmask": 26, "iflabel": 1, "run_arping": "true"},
    "v6, nodad": {"ip": "2001:db8::50", "cidr_netmask": 64, "nodad": "true"},
    "v6": {"ip": "2001:db8::50", "cidr_netmask": 64},
}
# Those whose start looks for nobody else. The floor never does, so it is measured there only.
AT_ONCE = ("v4", "v6, nodad")
COMMON = {"nic": wire.NIC, "arp_interval": 200, "arp_count": 5}


class Agent:
    """A resource agent with the parameters of IPaddr2."""

    def __init__(self, path, state, case, many, is_first):
        self.actions = ("probe", "start", "monitor", "again", "stop", "validate-all") if is_first else ("start", "monitor", "stop")
        self.path, self.state, self.params, self.many = path, state, CASES[case] | COMMON, many

    def call(self, action):
        name = {"probe": "monitor", "again": "start"}.get(action, action)
        interval = 5000 if action == "monitor" else 0
        env = environment("p_vip", os.path.basename(self.path), CRM_meta_interval=interval, CRM_meta_name=name, **self.params)
        code = STOPPED if action == "probe" else RUNNING
        return Call([self.path, name], env | {"HA_RSCTMP": self.state}, code, LINGER if name == "start" else 0)


class Floor:
    """The netlink messages alone, without an announcement."""

    actions = ("probe", "start", "monitor", "stop")

    def __init__(self, case, many):
        params = CASES[case]
        self.many = many
        self.args = [params["ip"], str(params["cidr_netmask"]), wire.NIC]
        if "iflabel" in params:
            self.args.append(f"{wire.NIC}:{params['iflabel']}")

    def call(self, action):
        code = STOPPED if action == "probe" else 0
        return Call([f"{HERE}/vip_floor", "monitor" if action == "probe" else action, *self.args], expect=code)


def expect(who, action, address, is_there):
    """Nothing is measured that did not do its work."""
    if (f" {address}/" in wire.addresses()) != is_there:
        sys.exit(f"bench: after {action} of {who} {address} is {'not ' if is_there else ''}there")


class Announced(Taken):
    """The figures of one case, and when its address was announced."""

    def __init__(self, case, cable):
        super().__init__(case)
        self.cable, self.address, self.announced = cable, CASES[case]["ip"], {}

    def once(self, who, contestant):
        """All actions of one contestant, in an order that leaves nothing behind."""
        for action in contestant.actions:
            call = contestant.call(action)
            self.cable.drain()
            process = call.begin(1 if action in ("start", "again", "stop") else contestant.many)
            announced = None
            if action == "start" and isinstance(contestant, Agent):
                announced = self.cable.announcement(self.address, ANNOUNCED_WITHIN)
                self.announced.setdefault(who, []).append(announced)
            self.note(who, action, call.end(process), "" if announced is None else f", announced after {announced * 1e3:.2f} ms")
            if action in ("start", "stop"):
                expect(who, action, self.address, action == "start")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", default=f"{OCF}/resource.d/san/VIP")
    parser.add_argument("--peer", default=f"{OCF}/resource.d/heartbeat/IPaddr2", help="left out where it is not installed")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", default=";".join(CASES), help="separated by semicolons")
    parser.add_argument("--only", default="", help="contestants, separated by commas")
    options = parser.parse_args()
    os.environ["PATH"] = PATH
    wanted = options.only.split(",") if options.only else ("ours", "floor", "peer")
    has_peer = os.access(options.peer, os.X_OK) and "peer" in wanted

    state = tempfile.TemporaryDirectory()
    cable = wire.Cable()
    result = {"kernel": platform.release(), "cpus": os.cpu_count(), "peer": version("resource-agents") if has_peer else None, "cases": {}}
    empty = Call([f"{HERE}/empty"])
    empties = []
    try:
        for case in [name.strip() for name in options.cases.split(";")]:
            is_first = not result["cases"]
            contestants = {"ours": Agent(options.ours, state.name, case, 50, is_first)}
            if case in AT_ONCE:
                contestants["floor"] = Floor(case, 50)
            if has_peer:
                contestants["peer"] = Agent(options.peer, state.name, case, 3, is_first)
            contestants = {who: contestant for who, contestant in contestants.items() if who in wanted}
            taken = Announced(case, cable)
            for _ in range(options.runs):
                empties.append(empty.measure(50))
                for who, contestant in contestants.items():
                    taken.once(who, contestant)
            for who, contestant in contestants.items():
                taken.trace(who, contestant, contestant.actions)
            result["cases"][case] = {"actions": taken.result(), "announced": taken.announced}
        result["empty"] = median(empties) | empty.trace()
    finally:
        cable.close()
        state.cleanup()
    json.dump(result, sys.stdout, indent=1)


main()
