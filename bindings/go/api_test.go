// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	librv "example.org/librv/bindings/go"
)

func TestVisitsComeBackNewestFirst(t *testing.T) {
	store := newStore(t, 3)
	before := time.Now()
	for id := uint32(1); id <= 5; id++ {
		add(t, store, 42, id, "https://example.org/", "An example")
	}
	visits, err := store.GetRecentVisits(42)
	must(t, err)
	wantVisits(t, store, 42, 5, 4, 3)
	for _, v := range visits {
		if v.URL != "https://example.org/" || v.Text != "An example" {
			t.Errorf("got %+v", v)
		}
		if v.Time.Location() != time.UTC || v.Time.Before(before) || v.Time.After(time.Now()) {
			t.Errorf("the time of %+v is not the present in UTC", v)
		}
	}
}

func TestAnIdTheUserHasChangesNothing(t *testing.T) {
	store := newStore(t, 3)
	add(t, store, 1, 7, "first", "")
	add(t, store, 1, 8, "second", "")
	add(t, store, 1, 7, "again", "")
	wantVisits(t, store, 1, 8, 7)
	visits, _ := store.GetRecentVisits(1)
	if visits[1].URL != "first" {
		t.Errorf("got %q", visits[1].URL)
	}
}

func TestUnknownUserHasNoVisits(t *testing.T) {
	store := newStore(t, 3)
	visits, err := store.GetRecentVisits(5)
	if err != nil || len(visits) != 0 {
		t.Errorf("got %v, %v", visits, err)
	}
	must(t, store.ClearUser(5))
	must(t, store.DeleteVisits(5, []uint32{1}))
	must(t, store.View(5, func(librv.VisitView) error { return errors.New("called") }))
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	store := newStore(t, 3)
	add(t, store, 1, 1, "a", "b")
	add(t, store, 2, 2, "", "")
	visits := []librv.Visit{{VisitID: 99}}
	for _, user := range []uint32{1, 2, 3} {
		var err error
		visits, err = store.AppendRecentVisits(visits, user)
		must(t, err)
	}
	if len(visits) != 3 || visits[0].VisitID != 99 || visits[1].URL != "a" || visits[1].Text != "b" ||
		visits[2].VisitID != 2 || visits[2].URL != "" || visits[2].Text != "" {
		t.Errorf("got %v", visits)
	}
	must(t, store.Close())
	same, err := store.AppendRecentVisits(visits, 1)
	wantError(t, err, "AppendRecentVisits", librv.ErrClosed)
	if len(same) != 3 {
		t.Errorf("after an error: %v", same)
	}
}

// A result must not change when its user does.
func TestResultOutlivesTheStore(t *testing.T) {
	store := newStore(t, 2)
	add(t, store, 1, 1, strings.Repeat("u", 700), strings.Repeat("t", 300))
	visits, err := store.GetRecentVisits(1)
	must(t, err)
	for id := uint32(2); id < 100; id++ {
		add(t, store, 1, id, strings.Repeat("x", 700), strings.Repeat("y", 300))
	}
	must(t, store.Close())
	if visits[0].URL != strings.Repeat("u", 700) || visits[0].Text != strings.Repeat("t", 300) {
		t.Error("the result has changed")
	}
}

func TestAddVisitAtGoesToItsPlace(t *testing.T) {
	store := newStore(t, 3)
	for _, n := range []int{10, 30, 20, 5} { // 5 is older than all of a full user
		must(t, store.AddVisitAt(1, uint32(n), "u", "t", second(n)))
	}
	wantVisits(t, store, 1, 30, 20, 10)
	visits, _ := store.GetRecentVisits(1)
	if !visits[0].Time.Equal(second(30)) {
		t.Errorf("got %v", visits[0].Time)
	}
	exact := time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.FixedZone("", 3600))
	must(t, store.AddVisitAt(2, 1, "u", "t", exact))
	visits, _ = store.GetRecentVisits(2)
	if !visits[0].Time.Equal(exact) || visits[0].Time.Location() != time.UTC {
		t.Errorf("got %v, want %v", visits[0].Time, exact)
	}
}

