// SPDX-License-Identifier: MIT

//go:build cgo && linux && !librv_system

package librv

// #cgo CFLAGS: -I${SRCDIR}/../../include
import "C"

import _ "example.org/librv/lib" // the C sources
