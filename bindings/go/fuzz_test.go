// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv_test

import (
	"strings"
	"testing"

	librv "example.org/librv/bindings/go"
)

// Any string comes back as it was, by every way in and out, or is refused.
func FuzzStrings(f *testing.F) {
	for _, s := range []string{"", "a", "\x00", "a\x00b", "\xff\xfe", "☃", "line\nbreak", strings.Repeat("é", 300)} {
		f.Add(s, "", uint32(0), uint32(0))
		f.Add("https://example.org/", s, uint32(1<<32-1), uint32(1<<32-1))
	}
	store := newStore(f, 10)
	f.Fuzz(func(t *testing.T, url, text string, user, id uint32) {
		must(t, store.ClearUser(user))
		batch := []librv.VisitInput{{UserID: user, VisitID: id + 1, URL: url, Text: text}}
		single := store.AddVisit(user, id, url, text)
		_, many := store.AddVisits(batch)
		if strings.IndexByte(url+text, 0) >= 0 {
			wantError(t, single, "AddVisit", librv.ErrInvalid)
			wantError(t, many, "AddVisits", librv.ErrInvalid)
			wantVisits(t, store, user)
			return
		}
		must(t, single)
		must(t, many)
		wantVisits(t, store, user, id+1, id)
		visits, err := store.GetRecentVisits(user)
		must(t, err)
		for _, v := range visits {
			if v.URL != url || v.Text != text {
				t.Errorf("got %q, %q; want %q, %q", v.URL, v.Text, url, text)
			}
		}
		must(t, store.View(user, func(v librv.VisitView) error {
			if string(v.URL) != url || string(v.Text) != text {
				t.Errorf("View shows %q, %q; want %q, %q", v.URL, v.Text, url, text)
			}
			return nil
		}))
	})
}
