// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv

// #include "shim.h"
import "C"

import (
	"strings"
	"time"
	"unsafe"
)

// Found says how a store was found when it was opened.
type Found uint32

const (
	FoundNew     Found = C.VISIT_FOUND_NEW     // it was made
	FoundClean   Found = C.VISIT_FOUND_CLEAN   // it had been closed
	FoundKilled  Found = C.VISIT_FOUND_KILLED  // its writer had died; repaired
	FoundCrashed Found = C.VISIT_FOUND_CRASHED // the system had crashed; recovered to the last checkpoint
	FoundInUse   Found = C.VISIT_FOUND_IN_USE  // a writer has it open, or in Shared mode another process
	// FoundUnclean: read-only; its writer died or the system crashed. What is read is the last checkpoint.
	FoundUnclean Found = C.VISIT_FOUND_UNCLEAN
)

// Stats are figures of a store.
type Stats struct {
	UUID           [16]byte // made at creation
	FormatVersion  int
	Found          Found
	MaxVisits      int
	SlotSize       int // bytes
	Shards         int
	HolderPID      int // the writing process, 0 if there is none
	FileBytes      uint64
	Users          uint64 // that have visits
	Visits         uint64
	RingSlots      uint64 // slots of all rings, used or not
	IndexEntries   uint64 // entries in use, users without visits included
	IndexCapacity  uint64 // entries there is room for without a split of a segment
	BlockBytes     uint64 // size of a block
	Blocks         uint64 // of the file
	BlocksFree     uint64
	BlocksSlots    uint64 // in slot blocks
	BlocksLarge    uint64 // in runs of whole blocks
	BlocksSegments uint64 // in the index
	Epoch          uint64 // the current epoch
	DurableEpoch   uint64 // the epoch of the last checkpoint
	Checkpoint     time.Time
	Created        time.Time
}

// Sync runs a checkpoint: all that was added before the call survives a power cut once it returns nil.
// It returns at once if nothing changed. Calls of several goroutines share one checkpoint. In Shared mode it
// may fail with ErrBusy: see Options.LockWait.
func (m *VisitManager) Sync() error {
	s, err := m.take("Sync")
	if err != nil {
		return err
	}
	defer m.put(s)
	return fail("Sync", m.path, C.rvgo_sync(s.manager))
}

// Stats returns figures of the store. It counts users and visits by reading the whole index: its time
// grows with the number of users.
func (m *VisitManager) Stats() (Stats, error) {
	s, err := m.take("Stats")
	if err != nil {
		return Stats{}, err
	}
	defer m.put(s)
	r := C.rvgo_stats_of(s.manager)
	if err := fail("Stats", m.path, r.outcome); err != nil {
		return Stats{}, err
	}
	return statsOf(&r.stats), nil
}

func statsOf(c *C.VisitStats) Stats {
	stats := Stats{
		FormatVersion:  int(c.format_version),
		Found:          Found(c.state),
		MaxVisits:      int(c.max_visits),
		SlotSize:       int(c.slot_size),
		Shards:         int(c.shards),
		HolderPID:      int(c.holder_pid),
		FileBytes:      uint64(c.file_bytes),
		Users:          uint64(c.users),
		Visits:         uint64(c.visits),
		RingSlots:      uint64(c.ring_slots),
		IndexEntries:   uint64(c.index_entries),
		IndexCapacity:  uint64(c.index_capacity),
		BlockBytes:     uint64(c.block_bytes),
		Blocks:         uint64(c.blocks),
		BlocksFree:     uint64(c.blocks_free),
		BlocksSlots:    uint64(c.blocks_slots),
		BlocksLarge:    uint64(c.blocks_large),
		BlocksSegments: uint64(c.blocks_segments),
		Epoch:          uint64(c.epoch),
		DurableEpoch:   uint64(c.durable_epoch),
		Checkpoint:     time.Unix(0, int64(c.checkpoint_time_ns)).UTC(),
		Created:        time.Unix(0, int64(c.created_time_ns)).UTC(),
	}
	for i, b := range c.uuid {
		stats.UUID[i] = byte(b)
	}
	return stats
}

// Verify checks every rule of the format and every checksum. It calls the function, which may be nil,
// for each finding, and returns ErrCorrupt if there was one. Writers wait meanwhile; in Shared mode at most
// their LockWait, then they get ErrBusy: there rather verify a backup, or through a ReadOnly manager. An error of the
// function ends the check: Verify returns an [*Error] with ErrCancelled that wraps it. ErrBusy: another
// process holds the store up, or a read-only manager's store was opened by a writer meanwhile. The
// function must not call runtime.Goexit, which tests' FailNow does.
func (m *VisitManager) Verify(function func(Finding) error) error {
	s, err := m.take("Verify")
	if err != nil {
		return err
	}
	defer m.put(s)
	if function == nil {
		return fail("Verify", m.path, C.rvgo_verify(s.manager, 0))
	}
	v := &visitor{finding: function}
	defer v.forget()
	outcome := C.rvgo_verify(s.manager, v.announce())
	return v.end(fail("Verify", m.path, outcome))
}

// Backup writes a copy of the store to a path, which must not exist: all users as of one checkpoint,
// with little free space. Others may write meanwhile; checkpoints wait until it ends, in Shared mode
// no longer than LockWait: then Sync gets ErrBusy. The copy appears under
// its name when it is complete and durable, and has a UUID of its own. progress may be nil.
//
// It fails with ErrBusy if a writer in another process went on to a new checkpoint meanwhile
// (Options.BackupWait): try again.
func (m *VisitManager) Backup(path string, progress Progress) error {
	if strings.IndexByte(path, 0) >= 0 {
		return m.refuse("Backup", "the path of the copy has a NUL byte")
	}
	s, err := m.take("Backup")
	if err != nil {
		return err
	}
	defer m.put(s)
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if progress == nil {
		return fail("Backup", m.path, C.rvgo_backup(s.manager, name, 0))
	}
	v := &visitor{progress: progress}
	defer v.forget()
	outcome := C.rvgo_backup(s.manager, name, v.announce())
	return v.end(fail("Backup", m.path, outcome))
}
