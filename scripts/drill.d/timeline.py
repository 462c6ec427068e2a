"""The initiator's latency over a case: from the times of acknowledged writes to bins, and from these to an SVG picture."""
import html
import math

MOST_BINS = 240
WIDTH, HEIGHT, LEFT, BOTTOM = 720, 120, 44, 18
FLOOR_MS, DECADES = 1, 6  # the picture's logarithmic scale: 1 ms to 1000 s


def bins(lines, began, seconds):
    """[[seconds since the case began, longest wait in ms], ...]: for each device the time from one acknowledged write to the next,
    which counts for all of the bins that it spans: a gap is as wide as it is high."""
    width = max(0.25, seconds / MOST_BINS)
    longest = [0.0] * max(1, math.ceil(seconds / width))
    last = {}
    for line in lines:
        try:
            moment, device = line.split()
            now = float(moment) - began
        except ValueError:
            continue
        note(longest, width, last.get(device, 0.0), now)
        last[device] = now
    for since in last.values() if last else [0.0]:
        if seconds - since > 2:  # what is between the last write and the end may be the time that judging took
            note(longest, width, since, since if last else seconds)
    return [[round(number * width, 2), round(wait * 1000, 1)] for number, wait in enumerate(longest)]


def note(longest, width, since, now):
    for number in range(max(0, int(since / width)), min(len(longest) - 1, int(now / width)) + 1):
        longest[number] = max(longest[number], now - since)


def height_of(milliseconds):
    share = math.log10(max(milliseconds, FLOOR_MS) / FLOOR_MS) / DECADES
    return min(share, 1) * (HEIGHT - BOTTOM - 6)


def picture(record):
    """Inline SVG; colours come from the page, so that it is right in light and dark."""
    data = record["timeline"]
    total = max(record["seconds"], 1)
    base = HEIGHT - BOTTOM
    across = (WIDTH - LEFT - 6) / total
    width = data[1][0] - data[0][0] if len(data) > 1 else total
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title(record))}">'
             f"<title>{html.escape(title(record))}</title>"]
    for milliseconds, words in ((10, "10 ms"), (100, "0.1 s"), (1000, "1 s"), (10_000, "10 s"), (100_000, "100 s")):
        y = base - height_of(milliseconds)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 6}" y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<text x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{words}</text>')
    step = next(step for step in (5, 10, 20, 30, 60, 120, 300, 600, 3600) if total / step <= 10 or step == 3600)
    for second in range(0, total + 1, step):
        parts.append(f'<text x="{LEFT + second * across:.1f}" y="{HEIGHT - 4}" text-anchor="middle">{second} s</text>')
    for at, wait in data:
        if wait > 0:
            tall = max(height_of(wait), 1)
            kind = "gap" if wait >= 1000 else "busy"
            parts.append(f'<rect class="{kind}" x="{LEFT + at * across:.1f}" y="{base - tall:.1f}" '
                         f'width="{max(width * across, 0.6):.2f}" height="{tall:.1f}"/>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - 6}" y1="{base}" y2="{base}"/></svg>')
    return "".join(parts)


def title(record):
    gap = record["gap_s"]
    return f"{record['name']}: time between acknowledged writes, longest {'unknown' if gap is None else f'{gap:.1f} s'}"
