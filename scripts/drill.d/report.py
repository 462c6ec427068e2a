#!/usr/bin/env python3
"""The verdicts of scripts/drill, and what is made of them.

usage: report.py judge DIRECTORY KEY=VALUE...     one case: writes DIRECTORY/record.json, prints the verdict
       report.py table|json|html CASES NAME...    all that have a record in CASES, in the order of the names, on stdout
       report.py red FILE NAME...                 which of the names have no green record, nor one that is told, in what `json` wrote

DIRECTORY holds what the run has written down: failures and notes (a sentence a line), acknowledged (time and device of each write that
was acknowledged since the case began), cluster-during (crm_mon). Judging errs to red: an answer that is missing is a failure. A case of
which the table says that it loses writes, and that did so and is not red otherwise, is neither green nor red but "told".
"""
import json
import pathlib
import re
import sys

import page
import timeline


def lines_of(path):
    return [line for line in path.read_text(errors="replace").splitlines() if line.strip()] if path.exists() else []


def answer(text):
    """An answer of the writer as a dictionary; empty when it has none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# As `crm_mon` writes them, and as it does with --show-detail.
FAILED = (
    re.compile(r"\* (p_\w+)(?::\d+)? (?:\S+-interval )?([\w-]+) on (\w+) (?:returned '([^']*)'(?: \((.*?)\))?|could not be executed \((.*?)\))"
               r"(?= at |$)"),
    re.compile(r"\* (p_\w+?)(?::\d+)?_([a-z]+)_\d+ on (\w+) '([^']*)'.*?exitreason='([^']*)'"),
)


def reasons_in(crm_mon):
    """What Pacemaker says of actions that failed: resource, action, node and reason."""
    found = []
    for line in crm_mon:
        match = FAILED[0].search(line) or FAILED[1].search(line)
        if match:
            resource, action, node, code, *reasons = match.groups()
            found.append(f"{resource} {action} on {node}: {next(filter(None, reasons), code)}")
    return found


def judged(directory, given):
    """The record of one case."""
    report, verified = answer(given.get("report", "")), answer(given.get("verified", ""))
    why = lines_of(directory / "failures")
    gap, errors, lost, read = report.get("gap"), report.get("errors"), verified.get("lost"), verified.get("read")
    limit = float(given["limit"])
    if gap is None or errors is None:
        why.append("the writer has no report")
    else:
        if errors:
            why.append(f"{errors} I/O errors at the initiator: {'; '.join(report.get('texts', []))}")
        if gap > limit:
            why.append(f"{gap:.1f} s without a completed write, {limit:.0f} s allowed")
        if report.get("writes", 0) == 0:
            why.append("not one write was completed")
    if lost is None:
        why.append(f"nothing was read back: {verified.get('failed', 'no answer')}")
    elif lost and given.get("may_lose") != "yes":
        why.append(f"{lost} acknowledged writes lost: {'; '.join(verified.get('texts', []))}")
    elif not read:
        why.append("no acknowledged write to read back")
    notes = lines_of(directory / "notes")
    if lost and not why:
        notes.append(f"{lost} acknowledged writes lost, as the table says")
    verdict = "red" if why else "told" if lost else "green"
    bins = timeline.bins(lines_of(directory / "acknowledged"), float(given["began"] or 0), float(given["seconds"]))
    return {
        "name": given["name"], "group": given["group"], "does": given["does"], "must": given["must"], "outcome": given["outcome"],
        "why_not": given.get("why_not", ""), "verdict": verdict, "why": why, "notes": notes,
        "gap_s": gap, "gap_allowed_s": limit, "io_errors": errors, "acknowledged_lost": lost, "read_back": read,
        "from": given["from"], "to": given["to"], "recoveries": int(given["recoveries"]), "seconds": int(given["seconds"]),
        "reasons": reasons_in(lines_of(directory / "cluster-during")), "timeline": bins,
    }


def records(cases, names):
    found = [pathlib.Path(cases, name, "record.json") for name in names]
    return [json.loads(path.read_text()) for path in found if path.exists()]


def red(file, names):
    well = {record["name"] for record in json.loads(file.read_text())["cases"] if record["verdict"] in ("green", "told")}
    return [name for name in names if name not in well]


def figure(value, form="{}"):
    return "?" if value is None else form.format(value)


def table(all_records):
    yield f"{'case':26} {'verdict':7} {'gap s':>7} {'I/O err':>7} {'lost':>5} {'read back':>9} {'runs on':14} {'starts':>6}"
    for record in all_records:
        where = record["to"] or "nowhere"
        if record["from"] != record["to"]:
            where = f"{record['from']} → {where}"
        yield (f"{record['name']:26} {record['verdict']:7} {figure(record['gap_s'], '{:.1f}'):>7} {figure(record['io_errors']):>7} "
               f"{figure(record['acknowledged_lost']):>5} {figure(record['read_back']):>9} {where:14} {record['recoveries']:>6}")
        for sentence in record["why"]:
            yield f"    red: {sentence}"
        if record["why_not"]:
            yield f"    note: {record['why_not']}"
        for sentence in record["notes"]:
            yield f"    seen: {sentence}"
    yield f"{len(all_records)} cases, {in_words(all_records)}"


def in_words(all_records):
    """How many of each verdict."""
    green, told, red = (sum(record["verdict"] == verdict for record in all_records) for verdict in ("green", "told", "red"))
    return f"{green} green, {f'{told} not survived, as the table says, ' if told else ''}{red} red"


def main(arguments):
    match arguments:
        case ["judge", directory, *pairs]:
            record = judged(pathlib.Path(directory), dict(pair.split("=", 1) for pair in pairs))
            pathlib.Path(directory, "record.json").write_text(json.dumps(record) + "\n")
            print(f"{record['verdict']}: {figure(record['gap_s'], '{:.1f}')} s gap, {figure(record['io_errors'])} errors, "
                  f"{figure(record['acknowledged_lost'])} of {figure(record['read_back'])} lost, {record['recoveries']} starts "
                  f"({record['seconds']} s)")
            for sentence in record["why"] + record["reasons"]:
                print(f"  {sentence}")
        case ["table", cases, *names]:
            print("\n".join(table(records(cases, names))))
        case ["json", cases, *names]:
            json.dump({"cases": records(cases, names)}, sys.stdout, indent=1)
            print()
        case ["red", file, *names]:
            for name in red(pathlib.Path(file), names):
                print(name)
        case ["html", cases, *names]:
            print(page.page(records(cases, names)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
