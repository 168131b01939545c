// SPDX-License-Identifier: MIT

package bench

import (
	"math/rand"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	librv "example.org/librv/bindings/go"
)

const (
	users = 50000
	batch = 64
)

var letters = strings.Repeat("abcdefghijklmnopqrstuvwxyz/-0123456789", 4)

// visits draws visits of random users: urls of 20 to 100 bytes, texts of 10 to 80.
type visits struct {
	random *rand.Rand
	id     *uint32
}

func (v visits) next() librv.VisitInput {
	url, text := v.random.Intn(20), v.random.Intn(20)
	return librv.VisitInput{
		UserID:  uint32(v.random.Intn(users)),
		VisitID: atomic.AddUint32(v.id, 1),
		URL:     letters[url : url+20+v.random.Intn(81)],
		Text:    letters[text : text+10+v.random.Intn(71)],
	}
}

func (v visits) many() []librv.VisitInput {
	all := make([]librv.VisitInput, batch)
	for i := range all {
		all[i] = v.next()
	}
	return all
}

// fill gives every user ten visits, in a mixed order.
func fill(b *testing.B, s store, v visits) {
	for _, user := range v.random.Perm(users) {
		all := make([]librv.VisitInput, limit)
		for i := range all {
			all[i] = v.next()
			all[i].UserID = uint32(user)
		}
		check(b, s.addMany(all))
	}
}

func readTen(b *testing.B, s store, dst []librv.Visit, user int) []librv.Visit {
	dst, err := s.read(dst[:0], uint32(user))
	if err != nil || len(dst) != limit {
		b.Fatal(len(dst), err)
	}
	return dst
}

// A figure is of one visit, or of one read of ten. RV_BENCH_DIR names the folder to work in.
func Benchmark(b *testing.B) {
	for _, each := range stores {
		b.Run(each.name, func(b *testing.B) {
			folder, err := os.MkdirTemp(os.Getenv("RV_BENCH_DIR"), "librv-bench-")
			check(b, err)
			defer os.RemoveAll(folder)
			s := each.open(b, folder)
			v := visits{rand.New(rand.NewSource(1)), new(uint32)}
			fill(b, s, v)
			measure(b, s, v)
			check(b, s.Close())
		})
	}
}

func measure(b *testing.B, s store, v visits) {
	b.Run("ReadTen", func(b *testing.B) {
		b.ReportAllocs()
		var dst []librv.Visit
		for i := 0; i < b.N; i++ {
			dst = readTen(b, s, dst, v.random.Intn(users))
		}
	})
	b.Run("ReadTenParallel", func(b *testing.B) {
		b.ReportAllocs()
		var seed int64
		b.RunParallel(func(pb *testing.PB) {
			random := rand.New(rand.NewSource(atomic.AddInt64(&seed, 1)))
			var dst []librv.Visit
			for pb.Next() {
				dst = readTen(b, s, dst, random.Intn(users))
			}
		})
	})
	b.Run("AddBatch64", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += batch {
			check(b, s.addMany(v.many()))
		}
	})
	b.Run("AddSingle", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			check(b, s.add(v.next()))
		}
	})
}
