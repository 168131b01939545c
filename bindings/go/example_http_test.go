// SPDX-License-Identifier: MIT

//go:build cgo && linux

package librv_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	librv "example.org/librv/bindings/go"
)

// Handler serves a store: GET /visits/42 lists the visits of user 42 as JSON, POST adds one, DELETE
// removes all. Handlers run in goroutines of their own; the store takes calls from all of them.
type Handler struct {
	Store *librv.VisitManager
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, err := strconv.ParseUint(strings.TrimPrefix(r.URL.Path, "/visits/"), 10, 32)
	if err != nil {
		http.Error(w, "no such user", http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodGet:
		err = h.list(w, uint32(user))
	case http.MethodPost:
		err = h.add(w, r, uint32(user))
	case http.MethodDelete:
		err = h.Store.ClearUser(uint32(user))
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
	if err != nil {
		code := httpStatus(err)
		http.Error(w, http.StatusText(code), code) // the error itself names the file: for the log
	}
}

func (h *Handler) list(w http.ResponseWriter, user uint32) error {
	visits, err := h.Store.GetRecentVisits(user)
	if err != nil {
		return err
	}
	type item struct {
		ID   uint32 `json:"id"`
		URL  string `json:"url"`
		Text string `json:"text"`
	}
	items := make([]item, 0, len(visits)) // [] for a user without visits
	for _, v := range visits {
		items = append(items, item{v.VisitID, v.URL, v.Text})
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(items)
}

func (h *Handler) add(w http.ResponseWriter, r *http.Request, user uint32) error {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	id, err := strconv.ParseUint(r.FormValue("id"), 10, 32)
	if err != nil {
		return librv.ErrInvalid
	}
	err = h.Store.AddVisit(user, uint32(id), r.FormValue("url"), r.FormValue("text"))
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// httpStatus says whose fault it was.
func httpStatus(err error) int {
	switch {
	case errors.Is(err, librv.ErrInvalid), errors.Is(err, librv.ErrTooLong):
		return http.StatusBadRequest
	case errors.Is(err, librv.ErrNoSpace):
		return http.StatusInsufficientStorage
	case errors.Is(err, librv.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func Example_httpHandler() {
	store, done := temporary()
	defer done()
	handler := &Handler{Store: store}
	ask := func(method, target string) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(method, target, nil))
		fmt.Println(answer.Code, "["+strings.TrimSpace(answer.Body.String())+"]")
	}
	ask("POST", "/visits/42?id=1&url=https://example.org/&text=An+example")
	ask("GET", "/visits/42")
	ask("POST", "/visits/42?id=one")
	ask("DELETE", "/visits/42")
	ask("GET", "/visits/42")
	store.Close()
	ask("DELETE", "/visits/42")
	// Output:
	// 204 []
	// 200 [[{"id":1,"url":"https://example.org/","text":"An example"}]]
	// 400 [Bad Request]
	// 200 []
	// 200 [[]]
	// 503 [Service Unavailable]
}
