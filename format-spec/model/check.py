# SPDX-License-Identifier: MIT
"""Random search for a way to break the protocol. See README.md."""
import argparse
import random
import sys
import time

from audit import as_of, audit
from disk import SHARDS, Bug, Cut, Disk, Kill
from runs import Full
from store import New, Store

USERS = 12

# What is left out of the protocol, and a seed that shows it.
WRONG = {
    'forget the flight': 0,
    'forget the durable': 0,
    'D before E': 2,
    'no barrier': 0,
    'E raised twice': 17,
    'no limbo': 0,
    'no limbo for segments': 1,
    'chain keeps its tag': 0,
    'overflow freed by a move': 0,
    'durable before the sync': 0,
    'left-over checkpoint counts': 0,
    'blocks sampled late': 9,
    'no sync when found clean': 619,
    'no sync when found killed': 24,
    'no sync when found crashed': 8,
    'clean left when the other record is torn': 3,
    'no sync of the header before a close': 331,
    'recovery keeps the identity': 34,
    'no wipe': 0,
    'cells not wiped': 5,
    'all cells written': 1,
    'moved not cleared': 7,
    'no undo log': 5,
    'free link unlogged': 9,
    'publish offset left': 252,
    'publish offset dropped first': 9,
    'directory not redone': 7,
    'counter after the publish': 9,
    'no sweep': 3,
}
RARE = {'torn record written over': 0}    # holds in most searches; only with --wrong


