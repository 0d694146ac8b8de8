#!/usr/bin/env python3
"""The contract against what ran: `contract.py LIST LOG SEEDS` prints each number of LIST (contract.txt)
with the tests that show it, and how they ended by backend and mode; LOG is what conformance.c recorded.
Ends with 1 when a number has no test somewhere it should, or a test failed, was skipped, or ran with fewer
seeds than SEEDS on the simulation."""
import re
import sys

PLACES = [(backend, mode) for backend in ("uring", "uv", "sim") for mode in ("strict", "budget")]


def numbers(name):
    """The numbers a test's name begins with: c54_r14_... and c35_36_... say two."""
    found, letter = [], ""
    for token in name.split("_"):
        match = re.fullmatch(r"([cr]?)(\d\d)[a-z]?", token)
        if not match or not (match[1] or letter):
            break
        letter = match[1] or letter
        found.append(letter + match[2])
    return found


def read_list(path):
    contract = {}
    for line in open(path):
        match = re.fullmatch(r"([cr]\d\d) ([^|]+?)(?: \| (.+))?\n", line)
        if match:
            contract[match[1]] = (match[2], match[3])
    return contract


def read_log(path):
    """{place: {test: (seeds, result)}}, and the backends that were skipped."""
    runs, skipped = {place: {} for place in PLACES}, set()
    for line in open(path):
        name, seeds, result = line.split()
        if result == "skipped":
            skipped.add(name)
            continue
        backend, mode, test = name.split("/", 2)
        runs[backend, mode][test] = (int(seeds), result)
    return runs, skipped


def state(tests, place, why_not, least, complain):
    """One cell of the table."""
    if not tests:
        if place[0] == "sim" and why_not:
            return "-"
        complain("has no test on %s, %s" % place)
        return "NONE"
    if place[0] == "sim" and why_not:
        complain("has a test on sim, but is listed as not possible there")
    for test, (seeds, result) in tests.items():
        if result != "ok":
            complain("%s failed on %s, %s" % (test, *place))
            return "FAILED"
        if place[0] == "sim" and seeds < least:
            complain("%s ran with %d seeds only" % (test, seeds))
    return "ok" if place[0] != "sim" else str(min(seeds for seeds, _ in tests.values()))


def main():
    contract = read_list(sys.argv[1])
    runs, skipped = read_log(sys.argv[2])
    least = int(sys.argv[3])
    bad, shown = ["backend %s was skipped" % name for name in sorted(skipped)], set()
    print("%-4s %-15s %-15s %-15s" % ("", "uring", "uv", "sim (seeds)"))
    print("%-4s %s" % ("", " ".join("%-7s" % mode for _, mode in PLACES)))
    for number, (text, why_not) in contract.items():
        cells, names = [], []
        for place in PLACES:
            tests = {test: run for test, run in runs[place].items() if number in numbers(test)}
            names += [test for test in tests if test not in names]
            cells.append(state(tests, place, why_not, least, lambda text: bad.append(f"{number} {text}")))
        shown.update(names)
        print("%-4s %s %s" % (number, " ".join("%-7s" % cell for cell in cells), text))
        for name in names:
            print("%-52s %s" % ("", name))
        if why_not:
            print("%-52s not on sim: %s" % ("", why_not))
    for place in PLACES:
        for test, (_, result) in runs[place].items():
            bad += ["%s names %s, which is not in the list" % (test, number)
                    for number in numbers(test) if number not in contract]
            if result != "ok" and test not in shown:
                bad.append("%s failed on %s, %s" % (test, *place))
    cases = sum(number[0] == "c" for number in contract)
    if (cases, len(contract)) != (65, 82):
        bad.append("the list has %d numbers, %d of them cases" % (len(contract), cases))
    every = sum(len(tests) for tests in runs.values())
    print("\n%d cases and %d rules, shown by %d tests; with those of no number %d runs of a test in a mode; "
          "%d on sim with all their seeds" % (cases, len(contract) - cases, len(shown), every,
                                              len(runs["sim", "strict"]) + len(runs["sim", "budget"])))
    for line in dict.fromkeys(bad):
        print("conformance: " + line, file=sys.stderr)
    print("conformance: " + ("%d complaints" % len(bad) if bad else "all passing, none skipped"))
    return 1 if bad else 0


sys.exit(main())
