// SPDX-License-Identifier: MIT

//go:build go1.23 && cgo && linux

package librv

import (
	"errors"
	"iter"
)

var errStop = errors.New("the loop has ended")

// AllUsers is Users for a loop with range. An error comes last, with no user. (From Go 1.23 on.)
func (m *VisitManager) AllUsers() iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		err := m.Users(func(u User) error {
			if !yield(u, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(User{}, err)
		}
	}
}

// AllViews is View for a loop with range. An error comes last, with no visit. What holds for a function
// of View holds for the loop's body. (From Go 1.23 on.)
func (m *VisitManager) AllViews(userID uint32) iter.Seq2[VisitView, error] {
	return func(yield func(VisitView, error) bool) {
		err := m.View(userID, func(v VisitView) error {
			if !yield(v, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(VisitView{}, err)
		}
	}
}
