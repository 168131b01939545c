// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	librv "example.org/librv/bindings/go"
)

// parallel runs a function in so many goroutines, some of which change their thread as they go.
func parallel(n int, function func(i int)) {
	var all sync.WaitGroup
	for i := 0; i < n; i++ {
		i := i
		all.Add(1)
		go func() {
			defer all.Done()
			if i%4 == 0 {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			function(i)
		}()
	}
	all.Wait()
}

// consistent checks that a result is one that the user had at some instant: ids go down by one, and
// the strings are those of the id.
func consistent(visits []librv.Visit) error {
	for i, v := range visits {
		want := fmt.Sprintf("url %d", v.VisitID)
		if v.URL != want || v.Text != strings.Repeat("x", int(v.VisitID%300)) {
			return fmt.Errorf("visit %d has %q", v.VisitID, v.URL)
		}
		if i > 0 && v.VisitID+1 != visits[i-1].VisitID {
			return fmt.Errorf("visit %d follows %d", v.VisitID, visits[i-1].VisitID)
		}
	}
	return nil
}

func TestGoroutinesAddAndReadTheSameUsers(t *testing.T) {
	const users, adds, writers, readers = 4, 600, 4, 8
	store := newStore(t, 10)
	var done int32
	parallel(writers+readers, func(i int) {
		if i < writers { // each has a user of its own to write
			defer atomic.AddInt32(&done, 1)
			for id := uint32(1); id <= adds; id++ {
				url, text := fmt.Sprintf("url %d", id), strings.Repeat("x", int(id%300))
				if err := store.AddVisit(uint32(i), id, url, text); err != nil {
					t.Error(err)
				}
				runtime.Gosched()
			}
			return
		}
		var visits []librv.Visit
		for n := uint32(0); atomic.LoadInt32(&done) < writers; n++ {
			var err error
			visits, err = store.AppendRecentVisits(visits[:0], n%users)
			if err == nil {
				err = consistent(visits)
			}
			if err != nil {
				t.Error(err)
			}
			visits = visits[:0]
			err = store.View(n%users, func(v librv.VisitView) error {
				visits = append(visits, librv.Visit{VisitID: v.VisitID, URL: string(v.URL), Text: string(v.Text)})
				return nil
			})
			if err == nil {
				err = consistent(visits)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	for user := uint32(0); user < users; user++ {
		wantVisits(t, store, user, 600, 599, 598, 597, 596, 595, 594, 593, 592, 591)
	}
}

// More goroutines at once than there are places for idle seats, all of them inside of a call.
func TestManyGoroutinesInsideOfCalls(t *testing.T) {
	store := newStore(t, 10)
	add(t, store, 1, 1, "u", strings.Repeat("t", librv.StringsMax-1)) // more than a seat keeps
	n := 20 * runtime.GOMAXPROCS(0)
	var inside sync.WaitGroup
	inside.Add(n)
	parallel(n, func(int) {
		err := store.View(1, func(v librv.VisitView) error {
			inside.Done()
			inside.Wait()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	wantVisits(t, store, 1, 1)
}

// Calls that race with Close succeed or get ErrClosed, and what succeeded is in the store.
func TestClosingRaces(t *testing.T) {
	for round := 0; round < 4; round++ {
		folder := t.TempDir()
		path := filepath.Join(folder, "visits.rv")
		store, err := librv.Open(path, &librv.Options{MaxVisits: 65535, CheckpointInterval: 1})
		must(t, err)
		const goroutines = 6
		var added [goroutines]uint32
		var begun sync.WaitGroup
		begun.Add(goroutines)
		parallel(goroutines+2, func(i int) {
			if i >= goroutines { // two close
				begun.Wait()
				if err := store.Close(); err != nil {
					t.Error(err)
				}
				if err := store.Sync(); !errors.Is(err, librv.ErrClosed) {
					t.Error(err)
				}
				return
			}
			for id := uint32(1); ; id++ {
				if id == 20 {
					begun.Done()
				}
				err := store.AddVisit(uint32(i)+10, id, "u", "t")
				if errors.Is(err, librv.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
				}
				added[i] = id
				if id%20 != uint32(i) {
					continue
				}
				for op, err := range everyMethod(store, t.TempDir()) {
					if err != nil && !errors.Is(err, librv.ErrClosed) {
						t.Errorf("%s: %v", op, err)
					}
				}
			}
		})
		store = openStore(t, path, nil)
		for i, id := range added {
			visits, err := store.GetRecentVisits(uint32(i) + 10)
			must(t, err)
			if len(visits) == 0 || visits[0].VisitID != id || len(visits) != int(id) {
				t.Errorf("%d visits of %d", len(visits), id)
			}
		}
		stats, err := store.Stats()
		if err != nil || stats.Found != librv.FoundClean {
			t.Errorf("got %+v, %v", stats, err)
		}
		must(t, store.Verify(nil))
	}
}

// Close waits for a View that is under way.
func TestCloseWaitsForView(t *testing.T) {
	store := newStore(t, 10)
	add(t, store, 1, 1, "url", "text")
	var ended int32
	closed := make(chan bool)
	must(t, store.View(1, func(v librv.VisitView) error {
		go func() {
			store.Close()
			closed <- atomic.LoadInt32(&ended) == 1
		}()
		for { // until Close has begun
			if err := store.Sync(); errors.Is(err, librv.ErrClosed) {
				break
			}
			runtime.Gosched()
		}
		time.Sleep(50 * time.Millisecond) // what would not wait has closed by now
		if string(v.URL) != "url" {
			t.Errorf("got %q", v.URL)
		}
		atomic.StoreInt32(&ended, 1)
		return nil
	}))
	if !<-closed {
		t.Error("Close returned before View did")
	}
}

// A manager that is forgotten is closed by the collector, so that the store can be opened again.
func TestForgottenManagerIsClosed(t *testing.T) {
	path := storePath(t)
	func() {
		store, err := librv.Open(path, nil)
		must(t, err)
		add(t, store, 1, 1, "u", "t")
	}()
	for end := time.Now().Add(time.Minute); ; {
		if time.Now().After(end) {
			t.Fatal("it is open yet")
		}
		runtime.GC()
		store, err := librv.Open(path, nil)
		if err == nil {
			wantVisits(t, store, 1, 1)
			must(t, store.Close())
			return
		}
		wantError(t, err, "Open", librv.ErrBusy)
		runtime.Gosched()
	}
}

// What was added is there after the process was killed.
func TestKilledProcess(t *testing.T) {
	if path := os.Getenv("LIBRV_TEST_KILL"); path != "" {
		store, err := librv.Open(path, &librv.Options{MaxVisits: 100})
		must(t, err)
		for id := uint32(1); id <= 50; id++ {
			add(t, store, 1, id, "url", "text")
		}
		_, err = librv.Open(path, &librv.Options{MaxVisits: 100})
		wantError(t, err, "Open", librv.ErrBusy)
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	path := storePath(t)
	child := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	child.Env = append(os.Environ(), "LIBRV_TEST_KILL="+path)
	output, err := child.CombinedOutput()
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%v: %s", err, output)
	}
	_, err = librv.Open(path, &librv.Options{RefuseRecovery: true})
	wantError(t, err, "Open", librv.ErrNotClean)
	store := openStore(t, path, nil)
	stats, err := store.Stats()
	if err != nil || stats.Found != librv.FoundKilled || stats.Visits != 50 {
		t.Errorf("got %+v, %v", stats, err)
	}
	must(t, store.Verify(nil))
}
