"""A second verifier of agora's evidence bundles, written from the format page alone.

Sections (§) are those of the page `audit.md`: §1 bytes, §2 entries, §3 tree and notes, §4 the log, §5 keys,
§6 statements, §7 anchors, §8 the bundle, §9 the steps and their codes, §10 axes and report.
"""

VERSION = "0.1.0"
SPEC = "agora-bundle/v1"
