// SPDX-License-Identifier: MIT

// Package bench holds the Go package against other embedded stores, at the same work on the same data.
package bench

import (
	"database/sql"
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	bolt "go.etcd.io/bbolt"

	librv "example.org/librv/bindings/go"
)

const limit = 10

// A store keeps each user's newest visits. None syncs at an add: what an add leaves is safe from the
// death of the process, not from a power cut.
type store interface {
	add(v librv.VisitInput) error
	addMany(batch []librv.VisitInput) error
	// read appends a user's visits, newest first.
	read(dst []librv.Visit, user uint32) ([]librv.Visit, error)
	Close() error
}

var stores = []struct {
	name string
	open func(b *testing.B, folder string) store
}{
	{"floor", openFloor},
	{"librv", openLibrv},
	{"bbolt", openBbolt},
	{"sqlite", openSqlite},
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// ---- librv ----

type librvStore struct{ *librv.VisitManager }

func openLibrv(b *testing.B, folder string) store {
	m, err := librv.NewVisitManager(filepath.Join(folder, "visits.rv"), limit)
	check(b, err)
	return librvStore{m}
}

func (s librvStore) add(v librv.VisitInput) error {
	return s.AddVisit(v.UserID, v.VisitID, v.URL, v.Text)
}

func (s librvStore) addMany(batch []librv.VisitInput) error {
	_, err := s.AddVisits(batch)
	return err
}

func (s librvStore) read(dst []librv.Visit, user uint32) ([]librv.Visit, error) {
	return s.AppendRecentVisits(dst, user)
}

// ---- a user's visits as one value, newest first ----

// Of one visit: id, time, lengths; then the strings.
const head = 4 + 8 + 4 + 4

// size is how many bytes the packed visit takes.
func size(packed []byte) int {
	return head + int(binary.LittleEndian.Uint32(packed[12:])) + int(binary.LittleEndian.Uint32(packed[16:]))
}

// with is the value old with one more visit; nil if it has that visit.
func with(v librv.VisitInput, old []byte) []byte {
	stay, count := 0, 0
	for at := 0; at < len(old); at += size(old[at:]) {
		if binary.LittleEndian.Uint32(old[at:]) == v.VisitID {
			return nil
		}
		if count++; count < limit {
			stay = at + size(old[at:])
		}
	}
	value := make([]byte, head, head+len(v.URL)+len(v.Text)+stay)
	binary.LittleEndian.PutUint32(value, v.VisitID)
	binary.LittleEndian.PutUint64(value[4:], uint64(time.Now().UnixNano()))
	binary.LittleEndian.PutUint32(value[12:], uint32(len(v.URL)))
	binary.LittleEndian.PutUint32(value[16:], uint32(len(v.Text)))
	return append(append(append(value, v.URL...), v.Text...), old[:stay]...)
}

func unpack(dst []librv.Visit, packed []byte) []librv.Visit {
	all := string(packed) // one copy, as librv makes
	for at := 0; at < len(packed); {
		url := at + head
		text := url + int(binary.LittleEndian.Uint32(packed[at+12:]))
		end := text + int(binary.LittleEndian.Uint32(packed[at+16:]))
		dst = append(dst, librv.Visit{
			VisitID: binary.LittleEndian.Uint32(packed[at:]),
			URL:     all[url:text],
			Text:    all[text:end],
			Time:    time.Unix(0, int64(binary.LittleEndian.Uint64(packed[at+4:]))).UTC(),
		})
		at = end
	}
	return dst
}

// ---- the floor: values in Go's memory, found by their index. No store can read faster ----

type floorStore [][]byte

func openFloor(*testing.B, string) store {
	return make(floorStore, users)
}

func (s floorStore) add(v librv.VisitInput) error {
	if value := with(v, s[v.UserID]); value != nil {
		s[v.UserID] = value
	}
	return nil
}

func (s floorStore) addMany(batch []librv.VisitInput) error {
	for _, v := range batch {
		s.add(v)
	}
	return nil
}

func (s floorStore) read(dst []librv.Visit, user uint32) ([]librv.Visit, error) {
	return unpack(dst, s[user]), nil
}

func (floorStore) Close() error { return nil }

// ---- bbolt ----

type bboltStore struct{ *bolt.DB }

var bucket = []byte("visits")

func openBbolt(b *testing.B, folder string) store {
	db, err := bolt.Open(filepath.Join(folder, "visits.bolt"), 0600, &bolt.Options{
		NoSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	check(b, err)
	check(b, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(bucket)
		return err
	}))
	return bboltStore{db}
}

func put(tx *bolt.Bucket, v librv.VisitInput) error {
	var key [4]byte
	binary.BigEndian.PutUint32(key[:], v.UserID)
	value := with(v, tx.Get(key[:]))
	if value == nil {
		return nil
	}
	return tx.Put(key[:], value)
}

func (s bboltStore) add(v librv.VisitInput) error {
	return s.Update(func(tx *bolt.Tx) error { return put(tx.Bucket(bucket), v) })
}

func (s bboltStore) addMany(batch []librv.VisitInput) error {
	return s.Update(func(tx *bolt.Tx) error {
		visits := tx.Bucket(bucket)
		for _, v := range batch {
			if err := put(visits, v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s bboltStore) read(dst []librv.Visit, user uint32) ([]librv.Visit, error) {
	var key [4]byte
	binary.BigEndian.PutUint32(key[:], user)
	err := s.View(func(tx *bolt.Tx) error {
		dst = unpack(dst, tx.Bucket(bucket).Get(key[:]))
		return nil
	})
	return dst, err
}

// ---- SQLite: a row a visit ----

type sqliteStore struct {
	*sql.DB
	insert, trim, newest *sql.Stmt
}

func openSqlite(b *testing.B, folder string) store {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(folder, "visits.sqlite")+
		"?_journal_mode=WAL&_synchronous=OFF&_cache_size=-65536&_busy_timeout=10000")
	check(b, err)
	_, err = db.Exec(`CREATE TABLE visits (seq INTEGER PRIMARY KEY, user INTEGER, id INTEGER,
		time INTEGER, url TEXT, text TEXT, UNIQUE (user, id));
		CREATE INDEX newest ON visits (user, seq)`)
	check(b, err)
	s := sqliteStore{DB: db}
	for _, q := range []struct {
		to  **sql.Stmt
		sql string
	}{
		{&s.insert, "INSERT OR IGNORE INTO visits (user, id, time, url, text) VALUES (?, ?, ?, ?, ?)"},
		{&s.trim, `DELETE FROM visits WHERE user = ?1 AND seq <= (SELECT seq FROM visits
			WHERE user = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)`},
		{&s.newest, "SELECT id, time, url, text FROM visits WHERE user = ? ORDER BY seq DESC"},
	} {
		*q.to, err = db.Prepare(q.sql)
		check(b, err)
	}
	return s
}

func (s sqliteStore) add(v librv.VisitInput) error {
	return s.addMany([]librv.VisitInput{v})
}

func (s sqliteStore) addMany(batch []librv.VisitInput) error {
	tx, err := s.Begin()
	if err != nil {
		return err
	}
	insert, trim := tx.Stmt(s.insert), tx.Stmt(s.trim)
	for _, v := range batch {
		if _, err = insert.Exec(v.UserID, v.VisitID, time.Now().UnixNano(), v.URL, v.Text); err == nil {
			_, err = trim.Exec(v.UserID, limit)
		}
		if err != nil {
			tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

func (s sqliteStore) read(dst []librv.Visit, user uint32) ([]librv.Visit, error) {
	rows, err := s.newest.Query(user)
	if err != nil {
		return dst, err
	}
	defer rows.Close()
	for rows.Next() {
		var v librv.Visit
		var ns int64
		if err := rows.Scan(&v.VisitID, &ns, &v.URL, &v.Text); err != nil {
			return dst, err
		}
		v.Time = time.Unix(0, ns).UTC()
		dst = append(dst, v)
	}
	return dst, rows.Err()
}
