// SPDX-License-Identifier: MIT

//go:build cgo && linux && !asan

package librv_test

import (
	"strings"
	"testing"

	librv "example.org/librv/bindings/go"
)

// What a call allocates is a property, not a time. (AddressSanitizer makes more go to the heap.)
func TestAllocations(t *testing.T) {
	store := newStore(t, 10)
	visits := make([]librv.Visit, 0, 10)
	batch := make([]librv.VisitInput, 64)
	url := strings.Repeat("u", 50)
	id := uint32(0)
	for _, c := range []struct {
		name     string
		most     float64
		function func() error
	}{
		{"AddVisit", 0, func() error { id++; return store.AddVisit(1, id, url, "text") }},
		{"AddVisits", 0, func() error {
			for i := range batch {
				id++
				batch[i] = librv.VisitInput{UserID: 1, VisitID: id, URL: url, Text: "text"}
			}
			_, err := store.AddVisits(batch)
			return err
		}},
		{"AppendRecentVisits", 1, func() (err error) {
			visits, err = store.AppendRecentVisits(visits[:0], 1)
			return err
		}},
		{"GetRecentVisits", 2, func() error { _, err := store.GetRecentVisits(1); return err }},
		{"View", 0, func() error { return store.View(1, func(librv.VisitView) error { return nil }) }},
		{"ClearUser", 0, func() error { return store.ClearUser(2) }},
		{"Sync", 0, store.Sync},
	} {
		got := testing.AllocsPerRun(100, func() { must(t, c.function()) })
		if got > c.most {
			t.Errorf("%s allocates %v times, %v are allowed", c.name, got, c.most)
		}
	}
	if len(visits) != 10 {
		t.Errorf("%d visits", len(visits))
	}
}
