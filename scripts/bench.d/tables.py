"""How the reports write figures down."""


def seconds(value):
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def millis(value):
    value *= 1e3
    return f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def mebibytes(kibibytes):
    return f"{kibibytes / 1024:.1f} MiB"


def ratio(value):
    digits = 3 if value < 0.1 else 2 if value < 10 else 0
    return f"{value:.{digits}f} ×"


def table(head, rows):
    print(f"| {' | '.join(head)} |")
    print("|---" * len(head) + "|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def targets(rows):
    """What was promised, what came out, whether that is enough."""
    table(("target", "measured", ""), [(text, value, "reached" if is_met else "**missed**") for text, value, is_met in rows])


def monitor_targets(monitor):
    """What every agent's monitor is to keep to, for `targets`."""
    return [
        ("monitor: at most 2 processes", str(monitor["processes"]), monitor["processes"] <= 2),
        ("monitor: no exec", str(monitor["execs"]), not monitor["execs"]),
        ("monitor: at most 200 system calls", str(monitor["calls"]), monitor["calls"] <= 200),
    ]
