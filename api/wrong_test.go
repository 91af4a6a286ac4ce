package api_test

import (
	"bufio"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A mistake of direction does not compile. Each file under testdata/wrong makes one, and says in its comment what the
// compiler answers. A file that wants nothing compiles: it is the same without the mistakes.
func TestWrongDirectionDoesNotCompile(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/wrong/*.go")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "source", nil)
	for _, file := range files {
		want := wantOf(t, file)
		f, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		conf := types.Config{Importer: from, Error: func(err error) { got = append(got, err.(types.Error).Msg) }}
		_, _ = conf.Check("wrong", fset, []*ast.File{f}, nil) // its errors are in got
		switch {
		case want == "":
			if len(got) > 0 {
				t.Errorf("%s does not compile: %v", file, got)
			}
		case len(got) != 1 || !strings.Contains(short(got[0]), want):
			t.Errorf("%s: the compiler says %q\nwant %s", file, got, want)
		}
	}
}

// short leaves the last element of each package path, as the compiler does.
func short(message string) string {
	return strings.NewReplacer("peermesh/examples/spec/", "", "peermesh/examples/", "", "peermesh/", "").Replace(message)
}

func wantOf(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if want, ok := strings.CutPrefix(lines.Text(), "// want: "); ok {
			return want
		}
	}
	return ""
}
