#!/usr/bin/env python3
"""Makes markdown of what scripts/bench switchover measured: report_switchover.py RESULT.json. Fails when a run in it did."""
import json
import statistics
import sys

from tables import millis, ratio, table, targets
from tables import seconds as whole_seconds

WHO = {"peer": "the replaced stack", "ours": "**ocf-san**", "quiet": "**ocf-san**, notify=false", "floor": "floor"}
GAP, SHARE, NEAR = 1 / 3, 0.10, 1.10  # the goals


def seconds(value):
    return whole_seconds(value) if abs(value) >= 1 else millis(value)


def percent(value):
    return f"{100 * value:.1f} %"


def values(events, who, kind, key):
    return [event[key] for event in events if (event["who"], event["event"]) == (who, kind) and event.get(key) is not None]


def median(events, who, kind, key):
    found = values(events, who, kind, key)
    return statistics.median(found) if found else None


def cell(events, who, kind, key):
    """The median, and between which others it lies."""
    found = values(events, who, kind, key)
    if not found:
        return "–"
    spread = f" ({seconds(min(found))} to {seconds(max(found))})" if len(found) > 1 else ""
    return seconds(statistics.median(found)) + spread


def part(events, who, kind):
    """The agents' share of the gap, or for the floor of the time until the last start."""
    share = median(events, who, kind, "share")
    return "–" if share is None else percent(share)


def goals(events, token):
    """What was promised, what came out, whether that is enough."""
    peer = median(events, "peer", "move", "gap")
    for who, which in (("ours", ""), ("quiet", ", notify=false")):
        gap, share = (median(events, who, "move", key) for key in ("gap", "share"))
        if gap is not None and peer:
            yield f"planned move{which}: at most 1/3 of the gap of the replaced stack", \
                f"{ratio(gap / peer)} ({seconds(gap)} of {seconds(peer)})", gap / peer <= GAP
        if share is not None:
            taken = seconds(median(events, who, "move", "agents"))
            yield f"planned move{which}: the agents' own share below 10 % of the gap", f"{percent(share)} ({taken})", share < SHARE
    gap, floor = median(events, "ours", "cut", "gap"), median(events, "floor", "cut", "loss_to_started")
    if gap is not None and floor is not None and token:
        yield "power cut: the gap within 10 % of token time-out and floor", \
            f"{ratio(gap / (token + floor))} ({seconds(gap)} of {seconds(token)} + {seconds(floor)})", gap <= NEAR * (token + floor)


def ratios(events, kind, key):
    """Ours against the others."""
    ours = median(events, "ours", kind, key)
    found = []
    for who in ("peer", "floor"):
        other = median(events, who, kind, key)
        found.append("–" if not other or ours is None else ratio(ours / other))
    return found


def compared(events, contestants, kind):
    rows = []
    for who in contestants:
        rows.append((WHO[who], cell(events, who, kind, "gap"), cell(events, who, kind, "to_started"), cell(events, who, kind, "transition"),
                     cell(events, who, kind, "agents"), part(events, who, kind), cell(events, who, kind, "after_start"),
                     str(len(values(events, who, kind, "to_started")))))
    table(("", "gap", "to the last start", "first action to last start", "of it the agents", "their share", "last start to first write", "runs"),
          rows)


def cuts(events, contestants):
    keys = (("loss", "cut to token loss"), ("membership", "to the new membership"), ("to_first_action", "to the first action"),
            ("agents", "agents"), ("handler", "of it fence-peer"), ("starts", "of it starts"), ("to_started", "to the last start"))
    table(("", *[text for _, text in keys]), [(WHO[who], *[cell(events, who, "cut", key) for key, _ in keys]) for who in contestants])


def chain(events, contestants, kind):
    """The actions that a fail-over waits for, one after the other, with the median of each. A run in which others were waited for than
    in the first one has no part in that; the lines say how many have."""
    for who in contestants:
        paths = [event["path"] for event in events if (event["who"], event["event"]) == (who, kind) and event.get("path")]
        if not paths:
            continue
        names = [[f"{step['resource']} {step['action']}" for step in path] for path in paths]
        alike = [path for path, steps in zip(paths, names) if steps == names[0]]
        texts = [f"{name} {seconds(statistics.median(path[n]['seconds'] for path in alike))}" for n, name in enumerate(names[0])]
        yield f"- {WHO[who]} ({len(alike)} of {len(paths)}): {', '.join(texts)}"


def main(file_name):
    with open(file_name, encoding="utf-8") as file:
        result = json.load(file)
    facts, events, why = result["facts"], result["events"], result["why"]
    contestants = [who for who in WHO if any(event["who"] == who for event in events)]
    token, consensus = (int(facts[key]) / 1000 for key in ("token", "consensus"))
    machine = "QEMU with KVM" if facts["accel"] == "kvm" else "QEMU without KVM (TCG), so everything takes some ten times as long as on hardware"
    print(f"Linux {facts['kernel']}, {facts['cpus']} processors a guest, {machine}; pacemaker {facts['pacemaker']}, corosync "
          f"{facts['corosync']} with a token time-out of {seconds(token)} and {seconds(consensus)} for the consensus, drbd-utils "
          f"{facts['drbd-utils']}, resource-agents {facts['resource-agents']}. Medians, and in brackets the range; the contestants in turns "
          "on the same guests.\n")
    if reached := list(goals(events, token)):
        targets(reached)
        print()
    rows = []
    for kind, text in (("move", "planned move"), ("cut", "power cut")):
        for key, name in (("gap", "gap"), ("to_started", "to the last start"), ("agents", "agents")):
            found = ratios(events, kind, key)
            if found != ["–", "–"]:
                rows.append((text, name, *found))
    if rows:
        print("How many times theirs ours takes:\n")
        table(("", "", WHO["peer"], WHO["floor"]), rows)
    for kind, text in (("move", "Planned move"), ("cut", "Power cut of the active node")):
        if any(event["event"] == kind for event in events):
            print(f"\n{text}:\n")
            compared(events, contestants, kind)
            print("\nWhat it waited for, one after the other:\n")
            print("\n".join(chain(events, contestants, kind)))
    if any(event["event"] == "cut" for event in events):
        print("\nThe power cut in parts, all from the cut on but for the agents':\n")
        cuts(events, contestants)
    written = [event for event in events if event["who"] != "floor"]
    errors, lost, read = (sum(event.get(key) or 0 for event in written) for key in ("errors", "lost", "read"))
    off = max((event["clock_off"] for event in events if event["clock_off"]), default=0)
    print(f"\n{len(events)} events: {errors} I/O errors, {lost} acknowledged writes lost of {read} read back. Clocks are compared to within "
          f"{off * 1000:.0f} ms.")
    for event in events:
        for note in event["notes"]:
            print(f"- meanwhile, {WHO[event['who']]}, {event['event']}, round {event['round']}: {note.strip(' *')}")
    for sentence in why:
        print(f"- **FAILED**: {sentence}")
    return bool(why or not events)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