func TestTimesOutside64BitsAreRefused(t *testing.T) {
	store := newStore(t, 3)
	for _, at := range []time.Time{{}, time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1<<62, 0)} {
		wantError(t, store.AddVisitAt(1, 1, "u", "t", at), "AddVisitAt", librv.ErrInvalid)
	}
	for _, at := range []time.Time{time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2261, 12, 31, 0, 0, 0, 0, time.UTC)} {
		must(t, store.AddVisitAt(2, uint32(at.Year()), "u", "t", at))
	}
	wantVisits(t, store, 1)
	wantVisits(t, store, 2, 2261, 1678)
}

func TestAddVisitsAddsInOrder(t *testing.T) {
	store := newStore(t, 10)
	n, err := store.AddVisits([]librv.VisitInput{
		{UserID: 1, VisitID: 1, URL: "a", Text: "", Time: second(2)},
		{UserID: 2, VisitID: 2, URL: "", Text: "b"},
		{UserID: 1, VisitID: 3, URL: "c", Text: "d", Time: second(1)},
		{UserID: 1, VisitID: 4},
	})
	if n != 4 || err != nil {
		t.Fatal(n, err)
	}
	wantVisits(t, store, 1, 4, 1, 3)
	visits, _ := store.GetRecentVisits(2)
	if visits[0].URL != "" || visits[0].Text != "b" || time.Since(visits[0].Time) > time.Hour {
		t.Errorf("got %v", visits)
	}
	if n, err = store.AddVisits(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// More than one call into C, with strings of every length.
func TestAddVisitsOfManyMegabytes(t *testing.T) {
	store := newStore(t, 1000)
	var batch []librv.VisitInput
	m := newModel(1000)
	long := strings.Repeat("long strings ", librv.StringsMax/13)
	for i := 0; i < 900; i++ {
		v := librv.Visit{VisitID: uint32(i), URL: long[:i*i], Text: long[i : i+i*3], Time: second(i)}
		user := uint32(i % 7)
		m.add(user, v)
		batch = append(batch, librv.VisitInput{UserID: user, VisitID: v.VisitID, URL: v.URL,
			Text: v.Text, Time: v.Time})
	}
	n, err := store.AddVisits(batch)
	if n != len(batch) || err != nil {
		t.Fatal(n, err)
	}
	m.check(t, store)
}

func TestAddVisitsStopsAtAnError(t *testing.T) {
	store := newStore(t, 10)
	bad := map[string]struct {
		visit  librv.VisitInput
		status librv.Status
	}{
		"NUL":   {librv.VisitInput{VisitID: 50, URL: "a\x00b"}, librv.ErrInvalid},
		"long":  {librv.VisitInput{VisitID: 50, Text: strings.Repeat("x", librv.StringsMax+1)}, librv.ErrTooLong},
		"both":  {librv.VisitInput{VisitID: 50, URL: strings.Repeat("x", librv.StringsMax), Text: "y"}, librv.ErrTooLong},
		"early": {librv.VisitInput{VisitID: 50, Time: time.Date(100, 1, 1, 0, 0, 0, 0, time.UTC)}, librv.ErrInvalid},
	}
	user := uint32(0)
	for name, b := range bad {
		user++
		b.visit.UserID = user
		batch := []librv.VisitInput{{UserID: user, VisitID: 1}, {UserID: user, VisitID: 2, URL: "u"},
			b.visit, {UserID: user, VisitID: 3}}
		n, err := store.AddVisits(batch)
		if n != 2 {
			t.Errorf("%s: %d added", name, n)
		}
		wantError(t, err, "AddVisits", b.status)
		wantVisits(t, store, user, 2, 1)
		n, err = store.AddVisits(batch[2:])
		if n != 0 {
			t.Errorf("%s: %d added", name, n)
		}
		wantError(t, err, "AddVisits", b.status)
	}
}

func TestStringsThatAreNotAllowed(t *testing.T) {
	store := newStore(t, 3)
	wantError(t, store.AddVisit(1, 1, "a\x00", ""), "AddVisit", librv.ErrInvalid)
	wantError(t, store.AddVisit(1, 1, "", "\x00"), "AddVisit", librv.ErrInvalid)
	half := strings.Repeat("h", librv.StringsMax/2)
	wantError(t, store.AddVisit(1, 1, half+"1", half), "AddVisit", librv.ErrTooLong)
	wantVisits(t, store, 1)
	add(t, store, 1, 1, half, half)
	visits, _ := store.GetRecentVisits(1)
	if visits[0].URL != half || visits[0].Text != half {
		t.Error("the longest strings came back changed")
	}
}

func TestRemove(t *testing.T) {
	store := newStore(t, 10)
	for id := uint32(1); id <= 6; id++ {
		add(t, store, 1, id, "u", "t")
	}
	must(t, store.DeleteVisits(1, []uint32{2, 77}))
	n, err := store.RemoveVisits(1, []uint32{3, 5, 78})
	if n != 2 || err != nil {
		t.Error(n, err)
	}
	wantVisits(t, store, 1, 6, 4, 1)
	for _, ids := range [][]uint32{nil, {}, {100}} {
		if n, err = store.RemoveVisits(1, ids); n != 0 || err != nil {
			t.Error(ids, n, err)
		}
	}
	must(t, store.ClearUser(1))
	wantVisits(t, store, 1)
}

func TestViewStopsAtAnError(t *testing.T) {
	store := newStore(t, 10)
	for id := uint32(1); id <= 5; id++ {
		add(t, store, 1, id, "url", "text")
	}
	stop := errors.New("stop")
	var seen []uint32
	err := store.View(1, func(v librv.VisitView) error {
		seen = append(seen, v.VisitID)
		if cap(v.URL) != 3 || cap(v.Text) != 4 || string(v.URL)+string(v.Text) != "urltext" {
			t.Errorf("got %q, %q", v.URL, v.Text)
		}
		// Other calls inside have readers of their own.
		wantVisits(t, store, 1, 5, 4, 3, 2, 1)
		if len(seen) == 2 {
			return stop
		}
		return nil
	})
	if err != stop || len(seen) != 2 || seen[0] != 5 || seen[1] != 4 {
		t.Errorf("got %v, %v", seen, err)
	}
}

func TestViewIsASnapshot(t *testing.T) {
	store := newStore(t, 2)
	add(t, store, 1, 1, "first", "one")
	add(t, store, 1, 2, "second", "two")
	var seen []string
	must(t, store.View(1, func(v librv.VisitView) error {
		for id := uint32(10); id < 50; id++ {
			add(t, store, 1, id+v.VisitID*100, "other", "else")
		}
		seen = append(seen, string(v.URL)+string(v.Text))
		return nil
	}))
	if len(seen) != 2 || seen[0] != "secondtwo" || seen[1] != "firstone" {
		t.Errorf("got %v", seen)
	}
}

func TestAPanicOfTheCallerLeavesTheStoreUsable(t *testing.T) {
	store := newStore(t, 10)
	add(t, store, 1, 1, "u", "t")
	panics := func(f func()) {
		t.Helper()
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("got %v", r)
			}
		}()
		f()
	}
	panics(func() { store.View(1, func(librv.VisitView) error { panic("mine") }) })
	panics(func() { store.Users(func(librv.User) error { panic("mine") }) })
	panics(func() {
		store.Backup(storePath(t), func(string, uint64, uint64) error { panic("mine") })
	})
	add(t, store, 1, 2, "u", "t")
	wantVisits(t, store, 1, 2, 1)
	must(t, store.Verify(nil))
	must(t, store.Sync())
}

