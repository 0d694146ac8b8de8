"""The store by itself, for orientation; nothing is asked of it here. The runtime has anyio.py."""

from rows import rounds

def store_rows(place, table):
    program = place.program("bench/bench-store")
    for size, full, words in ((256 << 10, 2048, "256 KiB"), (1024, 65536, "1 KiB")):
        count = place.scaled(full)

        def once():
            with place.temporary() as ours, place.temporary() as bare:
                return [place.number(program, what, folder, count, size)
                        for what, folder in (("bare-puts", bare), ("puts", ours), ("bare-gets", bare),
                                             ("gets", ours))]

        took = list(zip(*rounds({"all": once}, place.runs)["all"]))
        table.compare(f"store: puts of {words}, synced every 64 / bare appends", "op/s", took[1], limit=took[0])
        table.compare(f"store: gets of {words}, one by one / pread and SHA-256", "op/s", took[3], limit=took[2])


def rows(place, table):
    store_rows(place, table)
