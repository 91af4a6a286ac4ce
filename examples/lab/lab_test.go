package lab_test

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"peermesh/examples/internal/console"
)

func TestMain(m *testing.M) {
	console.Main(m, "peermesh/examples/lab/camera", "peermesh/examples/lab/viewer", "peermesh/cmd/peerctl")
}

func TestREADME(t *testing.T) {
	t.Parallel()
	console.README(t, "README.md")
}

// TestBench has two cameras and a viewer in a mesh with a key, which know each other by address alone.
func TestBench(t *testing.T) {
	t.Parallel()
	home := console.NewHome(t)
	if p := home.Start("peerctl", "key", "new", "bench"); p.Exit() != 0 {
		t.Fatal(p.Output())
	}
	start := func(program, name string, args ...string) (*console.Program, string) {
		p := home.Start(program, append([]string{"-name", name, "-no-mdns", "-listen", "127.0.0.1:0"}, args...)...)
		return p, p.Listening()
	}
	cam1, addr1 := start("camera", "cam1", "-every", "20ms")
	cam2, addr2 := start("camera", "cam2", "-every", "20ms")
	desk, _ := start("viewer", "desk", "-gain", "-3.5", "-peer", addr1, "-peer", "ws://"+addr2)
	for _, cam := range []*console.Program{cam1, cam2} {
		cam.Expect(`gain -3\.5 dB, says desk`)
		cam.Expect(`a picture for desk, 20 ms`)
	}
	frames := map[string]int{}
	for i := 0; i < 40 || len(frames) < 2; i++ {
		line := desk.Expect(`(cam\d: frame \d+), mean 0\.\d\d`)
		seq, err := strconv.Atoi(line[len("cam1: frame "):])
		if cam := line[:4]; err != nil || seq <= frames[cam] {
			t.Errorf("%s after frame %d (%v)", line, frames[cam], err)
		} else {
			frames[cam] = seq
		}
	}
	cam2.Interrupt()
	desk.Expect("- cam2")
	if code := cam2.Exit(); code != 0 {
		t.Errorf("the camera's exit code is %d", code)
	}
	desk.Interrupt()
	if code := desk.Exit(); code != 0 {
		t.Errorf("the viewer's exit code is %d", code)
	}
}

// TestSnapOnce takes a picture with a camera that starts after the viewer, and with one that starts at the same time.
func TestSnapOnce(t *testing.T) {
	t.Parallel()
	home := console.NewHome(t)
	file := filepath.Join(home.Dir, "snap.png")
	early := home.Start("viewer", "-name", "early", "-listen", "127.0.0.1:0", "-snap", "cam1", "-o", file)
	early.Listening()
	home.Start("camera", "-name", "cam1", "-listen", "127.0.0.1:0")
	late := home.Start("viewer", "-name", "late", "-listen", "127.0.0.1:0", "-snap", "cam1")
	for _, p := range []*console.Program{early, late} {
		p.Expect(`cam1: a picture, 320 x 240, \d+ bytes`)
		if code := p.Exit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(text))
	if err != nil || img.Bounds().Dx() != 320 {
		t.Errorf("no picture: %v", err)
	}
}
