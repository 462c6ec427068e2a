"""Whether what scripts/soak counted on a node has leaked.

A sample is what `count` printed, with the number of switch-overs before it. All samples of a node are taken while it has one and the same
role, and the first one after it has had both, so that what is made once (modules, caches, directories) is there from the beginning.

Things are compared one for one: the last sample has as many as the first. Figures that never stand still are judged by their slope, the
median of the slopes between all pairs of samples, which one bad sample does not bend. A figure has leaked when it grows by more than a
limit for each switch-over, over all samples and over the later half of them too, for what fills up once and then stays is no leak; and
when it has grown by more than it is off by. The limits, with the demo's target in mind:

kernel memory 48 KiB, slab included, of what the kernel has exact figures for: an iSCSI session that stays takes more than a hundred commands of more than a kilobyte, and a node gets one at every
              second switch-over. A node that is moved to and from once a day would lose 35 MiB in a year.
slab          16 KiB: the configfs tree of four LUNs and four initiators is some thousand objects, which pin a dentry, an inode and an
              entry of their own (a kilobyte) or, if they are attributes, the entry alone (a hundred bytes), so an eighth of it is seen.
descriptors   0.2: one for every fifth switch-over.
open files    0.25, and 64 of noise, for the kernel's own count is exact to 32 for each processor, at the first look and at the last.

How far memory is off (3 MiB, and 1 MiB of slab) is an estimate for a machine of 1 GiB; --json keeps the samples to check it by.

The memory of processes is not judged: none of ours may be there between two switch-overs, so it is others'. It is shown, with the processes
whose share has grown most. All that is taken is shown too, and can not be judged: page cache that is mapped is in it, and it went up by
35 MiB and down by 13 within eight switch-overs while slab and processes stood still. Pages that a driver takes one by one are in no other figure.
"""
import collections
import itertools
import statistics

EXACT = ("processes", "ocf-san processes", "iSCSI and DRBD tasks", "other kernel tasks", "configfs objects", "dm devices",
         "files of ocf-san", "temporary files")
GROWING = {"descriptors": (0.2, 4), "open files": (0.25, 64), "kernel memory KiB": (48, 3072), "slab KiB": (16, 1024)}
SHOWN = ("memory taken KiB", "processes' memory KiB", "MemAvailable KiB", "tmpfs KiB")
ENOUGH = 4  # samples, for a slope


def slope(points):
    """By how much it grows for each switch-over."""
    steps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(points, 2) if b[0] != a[0]]
    return statistics.median(steps) if steps else 0.0


def has_leaked(points, limit, noise):
    late = points[-max(3, (len(points) + 1) // 2):]
    return slope(points) > limit and slope(late) > limit and points[-1][1] - points[0][1] > noise


def difference(first, last):
    """What the last has more or less of than the first."""
    before, after = collections.Counter(first), collections.Counter(last)
    changes = [f"+{count} {name}" for name, count in sorted((after - before).items())]
    changes += [f"-{count} {name}" for name, count in sorted((before - after).items())]
    return ", ".join(changes[:4]) + (", …" if len(changes) > 4 else "")


def grown(first, last):
    """The three processes whose memory (KiB by name) has grown most, in words."""
    by = sorted(((last[name] - first.get(name, 0), name) for name in last), reverse=True)
    return ", ".join(f"{name} {first.get(name, 0)} → {last[name]} KiB" for growth, name in by[:3] if growth > 0)


def points_of(samples, name):
    return [(sample["moves"], sample["figures"][name] if name in sample["figures"] else len(sample["things"][name])) for sample in samples]


def judged(samples):
    """What was counted on one node: {name: {first, last, leaked, …}}; `leaked` is None where nothing can be said."""
    result = {}
    for name in (*EXACT, *GROWING, *SHOWN):
        points = points_of(samples, name)
        row = {"first": points[0][1], "last": points[-1][1], "samples": [list(point) for point in points], "leaked": None}
        if len(points) > 1 and name in EXACT:
            row["leaked"] = row["first"] != row["last"]
            if row["leaked"]:
                row["difference"] = difference(samples[0]["things"][name], samples[-1]["things"][name])
        elif name not in EXACT:
            row["slope"] = round(slope(points), 3)
            if len(points) >= ENOUGH and name in GROWING:
                row["leaked"] = has_leaked(points, *GROWING[name])
                row["limit"] = GROWING[name][0]
        result[name] = row
    return result
