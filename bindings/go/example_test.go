// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"time"

	librv "example.org/librv/bindings/go"
)

// temporary makes a store for an example, and a function that removes it.
func temporary() (*librv.VisitManager, func()) {
	folder, err := os.MkdirTemp("", "librv-example-")
	if err != nil {
		log.Fatal(err)
	}
	store, err := librv.NewVisitManager(filepath.Join(folder, "visits.rv"), 10)
	if err != nil {
		log.Fatal(err)
	}
	return store, func() {
		store.Close()
		os.RemoveAll(folder)
	}
}

func Example() {
	folder, err := os.MkdirTemp("", "librv-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)

	store, err := librv.NewVisitManager(filepath.Join(folder, "visits.rv"), 2)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	for id, page := range []string{"start", "news", "weather"} {
		if err := store.AddVisit(42, uint32(id), "https://example.org/"+page, page); err != nil {
			log.Fatal(err)
		}
	}
	visits, err := store.GetRecentVisits(42)
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range visits {
		fmt.Println(v.VisitID, v.URL, v.Text)
	}
	// Output:
	// 2 https://example.org/weather weather
	// 1 https://example.org/news news
}

func ExampleOpen() {
	_, err := librv.Open("/nowhere/visits.rv", &librv.Options{
		Mode:   librv.ReadOnly,
		Create: librv.MustExist,
	})
	fmt.Println(errors.Is(err, librv.ErrNotFound), errors.Is(err, fs.ErrNotExist))
	var e *librv.Error
	if errors.As(err, &e) {
		fmt.Println(e.Op, e.Path, e.Status)
	}
	// Output:
	// true true
	// Open /nowhere/visits.rv no such file
}

func ExampleVisitManager_AddVisitAt() {
	store, done := temporary()
	defer done()
	day := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	store.AddVisitAt(1, 1, "https://example.org/noon", "", day)
	store.AddVisitAt(1, 2, "https://example.org/morning", "", day.Add(-3*time.Hour))
	visits, _ := store.GetRecentVisits(1)
	for _, v := range visits {
		fmt.Println(v.Time.Format(time.RFC3339), v.URL)
	}
	// Output:
	// 2026-05-01T12:00:00Z https://example.org/noon
	// 2026-05-01T09:00:00Z https://example.org/morning
}

func ExampleVisitManager_AddVisits() {
	store, done := temporary()
	defer done()
	added, err := store.AddVisits([]librv.VisitInput{
		{UserID: 1, VisitID: 1, URL: "https://example.org/a", Text: "A"},
		{UserID: 2, VisitID: 1, URL: "https://example.org/b", Text: "B"},
		{UserID: 2, VisitID: 2, URL: "https://example.org/\x00", Text: "not a URL"},
	})
	fmt.Println(added, errors.Is(err, librv.ErrInvalid))
	// Output: 2 true
}

func ExampleVisitManager_AppendRecentVisits() {
	store, done := temporary()
	defer done()
	store.AddVisit(1, 1, "https://example.org/a", "A")
	store.AddVisit(2, 1, "https://example.org/b", "B")
	var visits []librv.Visit // its memory serves all users
	for user := uint32(1); user <= 2; user++ {
		var err error
		if visits, err = store.AppendRecentVisits(visits[:0], user); err != nil {
			log.Fatal(err)
		}
		fmt.Println(user, visits[0].URL)
	}
	// Output:
	// 1 https://example.org/a
	// 2 https://example.org/b
}

func ExampleVisitManager_View() {
	store, done := temporary()
	defer done()
	store.AddVisit(1, 1, "https://example.org/a", "A")
	store.AddVisit(1, 2, "https://example.org/b", "B")
	bytes := 0
	err := store.View(1, func(v librv.VisitView) error {
		bytes += len(v.URL) + len(v.Text) // v.URL must not be kept
		return nil
	})
	fmt.Println(bytes, err)
	// Output: 44 <nil>
}

func ExampleVisitManager_RemoveVisits() {
	store, done := temporary()
	defer done()
	store.AddVisit(1, 1, "https://example.org/a", "A")
	store.AddVisit(1, 2, "https://example.org/b", "B")
	removed, err := store.RemoveVisits(1, []uint32{2, 3})
	fmt.Println(removed, err)
	// Output: 1 <nil>
}

func ExampleVisitManager_Users() {
	store, done := temporary()
	defer done()
	store.AddVisit(7, 1, "https://example.org/a", "A")
	store.AddVisit(7, 2, "https://example.org/b", "B")
	err := store.Users(func(u librv.User) error {
		fmt.Println(u.UserID, u.Visits)
		return nil
	})
	fmt.Println(err)
	// Output:
	// 7 2
	// <nil>
}

func ExampleVisitManager_Backup() {
	store, done := temporary()
	defer done()
	store.AddVisit(1, 1, "https://example.org/a", "A")
	folder, _ := os.MkdirTemp("", "librv-example-")
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "copy.rv")
	if err := store.Backup(path, nil); err != nil {
		log.Fatal(err)
	}
	backup, err := librv.Open(path, &librv.Options{Mode: librv.ReadOnly})
	if err != nil {
		log.Fatal(err)
	}
	defer backup.Close()
	visits, _ := backup.GetRecentVisits(1)
	fmt.Println(len(visits), backup.Verify(nil))
	// Output: 1 <nil>
}

func ExampleVisitManager_Stats() {
	store, done := temporary()
	defer done()
	store.AddVisit(1, 1, "https://example.org/a", "A")
	stats, err := store.Stats()
	fmt.Println(stats.Users, stats.Visits, stats.MaxVisits, err)
	// Output: 1 1 10 <nil>
}
