# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what in docs/ comes from the code: ``python docs/generate [parameters launch topics policy voting]``."""

import os
import sys

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))

from pages import ROOT, write_launch, write_parameters, write_topics
from security_policy import write_policy
from voting_drawings import draw_voting

DOCS = ROOT / "docs"
PARTS = {
    "parameters": lambda: write_parameters(DOCS),
    "launch": lambda: write_launch(DOCS),
    "topics": lambda: write_topics(DOCS),
    "policy": lambda: write_policy(ROOT / "config" / "sros2_policy.xml"),
    "voting": lambda: draw_voting(DOCS / "images"),
}


def main() -> int:
    """Write the parts that are named, or all; returns the exit status."""
    names = sys.argv[1:] or list(PARTS)
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        print(f"got {', '.join(unknown)}, expected some of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for name in names:
        PARTS[name]()
        print(f"{name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
