# SPDX-License-Identifier: MIT
"""Random search for a way to break the protocol. See README.md."""
import argparse
import random
import sys
import time

from audit import audit
from disk import Bug, Cut, Disk, Kill
from runs import Full
from store import New, Store

USERS = 12

WRONG = [
    'forget the flight', 'forget the durable', 'D before E', 'no barrier', 'E raised twice',
    'no limbo', 'no limbo for segments', 'chain keeps its tag', 'overflow freed by a move',
    'durable before the sync', 'left-over checkpoint counts', 'blocks sampled late',
    'no sync before a record', 'clean left when the other record is torn',
    'recovery without a sync', 'recovery keeps the identity',
    'no wipe', 'cells not wiped', 'all cells written', 'moved not cleared',
    'no undo log', 'free link unlogged', 'publish offset left', 'publish offset dropped first',
    'directory not redone', 'counter after the publish', 'no sweep',
]


class Search:
    """One store, driven at random, and what it should hold."""

    def __init__(self, seed, wrong='', steps=150):
        self.rng = rng = random.Random(seed)
        self.disk, self.wrong, self.steps = Disk(rng), wrong, steps
        self.boot, self.mount, self.next_visit = 1, 1, 1
        self.max_blocks = rng.choice((32, 44, 60))
        self.pace = rng.choice((.003, .02, .1))         # checkpoint steps a store
        self.risk = rng.choice((.02, .08, .3))          # accidents an operation
        self.in_hook, self.flight = False, None
        self.log = []
        # user -> [(epoch, visits newest first)]: what the user had from that epoch on
        self.history = [[(0, [])] for _ in range(USERS)]
        self.create(rng.choice((1, 2, 3, 4)))

    def create(self, limit):
        for key, value in (('E', 1), ('D', 0), ('blocks', 4), ('limit', limit), ('identity', (1, 1))):
            self.disk.put(('live', key), value)
        self.disk.put(('file', 'size'), 4)
        self.attach()
        self.store.write_record(0, 4, limit, 0)
        self.store.sync()
        self.disk.hook = self.hook

    def attach(self):
        self.store = Store(self.disk, self.rng, self.wrong, self.max_blocks)
        self.store.told = self.told

    def hook(self, chance=1):
        """A checkpoint goes on while other things happen."""
        if not self.in_hook and self.rng.random() < self.pace * chance * (5 if chance < 1 else 1):
            self.in_hook = True
            for _ in range(self.rng.choice((1, 1, 1, 8))):
                self.store.checkpoint_step()
            self.in_hook = False

    # -- what it should hold

    def expected(self, user):
        return self.history[user][-1][1][:self.store.live('limit')]

    def told(self, epoch):
        if self.flight:
            self.flight[2] = epoch

    def acknowledge(self):
        user, visits, epoch = self.flight
        self.history[user].append((epoch, visits))
        self.flight = None

    def compare(self):
        for user in range(USERS):
            got, want = self.store.visits(user), self.expected(user)
            if self.flight and self.flight[0] == user and got != want:
                if got == self.flight[1][:self.store.live('limit')]:
                    self.acknowledge()
                    continue
            if got != want:
                raise Bug('user %d has %s, not %s' % (user, got, want))
        self.flight = None
        audit(self.store)

    def promised(self):
        """A checkpoint call or a close has returned: everything must be durable."""
        if self.store.best()[0][1] < max(h[-1][0] for h in self.history):
            raise Bug('acknowledged, said to be durable, but is not')

    # -- accidents

    def light_fuse(self, longest):
        self.disk.fuse = self.rng.randrange(longest)
        self.disk.accident = self.rng.choice((Kill, Kill, Cut))

    def after_accident(self, accident):
        self.in_hook, self.disk.fuse = False, None
        self.log.append(accident.__name__)
        if accident is Cut:
            floor = self.store.live('D')
            self.disk.tear()
            self.boot += 1
            self.attach()
            if not self.store.record(0) and not self.store.record(1):
                raise Bug('no record is left')
            if self.store.best()[0][1] < floor:
                raise Bug('a durable checkpoint is lost')

    def reopen(self):
        """Opens the store, come what may, with some limit."""
        while True:
            try:
                if self.rng.random() < self.risk:
                    self.light_fuse(300)
                if self.rng.random() < .2:
                    self.mount = 3 - self.mount
                self.open_once()
                return
            except (Kill, Cut) as accident:
                self.after_accident(type(accident))

    def open_once(self):
        self.attach()
        self.disk.hook = None               # no checkpoint runs during an open
        found = self.store.open((self.boot, self.mount), range(USERS), 0)
        self.log.append(found)
        if found == 'crashed':
            self.flight, durable = None, self.store.live('D')
            for user in range(USERS):
                self.history[user] = [x for x in self.history[user] if x[0] <= durable]
        self.compare()
        self.disk.hook = self.hook
        limit = self.rng.choice((self.store.live('limit'), self.rng.randrange(1, 5)))
        self.retry(lambda: self.store.set_limit(limit, range(USERS), self.sweep_one))
        if self.flight:
            self.acknowledge()
        self.compare()

    def sweep_one(self, user):
        if self.flight:
            self.acknowledge()
        self.flight = [user, self.expected(user), self.store.live('E')]

    # -- operations

    def operation(self):
        rng, store = self.rng, self.store
        user = rng.randrange(USERS) if rng.random() < .5 else rng.randrange(2)
        visits, limit = self.expected(user), store.live('limit')
        visit, kind = self.next_visit, rng.random()
        new = New(visit, rng.choice((0, 1, 2, 3)) if rng.random() < .25 else None)
        self.next_visit += 1
        if kind < .75:
            self.apply(user, lambda old: [new] + old, ([visit] + visits)[:limit])
        elif kind < .85:
            k = rng.randrange(len(visits) + 1)
            if k < limit:
                self.apply(user, lambda old: old[:k] + [new] + old[k:], (visits[:k] + [visit] + visits[k:])[:limit])
        elif kind < .95 and visits:
            k = rng.randrange(len(visits))
            self.apply(user, lambda old: old[:k] + old[k + 1:], visits[:k] + visits[k + 1:])
        else:
            self.apply(user, lambda old: [], [])

    def apply(self, user, plan, visits):
        self.flight = [user, visits, 0]
        if self.retry(lambda: self.store.change(user, plan)):
            self.acknowledge()
        self.flight = None
        if self.store.visits(user) != self.expected(user):
            raise Bug('user %d: the present differs' % user)

    def retry(self, call):
        """What a full file does: checkpoint, drain everything, try again."""
        for _ in range(2):
            try:
                call()
                return True
            except Full:
                self.store.locked = False
                self.store.checkpoint()
                for runs in self.store.runs:
                    while runs.drain(self.store.live('D')):
                        pass
                    runs.give_back()
        if any(self.disk.get(('limbo', s, i)) and self.disk.get(('limbo tag', s, i)) <= self.store.live('D')
               for s in range(2) for i in range(3)):
            raise Bug('full, though limbo could be drained')
        return False

    def step(self):
        if self.rng.random() < self.risk:
            self.light_fuse(120)
        x = self.rng.random()
        if x < .03:
            self.store.checkpoint()
            self.promised()
        elif x < .05:
            self.store.close()
            self.promised()
            self.disk.hook = None
            self.reopen()
        else:
            self.operation()
        if self.rng.random() < .2:
            audit(self.store)

    def run(self):
        for _ in range(self.steps):
            try:
                self.step()
            except (Kill, Cut) as accident:
                self.after_accident(type(accident))
                self.reopen()
        self.compare()


