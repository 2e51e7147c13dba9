// Verifies a copy of Tenet's log with Go's golang.org/x/mod/sumdb, which knows nothing of Tenet: the checkpoint's
// signature, the tree over every entry, and inclusion and consistency proofs computed from the hash tiles.
//
//	go run tlog.go DIRECTORY VKEY-FILE
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// path gives the place of a tile in C2SP tlog-tiles: that of sumdb without the height.
func path(kind string, index int64, width int) string {
	group := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		group = fmt.Sprintf("x%03d/%s", index%1000, group)
	}
	if width < 1<<height {
		group = fmt.Sprintf("%s.p/%d", group, width)
	}
	return "tile/" + kind + "/" + group
}

type files string

func (files) Height() int { return height }

func (directory files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(string(directory), path(strconv.Itoa(tile.L), tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s: %d bytes", tile.Path(), len(data))
		}
		all = append(all, data)
	}
	return all, nil
}

func (files) SaveTiles([]tlog.Tile, [][]byte) {}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "go: NOT VERIFIED:", err)
		os.Exit(7)
	}
}

func main() {
	directory := files(os.Args[1])
	key, err := os.ReadFile(os.Args[2])
	check(err)
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	check(err)
	signed, err := os.ReadFile(filepath.Join(string(directory), "checkpoint"))
	check(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 3 || lines[0] != verifier.Name() {
		check(fmt.Errorf("the text is not a checkpoint of %s", verifier.Name()))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)

	// Every entry, hashed anew: the whole tree without looking at a hash tile.
	var stored []tlog.Hash
	var leaves []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var hashes []tlog.Hash
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	for first := int64(0); first < size; first += 1 << height {
		width := int(size - first)
		if width > 1<<height {
			width = 1 << height
		}
		bundle, err := os.ReadFile(filepath.Join(string(directory), path("entries", first>>height, width)))
		check(err)
		for i := 0; i < width; i++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				check(fmt.Errorf("entry %d is cut short", first+int64(i)))
			}
			length := int(binary.BigEndian.Uint16(bundle))
			leaf := tlog.RecordHash(bundle[2 : 2+length])
			hashes, err := tlog.StoredHashesForRecordHash(first+int64(i), leaf, reader)
			check(err)
			stored = append(stored, hashes...)
			leaves = append(leaves, leaf)
			bundle = bundle[2+length:]
		}
		if len(bundle) > 0 {
			check(fmt.Errorf("the bundle of entry %d has more than %d entries", first, width))
		}
	}
	computed, err := tlog.TreeHash(size, reader)
	check(err)
	if computed != tree.Hash {
		check(fmt.Errorf("the entries have the root %v, and %v was signed", computed, tree.Hash))
	}

	// Proofs from the tiles, which the reader verifies against the signed root.
	tiles := tlog.TileHashReader(tree, directory)
	for index := int64(0); index < size; index++ {
		proof, err := tlog.ProveRecord(size, index, tiles)
		check(err)
		check(tlog.CheckRecord(proof, size, tree.Hash, index, leaves[index]))
	}
	for older := int64(1); older <= size; older += 1 + size/97 {
		hash, err := tlog.TreeHash(older, tiles)
		check(err)
		proof, err := tlog.ProveTree(size, older, tiles)
		check(err)
		check(tlog.CheckTree(proof, size, tree.Hash, older, hash))
	}
	fmt.Printf("go: %d entries of %s verify\n", size, verifier.Name())
}
