// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv

/*
#define LIBRV_GO_STRINGS
#include "shim.h"
*/
import "C"

import (
	"math"
	"time"
	"unsafe"
)

// Visit is one visit, as it is read.
type Visit struct {
	VisitID   uint32
	URL, Text string
	Time      time.Time // UTC
}

// VisitInput is a visit to add.
type VisitInput struct {
	UserID, VisitID uint32
	URL, Text       string
	Time            time.Time // the zero time: the present
}

// VisitView is one visit as [VisitManager.View] shows it: URL and Text lie in memory of C that is
// valid, and may be changed, during the call only.
type VisitView struct {
	VisitID   uint32
	URL, Text []byte
	Time      time.Time // UTC
}

// AddVisit adds a visit with the present time. A visit id that the user already has: nothing changes,
// and it is no error. The user is full: the oldest visit goes. Should the clock have been set back, the
// newest time that it gave in the user's part of the store (shard) is used. If the user's newest visit has a
// later time, given with AddVisitAt, that one is used. On an error the store is unchanged.
func (m *VisitManager) AddVisit(userID, visitID uint32, url, text string) error {
	return m.add("AddVisit", userID, visitID, url, text, 0, 0)
}

// AddVisitAt adds a visit with a time, in the years 1678 to 2261. It goes to its place by time; among
// visits of the same time the one that was added last is the newest. One that is older than all visits
// of a full user changes nothing, which is no error.
func (m *VisitManager) AddVisitAt(userID, visitID uint32, url, text string, at time.Time) error {
	ns, ok := nanoseconds(at)
	if !ok {
		return m.refuse("AddVisitAt", badTime)
	}
	return m.add("AddVisitAt", userID, visitID, url, text, ns, C.VISIT_AT_TIME)
}

func (m *VisitManager) add(op string, userID, visitID uint32, url, text string, ns int64, flags uint32) error {
	s, err := m.take(op)
	if err != nil {
		return err
	}
	outcome := C.rvgo_add(s.manager, C.uint32_t(userID), C.uint32_t(visitID), url, text,
		C.int64_t(ns), C.uint32_t(flags))
	m.put(s)
	return fail(op, m.path, outcome)
}

// nanoseconds returns the time since 1970; false if 64 bits have no room for it.
func nanoseconds(t time.Time) (int64, bool) {
	const most = math.MaxInt64/1_000_000_000 - 1
	seconds := t.Unix()
	return t.UnixNano(), seconds >= -most && seconds <= most
}

const badTime = "a time must lie in the years 1678 to 2261"

// GetRecentVisits returns a user's visits, newest first; none for an unknown user. It is a snapshot:
// true at one instant of the call. The strings of one result share memory; a program that keeps one of
// them for long and drops the others uses strings.Clone.
func (m *VisitManager) GetRecentVisits(userID uint32) ([]Visit, error) {
	return m.read("GetRecentVisits", nil, userID)
}

// AppendRecentVisits appends a user's visits to dst, newest first, and returns the longer slice, as
// GetRecentVisits does without one. With a slice that has room it allocates once, for the strings. On an
// error dst comes back as it was.
func (m *VisitManager) AppendRecentVisits(dst []Visit, userID uint32) ([]Visit, error) {
	return m.read("AppendRecentVisits", dst, userID)
}

func (m *VisitManager) read(op string, dst []Visit, userID uint32) ([]Visit, error) {
	s, err := m.take(op)
	if err != nil {
		return dst, err
	}
	r, err := s.read(op, m.path, userID)
	if err == nil {
		dst = r.appendTo(dst)
		s.trim(r)
	}
	m.put(s)
	return dst, err
}

// View calls a function for each of a user's visits, newest first, without copying them into Go's
// memory. What it shows is a snapshot: true at one instant of the call, whatever other goroutines do. An
// error of the function ends the call, which returns it as it is. The function must not keep URL and
// Text, and must not close the manager.
func (m *VisitManager) View(userID uint32, function func(VisitView) error) error {
	s, err := m.take("View")
	if err != nil {
		return err
	}
	defer m.put(s)
	r, err := s.read("View", m.path, userID)
	if err != nil {
		return err
	}
	defer s.trim(r)
	for i := range r.items() {
		if err := function(r.view(i)); err != nil {
			return err
		}
	}
	return nil
}

