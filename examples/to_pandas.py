# SPDX-License-Identifier: MIT
"""Loads a store into a pandas DataFrame, beside whoever writes it, and counts its hosts.

    python3 examples/to_pandas.py visits.rv
"""

import sys
from urllib.parse import urlsplit

import pandas as pd

from recent_visits import VisitManager


def frame(manager, limit=None):
    """All visits: user_id, visit_id, url, text, time to the nanosecond in UTC."""
    rows = [
        (user_id, visit.visit_id, visit.url, visit.text, visit.time_ns)
        for user_id, visits in manager.items(limit)
        for visit in visits
    ]
    result = pd.DataFrame(rows, columns=["user_id", "visit_id", "url", "text", "time"])
    result["time"] = pd.to_datetime(result["time"], unit="ns", utc=True)
    return result.astype({"user_id": "uint32", "visit_id": "uint32"})


def host(url):
    try:
        return urlsplit(url).netloc
    except ValueError:  # urls are what clients sent
        return ""


def main(path):
    with VisitManager(path, mode="read-only") as manager:
        visits = frame(manager)
    print(f"{len(visits)} visits of {visits['user_id'].nunique()} users")
    print(visits["url"].map(host).value_counts().head(10).to_string())


if __name__ == "__main__":
    main(sys.argv[1])
