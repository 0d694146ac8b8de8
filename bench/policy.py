"""Replacement policies by hit rate: no clock, one run. The whole table is what build/bench/bench-policy prints."""

from place import run

CAPACITY = "5%"  # of the bytes of all objects


def rows(place, table):
    """ARC beside LRU and LFU, and the best there could be. Where another hits nothing there is no ratio."""
    for line in run([place.program("bench/bench-policy")]).splitlines()[1:]:
        trace, cache, arc, lru, lfu, best = line.rsplit(None, 5)
        if cache != CAPACITY:
            continue
        for kind, other, rate in (("peer", "LRU", lru), ("peer", "LFU", lfu), ("limit", "Belady", best)):
            if float(rate):
                table.compare(f"hit rate, {trace.strip()}, cache {cache}: ARC / {other}", "%", [float(arc)],
                              **{kind: [float(rate)]})