def failure(seed, wrong=''):
    """What breaks, or None. In a wrong variant whatever goes wrong counts."""
    search = None
    try:
        search = Search(seed, wrong)
        search.run()
    except Bug as bug:
        return str(bug)
    except (KeyError, TypeError, ValueError, IndexError, StopIteration, AttributeError) as error:
        return '%s: %s' % (type(error).__name__, error)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--runs', type=int, default=200, help='runs of the design; ten times as many at most of each wrong variant')
    parser.add_argument('--seed', type=int, default=0, help='the first run')
    parser.add_argument('--wrong', default='', choices=[''] + WRONG, help='only this variant; stops at the first failure')
    args = parser.parse_args()
    passed = failed = 0
    for wrong in [args.wrong] if args.wrong else [''] + WRONG:
        began, caught = time.time(), None
        for seed in range(args.seed, args.seed + args.runs * (10 if wrong else 1)):
            caught = failure(seed, wrong)
            if caught:
                break
        if bool(caught) == bool(wrong):
            passed += 1
        else:
            failed += 1
        print('%-30s %5d runs, %5.1f s: %s' % (wrong or 'the design', seed - args.seed + 1, time.time() - began, caught or 'holds'), flush=True)
        if caught and not wrong:
            print('    reproduce: python3 check.py --runs 1 --seed %d' % seed)
    print('%d passed, %d failed' % (passed, failed))
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
