// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv_test

import (
	"strings"
	"testing"

	librv "example.org/librv/bindings/go"
)

const (
	benchUsers = 10000
	benchURL   = "https://example.org/some/folder/with/a/page.html?and=a&query"
	benchText  = "The title of a page, of the usual length"
)

// full is a store in which each user has ten visits.
func full(b testing.TB) *librv.VisitManager {
	store := newStore(b, 10)
	batch := make([]librv.VisitInput, 10*benchUsers)
	for i := range batch {
		batch[i] = librv.VisitInput{UserID: user(i), VisitID: uint32(i), URL: benchURL, Text: benchText}
	}
	if _, err := store.AddVisits(batch); err != nil {
		b.Fatal(err)
	}
	return store
}

// user goes through all users in a mixed order.
func user(i int) uint32 {
	return uint32(i) * 7919 % benchUsers
}

func BenchmarkAddVisit(b *testing.B) {
	store := full(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if err := store.AddVisit(user(i), uint32(i)+1<<20, benchURL, benchText); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddVisits64(b *testing.B) {
	store := full(b)
	batch := make([]librv.VisitInput, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += len(batch) {
		for k := range batch {
			batch[k] = librv.VisitInput{UserID: user(i + k), VisitID: uint32(i+k) + 1<<20, URL: benchURL, Text: benchText}
		}
		if _, err := store.AddVisits(batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetRecentVisits(b *testing.B) {
	store := full(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if visits, err := store.GetRecentVisits(user(i)); err != nil || len(visits) != 10 {
			b.Fatal(len(visits), err)
		}
	}
}

func BenchmarkAppendRecentVisits(b *testing.B) {
	store := full(b)
	var visits []librv.Visit
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		var err error
		if visits, err = store.AppendRecentVisits(visits[:0], user(i)); err != nil || len(visits) != 10 {
			b.Fatal(len(visits), err)
		}
	}
}

func BenchmarkView(b *testing.B) {
	store := full(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		count := 0
		err := store.View(user(i), func(v librv.VisitView) error { count++; return nil })
		if err != nil || count != 10 {
			b.Fatal(count, err)
		}
	}
}

func BenchmarkReadParallel(b *testing.B) {
	store := full(b)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var visits []librv.Visit
		for i := 0; pb.Next(); i++ {
			var err error
			if visits, err = store.AppendRecentVisits(visits[:0], user(i)); err != nil || len(visits) != 10 {
				b.Fatal(len(visits), err)
			}
		}
	})
}

func BenchmarkUsers(b *testing.B) {
	store := full(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += benchUsers {
		count := 0
		err := store.Users(func(librv.User) error { count++; return nil })
		if err != nil || count != benchUsers {
			b.Fatal(count, err)
		}
	}
}

// What a call allocates is a property, not a time.
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
