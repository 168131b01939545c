// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv_test

import (
	"errors"
	"path/filepath"
	"sort"
	"testing"
	"time"

	librv "example.org/librv/bindings/go"
)

// storePath returns a path in a fresh folder.
func storePath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "visits.rv")
}

// openStore opens a store that is closed at the end of the test.
func openStore(t testing.TB, path string, options *librv.Options) *librv.VisitManager {
	t.Helper()
	store, err := librv.Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func newStore(t testing.TB, limit int) *librv.VisitManager {
	t.Helper()
	return openStore(t, storePath(t), &librv.Options{MaxVisits: limit})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks that an error is an *Error of the method with the status.
func wantError(t testing.TB, err error, op string, status librv.Status) *librv.Error {
	t.Helper()
	var e *librv.Error
	if !errors.As(err, &e) || e.Op != op || e.Status != status || !errors.Is(err, status) {
		t.Fatalf("%s: got %v, want %v", op, err, status)
	}
	return e
}

func add(t testing.TB, store *librv.VisitManager, userID, visitID uint32, url, text string) {
	t.Helper()
	must(t, store.AddVisit(userID, visitID, url, text))
}

// wantVisits checks a user's visit ids, newest first.
func wantVisits(t testing.TB, store *librv.VisitManager, userID uint32, ids ...uint32) {
	t.Helper()
	visits, err := store.GetRecentVisits(userID)
	must(t, err)
	ok := len(visits) == len(ids)
	for i := 0; ok && i < len(ids); i++ {
		ok = visits[i].VisitID == ids[i]
	}
	if !ok {
		t.Fatalf("user %d has %v, want the visits %v", userID, visits, ids)
	}
}

// model is what a store has to contain: for each user the visits, newest first.
type model struct {
	limit int
	users map[uint32][]librv.Visit
}

func newModel(limit int) *model {
	return &model{limit: limit, users: make(map[uint32][]librv.Visit)}
}

// add adds a visit at its time; among visits of the same time it becomes the newest.
func (m *model) add(userID uint32, v librv.Visit) {
	visits := m.users[userID]
	for _, old := range visits {
		if old.VisitID == v.VisitID {
			return
		}
	}
	place := sort.Search(len(visits), func(i int) bool { return !visits[i].Time.After(v.Time) })
	visits = append(visits, librv.Visit{})
	copy(visits[place+1:], visits[place:])
	visits[place] = v
	m.users[userID] = visits
	m.setLimit(m.limit)
}

func (m *model) remove(userID uint32, ids []uint32) int {
	var stay []librv.Visit
	for _, v := range m.users[userID] {
		gone := false
		for _, id := range ids {
			gone = gone || id == v.VisitID
		}
		if !gone {
			stay = append(stay, v)
		}
	}
	removed := len(m.users[userID]) - len(stay)
	m.users[userID] = stay
	return removed
}

func (m *model) setLimit(limit int) {
	m.limit = limit
	for user, visits := range m.users {
		if len(visits) > limit {
			m.users[user] = visits[:limit]
		}
	}
}

// check compares the whole store with the model, through every way to read.
func (m *model) check(t testing.TB, store *librv.VisitManager) {
	t.Helper()
	for user, visits := range m.users {
		got, err := store.GetRecentVisits(user)
		must(t, err)
		if !equal(got, visits) {
			t.Fatalf("user %d has\n%v, want\n%v", user, got, visits)
		}
		var seen []librv.Visit
		must(t, store.View(user, func(v librv.VisitView) error {
			seen = append(seen, librv.Visit{VisitID: v.VisitID, URL: string(v.URL),
				Text: string(v.Text), Time: v.Time})
			return nil
		}))
		if !equal(seen, visits) {
			t.Fatalf("View shows user %d as\n%v, want\n%v", user, seen, visits)
		}
	}
	m.checkUsers(t, store)
}

func (m *model) checkUsers(t testing.TB, store *librv.VisitManager) {
	t.Helper()
	counts := make(map[uint32]int)
	must(t, store.Users(func(u librv.User) error {
		if counts[u.UserID] != 0 || u.Visits == 0 {
			t.Fatalf("Users brings %v again, or without visits", u)
		}
		counts[u.UserID] = u.Visits
		return nil
	}))
	for user, visits := range m.users {
		if counts[user] != len(visits) {
			t.Fatalf("Users says that %d has %d visits, want %d", user, counts[user], len(visits))
		}
		delete(counts, user)
	}
	if len(counts) != 0 {
		t.Fatalf("Users brings users that have nothing: %v", counts)
	}
}

func equal(a, b []librv.Visit) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].VisitID != b[i].VisitID || a[i].URL != b[i].URL || a[i].Text != b[i].Text ||
			!a[i].Time.Equal(b[i].Time) {
			return false
		}
	}
	return true
}

// second is a whole time, so many seconds after some day.
func second(n int) time.Time {
	return time.Unix(1_600_000_000+int64(n), 0).UTC()
}
