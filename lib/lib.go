// SPDX-License-Identifier: MIT

//go:build cgo && linux

// Package lib compiles the C sources of librv into a Go program: cgo takes every .c file of this
// folder. It exports nothing; the Go package is example.org/librv/bindings/go.
package lib

/*
#cgo CFLAGS: -std=gnu11 -pthread -I${SRCDIR}/../include
#cgo CFLAGS: -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fno-strict-aliasing -fvisibility=hidden
#cgo LDFLAGS: -pthread

#if !__has_include(<xxhash.h>)
#error "librv is compiled from its sources here and needs xxhash.h (Debian: apt-get install libxxhash-dev); with -tags librv_system an installed librv is used instead"
#endif
*/
import "C"

import _ "example.org/librv/include" // so that vendoring takes the header along
