package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peermesh/examples/rivals/internal/bench"
)

func TestMain(m *testing.M) {
	bench.Child() // the tests start themselves as the two ends of a measurement
	os.Exit(m.Run())
}

// TestRun measures a little, and shows it again from the file.
func TestRun(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "results.json")
	var out, progress bytes.Buffer
	args := []string{"-rounds", "2", "-time", "10ms", "-only", "^(sourcegraph|peermesh-signed)$", "-work", "conc|notify", "-json", file, "-goals", "-note", "On a test."}
	if err := run(args, &out, &progress); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"medians of 2 rounds of 10ms. On a test.\n", "\nconc: 64 callers", "\nnotify: one way", "conc ÷ sourcegraph"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if n := strings.Count(progress.String(), "\n"); n != 8 {
		t.Errorf("%d lines of progress instead of 8:\n%s", n, &progress)
	}
	var again bytes.Buffer
	if err := run([]string{"-from", file, "-goals"}, &again, &progress); err != nil {
		t.Fatal(err)
	}
	if again.String() != out.String() {
		t.Errorf("first\n%s\nthen\n%s", &out, &again)
	}
	out.Reset()
	if err := run([]string{"-from", file, "-md"}, &out, &progress); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\n### conc: 64 callers on one connection\n\n| contender |") {
		t.Errorf("no Markdown:\n%s", &out)
	}
}

func TestRunGrow(t *testing.T) {
	t.Parallel()
	var out, progress bytes.Buffer
	if err := run([]string{"-rounds", "1", "-time", "10ms", "-grow", "-work", "callers-4|receivers-2"}, &out, &progress); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\n4 callers ") || !strings.Contains(out.String(), "\n2 receivers ") || strings.Contains(out.String(), "conc") {
		t.Errorf("%s", &out)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-rounds", "0"}, {"-time", "0"}, {"-only", "("}, {"more"}, {"-from", "no such file"}} {
		var out, progress bytes.Buffer
		if err := run(args, &out, &progress); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
