"""Step 3: entries, each by itself and in its place (§1, §2, §3)."""

from . import canon, merkle
from .context import Context, Entry
from .fields import Mistyped
from .schema import check_entry

SIZE_MAX = {"run": 2_097_152, "log": 65_535}
DEPTH_MAX = 8


def read_entry(context: Context, text: str, journal: str, where: str) -> Entry:
    """Reads one entry: its size, its spelling, and its schema."""
    report = context.report
    raw = text.encode("ascii")
    value = None
    fits = len(raw) <= SIZE_MAX[journal]
    report.judge(3, "entry-limit", fits, where, f"{len(raw)} bytes")
    try:
        found = canon.read_subset(raw, DEPTH_MAX)
        report.good(3, "entry-encoding")
        check_entry(found, journal)
        report.good(3, "entry-schema")
        value = found
    except canon.NotCanonical as error:
        report.fail(3, "entry-encoding", where, str(error))
        report.skip(3, "entry-schema", where, "not canonical")
    except Mistyped as error:
        report.fail(3, "entry-schema", where, str(error))
    return Entry(raw, merkle.leaf(raw), value if fits else None)


def read_journal(context: Context, texts: list[str], journal: str, prefix: str) -> list[Entry]:
    """Reads a whole journal and checks each entry against its place."""
    entries = []
    clock = ""
    for position, text in enumerate(texts):
        where = f"{prefix}[{position}]"
        entry = read_entry(context, text, journal, where)
        previous = entries[-1] if entries else None
        entries.append(entry)
        if entry.value is None:
            codes = ["entry-run", "entry-seq", "entry-prev", "entry-time"]
            context.report.skip(3, codes, where, "the entry cannot be read")
        else:
            _check_place(context, entry.value, position, previous, journal, where)
            ok = entry.value["at"] >= clock
            context.report.judge(3, "entry-time", ok, where, f"before {clock}")
            clock = max(clock, entry.value["at"])
    return entries


def _check_place(context: Context, value: dict, position: int, previous: Entry | None, journal: str, where: str):
    report = context.report
    if journal == "run":
        report.judge(3, "entry-run", value["run"] == context.run, where, f"of run {value['run']}")
    report.judge(3, "entry-seq", value["seq"] == position, where, f"has seq {value['seq']}")
    expected = previous.leaf if previous else _genesis(context, value, journal)
    if expected is None:
        report.skip(3, "entry-prev", where, "entry 0 is not a run.opened")
    else:
        report.judge(3, "entry-prev", value["prev"] == expected.hex(), where, "not the hash before it")


def _genesis(context: Context, value: dict, journal: str) -> bytes | None:
    """The seed of a run is its plan's digest as entry 0 states it, of the log the word `log`."""
    if journal == "log":
        return merkle.genesis(context.log, "log")
    if value["type"] != "run.opened":
        return None
    return merkle.genesis(f"{context.log}/run/{context.run}", value["body"]["plan"])


def read_entries(context: Context):
    """Reads all entries of the bundle into the context."""
    bundle = context.bundle
    if context.kind == "run":
        context.entries = read_journal(context, bundle["entries"], "run", "entries")
        for part in ("opened", "sealed"):
            if part in bundle["log"]:
                entry = read_entry(context, bundle["log"][part]["entry"], "log", f"log.{part}")
                setattr(context, part, entry)
    if "entries" in bundle["log"]:
        context.log_entries = read_journal(context, bundle["log"]["entries"], "log", "log.entries")
    context.receipts = [
        read_entry(context, anchor["entry"], "log", f"anchors[{index}].entry")
        for index, anchor in enumerate(bundle["anchors"])
    ]


def all_readable(context: Context) -> bool:
    """Whether every entry of the run is canonical and in its schema, as steps 6 to 8 need it."""
    return all(entry.value is not None for entry in context.entries)