func TestUsersCallsOtherMethods(t *testing.T) {
	store := newStore(t, 10)
	for user := uint32(0); user < 2000; user++ {
		add(t, store, user, 1, "u", "t")
	}
	stop := errors.New("stop")
	n := 0
	err := store.Users(func(u librv.User) error {
		n++
		wantVisits(t, store, u.UserID, 1)
		must(t, store.ClearUser(u.UserID))
		if n == 1000 {
			return stop
		}
		return nil
	})
	if err != stop || n != 1000 {
		t.Error(n, err)
	}
	stats, err := store.Stats()
	if err != nil || stats.Users != 1000 {
		t.Error(stats.Users, err)
	}
	n = 0
	err = store.Users(func(u librv.User) error {
		n++
		return store.Close()
	})
	wantError(t, err, "Users", librv.ErrClosed)
	if n != 1 {
		t.Errorf("%d users came, all but one of them after Close", n)
	}
}

func TestLimitMadeSmallerAndLarger(t *testing.T) {
	path := storePath(t)
	for _, c := range []struct {
		limit int
		want  []uint32
	}{{5, []uint32{5, 4, 3, 2, 1}}, {2, []uint32{5, 4}}, {5, []uint32{5, 4}}, {0, []uint32{5, 4}}} {
		store := openStore(t, path, &librv.Options{MaxVisits: c.limit})
		if c.limit == 5 && len(c.want) == 5 {
			for id := uint32(1); id <= 5; id++ {
				add(t, store, 1, id, "u", "t")
			}
		}
		wantVisits(t, store, 1, c.want...)
		must(t, store.Close())
	}
}

