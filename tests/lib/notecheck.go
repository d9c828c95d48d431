// The log's proofs in the eyes of the libraries that Go's checksum database is made of, golang.org/x/mod/sumdb: note
// opens and verifies checkpoints, tlog computes the tree and checks proofs. No code is shared with bastiond.
//
//	notecheck VKEY-FILE LEAVES CHECKPOINT PROOF GROWTH
//
// VKEY-FILE holds the key that signed CHECKPOINT. Exit status 0: everything holds.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Println("no:", err)
		os.Exit(1)
	}
}

func read(path string) string {
	data, err := os.ReadFile(path)
	must(err)
	return string(data)
}

func leaves(path string) [][]byte {
	var out [][]byte
	f, err := os.Open(path)
	must(err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var row struct {
			Leaf int
			Data []byte
		}
		must(json.Unmarshal(lines.Bytes(), &row))
		if row.Leaf != len(out) {
			must(fmt.Errorf("leaf %d stands in place %d", row.Leaf, len(out)))
		}
		out = append(out, row.Data)
	}
	must(lines.Err())
	return out
}

// checkpoint verifies the signature and returns size and root.
func checkpoint(text string, keys note.Verifiers) (int64, tlog.Hash) {
	n, err := note.Open([]byte(text), keys)
	must(err)
	lines := strings.Split(n.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return size, root
}

func hashes(lines []string) []tlog.Hash {
	var out []tlog.Hash
	for _, line := range lines {
		if line == "" {
			continue
		}
		h, err := tlog.ParseHash(line)
		must(err)
		out = append(out, h)
	}
	return out
}

func main() {
	verifier, err := note.NewVerifier(strings.TrimSpace(read(os.Args[1])))
	must(err)
	keys := note.VerifierList(verifier)
	size, root := checkpoint(read(os.Args[3]), keys)

	// The tree over the leaves, stored as tlog stores it.
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	all := leaves(os.Args[2])
	for i, data := range all[:size] {
		h, err := tlog.StoredHashes(int64(i), data, reader)
		must(err)
		stored = append(stored, h...)
	}
	mine, err := tlog.TreeHash(size, reader)
	must(err)
	if mine != root {
		must(fmt.Errorf("the checkpoint is not about these leaves"))
	}

	head, rest, _ := strings.Cut(read(os.Args[4]), "\n\n")
	lines := strings.Split(head, "\n")
	leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	must(err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	must(err)
	n, r := checkpoint(rest, keys)
	must(tlog.CheckRecord(tlog.RecordProof(hashes(lines[3:])), n, r, index, tlog.RecordHash(leaf)))

	head, rest, _ = strings.Cut(read(os.Args[5]), "\n\n")
	lines = strings.Split(head, "\n")
	old, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	must(err)
	oldRoot, err := tlog.TreeHash(old, reader)
	must(err)
	n, r = checkpoint(rest, keys)
	must(tlog.CheckTree(tlog.TreeProof(hashes(lines[1:])), n, r, old, oldRoot))
	fmt.Printf("yes: leaves %d\n", size)
}
