// A module of its own: what is compared with is no dependency of librv.
module example.org/librv/bench/go

go 1.19

require (
	example.org/librv v0.0.0
	github.com/mattn/go-sqlite3 v1.14.16
	go.etcd.io/bbolt v1.3.7
)

require golang.org/x/sys v0.4.0 // indirect

replace example.org/librv => ../..