class Search:
    """One store, driven at random, and what it should hold."""

    def __init__(self, seed, wrong='', steps=150):
        self.rng = rng = random.Random(seed)
        self.disk, self.wrong, self.steps = Disk(rng), wrong, steps
        self.boot, self.mount, self.next_visit = 1, 1, 1
        self.max_blocks = rng.choice((32, 44, 60))
        self.pace = rng.choice((.003, .02, .1))         # checkpoint steps a store
        self.risk = rng.choice((.02, .08, .3))          # accidents an operation
        self.theme = rng.choice((None, 'record', 'log', 'offset', 'live', 'root', 'limbo'))
        self.closing = .02                              # closes an operation
        self.heat = rng.choice((0, .5, .95))            # how much goes to two users
        self.accidents = rng.choice(((Kill,), (Cut,), (Kill, Cut)))
        if self.theme == 'record':                      # much ado about opening and closing
            self.closing, self.risk, self.accidents = .5, .5, (Kill, Cut)
        self.in_hook, self.flight = False, None
        self.log = []
        # user -> [(epoch, visits newest first)]: what the user had from that epoch on
        self.history = [[(0, [])] for _ in range(USERS)]
        self.create(rng.choice((1, 2, 3, 4)))

    def create(self, limit):
        live = {'E': 1, 'D': 0, 'blocks': 4, 'limit': limit, 'identity': (1, 1)}
        for key, value in live.items():
            self.disk.put(('live', key), value)
        self.disk.put(('file', 'size'), 4)
        self.attach()
        self.store.write_record(0, 4, limit, 0)
        self.store.sync()
        self.disk.hook = self.hook

    def attach(self):
        self.store = Store(self.disk, self.rng, self.wrong, self.max_blocks)
        self.store.told = self.told

    def hook(self, chance=0):
        """A checkpoint goes on while other things happen."""
        if not self.in_hook and self.rng.random() < max(self.pace, chance):
            self.in_hook = True
            for _ in range(8 if chance else self.rng.choice((1, 1, 1, 8))):
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

    def compare_durable(self):
        """What a power cut may lead back to is there, whole."""
        store, kept = self.store, {}
        records = [store.record(i) for i in range(2)]
        settled = [len(self.disk.possible(('record', i, 5))) == 1 and records[i] for i in range(2)]
        if not any(r and r[1] >= store.live('D') for r in settled):
            raise Bug('no durable record is as new as D')
        for i, record in enumerate(records):
            if record and record[4] and not (settled[1 - i] and settled[1 - i][0] > record[0]):
                raise Bug('a power cut may lead back to a clean record')
            if record and record[1] >= store.live('D'):
                kept[record[1]] = record[3]
                if record[2] > min(self.disk.possible(('file', 'size'))):
                    raise Bug('the file may be shorter than its record says')
        if self.rng.random() > .2:
            return
        if store.stage > 1:
            kept.setdefault(store.flying, store.live('limit'))
        for durable, limit in kept.items():
            found = as_of(store, durable)
            for user in range(USERS):
                want = [v for epoch, v in self.history[user] if epoch <= durable][-1][:limit]
                got = found.get(user, [])[:limit]
                if got != want:
                    raise Bug('user %d as of %d: %s, not %s' % (user, durable, got, want))

    def promised(self):
        """A checkpoint call or a close has returned: everything must be durable."""
        if self.store.best()[0][1] < max(h[-1][0] for h in self.history):
            raise Bug('acknowledged, said to be durable, but is not')

    # -- accidents

    def light_fuse(self, longest):
        """An accident within so many stores, or at one of the next stores to words of some kind."""
        near = self.theme if self.rng.random() < .7 else None
        self.disk.near = near
        self.disk.fuse = self.rng.randrange({None: longest, 'log': 50}.get(near, 16))
        self.disk.accident = self.rng.choice(self.accidents)

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
                if self.rng.random() < max(self.risk, self.closing):
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
        found = self.store.open((self.boot, self.mount))
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
        user = rng.randrange(2) if rng.random() < self.heat else rng.randrange(USERS)
        visits, limit = self.expected(user), store.live('limit')
        visit, kind = self.next_visit, rng.random()
        new = New(visit, rng.choice((0, 1, 2, 3)) if rng.random() < .25 else None)
        self.next_visit += 1
        if kind < .75:
            self.apply(user, lambda old: [new] + old, ([visit] + visits)[:limit])
        elif kind < .85:
            k = rng.randrange(len(visits) + 1)
            if k < limit:
                self.apply(user, lambda old: old[:k] + [new] + old[k:],
                           (visits[:k] + [visit] + visits[k:])[:limit])
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
        get, durable = self.disk.get, self.store.live('D')
        if any(get(('limbo', s, i)) and get(('limbo tag', s, i)) <= durable
               for s in range(SHARDS) for i in range(3)):
            raise Bug('full, though limbo could be drained')
        return False

    def step(self):
        if self.rng.random() < self.risk:
            self.light_fuse(120)
        x = self.rng.random()
        if self.rng.random() < 10 * self.pace:
            self.store.checkpoint_step()    # no operation holds a lock: the barrier may pass
        if x < .03:
            self.store.checkpoint()
            self.promised()
        elif x < .03 + self.closing:
            self.store.close()
            self.promised()
            self.disk.hook = None
            self.reopen()
        else:
            self.operation()
        if self.rng.random() < .2:
            audit(self.store)
        self.compare_durable()

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


def seeds(args, wrong):
    """Of a wrong variant first the seed that is known to show it, then others."""
    if wrong:
        yield (WRONG | RARE)[wrong]
    yield from range(args.seed, args.seed + args.runs * (10 if wrong else 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--runs', type=int, default=200,
                        help='of the design; of each wrong variant at most ten times as many')
    parser.add_argument('--seed', type=int, default=0, help='the first run')
    parser.add_argument('--only-design', action='store_true', help='no wrong variants')
    parser.add_argument('--wrong', default='', choices=sorted(WRONG | RARE), metavar='NAME',
                        help='only this variant')
    args = parser.parse_args()
    passed = failed = 0
    for wrong in [args.wrong] if args.wrong else [''] if args.only_design else ['', *WRONG]:
        caught, runs = None, 0
        for seed in seeds(args, wrong):
            caught, runs = failure(seed, wrong), runs + 1
            if caught:
                break
        good = bool(caught) == bool(wrong)
        passed, failed = passed + good, failed + (not good)
        verdict = 'ok    ' if good else 'FAILED'
        print('%s %-42s %5d runs: %s' % (verdict, wrong or 'the design', runs, caught or 'holds'),
              flush=True)
        if not good:
            again = "--wrong '%s'" % wrong if wrong else '--only-design --runs 1 --seed %d' % seed
            print('    again: python3 check.py ' + again)
    print('%d passed, %d failed' % (passed, failed))
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
