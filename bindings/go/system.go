// SPDX-License-Identifier: MIT

//go:build cgo && linux && librv_system

package librv

// #cgo pkg-config: librv
import "C"