func TestOptions(t *testing.T) {
	path := storePath(t)
	store := openStore(t, path, &librv.Options{MaxVisits: 7, SlotSize: 512, Shards: 4, FileMode: 0640,
		CheckpointInterval: 1500 * time.Microsecond, BackupWait: -1, Create: librv.MustNotExist})
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm()&^0640 != 0 || info.Mode().Perm()&0600 != 0600 {
		t.Errorf("permissions %v", info.Mode())
	}
	stats, err := store.Stats()
	must(t, err)
	if stats.MaxVisits != 7 || stats.SlotSize != 512 || stats.Shards != 4 ||
		stats.Found != librv.FoundNew || stats.HolderPID != os.Getpid() {
		t.Errorf("got %+v", stats)
	}
	must(t, store.Close())
	stats, err = openStore(t, path, &librv.Options{Create: librv.MustExist}).Stats()
	must(t, err)
	if stats.MaxVisits != 7 || stats.Found != librv.FoundClean {
		t.Errorf("got %+v", stats)
	}
}

func TestOptionsThatAreNotAllowed(t *testing.T) {
	for name, o := range map[string]librv.Options{
		"mode":       {Mode: 99},
		"create":     {Create: 99},
		"limit":      {MaxVisits: librv.LimitMax + 1},
		"negative":   {MaxVisits: -1},
		"2^32":       {MaxVisits: 1 << 32},
		"slot":       {SlotSize: 100},
		"slot 2^32":  {SlotSize: 1<<32 + 256},
		"shards":     {Shards: 3},
		"file mode":  {FileMode: fs.ModeSetuid | 0600},
		"read limit": {Mode: librv.ReadOnly, MaxVisits: 5},
	} {
		path := storePath(t)
		o := o
		_, err := librv.Open(path, &o)
		var e *librv.Error
		if !errors.As(err, &e) || e.Status != librv.ErrInvalid || e.Op != "Open" || e.Path != path {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file was made", name)
		}
	}
	for _, n := range []int{-1, 0, librv.LimitMax + 1, 1 << 40} {
		_, err := librv.NewVisitManager(storePath(t), n)
		wantError(t, err, "NewVisitManager", librv.ErrInvalid)
	}
	for _, path := range []string{"", "a\x00b"} {
		_, err := librv.Open(path, nil)
		wantError(t, err, "Open", librv.ErrInvalid)
	}
}

func TestManagersThatShareAStore(t *testing.T) {
	path := storePath(t)
	options := &librv.Options{Mode: librv.Shared, LockWait: time.Minute}
	one := openStore(t, path, options)
	two := openStore(t, path, options)
	add(t, one, 1, 1, "u", "t")
	add(t, two, 1, 2, "u", "t")
	wantVisits(t, one, 1, 2, 1)
	_, err := librv.Open(path, nil)
	wantError(t, err, "Open", librv.ErrBusy)
	must(t, one.Close())
	wantVisits(t, two, 1, 2, 1)
}

