# SPDX-License-Identifier: MIT
"""Damaged files: an exception or a finding, never a crash."""

import random

import pytest

from recent_visits import Finding, VisitCorruptError, VisitError, VisitManager


@pytest.fixture
def image(path):
    with VisitManager(path, 4, shards=1) as manager:
        manager.add_visits((user, visit, f"https://example.org/{user}", f"text {visit}")
                           for user in range(50) for visit in range(4))
    return path.read_bytes()


def test_a_damaged_visit(path, image):
    path.write_bytes(image.replace(b"https://example.org/17\0", b"Https://example.org/17\0"))
    with VisitManager(path, 4) as manager:
        findings = manager.verify()
        assert findings
        assert all(isinstance(finding, Finding) for finding in findings)
        assert {finding.user_id for finding in findings} == {17}
        assert findings[0].rule and findings[0].message and 0 <= findings[0].offset < len(image)
        with pytest.raises(VisitCorruptError):
            manager.backup(str(path) + ".copy")


def test_a_byte_that_became_nul_shifts_nothing(path, image):
    path.write_bytes(image.replace(b"https://example.org/17\0", b"https:/\0example.org/17\0"))
    with VisitManager(path, 4) as manager:
        for found in (manager.get_many(range(50)), dict(manager.items()),
                      {user: manager.get_recent_visits(user) for user in range(50)}):
            for user, visits in found.items():
                url = "https:/\0example.org/17" if user == 17 else f"https://example.org/{user}"
                assert [(visit.url, visit.text) for visit in visits] == [
                    (url, f"text {visit}") for visit in (3, 2, 1, 0)]


def test_findings_can_be_limited(path, image):
    path.write_bytes(image.replace(b"https://example.org/", b"Https://example.org/"))
    with VisitManager(path, 4) as manager:
        every = manager.verify()
        assert len(every) >= 50
        assert manager.verify(max_findings=3) == every[:3]
        with pytest.raises(ValueError, match="max_findings"):
            manager.verify(max_findings=0)


@pytest.mark.parametrize("seed", range(8))
def test_random_damage(path, image, seed):
    draw = random.Random(seed)
    for _ in range(25):
        damaged = bytearray(image)
        for _ in range(draw.choice((1, 8, 200))):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        if draw.random() < 0.2:
            del damaged[draw.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            use(path)
        except VisitError as error:
            assert error.message


def use(path):
    with VisitManager(path, 4) as manager:
        for call in (
            lambda: manager.verify(max_findings=100),
            lambda: manager.get_many(range(50)),
            lambda: [manager.get_recent_visits(user) for user in range(50)],
            lambda: list(manager.items()),
            lambda: manager.stats(),
            lambda: [manager.add_visit(user, 9, "u", "t") for user in range(50)],
            lambda: [manager.delete_visits(user, [2, 3]) for user in range(50)],
        ):
            try:
                call()
            except VisitError as error:
                assert error.message


def test_empty_and_short_files(path, image):
    for size in (1, 100, 4096, 65536, len(image) // 2):
        path.write_bytes(image[:size])
        with pytest.raises(VisitError):
            VisitManager(path)
        assert path.read_bytes() == image[:size]
    path.write_bytes(b"")
    with VisitManager(path) as manager:
        assert len(manager) == 0
