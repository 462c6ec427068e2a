#!/usr/bin/env python3
"""What scripts/soak has seen, and its verdict.

usage: judge.py progress DIRECTORY
       judge.py table|json DIRECTORY KEY=VALUE...    the exit code of table says whether all is well

DIRECTORY holds what the run has written down: `moves` (JSON, a switch-over a line), count-MOVES-NODE-ROLE (what `count` said there) and
`failures` (a sentence a line). The keys are `ended` (how the run ended, empty at its time limit), `seconds`, `report` and `all` (the
writer's last answers). Judging errs to red: an answer that is missing is a failure.
"""
import json
import pathlib
import statistics
import sys

import leaks

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "drill.d"))
from report import answer, figure, lines_of  # noqa: E402


def samples_in(directory):
    """{node: (role, samples)} with the samples in their order; one whose role is another one is none."""
    found = {}
    for path in sorted(directory.glob("count-*-*-*")):
        moves, node, role = path.name.split("-")[1:]
        said = answer(path.read_text(encoding="utf-8"))
        first_role, samples = found.setdefault(node, (role, []))
        if said and role == first_role:
            samples.append({"moves": int(moves), **said})
    return found


def moves_in(directory):
    return [answer(line) for line in lines_of(directory / "moves")]


def seen_by_writer(moves):
    """The initiator's figures over all switch-overs, and what is wrong with them."""
    gaps, errors, lost, read, why = [], 0, 0, 0, []
    for number, move in enumerate(moves, 1):
        report, verified = move.get("report") or {}, move.get("verified") or {}
        if move.get("why"):
            why.append(f"switch-over {number}: {move['why']}")
        if "gap" not in report or "errors" not in report:
            why.append(f"switch-over {number}: the writer has no report")
        else:
            gaps.append(report["gap"])
            errors += report["errors"]
            if report["errors"]:
                why.append(f"switch-over {number}: {report['errors']} I/O errors: {'; '.join(report.get('texts', []))}")
        if "lost" not in verified:
            why.append(f"switch-over {number}: nothing was read back: {verified.get('failed', 'no answer')}")
        else:
            lost, read = lost + verified["lost"], read + verified["read"]
            if verified["lost"]:
                why.append(f"switch-over {number}: {verified['lost']} acknowledged writes lost: {'; '.join(verified.get('texts', []))}")
            elif not verified["read"]:
                why.append(f"switch-over {number}: no acknowledged write to read back")
    gap = {"min": min(gaps), "median": statistics.median(gaps), "max": max(gaps)} if gaps else {}
    return {"switch_overs": len(moves), "gap_s": gap, "io_errors": errors, "acknowledged_lost": lost, "read_back": read}, why


def seen_on_nodes(found):
    counted, why = {}, []
    for node, (role, samples) in found.items():
        if len(samples) < 2:
            why.append(f"{node}: counted {len(samples)} times, so nothing can be compared")
        if samples:
            counted[node] = {"role": role, "things": leaks.judged(samples),
                             "memory": [sample["memory"] for sample in samples],
                             "grown": leaks.grown(samples[0]["memory"], samples[-1]["memory"])}
    for node, seen in counted.items():
        for name, row in seen["things"].items():
            if row["leaked"]:
                detail = row.get("difference") or f"{row.get('slope')} for each switch-over, {row.get('limit')} allowed"
                why.append(f"{node} ({seen['role']}): {name} {row['first']} → {row['last']}: {detail}")
    if not found:
        why.append("nothing was counted")
    return counted, why


def judged(directory, given):
    moves = moves_in(directory)
    result, why = seen_by_writer(moves)
    counted, leaked = seen_on_nodes(samples_in(directory))
    why = lines_of(directory / "failures") + why + leaked
    if given.get("ended"):
        why.insert(0, given["ended"])
    else:
        last, everything = answer(given.get("report", "")), answer(given.get("all", ""))
        if not last or (last.get("texts") and not result["io_errors"]):
            why.append(f"I/O errors between two switch-overs: {'; '.join(last.get('texts', ['no answer']))}")
        if everything.get("lost") != 0:
            why.append(f"at the end not everything ever acknowledged is there: {given.get('all') or 'no answer'}")
        result["read_back_at_the_end"] = everything.get("read")
    if not moves:
        why.append("not one switch-over")
    return {**result, "seconds": int(given.get("seconds") or 0), "verdict": "red" if why else "green", "why": why, "counted": counted,
            "moves": moves}


def gap_words(gap):
    return f"{gap['min']:.1f} / {gap['median']:.1f} / {gap['max']:.1f} s" if gap else "?"


def progress(directory):
    result, _ = seen_by_writer(moves_in(directory))
    words = [f"{result['switch_overs']} switch-overs; gap min / median / max {gap_words(result['gap_s'])}",
             f"{result['io_errors']} I/O errors, {result['acknowledged_lost']} of {result['read_back']} acknowledged blocks lost"]
    for node, seen in seen_on_nodes(samples_in(directory))[0].items():
        things = seen["things"]
        off = [name for name in leaks.EXACT if things[name]["leaked"]]
        words.append(f"{node} {things['MemAvailable KiB']['last'] // 1024} MiB available, "
                     + (f"not as at first: {', '.join(off)}" if off else "counts as at first"))
    return "; ".join(words)


def cell(row):
    text = f"{row['first']} → {row['last']}"
    return text + (f" ({row['slope']:+.2f} a move)" if "slope" in row else "")


def verdict_of(rows):
    if any(row["leaked"] for row in rows):
        return "LEAKED"
    if any(row["leaked"] is None for row in rows):
        return "not judged"
    return "no"


def table(result):
    yield f"switch-overs              {result['switch_overs']}"
    yield f"gap, min / median / max   {gap_words(result['gap_s'])}"
    yield f"I/O errors                {result['io_errors']}"
    yield f"acknowledged writes lost  {result['acknowledged_lost']} of {result['read_back']} read back after a switch-over"
    if "read_back_at_the_end" in result:
        yield f"read back at the end      {figure(result['read_back_at_the_end'])}"
    counted = result["counted"]
    if counted:
        yield ""
        yield f"{'counted, first → last':22} " + " ".join(f"{node + ', ' + seen['role']:38}" for node, seen in counted.items()) + " leaked"
        for name in next(iter(counted.values()))["things"]:
            rows = [seen["things"][name] for seen in counted.values()]
            yield f"{name:22} " + " ".join(f"{cell(row):38}" for row in rows) + f" {'–' if name in leaks.SHOWN else verdict_of(rows)}"
        for node, seen in counted.items():
            yield f"whose memory has grown most on {node}: {seen['grown'] or 'nobody'}"
        yield ""
    for sentence in result["why"]:
        yield f"red: {sentence}"
    yield f"{result['verdict']}: {result['switch_overs']} switch-overs in {result['seconds']} s"


def main(arguments):
    match arguments:
        case ["progress", directory]:
            print(progress(pathlib.Path(directory)))
        case ["table" | "json" as form, directory, *pairs]:
            result = judged(pathlib.Path(directory), dict(pair.split("=", 1) for pair in pairs))
            print("\n".join(table(result)) if form == "table" else json.dumps(result, indent=1))
            return form == "json" or result["verdict"] == "green"
        case _:
            sys.exit(__doc__)
    return True


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