func TestErase(t *testing.T) {
	for _, later := range []bool{false, true} {
		path := storePath(t)
		store := openStore(t, path, &librv.Options{EraseLater: later})
		add(t, store, 1, 1, "https://secret.example/", "t")
		must(t, store.Sync())
		must(t, store.ClearUser(1))
		must(t, store.Sync())
		file, err := os.ReadFile(path)
		must(t, err)
		if bytes.Contains(file, []byte("secret.example")) != later {
			t.Errorf("EraseLater %v: the bytes are in the file: %v", later, !later)
		}
	}
}

func TestReadOnlyBesideAWriter(t *testing.T) {
	path := storePath(t)
	writer := openStore(t, path, nil)
	reader := openStore(t, path, &librv.Options{Mode: librv.ReadOnly})
	add(t, writer, 1, 1, "u", "t")
	wantVisits(t, reader, 1, 1)
	wantError(t, reader.AddVisit(1, 2, "u", "t"), "AddVisit", librv.ErrReadOnly)
	_, err := reader.AddVisits([]librv.VisitInput{{}})
	wantError(t, err, "AddVisits", librv.ErrReadOnly)
	wantError(t, reader.DeleteVisits(1, []uint32{1}), "DeleteVisits", librv.ErrReadOnly)
	wantError(t, reader.ClearUser(1), "ClearUser", librv.ErrReadOnly)
	wantError(t, reader.Sync(), "Sync", librv.ErrReadOnly)
	stats, err := reader.Stats()
	if err != nil || stats.Found != librv.FoundInUse {
		t.Errorf("got %+v, %v", stats, err)
	}
	must(t, reader.Verify(nil))
}

func TestBackup(t *testing.T) {
	store := newStore(t, 5)
	m := newModel(5)
	for i := 0; i < 500; i++ {
		v := librv.Visit{VisitID: uint32(i), URL: "u", Text: "t", Time: second(i)}
		m.add(uint32(i%20), v)
		must(t, store.AddVisitAt(uint32(i%20), v.VisitID, v.URL, v.Text, v.Time))
	}
	path := storePath(t)
	calls := 0
	must(t, store.Backup(path, func(what string, done, total uint64) error {
		calls++
		if what == "" {
			t.Error("what is empty")
		}
		return nil
	}))
	if calls == 0 {
		t.Error("progress was not told")
	}
	m.check(t, openStore(t, path, &librv.Options{Mode: librv.ReadOnly}))
	wantError(t, store.Backup(path, nil), "Backup", librv.ErrExists)
	wantError(t, store.Backup("a\x00b", nil), "Backup", librv.ErrInvalid)

	stop := errors.New("stop")
	path = storePath(t)
	err := store.Backup(path, func(string, uint64, uint64) error { return stop })
	wantError(t, err, "Backup", librv.ErrCancelled)
	if !errors.Is(err, stop) || !strings.Contains(err.Error(), "stop") {
		t.Errorf("%v does not wrap the caller's error", err)
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 0 {
		t.Errorf("a stopped backup left %v", names)
	}
}

func TestProgressOfOpen(t *testing.T) {
	path := storePath(t)
	store := openStore(t, path, &librv.Options{MaxVisits: 10})
	for user := uint32(0); user < 300; user++ {
		add(t, store, user, 1, "u", "t")
	}
	must(t, store.Close())
	must(t, openStore(t, path, &librv.Options{MaxVisits: 5}).Close())
	stop := errors.New("stop")
	_, err := librv.Open(path, &librv.Options{MaxVisits: 10,
		Progress: func(string, uint64, uint64) error { return stop }})
	wantError(t, err, "Open", librv.ErrCancelled)
	if !errors.Is(err, stop) {
		t.Errorf("%v does not wrap the caller's error", err)
	}
	func() {
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("got %v", r)
			}
		}()
		librv.Open(path, &librv.Options{MaxVisits: 10,
			Progress: func(string, uint64, uint64) error { panic("mine") }})
	}()
	calls := 0
	store = openStore(t, path, &librv.Options{MaxVisits: 10,
		Progress: func(string, uint64, uint64) error { calls++; return nil }})
	if calls == 0 {
		t.Error("progress was not told")
	}
	wantVisits(t, store, 299, 1)
}

