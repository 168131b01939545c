// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv

// #include <recent_visits.h>
import "C"

import (
	"runtime/cgo"
	"sync/atomic"
)

// Progress is told how long work goes on: what is a short English phrase such as "recovering", done and
// total are in units of the work; a total of 0 means that it is not known. An error stops the work: the
// call then returns an [*Error] with ErrCancelled that wraps it. The function must not call
// runtime.Goexit, which tests' FailNow does.
type Progress func(what string, done, total uint64) error

// Finding is one thing that [VisitManager.Verify] found.
type Finding struct {
	Offset  uint64 // in the file
	Rule    string // a short name of the rule that is broken, such as "slot-checksum"
	Message string // one line of English
	UserID  uint32 // the user it concerns, if HasUser
	HasUser bool
}

// A visitor is a caller's function while C may call it, and what came of that.
type visitor struct {
	over     atomic.Bool // the caller's function is not to be called any more
	progress Progress
	finding  func(Finding) error
	err      error
	panicked any
	panics   bool
	handle   cgo.Handle
}

// announce makes the visitor known to C.
func (v *visitor) announce() C.uintptr_t {
	v.handle = cgo.NewHandle(v)
	return C.uintptr_t(v.handle)
}

// forget takes the visitor back from C. nil is allowed.
func (v *visitor) forget() {
	if v != nil {
		v.handle.Delete()
	}
}

// end ends the call that the function was for: adds the caller's error to the call's, and goes on with a
// panic, which must not pass through C, since C holds locks.
func (v *visitor) end(err error) error {
	v.over.Store(true)
	v.progress, v.finding = nil, nil // C may know the visitor for longer
	if v.panics {
		panic(v.panicked)
	}
	if e, ok := err.(*Error); ok && e.Status == ErrCancelled {
		e.cause = v.err
	}
	return err
}

// run calls a caller's function; a number other than 0 tells C to stop.
func (v *visitor) run(function func() error) (stop C.int) {
	if v.over.Load() {
		return 0
	}
	v.panics = true
	defer func() {
		if v.panics {
			v.panicked = recover()
			stop = 1
		}
	}()
	v.err = function()
	v.panics = false
	if v.err != nil {
		return 1
	}
	return 0
}

//export librvGoProgress
func librvGoProgress(handle C.uintptr_t, what *C.char, done, total C.uint64_t) C.int {
	v := cgo.Handle(handle).Value().(*visitor)
	return v.run(func() error {
		return v.progress(C.GoString(what), uint64(done), uint64(total))
	})
}

//export librvGoFinding
func librvGoFinding(handle C.uintptr_t, finding *C.VisitFinding) C.int {
	v := cgo.Handle(handle).Value().(*visitor)
	return v.run(func() error {
		return v.finding(Finding{
			Offset:  uint64(finding.offset),
			Rule:    C.GoString(finding.rule),
			Message: C.GoString(finding.message),
			UserID:  uint32(finding.user_id),
			HasUser: bool(finding.has_user),
		})
	})
}
