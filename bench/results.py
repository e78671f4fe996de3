# SPDX-License-Identifier: GPL-2.0
"""What a counted boot has left: the guest's "op" lines and the plugin's records."""
import json


class Mismatch(Exception):
    """The guest's operations and the plugin's records are not the same."""


def read(path):
    """The operations of PATH.results and PATH.counts, in their order."""
    with open(path + ".results", encoding="utf-8") as f:
        lines = [line.split() for line in f if line.startswith("op ")]
    with open(path + ".counts", encoding="ascii") as f:
        records = [json.loads(line) for line in f]
    if len(lines) != len(records) or not lines:
        raise Mismatch(f"{path}: {len(records)} records for {len(lines)} operations")
    ops = []
    for words, record in zip(lines, records):
        values = {k.replace("-", " "): int(v) for k, v in (w.split("=") for w in words[2:])}
        by = record["by"]
        op = {
            "name": words[1],
            "pages": values.pop("pages"),
            "instructions": record["vcpus"][by]["instructions"],
            "guest_ns": values.pop("clock"),
            "kinds": record["vcpus"][by],
            "stats": values,
        }
        if len(record["vcpus"]) > 1:
            # On every other CPU: what was executed outside of user mode.
            op["others_kernel"] = [v["instructions"] - v["user"]
                                   for i, v in enumerate(record["vcpus"]) if i != by]
        ops.append(op)
    return ops