func TestVerifyFindsDamage(t *testing.T) {
	path := storePath(t)
	store := openStore(t, path, nil)
	for i := 0; i < 100; i++ {
		add(t, store, uint32(i), 1, "https://example.org/some/page", "a text to look for")
	}
	must(t, store.Verify(func(f librv.Finding) error { t.Errorf("found %+v", f); return nil }))
	must(t, store.Close())
	damage(t, path, "a text to look for", 3)

	store = openStore(t, path, nil)
	var found []librv.Finding
	err := store.Verify(func(f librv.Finding) error { found = append(found, f); return nil })
	wantError(t, err, "Verify", librv.ErrCorrupt)
	wantError(t, store.Verify(nil), "Verify", librv.ErrCorrupt)
	if len(found) != 3 {
		t.Fatalf("got %+v", found)
	}
	for _, f := range found {
		if f.Offset == 0 || f.Rule == "" || f.Message == "" || !f.HasUser || f.UserID >= 100 {
			t.Errorf("got %+v", f)
		}
		_, err := store.GetRecentVisits(f.UserID)
		if err != nil { // a read does not check every sum
			wantError(t, err, "GetRecentVisits", librv.ErrCorrupt)
		}
	}
	stop := errors.New("stop")
	err = store.Verify(func(librv.Finding) error { return stop })
	wantError(t, err, "Verify", librv.ErrCancelled)
	if !errors.Is(err, stop) {
		t.Errorf("%v does not wrap the caller's error", err)
	}
	func() {
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("got %v", r)
			}
		}()
		store.Verify(func(librv.Finding) error { panic("mine") })
	}()
	add(t, store, 1000, 1, "locks are free", "")
}

// damage changes a byte in the first so many places where the text stands.
func damage(t *testing.T, path, text string, places int) {
	t.Helper()
	bytes, err := os.ReadFile(path)
	must(t, err)
	at := 0
	for ; places > 0; places-- {
		next := strings.Index(string(bytes[at:]), text)
		if next < 0 {
			t.Fatal("the text is not in the file")
		}
		at += next
		bytes[at+4] ^= 0x20
		at++
	}
	must(t, os.WriteFile(path, bytes, 0600))
}

func TestStats(t *testing.T) {
	before := time.Now().Add(-time.Minute)
	store := newStore(t, 5)
	for i := 0; i < 70; i++ {
		add(t, store, uint32(i%10), uint32(i), "u", "t")
	}
	must(t, store.Sync())
	s, err := store.Stats()
	must(t, err)
	if s.Users != 10 || s.Visits != 50 || s.FormatVersion != 1 || s.SlotSize != 256 || s.Shards != 16 ||
		s.MaxVisits != 5 || s.UUID == [16]byte{} || s.FileBytes != s.Blocks*s.BlockBytes ||
		s.RingSlots < 50 || s.IndexEntries != 10 || s.IndexCapacity < 10 || s.BlocksSegments == 0 ||
		s.BlocksSlots == 0 || s.DurableEpoch == 0 || s.Epoch <= s.DurableEpoch {
		t.Errorf("got %+v", s)
	}
	for _, at := range []time.Time{s.Checkpoint, s.Created} {
		if at.Before(before) || at.After(time.Now()) || at.Location() != time.UTC {
			t.Errorf("got the time %v", at)
		}
	}
}

func TestVersion(t *testing.T) {
	if v := librv.Version(); strings.Count(v, ".") != 2 {
		t.Errorf("got %q", v)
	}
}
