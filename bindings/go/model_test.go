// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv_test

import (
	"fmt"
	"math/rand"
	"path/filepath"
	"strings"
	"testing"

	librv "example.org/librv/bindings/go"
)

// A course is a store and its model, and where the next operations come from.
type course struct {
	t      *testing.T
	draw   func(n int) int // a number below n
	path   string
	store  *librv.VisitManager
	model  *model
	moment int // of the last ordinary time
	copies int
}

func newCourse(t *testing.T, draw func(int) int) *course {
	c := &course{t: t, draw: draw, path: storePath(t)}
	c.reopen(1 + c.draw(12))
	return c
}

func (c *course) reopen(limit int) {
	if c.store != nil {
		must(c.t, c.store.Close())
		c.model.setLimit(limit)
	} else {
		c.model = newModel(limit)
	}
	store, err := librv.Open(c.path, &librv.Options{MaxVisits: limit, SlotSize: 128, Shards: 2})
	must(c.t, err)
	c.store = store
}

func (c *course) text(n int) string {
	if c.draw(20) == 0 {
		n *= 100
	}
	return strings.Repeat(string(rune('a'+c.draw(26))), c.draw(n))
}

// visit draws a visit: mostly a new one that is the newest.
func (c *course) visit() librv.Visit {
	c.moment++
	at := c.moment
	if c.draw(5) == 0 {
		at -= c.draw(20)
	}
	id := uint32(c.moment)
	if c.draw(4) == 0 {
		id = uint32(c.draw(30))
	}
	return librv.Visit{VisitID: id, URL: c.text(100), Text: c.text(60), Time: second(at)}
}

func (c *course) user() uint32 {
	return uint32(c.draw(12)) * 0x10101010
}

func (c *course) step() {
	user := c.user()
	switch k := c.draw(100); {
	case k < 60:
		v := c.visit()
		must(c.t, c.store.AddVisitAt(user, v.VisitID, v.URL, v.Text, v.Time))
		c.model.add(user, v)
	case k < 75:
		c.batch()
	case k < 85:
		var ids []uint32
		for _, v := range c.model.users[user] {
			if c.draw(3) == 0 {
				ids = append(ids, v.VisitID)
			}
		}
		n, err := c.store.RemoveVisits(user, append(ids, 1<<31))
		if want := c.model.remove(user, ids); n != want || err != nil {
			c.t.Fatalf("%d removed, want %d; %v", n, want, err)
		}
	case k < 90:
		must(c.t, c.store.ClearUser(user))
		c.model.users[user] = nil
	case k < 93:
		must(c.t, c.store.Sync())
	case k < 95:
		c.reopen(1 + c.draw(12))
	case k < 96:
		c.backup()
	default:
		c.model.check(c.t, c.store)
	}
}

func (c *course) batch() {
	var batch []librv.VisitInput
	for n := c.draw(40); n > 0; n-- {
		user, v := c.user(), c.visit()
		batch = append(batch, librv.VisitInput{UserID: user, VisitID: v.VisitID, URL: v.URL,
			Text: v.Text, Time: v.Time})
		c.model.add(user, v)
	}
	if n, err := c.store.AddVisits(batch); n != len(batch) || err != nil {
		c.t.Fatal(n, err)
	}
}

// backup goes on with the copy.
func (c *course) backup() {
	c.copies++
	path := filepath.Join(filepath.Dir(c.path), fmt.Sprint("copy", c.copies))
	must(c.t, c.store.Backup(path, nil))
	must(c.t, c.store.Close())
	c.path, c.store = path, nil
	model := c.model
	c.reopen(model.limit)
	c.model = model
}

func (c *course) end() {
	c.model.check(c.t, c.store)
	must(c.t, c.store.Verify(func(f librv.Finding) error { c.t.Errorf("found %+v", f); return nil }))
	must(c.t, c.store.Close())
}

func TestRandomOperationsAgainstTheModel(t *testing.T) {
	for seed := int64(1); seed <= 20; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := newCourse(t, rand.New(rand.NewSource(seed)).Intn)
			for i := 0; i < 500; i++ {
				c.step()
			}
			c.end()
		})
	}
}

// The bytes say which operations come; without more bytes, the course is at its end.
func FuzzOperations(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("add, remove, clear, open again, verify"))
	f.Add([]byte(strings.Repeat("\x01\x02\x5a\x10\x40\x5d\x00", 60)))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		c := newCourse(t, func(n int) int {
			if len(bytes) == 0 {
				return 0
			}
			b := int(bytes[0])
			bytes = bytes[1:]
			return b % n
		})
		for steps := 0; len(bytes) > 0 && steps < 300; steps++ {
			c.step()
		}
		c.end()
	})
}
