// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv

// #include "shim.h"
import "C"

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A seat is what one call at a time needs of a manager: the right to use it, which closing takes away,
// and a reader of its own, since a goroutine has no thread of its own. A call takes a seat, keeps it
// locked while it is in C, and puts it back.
type seat struct {
	mu      sync.Mutex
	manager C.rvgo_manager // 0 once the manager is closed
	reader  C.rvgo_reader  // made by the first read
	users   C.rvgo_users   // while users are gone through
	memory  unsafe.Pointer // C's; for batches
	room    uintptr        // bytes of it
	_       [80]byte       // no two seats on one cache line
}

// Most bytes that a seat keeps, in a reader and for batches, after a call that needed more.
const keepBytes = 1 << 20

// free gives back what the seat has of C.
func (s *seat) free() {
	C.rvgo_users_free(s.users)
	s.users = 0
	s.freeReader()
	s.freeMemory()
}

func (s *seat) freeReader() {
	C.rvgo_reader_free(s.reader)
	s.reader = 0
}

func (s *seat) freeMemory() {
	C.free(s.memory)
	s.memory, s.room = nil, 0
}

// space returns memory of C that has at least so many bytes; nil if there is none.
func (s *seat) space(bytes uintptr) unsafe.Pointer {
	if bytes > s.room {
		s.freeMemory()
		s.memory = C.rvgo_allocate(C.size_t(bytes))
		if s.memory != nil {
			s.room = bytes
		}
	}
	return s.memory
}

// A place holds a seat that no call uses. It fills a cache line, so that goroutines that use
// neighbouring places do not wait for each other's processor.
type place struct {
	seat atomic.Pointer[seat]
	_    [64 - unsafe.Sizeof(atomic.Pointer[seat]{})]byte
}

// seats are all seats of a manager.
type seats struct {
	places  []place     // a power of two
	closing atomic.Bool // calls that come now find nothing
	mu      sync.Mutex
	manager C.rvgo_manager // 0 once closed
	all     map[*seat]struct{}
}

func newSeats(manager C.rvgo_manager) *seats {
	n := 4
	for n < 4*runtime.GOMAXPROCS(0) {
		n *= 2
	}
	return &seats{places: make([]place, n), manager: manager, all: make(map[*seat]struct{})}
}

// start is the place to look at first. It differs from goroutine to goroutine, for the most part: it
// comes from the address of the goroutine's stack. A goroutine so finds what it used last, which is in
// its processor's cache. Any number would be right.
func (s *seats) start() uintptr {
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here)) >> 12)
	return uintptr(address * 0x9e3779b97f4a7c15 >> 32)
}

// take returns a locked seat; nil if the manager is closed, or is about to be.
func (s *seats) take() *seat {
	start, mask := s.start(), uintptr(len(s.places)-1)
	for i := range s.places {
		p := &s.places[(start+uintptr(i))&mask]
		if p.seat.Load() == nil {
			continue
		}
		if found := p.seat.Swap(nil); found != nil {
			found.mu.Lock()
			if found.manager == 0 || s.closing.Load() {
				found.mu.Unlock()
				return nil
			}
			return found
		}
	}
	return s.add()
}

// add makes a new seat.
func (s *seats) add() *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.manager == 0 {
		return nil
	}
	added := &seat{manager: s.manager}
	added.mu.Lock()
	s.all[added] = struct{}{}
	return added
}

// put gives a seat back, which the caller has locked.
func (s *seats) put(back *seat) {
	back.mu.Unlock()
	start, mask := s.start(), uintptr(len(s.places)-1)
	for i := range s.places {
		p := &s.places[(start+uintptr(i))&mask]
		if p.seat.Load() == nil && p.seat.CompareAndSwap(nil, back) {
			return
		}
	}
	s.drop(back)
}

// drop frees a seat that found no place.
func (s *seats) drop(extra *seat) {
	extra.mu.Lock()
	extra.free()
	extra.mu.Unlock()
	s.mu.Lock()
	delete(s.all, extra)
	s.mu.Unlock()
}

// close waits for the calls that are under way, frees all seats, and returns the manager, which no call
// can reach any more; 0 if that was done before.
func (s *seats) close() C.rvgo_manager {
	s.closing.Store(true)
	s.mu.Lock()
	manager, all := s.manager, s.all
	s.manager, s.all = 0, nil
	s.mu.Unlock()
	for each := range all {
		each.mu.Lock()
		each.free()
		each.manager = 0
		each.mu.Unlock()
	}
	return manager
}
