// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv

// #include "shim.h"
import "C"

import (
	"io"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Limits.
const (
	// StringsMax is how many bytes URL and text of one visit may have together.
	StringsMax = C.VISIT_STRINGS_MAX
	// LimitMax is the largest number of visits a user can be allowed.
	LimitMax = C.VISIT_LIMIT_MAX
)

// Mode is how a store is opened.
type Mode uint32

const (
	// Exclusive: this manager alone writes; read-only managers may come beside it.
	Exclusive Mode = C.VISIT_EXCLUSIVE
	// ReadOnly: reads beside any writer; never writes a byte.
	ReadOnly Mode = C.VISIT_READ_ONLY
	// Shared is for several processes that write one store.
	Shared Mode = C.VISIT_SHARED
)

// Create says whether a store is made. A read-only manager never makes one.
type Create uint32

const (
	// CreateIfMissing makes a store if there is none.
	CreateIfMissing Create = C.VISIT_CREATE_IF_MISSING
	// MustExist fails with ErrNotFound if there is none.
	MustExist Create = C.VISIT_MUST_EXIST
	// MustNotExist fails with ErrExists if there is one.
	MustNotExist Create = C.VISIT_MUST_NOT_EXIST
)

// Options say how to open a store. The zero value has all defaults.
type Options struct {
	Mode   Mode
	Create Create

	// MaxVisits is how many visits each user keeps from now on, 1 to LimitMax, and at most 32 MiB
	// divided by the slot size, less 2. With a smaller number than before each user keeps the newest
	// ones. 0: as the store has it, 10 in a new one. Not for ReadOnly.
	MaxVisits int

	// SlotSize, in bytes, a power of two from 128 to 4,096 (0: 256), and Shards, a power of two from 1
	// to 256 (0: 16), count when a store is made; a store keeps its own.
	SlotSize, Shards int

	// FileMode is the permissions of a new file, less the umask; 0: 0600.
	FileMode fs.FileMode

	// CheckpointInterval is the time from the end of one background checkpoint to the next, at least a
	// millisecond; 0: one second; negative: no background checkpoints.
	CheckpointInterval time.Duration

	// BackupWait is how long a checkpoint waits for another process's backup before it makes that
	// backup fail; 0: a minute; negative: a millisecond, the least there is.
	BackupWait time.Duration

	// LockWait is how long a call on a store in Shared mode waits for each lock, which another process
	// may have been stopped with, before it fails with ErrBusy; a call takes at most two. 0: ten seconds;
	// negative: a millisecond.
	LockWait time.Duration

	// EraseLater leaves the bytes of removed visits in the file until their place is used again;
	// otherwise they are overwritten after the next checkpoint.
	EraseLater bool

	// RefuseRecovery makes opening a store that was not closed fail with ErrNotClean.
	RefuseRecovery bool

	// Progress is told, while the store is opened, of recovery and of making a new limit true; may be
	// nil.
	Progress Progress
}

// VisitManager is an open store. [Open] and [NewVisitManager] make one; all methods may be called from
// any goroutine at any time.
type VisitManager struct {
	path     string
	seats    *seats
	progress *visitor // nil without Options.Progress

	closing sync.Once
	closed  error
}

var _ io.Closer = (*VisitManager)(nil)

// Version returns the version of the C library, such as "0.1.0".
func Version() string {
	return C.GoString(C.VisitVersion())
}

// NewVisitManager opens the store in a file for writing, or makes it. Each user keeps the newest
// maxVisitsPerUser visits from now on, 1 to LimitMax.
func NewVisitManager(file string, maxVisitsPerUser int) (*VisitManager, error) {
	if maxVisitsPerUser < 1 {
		return nil, &Error{Op: "NewVisitManager", Path: file, Status: ErrInvalid,
			Message: file + ": maxVisitsPerUser must be 1 to 65535"}
	}
	return open("NewVisitManager", file, &Options{MaxVisits: maxVisitsPerUser})
}

// Open opens a store; options may be nil. A file that cannot be opened is left as it was, unless Progress
// stopped its recovery, or the sweep that comes before a larger N, which the next opening goes on with.
// Where opening fails late (disk, memory, a thread), the store may have been repaired, and a new MaxVisits
// may hold: a smaller one has removed visits then.
//
// A process can have some 60 stores open for writing: each reserves 2 TiB of address space, which is no
// memory.
//
// A store that was left open by a process that died is repaired: everything that was acknowledged is
// there. After a power cut or a system crash it is recovered to its last checkpoint, in a time that grows
// with the store. A read-only manager opens such a store as of its last checkpoint.
func Open(path string, options *Options) (*VisitManager, error) {
	if options == nil {
		options = &Options{}
	}
	return open("Open", path, options)
}

func open(op, path string, options *Options) (*VisitManager, error) {
	if strings.IndexByte(path, 0) >= 0 {
		return nil, &Error{Op: op, Path: path, Status: ErrInvalid, Message: "the path has a NUL byte"}
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	manager, progress, err := openWith(op, path, name, options)
	if err != nil {
		return nil, err
	}
	m := &VisitManager{path: path, seats: newSeats(manager), progress: progress}
	// For a program that forgets to close. Closing may write for long: not in the one goroutine that
	// runs finalizers.
	runtime.SetFinalizer(m, func(m *VisitManager) { go m.Close() })
	return m, nil
}

// openWith opens with the progress function, which C knows until the manager is closed.
func openWith(op, path string, name *C.char, o *Options) (C.rvgo_manager, *visitor, error) {
	if o.Progress == nil {
		opened := C.rvgo_open(name, o.forC(), 0)
		return C.rvgo_manager(opened.opened), nil, fail(op, path, opened.outcome)
	}
	v := &visitor{progress: o.Progress}
	opened := C.rvgo_open(name, o.forC(), v.announce())
	if opened.opened == 0 {
		defer v.forget()
	}
	return C.rvgo_manager(opened.opened), v, v.end(fail(op, path, opened.outcome))
}

// forC says the options in C's terms. A number that C's type has no room for becomes one that the
// library refuses.
func (o *Options) forC() C.VisitOptions {
	recovery := C.uint32_t(C.VISIT_RECOVER)
	if o.RefuseRecovery {
		recovery = C.VISIT_RECOVER_REFUSE
	}
	erase := C.uint32_t(C.VISIT_ERASE)
	if o.EraseLater {
		erase = C.VISIT_ERASE_LATER
	}
	return C.VisitOptions{
		mode:                   C.uint32_t(o.Mode),
		create:                 C.uint32_t(o.Create),
		max_visits:             number(o.MaxVisits),
		slot_size:              number(o.SlotSize),
		shards:                 number(o.Shards),
		file_mode:              C.uint32_t(o.FileMode),
		checkpoint_interval_ms: C.int32_t(milliseconds(o.CheckpointInterval, math.MaxInt32)),
		backup_wait_ms:         C.uint32_t(abs(milliseconds(o.BackupWait, math.MaxUint32))),
		recovery:               recovery,
		lock_wait_ms:           C.uint32_t(abs(milliseconds(o.LockWait, math.MaxUint32))),
		erase:                  erase,
	}
}

func number(n int) C.uint32_t {
	if n < 0 || n > math.MaxUint32 {
		return math.MaxUint32
	}
	return C.uint32_t(n)
}

// milliseconds rounds up; negative: -1.
func milliseconds(d time.Duration, most int64) int64 {
	if d < 0 {
		return -1
	}
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	if ms > most {
		return most
	}
	return ms
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// Close closes the store. When it returns nil, all that was added is safe on disk. It waits for calls
// that are under way, but not for Users and AllUsers, whose function may still be running, and which then
// return ErrClosed; those that come later fail with ErrClosed. Closing again does nothing and returns
// the same. Should the last checkpoint fail, the store is closed all the same, and the next Open
// recovers what was durable.
func (m *VisitManager) Close() error {
	if m == nil || m.seats == nil {
		return m.gone("Close")
	}
	m.closing.Do(func() {
		runtime.SetFinalizer(m, nil)
		m.closed = fail("Close", m.path, C.rvgo_close(m.seats.close()))
		m.progress.forget()
	})
	return m.closed
}

// take returns a locked seat for one call.
func (m *VisitManager) take(op string) (*seat, error) {
	if m == nil || m.seats == nil {
		return nil, m.gone(op)
	}
	s := m.seats.take()
	if s == nil {
		return nil, m.gone(op)
	}
	return s, nil
}

// refuse is the error of a call with an argument that is not allowed, or of a manager that cannot be used.
func (m *VisitManager) refuse(op, why string) error {
	s, err := m.take(op)
	if err != nil {
		return err
	}
	m.put(s)
	return m.invalid(op, why)
}

func (m *VisitManager) invalid(op, why string) error {
	return &Error{Op: op, Path: m.path, Status: ErrInvalid, Message: m.path + ": " + why}
}

// gone is the error of a manager that cannot be used.
func (m *VisitManager) gone(op string) error {
	if m == nil || m.seats == nil {
		return &Error{Op: op, Status: ErrInvalid, Message: "the manager was not opened; call Open"}
	}
	return &Error{Op: op, Path: m.path, Status: ErrClosed}
}

// put ends the call that took the seat. The manager is reachable until then, so that no finalizer
// closes it meanwhile.
func (m *VisitManager) put(s *seat) {
	m.seats.put(s)
	runtime.KeepAlive(m)
}
