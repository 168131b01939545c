// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv

// #include "shim.h"
import "C"

// User is a user that has visits.
type User struct {
	UserID uint32
	Visits int // how many
}

// Users that one call into C brings.
const usersAtOnce = 256

// Users calls a function for each user that has visits, in no particular order. A user that has visits
// all the while comes exactly once; one that comes or goes meanwhile at most once. An error of the
// function ends the call, which returns it as it is. The function may call any method, Close too: then
// Users returns ErrClosed.
func (m *VisitManager) Users(function func(User) error) error {
	const op = "Users"
	s, err := m.take(op)
	if err != nil {
		return err
	}
	opened := C.rvgo_users_open(s.manager)
	s.users = C.rvgo_users(opened.opened)
	if err := fail(op, m.path, opened.outcome); err != nil {
		m.put(s)
		return err
	}
	// Between the calls into C the seat is not locked, but it is nobody else's.
	s.mu.Unlock()
	defer m.endUsers(s)
	some := make([]C.rvgo_user, usersAtOnce)
	for {
		count, more, err := m.nextUsers(op, s, some)
		for _, u := range some[:count] {
			if m.seats.closing.Load() {
				return m.gone(op)
			}
			if err := function(User{UserID: uint32(u.user_id), Visits: int(u.visits)}); err != nil {
				return err
			}
		}
		if err == nil && m.seats.closing.Load() {
			err = m.gone(op)
		}
		if err != nil || !more {
			return err
		}
	}
}

// nextUsers brings the next users, unless the manager was closed.
func (m *VisitManager) nextUsers(op string, s *seat, to []C.rvgo_user) (count int, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.manager == 0 {
		return 0, false, m.gone(op)
	}
	r := C.rvgo_users_next(s.users, &to[0], C.size_t(len(to)))
	return int(r.count), r.outcome.status != C.VISIT_END, fail(op, m.path, r.outcome)
}

func (m *VisitManager) endUsers(s *seat) {
	s.mu.Lock()
	C.rvgo_users_free(s.users)
	s.users = 0
	m.put(s)
}
