// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv

// #include "shim.h"
import "C"

import "unsafe"

// A batch goes to C in one block of C's memory: the inputs, then their strings. (Go's rules forbid to
// hand C a slice of strings.)

// rawInput is C's VisitInput with numbers in the place of pointers: the collector would look at what a
// pointer was before, and C's memory may have had anything there.
type rawInput struct {
	userID, visitID uint32
	url, urlLength  uintptr
	text, length    uintptr
	ns              int64
	flags, reserved uint32
}

// These do not compile if the structures differ.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(rawInput{})-C.sizeof_VisitInput]
	_ = [1]struct{}{}[unsafe.Offsetof(rawInput{}.url)-unsafe.Offsetof(C.VisitInput{}.url)]
	_ = [1]struct{}{}[unsafe.Offsetof(rawInput{}.text)-unsafe.Offsetof(C.VisitInput{}.text)]
	_ = [1]struct{}{}[unsafe.Offsetof(rawInput{}.ns)-unsafe.Offsetof(C.VisitInput{}.time_ns)]
	_ = [1]struct{}{}[unsafe.Offsetof(rawInput{}.flags)-unsafe.Offsetof(C.VisitInput{}.flags)]
)

// AddVisits adds visits in order, as AddVisit and AddVisitAt do for each; faster than single calls. It
// returns how many were added before an error; the rest is not. A batch is one call into C for each
// megabyte.
func (m *VisitManager) AddVisits(visits []VisitInput) (int, error) {
	const op = "AddVisits"
	s, err := m.take(op)
	if err != nil {
		return 0, err
	}
	defer m.put(s)
	added := 0
	for added < len(visits) {
		count, bytes := fit(visits[added:])
		if count == 0 {
			return added, m.invalid(op, badTime)
		}
		memory := s.space(bytes)
		if memory == nil {
			return added, &Error{Op: op, Path: m.path, Status: ErrNoMemory}
		}
		fill(memory, visits[added:added+count], bytes)
		r := C.rvgo_add_many(s.manager, memory, C.size_t(count))
		added += int(r.count)
		if r.outcome.status < 0 {
			return added, fail(op, m.path, r.outcome)
		}
	}
	if s.room > keepBytes {
		s.freeMemory()
	}
	return added, nil
}

// stringBytes is what has to be copied of a visit. Strings that are too long are refused by their
// length; nobody looks at them.
func (v *VisitInput) stringBytes() int {
	if len(v.URL) > StringsMax || len(v.Text) > StringsMax || len(v.URL)+len(v.Text) > StringsMax {
		return 0
	}
	return len(v.URL) + len(v.Text)
}

// fit returns how many of the visits, at least one, go in one call, and the bytes they need; 0 if the
// first one's time is not allowed. The next call finds the one that ends this call.
func fit(visits []VisitInput) (count int, bytes uintptr) {
	for i := range visits {
		more := unsafe.Sizeof(rawInput{}) + uintptr(visits[i].stringBytes())
		if i > 0 && bytes+more > keepBytes {
			break
		}
		if _, ok := nanoseconds(visits[i].Time); !ok && !visits[i].Time.IsZero() {
			break
		}
		bytes += more
		count++
	}
	return count, bytes
}

// fill writes the inputs, and behind them their strings.
func fill(memory unsafe.Pointer, visits []VisitInput, bytes uintptr) {
	inputs := unsafe.Slice((*rawInput)(memory), len(visits))
	head := uintptr(len(visits)) * unsafe.Sizeof(rawInput{})
	room := unsafe.Slice((*byte)(memory), bytes)[head:]
	at := uintptr(memory) + head
	for i := range visits {
		v := &visits[i]
		in := rawInput{
			userID:    v.UserID,
			visitID:   v.VisitID,
			url:       at,
			urlLength: uintptr(len(v.URL)),
			text:      at + uintptr(len(v.URL)),
			length:    uintptr(len(v.Text)),
		}
		if !v.Time.IsZero() {
			in.ns, in.flags = v.Time.UnixNano(), C.VISIT_AT_TIME
		}
		inputs[i] = in
		if n := v.stringBytes(); n > 0 {
			copy(room, v.URL)
			copy(room[len(v.URL):], v.Text)
			room = room[n:]
			at += uintptr(n)
		}
	}
}
