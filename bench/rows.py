"""Measuring side by side, and the table that comes of it."""

import json
import statistics
import sys


def rounds(measures, runs):
    """Runs every measure once a round, so that what disturbs one disturbs its neighbour too.

    measures is {label: function that returns a number}; returns {label: [number a round]}.
    """
    results = {label: [] for label in measures}
    for _ in range(runs):
        for label, measure in measures.items():
            results[label].append(measure())
    return results


class Table:
    """Rows as they come: printed at once, kept for bench.json. A ratio above 1 means ours is better."""

    FORMAT = "{name:66} {ours:>11} {other:>11} {unit:10} {ratio:>7} {goal:>6} {spread:>7}  {mark}"

    def __init__(self):
        self.rows = []
        print(self.FORMAT.format(name="", ours="ours", other="other", unit="", ratio="ratio", goal="goal",
                                 spread="spread", mark=""))

    def compare(self, name, unit, ours, goal=None, peer=None, limit=None, less_is_better=False,
                quartiles=False):
        """Adds a row from lists of one number a round; one of peer and limit is given.

        The ratio is the median of the rounds' ratios, and a goal is met by that; the spread is their range over
        that median, with quartiles the range of the middle half. A goal that was not met but lies inside the
        spread is marked so: more rounds might tell.
        """
        other = peer if peer is not None else limit
        ratios = [b / a if less_is_better else a / b for a, b in zip(ours, other)]
        ratio = statistics.median(ratios)
        low, high = min(ratios), max(ratios)
        if quartiles and len(ratios) > 2:
            low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        self.add({
            "name": name, "ours": round(statistics.median(ours), 3),
            "peer" if peer is not None else "limit": round(statistics.median(other), 3),
            "unit": unit, "ratio": round(ratio, 3), "runs": len(ratios),
            "spread": round((high - low) / ratio, 3) if ratio else 0,
            "goal": goal, "met": None if goal is None else ratio >= goal,
            "within": goal is not None and ratio < goal <= high})

    def not_run(self, name, unit, goal, why):
        self.add({"name": name, "ours": None, "peer": None, "unit": unit, "ratio": None, "runs": 0,
                  "spread": None, "goal": goal, "met": None, "within": False, "not_run": str(why)[:300]})

    def add(self, row):
        self.rows.append(row)
        shown = {key: "" if value is None else f"{value:.10g}" if isinstance(value, float) else value
                 for key, value in row.items()}
        mark = "within the spread" if row["within"] else {True: "met", False: "MISSED", None: ""}[row["met"]]
        if "not_run" in row:
            mark = f"not run: {row['not_run'].splitlines()[0][:80]}"
        print(self.FORMAT.format(name=row["name"], ours=shown["ours"],
                                 other=shown.get("peer", shown.get("limit", "")), unit=row["unit"],
                                 ratio=shown["ratio"], goal=shown["goal"], spread=shown["spread"], mark=mark))
        sys.stdout.flush()

    def write(self, path):
        path.write_text(json.dumps(self.rows, indent=1) + "\n")

    def summary(self):
        asked = [row for row in self.rows if row["goal"] is not None]
        met = sum(row["met"] is True for row in asked)
        within = sum(row["within"] for row in asked)
        missed = sum(row["met"] is False for row in asked) - within
        return (f"{met} goals met, {within} within the spread, {missed} missed, "
                f"{len(asked) - met - within - missed} not run")
