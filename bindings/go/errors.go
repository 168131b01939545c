// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv

// #include "shim.h"
import "C"

import (
	"io/fs"
	"unsafe"
)

// Status says what a call came to. It is an error; its values are what errors.Is is asked for.
type Status int32

// The errors of this package. An [*Error] carries one of them.
const (
	// ErrInvalid: an argument is not allowed.
	ErrInvalid Status = C.VISIT_ERROR_INVALID
	// ErrIO: the system reported an input/output error.
	ErrIO Status = C.VISIT_ERROR_IO
	// ErrNoSpace: the disk or a quota is full, or a file size limit is reached.
	ErrNoSpace Status = C.VISIT_ERROR_NO_SPACE
	// ErrBusy: another manager or process has the store.
	ErrBusy Status = C.VISIT_ERROR_BUSY
	// ErrCorrupt: the store is damaged.
	ErrCorrupt Status = C.VISIT_ERROR_CORRUPT
	// ErrNotAStore: the file is something else.
	ErrNotAStore Status = C.VISIT_ERROR_NOT_A_STORE
	// ErrNewerVersion: the store needs a newer librv.
	ErrNewerVersion Status = C.VISIT_ERROR_NEWER_VERSION
	// ErrTooLong: URL and text exceed StringsMax.
	ErrTooLong Status = C.VISIT_ERROR_TOO_LONG
	// ErrReadOnly: the manager is read-only.
	ErrReadOnly Status = C.VISIT_ERROR_READ_ONLY
	// ErrNoMemory: memory or address space is used up.
	ErrNoMemory Status = C.VISIT_ERROR_NO_MEMORY
	// ErrForked: the manager was opened before a fork.
	ErrForked Status = C.VISIT_ERROR_FORKED
	// ErrNotFound: there is no such file or folder. It is fs.ErrNotExist as well.
	ErrNotFound Status = C.VISIT_ERROR_NOT_FOUND
	// ErrExists: the store is there, and must not be. It is fs.ErrExist as well.
	ErrExists Status = C.VISIT_ERROR_EXISTS
	// ErrAccess: permission denied. It is fs.ErrPermission as well.
	ErrAccess Status = C.VISIT_ERROR_ACCESS
	// ErrNotClean: the store needs recovery, which the options refuse.
	ErrNotClean Status = C.VISIT_ERROR_NOT_CLEAN
	// ErrCancelled: a function that was handed in asked to stop.
	ErrCancelled Status = C.VISIT_ERROR_CANCELLED
	// ErrUnsupported: the system or file system cannot do what is needed.
	ErrUnsupported Status = C.VISIT_ERROR_UNSUPPORTED

	// ErrClosed: the manager is closed. It is fs.ErrClosed as well. The library has no such status.
	ErrClosed Status = 1000
)

// Error returns a short English text.
func (s Status) Error() string {
	if s == ErrClosed {
		return "store is closed"
	}
	return C.GoString(C.VisitStatusText(C.VisitStatus(s)))
}

// As sets a *Status to the error's own, also if it wraps an error that has another one.
func (e *Error) As(target any) bool {
	status, ok := target.(*Status)
	if ok {
		*status = e.Status
	}
	return ok
}

// Is reports whether the status is one of the errors of io/fs.
func (s Status) Is(target error) bool {
	switch s {
	case ErrNotFound:
		return target == fs.ErrNotExist
	case ErrExists:
		return target == fs.ErrExist
	case ErrAccess:
		return target == fs.ErrPermission
	case ErrClosed:
		return target == fs.ErrClosed
	}
	return false
}

// Error is what a method returns when it fails.
type Error struct {
	Op      string // the method: "AddVisit"
	Path    string // the store
	Status  Status // which error it is; one of ErrInvalid, ErrIO, ...
	Message string // the library's: path, cause and remedy in one line; may be empty

	cause error // what the caller's function returned
}

// Error returns the method and the message.
func (e *Error) Error() string {
	text := "librv: " + e.Op + ": "
	switch {
	case e.Message != "":
		text += e.Message
	case e.Path != "":
		text += e.Path + ": " + e.Status.Error()
	default:
		text += e.Status.Error()
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the error that a caller's function returned to stop the work, else the status.
func (e *Error) Unwrap() error {
	if e.cause != nil {
		return e.cause
	}
	return e.Status
}

// Is reports whether the error has the status, also if it wraps the error of a caller's function.
func (e *Error) Is(target error) bool {
	return target == e.Status || e.Status.Is(target)
}

// fail makes an error of an outcome, if it is one.
func fail(op, path string, outcome C.rvgo_outcome) error {
	if outcome.status >= 0 {
		return nil
	}
	e := &Error{Op: op, Path: path, Status: Status(outcome.status)}
	if outcome.message != nil {
		e.Message = C.GoString(outcome.message)
		C.free(unsafe.Pointer(outcome.message))
	}
	return e
}
