# SPDX-License-Identifier: MIT
"""Random operations against a model: a list of visits for each user."""

import os
import tempfile

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from recent_visits import VisitManager

users = st.integers(0, 5) | st.sampled_from([2**32 - 1, 2**31])
visit_ids = st.integers(0, 12) | st.integers(0, 2**32 - 1)
strings = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40) | (
    st.binary(max_size=400).map(lambda b: b.replace(b"\0", b"").decode("utf-8", "surrogateescape")))
times = st.integers(-50, 50)
rows = st.tuples(users, visit_ids, strings, strings, times)


class Model:
    """visits[user]: (time_ns, order, visit_id, url, text), oldest first."""

    def __init__(self, limit):
        self.limit = limit
        self.visits = {}
        self.order = 0

    def add(self, user, visit_id, url, text, time_ns):
        visits = self.visits.setdefault(user, [])
        if all(visit[2] != visit_id for visit in visits):
            self.order += 1
            visits.append((time_ns, self.order, visit_id, url, text))
            visits.sort()
            del visits[: -self.limit]

    def remove(self, user, visit_ids):
        before = self.visits.get(user, [])
        self.visits[user] = [visit for visit in before if visit[2] not in visit_ids]
        return len(self.visits[user]) < len(before)

    def read(self, user, limit=None):
        newest = [(v[2], v[3], v[4], v[0]) for v in reversed(self.visits.get(user, []))]
        return newest[:limit]

    def set_limit(self, limit):
        self.limit = limit
        for visits in self.visits.values():
            del visits[:-limit]


def plain(visits):
    return [(visit.visit_id, visit.url, visit.text, visit.time_ns) for visit in visits]


class Store(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="librv-test-")
        self.path = os.path.join(self.folder.name, "store.rv")
        self.manager = None

    @initialize(limit=st.integers(1, 6), slot_size=st.sampled_from([0, 128, 1024]))
    def open(self, limit, slot_size):
        self.model = Model(limit)
        self.manager = VisitManager(self.path, limit, slot_size=slot_size, checkpoint_interval_ms=-1)

    @rule(row=rows)
    def add(self, row):
        assert self.manager.add_visit(*row[:4], time_ns=row[4])
        self.model.add(*row)

    @rule(batch=st.lists(rows, max_size=8), batch_size=st.integers(1, 9))
    def add_many(self, batch, batch_size):
        assert self.manager.add_visits(batch, batch_size=batch_size) == len(batch)
        for row in batch:
            self.model.add(*row)

    @rule(user=users, wanted=st.lists(visit_ids, min_size=1, max_size=4))
    def delete(self, user, wanted):
        assert self.manager.delete_visits(user, wanted) == self.model.remove(user, wanted)

    @rule(user=users)
    def clear(self, user):
        self.manager.clear_user(user)
        self.model.visits.pop(user, None)

    @rule(user=users, limit=st.none() | st.integers(1, 8))
    def read(self, user, limit):
        assert plain(self.manager.get_recent_visits(user, limit)) == self.model.read(user, limit)

    @rule(limit=st.integers(1, 6))
    def open_again(self, limit):
        self.manager.close()
        self.manager = VisitManager(self.path, limit, checkpoint_interval_ms=-1)
        self.model.set_limit(limit)

    @rule()
    def sync(self):
        self.manager.sync()

    @invariant()
    def same(self):
        if self.manager is None:
            return
        known = {user for user, visits in self.model.visits.items() if visits}
        many = self.manager.get_many(known)
        assert {user: plain(visits) for user, visits in many.items()} == {
            user: self.model.read(user) for user in known}
        assert dict(self.manager.counts()) == {user: len(many[user]) for user in known}
        assert dict(self.manager.items()) == many

    def teardown(self):
        if self.manager is not None:
            assert self.manager.verify() == []
            self.manager.close()
        self.folder.cleanup()


TestStore = Store.TestCase
TestStore.settings = settings(
    max_examples=60, stateful_step_count=40, suppress_health_check=list(HealthCheck))
