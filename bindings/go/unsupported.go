// SPDX-License-Identifier: MIT

//go:build !cgo || !linux || 386 || arm || mips || mipsle

package librv

// Nothing of this name exists: the compiler's message says what is missing.
var _ = librv_needs_64_bit_Linux_and_CGO_ENABLED_1_and_a_C_compiler
