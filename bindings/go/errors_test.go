// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	librv "example.org/librv/bindings/go"
)

var statuses = map[string]librv.Status{
	"INVALID": librv.ErrInvalid, "IO": librv.ErrIO, "NO_SPACE": librv.ErrNoSpace,
	"BUSY": librv.ErrBusy, "CORRUPT": librv.ErrCorrupt, "NOT_A_STORE": librv.ErrNotAStore,
	"NEWER_VERSION": librv.ErrNewerVersion, "TOO_LONG": librv.ErrTooLong,
	"READ_ONLY": librv.ErrReadOnly, "NO_MEMORY": librv.ErrNoMemory, "FORKED": librv.ErrForked,
	"NOT_FOUND": librv.ErrNotFound, "EXISTS": librv.ErrExists, "ACCESS": librv.ErrAccess,
	"NOT_CLEAN": librv.ErrNotClean, "CANCELLED": librv.ErrCancelled,
	"UNSUPPORTED": librv.ErrUnsupported,
}

// The header is the list of what there is.
func TestEveryStatusHasASentinel(t *testing.T) {
	header, err := os.ReadFile(filepath.Join("..", "..", "include", "recent_visits.h"))
	must(t, err)
	found := regexp.MustCompile(`VISIT_ERROR_([A-Z_]+) = (-\d+)`).FindAllStringSubmatch(string(header), -1)
	if len(found) != len(statuses) {
		t.Errorf("the header has %d errors, this package %d", len(found), len(statuses))
	}
	texts := map[string]bool{"unknown status": true}
	for _, f := range found {
		status, ok := statuses[f[1]]
		if n, _ := strconv.Atoi(f[2]); !ok || int(status) != n {
			t.Errorf("%s is %s in the header, %d here", f[1], f[2], status)
		}
		if texts[status.Error()] {
			t.Errorf("%s: the text %q is not its own", f[1], status.Error())
		}
		texts[status.Error()] = true
	}
	if librv.ErrClosed.Error() != "store is closed" || librv.Status(-999).Error() != "unknown status" {
		t.Error("texts of ErrClosed and of an unknown status")
	}
}

func TestErrorsOfTheStandardLibrary(t *testing.T) {
	standard := map[librv.Status]error{librv.ErrNotFound: fs.ErrNotExist, librv.ErrExists: fs.ErrExist,
		librv.ErrAccess: fs.ErrPermission, librv.ErrClosed: fs.ErrClosed}
	all := []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrClosed}
	statuses := append([]librv.Status{librv.ErrClosed}, values(statuses)...)
	for _, status := range statuses {
		err := fmt.Errorf("wrapped: %w", &librv.Error{Status: status})
		for _, other := range statuses {
			if errors.Is(err, other) != (status == other) {
				t.Errorf("errors.Is(%v, %v) is wrong", err, other)
			}
		}
		for _, target := range all {
			if errors.Is(err, target) != (standard[status] == target) || errors.Is(status, target) != (standard[status] == target) {
				t.Errorf("errors.Is(%v, %v) is wrong", err, target)
			}
		}
	}
}

func values(m map[string]librv.Status) (all []librv.Status) {
	for _, s := range m {
		all = append(all, s)
	}
	return all
}

func TestErrorsOfOpen(t *testing.T) {
	folder := t.TempDir()
	other := filepath.Join(folder, "other")
	must(t, os.WriteFile(other, []byte(strings.Repeat("something else ", 9000)), 0600))
	there := filepath.Join(folder, "there.rv")
	openStore(t, there, nil)

	for _, c := range []struct {
		path    string
		options librv.Options
		status  librv.Status
	}{
		{filepath.Join(folder, "none.rv"), librv.Options{Create: librv.MustExist}, librv.ErrNotFound},
		{filepath.Join(folder, "none", "none.rv"), librv.Options{}, librv.ErrNotFound},
		{filepath.Join(folder, "none.rv"), librv.Options{Mode: librv.ReadOnly}, librv.ErrNotFound},
		{other, librv.Options{}, librv.ErrNotAStore},
		{folder, librv.Options{}, librv.ErrNotAStore},
		{there, librv.Options{}, librv.ErrBusy},
		{there, librv.Options{Create: librv.MustNotExist}, librv.ErrExists},
	} {
		store, err := librv.Open(c.path, &c.options)
		if store != nil {
			t.Errorf("%s was opened", c.path)
		}
		e := wantError(t, err, "Open", c.status)
		if e.Path != c.path || !strings.Contains(e.Error(), c.path) || !strings.HasPrefix(e.Error(), "librv: Open: ") ||
			strings.Count(e.Error(), c.path) != 1 || e.Message == "" {
			t.Errorf("the error is %q", e)
		}
	}
	_, err := librv.NewVisitManager(other, 10)
	wantError(t, err, "NewVisitManager", librv.ErrNotAStore)
	bytes, _ := os.ReadFile(other)
	if string(bytes) != strings.Repeat("something else ", 9000) {
		t.Error("the other file has changed")
	}
}

func TestManagerThatWasNotOpened(t *testing.T) {
	for _, store := range []*librv.VisitManager{nil, {}} {
		for op, err := range everyMethod(store, t.TempDir()) {
			wantError(t, err, op, librv.ErrInvalid)
		}
		wantError(t, store.Close(), "Close", librv.ErrInvalid)
		for op, err := range wrongCalls(store) {
			wantError(t, err, op, librv.ErrInvalid)
		}
	}
}

// everyMethod calls each method once.
func everyMethod(store *librv.VisitManager, folder string) map[string]error {
	errs := make(map[string]error)
	errs["AddVisit"] = store.AddVisit(1, 1, "u", "t")
	errs["AddVisitAt"] = store.AddVisitAt(1, 1, "u", "t", second(1))
	_, errs["AddVisits"] = store.AddVisits([]librv.VisitInput{{UserID: 1, VisitID: 3}})
	_, errs["GetRecentVisits"] = store.GetRecentVisits(1)
	_, errs["AppendRecentVisits"] = store.AppendRecentVisits(nil, 1)
	errs["View"] = store.View(1, func(librv.VisitView) error { return nil })
	errs["DeleteVisits"] = store.DeleteVisits(1, []uint32{3})
	_, errs["RemoveVisits"] = store.RemoveVisits(1, []uint32{3})
	errs["ClearUser"] = store.ClearUser(2)
	errs["Users"] = store.Users(func(librv.User) error { return nil })
	errs["Sync"] = store.Sync()
	_, errs["Stats"] = store.Stats()
	errs["Verify"] = store.Verify(nil)
	errs["Backup"] = store.Backup(filepath.Join(folder, "backup.rv"), nil)
	return errs
}

// wrongCalls makes calls that are refused before the store is asked.
func wrongCalls(store *librv.VisitManager) map[string]error {
	errs := make(map[string]error)
	errs["AddVisitAt"] = store.AddVisitAt(1, 1, "u", "t", time.Time{})
	errs["Backup"] = store.Backup("a\x00b", nil)
	_, errs["AddVisits"] = store.AddVisits([]librv.VisitInput{{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}})
	return errs
}

func TestClosed(t *testing.T) {
	store := newStore(t, 10)
	for op, err := range everyMethod(store, t.TempDir()) {
		if err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	for i := 0; i < 3; i++ {
		must(t, store.Close())
		for op, err := range everyMethod(store, t.TempDir()) {
			wantError(t, err, op, librv.ErrClosed)
		}
		for op, err := range wrongCalls(store) {
			wantError(t, err, op, librv.ErrClosed)
		}
	}
}
