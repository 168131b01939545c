// SPDX-License-Identifier: MIT

//go:build go1.23 && cgo && linux

package librv_test

import (
	"testing"

	librv "example.org/librv/bindings/go"
)

func TestAllUsers(t *testing.T) {
	store := newStore(t, 3)
	for user := uint32(0); user < 500; user++ {
		add(t, store, user, 1, "u", "t")
	}
	seen := make(map[uint32]bool)
	for u, err := range store.AllUsers() {
		if err != nil || u.Visits != 1 || seen[u.UserID] {
			t.Fatal(u, err)
		}
		seen[u.UserID] = true
	}
	if len(seen) != 500 {
		t.Errorf("%d users", len(seen))
	}
	n := 0
	for range store.AllUsers() {
		if n++; n == 300 {
			break
		}
	}
	must(t, store.Close())
	n = 0
	for _, err := range store.AllUsers() {
		wantError(t, err, "Users", librv.ErrClosed)
		n++
	}
	if n != 1 {
		t.Errorf("%d errors", n)
	}
}

func TestAllViews(t *testing.T) {
	store := newStore(t, 3)
	for id := uint32(1); id <= 3; id++ {
		add(t, store, 1, id, "u", "t")
	}
	want := uint32(3)
	for v, err := range store.AllViews(1) {
		if err != nil || v.VisitID != want || string(v.URL) != "u" {
			t.Fatal(v, err)
		}
		if want--; want == 1 {
			break
		}
	}
	must(t, store.Close())
	n := 0
	for _, err := range store.AllViews(1) {
		wantError(t, err, "View", librv.ErrClosed)
		n++
	}
	if n != 1 {
		t.Errorf("%d errors", n)
	}
}
