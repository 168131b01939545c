// SPDX-License-Identifier: MIT

// Package librv stores, for each user, that user's newest visits: an id, a URL, a text and a time
// each. A store is one file, mapped into the memory of the program; there is no server, and nothing
// to compact, collect or replay. A user who has as many visits as the store allows loses the oldest
// with the next one.
//
//	import librv "example.org/librv/bindings/go"
//
//	store, err := librv.NewVisitManager("visits.rv", 10)
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	err = store.AddVisit(42, 1, "https://example.org/", "An example")
//
// # What is kept
//
// A visit whose add has returned survives the death of the process. It survives a power cut after the
// next checkpoint: within [Options].CheckpointInterval, when [VisitManager.Sync] returns, and when
// [VisitManager.Close] returns. After a power cut the store is exactly what it was at the last
// checkpoint.
//
// One process writes to a store, or several that all open it with the mode [Shared]. While they do,
// others may open it with the mode [ReadOnly].
//
// The file is mapped: if another program makes it shorter while it is open, or the disk cannot read a
// page of it, the process may end with a SIGBUS, which no recover catches.
//
// # Goroutines
//
// Every method may be called from any number of goroutines at once, Close too: it waits for the
// calls that are under way, but for Users and AllUsers, and those that come later get [ErrClosed].
// Functions that are handed to View, Verify and Backup run inside such a call: they must not close the
// manager. Inside those of Verify and Backup, and of Options.Progress, no method of the manager may be
// called at all, nor runtime.Goexit.
//
// A call that waits in C occupies a thread of the system: all changes wait while Verify is at work, a
// Sync waits for the disk, and in Shared mode changes wait for each lock up to Options.LockWait, also while
// this process verifies or backs up: then they fail with [ErrBusy]. A Go
// program may have 10,000 threads (debug.SetMaxThreads) and ends if it needs more. A server that lets in
// any number of requests bounds how many are inside calls at a time.
//
// # Errors
//
// Methods return an [*Error]. Which error it is, errors.Is tells:
//
//	if errors.Is(err, librv.ErrBusy) { ... }
//
// [ErrNotFound], [ErrExists], [ErrAccess] and [ErrClosed] are fs.ErrNotExist, fs.ErrExist,
// fs.ErrPermission and fs.ErrClosed as well.
//
// # Strings
//
// A string is any sequence of bytes without a NUL; no encoding is asked for and none is checked. URL
// and text of a visit have together at most [StringsMax] bytes.
//
// # Build
//
// The package needs Linux on a 64-bit little-endian processor, cgo and a C compiler. It compiles the
// library's C sources along, for which the header xxhash.h must be there (Debian: libxxhash-dev). With
// the build tag librv_system it uses an installed librv, which pkg-config finds.
package librv
