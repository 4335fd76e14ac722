// Reads a tlog-tiles folder with what Go itself trusts its module checksums to: golang.org/x/mod/sumdb, note and tlog.
//
//	main FOLDER VKEY [OLDER CHECKPOINT]...
//
// Every entry must have the hash that its tile has, every tile must lead to the checkpoint's root, and older checkpoints must be of the
// same tree. Exit 0 when accepted, 1 when not.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

// In a folder of tlog-tiles the height of a tile is not part of its name.
type folder struct{ dir string }

func (f folder) Height() int { return 8 }

func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

func (f folder) read(tile tlog.Tile, prefix string) ([]byte, error) {
	path := strings.Replace(tile.Path(), "tile/8/", prefix, 1)
	return os.ReadFile(filepath.Join(f.dir, path))
}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, 0, len(tiles))
	for _, tile := range tiles {
		bytes, err := f.read(tile, "tile/")
		if err != nil && tile.W < width {
			full := tile
			full.W = width
			if bytes, err = f.read(full, "tile/"); err == nil {
				bytes = bytes[:tile.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		data = append(data, bytes)
	}
	return data, nil
}

func accept(err error) {
	if err != nil {
		fmt.Println("rejected:", err)
		os.Exit(1)
	}
}

func checkpoint(path, vkey string) tlog.Tree {
	text, err := os.ReadFile(path)
	accept(err)
	verifier, err := note.NewVerifier(vkey)
	accept(err)
	opened, err := note.Open(text, note.VerifierList(verifier))
	accept(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	accept(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	accept(err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree
}

func main() {
	dir, vkey := folder{os.Args[1]}, os.Args[2]
	tree := checkpoint(filepath.Join(dir.dir, "checkpoint"), vkey)
	hashes := tlog.TileHashReader(tree, dir)
	for first := int64(0); first < tree.N; first += width {
		count := min(width, tree.N-first)
		bundle, err := os.ReadFile(bundlePath(dir.dir, first/width, count))
		accept(err)
		for position := first; position < first+count; position++ {
			if len(bundle) < 2 || len(bundle) < 2+int(bundle[0])<<8+int(bundle[1]) {
				accept(fmt.Errorf("entry %d is cut", position))
			}
			end := 2 + int(bundle[0])<<8 + int(bundle[1])
			leaf := tlog.RecordHash(bundle[2:end])
			bundle = bundle[end:]
			stored, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, position)})
			accept(err)
			if stored[0] != leaf {
				accept(fmt.Errorf("entry %d does not have its hash", position))
			}
			if position%97 == 0 || position == tree.N-1 {
				proof, err := tlog.ProveRecord(tree.N, position, hashes)
				accept(err)
				accept(tlog.CheckRecord(proof, tree.N, tree.Hash, position, leaf))
			}
		}
		if len(bundle) > 0 {
			accept(fmt.Errorf("bundle of entry %d is too long", first))
		}
	}
	for _, path := range os.Args[3:] {
		older := checkpoint(path, vkey)
		proof, err := tlog.ProveTree(tree.N, older.N, hashes)
		accept(err)
		accept(tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash))
	}
	fmt.Println("accepted:", tree.N, tree.Hash)
}

func bundlePath(dir string, index, count int64) string {
	path := tlog.Tile{H: 8, L: 0, N: index, W: int(count)}.Path()
	return filepath.Join(dir, strings.Replace(path, "tile/8/0/", "tile/entries/", 1))
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}
