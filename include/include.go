// SPDX-License-Identifier: MIT

// Package include holds the public header of librv. It is a package so that `go mod vendor` takes
// the header along; there is nothing in it for a Go program.
package include