// A result is what a reader has put together: VisitPacked, then the strings. It belongs to the reader.
type result struct {
	packed      *C.VisitPacked
	size, count int
}

// read reads a user with the seat's own reader.
func (s *seat) read(op, path string, userID uint32) (result, error) {
	if s.reader == 0 {
		opened := C.rvgo_reader_open(s.manager)
		if err := fail(op, path, opened.outcome); err != nil {
			return result{}, err
		}
		s.reader = C.rvgo_reader(opened.opened)
	}
	r := C.rvgo_read(s.reader, C.uint32_t(userID))
	if r.outcome.status < 0 {
		return result{}, fail(op, path, r.outcome)
	}
	return result{packed: r.packed, size: int(r.size), count: int(r.count)}, nil
}

// trim lets go of a reader that had a large result.
func (s *seat) trim(r result) {
	if r.size > keepBytes {
		s.freeReader()
	}
}

func (r *result) items() []C.VisitPacked {
	return unsafe.Slice(r.packed, r.count)
}

func (r *result) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(r.packed)), r.size)
}

// appendTo copies all strings at once.
func (r *result) appendTo(dst []Visit) []Visit {
	if r.count == 0 {
		return dst
	}
	from := len(dst)
	if cap(dst)-from < r.count {
		dst = append(make([]Visit, 0, from+max(from, r.count)), dst...)
	}
	dst = dst[:from+r.count]
	head := r.count * C.sizeof_VisitPacked
	strings := string(r.bytes()[head:])
	items := r.items()
	for i := range items {
		item := &items[i]
		url := int(item.url_offset) - head
		text := url + int(item.url_length) + 1
		v := &dst[from+i] // in place: a Visit is nine words
		v.VisitID = uint32(item.visit_id)
		v.URL = strings[url : text-1]
		v.Text = strings[text : text+int(item.text_length)]
		v.Time = time.Unix(0, int64(item.time_ns)).UTC()
	}
	return dst
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}

func (r *result) view(i int) VisitView {
	item := &r.items()[i]
	url := int(item.url_offset)
	text := url + int(item.url_length) + 1
	end := text + int(item.text_length)
	return VisitView{
		VisitID: uint32(item.visit_id),
		URL:     r.bytes()[url : text-1 : text-1],
		Text:    r.bytes()[text:end:end],
		Time:    time.Unix(0, int64(item.time_ns)).UTC(),
	}
}

// DeleteVisits removes visits of a user, all at once. Ids that the user does not have are passed over.
func (m *VisitManager) DeleteVisits(userID uint32, visitIDs []uint32) error {
	_, err := m.remove("DeleteVisits", userID, visitIDs)
	return err
}

// RemoveVisits is DeleteVisits, and tells how many of the visits were there.
func (m *VisitManager) RemoveVisits(userID uint32, visitIDs []uint32) (int, error) {
	return m.remove("RemoveVisits", userID, visitIDs)
}

func (m *VisitManager) remove(op string, userID uint32, visitIDs []uint32) (int, error) {
	s, err := m.take(op)
	if err != nil {
		return 0, err
	}
	defer m.put(s)
	var first *C.uint32_t
	if len(visitIDs) > 0 {
		first = (*C.uint32_t)(unsafe.Pointer(&visitIDs[0]))
	}
	r := C.rvgo_remove(s.manager, C.uint32_t(userID), first, C.size_t(len(visitIDs)))
	return int(r.count), fail(op, m.path, r.outcome)
}

// ClearUser removes all visits of a user; an unknown user is fine.
func (m *VisitManager) ClearUser(userID uint32) error {
	s, err := m.take("ClearUser")
	if err != nil {
		return err
	}
	defer m.put(s)
	return fail("ClearUser", m.path, C.rvgo_clear(s.manager, C.uint32_t(userID)))
}
