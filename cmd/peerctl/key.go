package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"peermesh/peer"
	"peermesh/security"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Manage the keys of meshes",
		Long: `A mesh is whoever holds its key. Make one with "key new", take it to another machine with "key export" and
"key import", which write and read 64 hex digits. Keys never stand on a command line.

To change the key of a mesh that runs, without a call that fails, take three steps, each on all machines before the next:
  peerctl key new lab --add         a second key, which verifies (on the other machines: key import lab --add)
  peerctl key use lab KID           it signs from now on
  peerctl key rm lab OLD-KID        the old one is forgotten
Running peers notice the file.`,
	}
	var words int
	var addNew, addImport bool
	create := &cobra.Command{
		Use:   "new MESH",
		Short: "Make a key for a mesh",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return a.keyNew(args[0], words, addNew) },
	}
	create.Flags().BoolVar(&addNew, "add", false, "add the key to those that the mesh has; it only verifies until \"key use\"")
	take := &cobra.Command{Use: "import MESH", Short: "Read a mesh's key from stdin", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.keyImport(args[0], addImport) }}
	take.Flags().BoolVar(&addImport, "add", false, "add the key to those that the mesh has; it only verifies until \"key use\"")
	create.Flags().IntVar(&words, "words", 0, "derive the key from a new passphrase of so many words, which is printed")
	cmd.AddCommand(create, take,
		&cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the keys", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return a.keyList() }},
		&cobra.Command{Use: "export MESH [KID]", Short: "Print a mesh's key (the one that signs): 64 hex digits and nothing else", Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeMesh,
			RunE: func(_ *cobra.Command, args []string) error { return a.keyExport(args[0], second(args)) }},
		&cobra.Command{Use: "use MESH KID", Short: "Sign with this key of a mesh from now on", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeMesh,
			RunE: func(_ *cobra.Command, args []string) error { return a.keyUse(args[0], args[1]) }},
		&cobra.Command{Use: "rm MESH [KID]", Short: "Forget a mesh's keys, or one of them", Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeMesh,
			RunE: func(_ *cobra.Command, args []string) error { return a.keyRemove(args[0], second(args)) }},
	)
	return cmd
}

// keyPath returns where the key of a mesh is.
func (a *app) keyPath(mesh string) (string, error) {
	if !security.ValidName(mesh) {
		return "", usageError("%w", &security.NameError{Name: mesh})
	}
	if a.flags.keyFile != "" {
		return a.flags.keyFile, nil
	}
	return peer.KeyFile(mesh)
}

func second(args []string) string {
	if len(args) > 1 {
		return args[1]
	}
	return ""
}

func (a *app) keyNew(mesh string, words int, add bool) error {
	path, err := a.keyPath(mesh)
	if err != nil {
		return err
	}
	key := security.NewKey()
	passphrase := ""
	if words > 0 {
		if passphrase, err = security.GeneratePassphrase(words); err != nil {
			return usageError("--words: %w", err)
		}
		if key, err = security.PassphraseKey(passphrase, mesh); err != nil {
			return err
		}
	}
	from, to := mesh, mesh
	if add {
		err = a.keyAdd(mesh, key)
		from, to = mesh+" "+key.ID(), mesh+" --add"
	} else {
		err = createKey(path, mesh, key)
	}
	if err != nil {
		return err
	}
	a.note("key %s of mesh %q written to %s", key.ID(), mesh, path)
	if passphrase != "" {
		fmt.Fprintln(a.out, passphrase)
		a.note("type it on the other machines: peerctl key import %s", to)
	} else {
		a.note("take it to the other machines: peerctl key export %s | ssh other peerctl key import %s", from, to)
	}
	if add {
		a.note("when all have it, on each: peerctl key use %s %s", mesh, key.ID())
	}
	return nil
}

func createKey(path, mesh string, key *security.Key) error {
	err := security.CreateKeyFile(path, []security.Entry{{Key: key, Role: security.RoleMember, Send: true}})
	if errors.Is(err, fs.ErrExist) {
		return &exitError{code: exitKey, err: fmt.Errorf("the mesh %q has a key already, in %s; `peerctl key rm %s` forgets it", mesh, path, mesh)}
	}
	return err
}

func (a *app) keyImport(mesh string, add bool) error {
	path, err := a.keyPath(mesh)
	if err != nil {
		return err
	}
	if isTerminal(a.in) {
		a.note("paste the 64 hex digits of `peerctl key export`, or type the passphrase, and press Enter")
	}
	text, err := readLine(a.in)
	if err != nil {
		return err
	}
	key, err := security.ParseKey([]byte(text))
	if err != nil {
		if !strings.Contains(text, " ") && !strings.Contains(text, "-") { // no passphrase of words either
			return &exitError{code: exitKey, err: err}
		}
		if key, err = security.PassphraseKey(text, mesh); err != nil {
			return &exitError{code: exitKey, err: err}
		}
	}
	entries, err := security.ReadKeyFile(path)
	if err == nil && slices.ContainsFunc(entries, func(e security.Entry) bool { return e.Key.Equal(key) }) && (add || len(entries) == 1) {
		a.note("the mesh %q has that key already", mesh)
		return nil
	}
	if add {
		err = a.keyAdd(mesh, key)
	} else {
		err = createKey(path, mesh, key)
	}
	if err != nil {
		return err
	}
	a.note("key %s of mesh %q written to %s", key.ID(), mesh, path)
	return nil
}

// readLine reads one line, of which it says nothing in an error.
func readLine(r io.Reader) (string, error) {
	var line []byte
	b := make([]byte, 1)
	for len(line) < 4096 {
		n, err := r.Read(b)
		if n == 1 {
			if b[0] == '\n' {
				break
			}
			line = append(line, b[0])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	if text := strings.TrimSpace(string(line)); text != "" {
		return text, nil
	}
	return "", usageError("nothing came on stdin")
}

// changeKeys changes the keys of a mesh that has some.
func (a *app) changeKeys(mesh string, change func(*security.Keyring) error) error {
	entries, err := a.readKeys(mesh)
	if err != nil {
		return err
	}
	ring, err := security.NewKeyring(entries...)
	if err != nil {
		return err
	}
	if err := change(ring); err != nil {
		return err
	}
	path, err := a.keyPath(mesh)
	if err != nil {
		return err
	}
	return security.ReplaceKeyFile(path, ring.Entries())
}

func (a *app) keyAdd(mesh string, key *security.Key) error {
	return a.changeKeys(mesh, func(ring *security.Keyring) error {
		return ring.Add(security.Entry{Key: key, Role: security.RoleMember})
	})
}

func (a *app) keyUse(mesh, kid string) error {
	err := a.changeKeys(mesh, func(ring *security.Keyring) error { return ring.Use(kid) })
	if errors.Is(err, security.ErrNoKey) {
		return notFound("the mesh %q has no key %s; `peerctl key ls` lists them", mesh, kid)
	}
	return err
}

func (a *app) keyExport(mesh, kid string) error {
	entries, err := a.readKeys(mesh)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Key.ID() == kid {
			_, err = fmt.Fprintln(a.out, e.Key.Export())
			return err
		}
	}
	if kid != "" {
		return notFound("the mesh %q has no key %s; `peerctl key ls` lists them", mesh, kid)
	}
	ring, err := security.NewKeyring(entries...)
	if err != nil {
		return err
	}
	e, ok := ring.Sending("", time.Now())
	if !ok {
		return &exitError{code: exitKey, err: fmt.Errorf("the mesh %q: %w", mesh, security.ErrNoKey)}
	}
	_, err = fmt.Fprintln(a.out, e.Key.Export())
	return err
}

func (a *app) readKeys(mesh string) ([]security.Entry, error) {
	path, err := a.keyPath(mesh)
	if err != nil {
		return nil, err
	}
	entries, err := security.ReadKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound("there is no key of a mesh %q; `peerctl key new %s` makes one", mesh, mesh)
	}
	return entries, err
}

func (a *app) keyRemove(mesh, kid string) error {
	if kid != "" {
		return a.changeKeys(mesh, func(ring *security.Keyring) error {
			switch {
			case !ring.Remove(kid):
				return notFound("the mesh %q has no key %s; `peerctl key ls` lists them", mesh, kid)
			case ring.Len() == 0:
				return usageError("it is the only key of mesh %q; `peerctl key rm %s` forgets them all", mesh, mesh)
			}
			return nil
		})
	}
	path, err := a.keyPath(mesh)
	if err != nil {
		return err
	}
	if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		return notFound("there is no key of a mesh %q", mesh)
	} else if err != nil {
		return err
	}
	a.note("the key of mesh %q is gone; peers that hold it are still members", mesh)
	return nil
}

// keyMeshes lists the meshes that have a key here.
func keyMeshes() ([]string, error) {
	path, err := peer.KeyFile("x")
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, f := range files {
		if mesh, ok := strings.CutSuffix(f.Name(), ".key"); ok && security.ValidName(mesh) {
			names = append(names, mesh)
		}
	}
	return names, err
}

func (a *app) keyList() error {
	meshes, err := keyMeshes()
	if err != nil {
		return err
	}
	type row struct {
		Mesh  string   `json:"mesh"`
		Kid   string   `json:"kid"`
		Users []string `json:"users,omitempty"`
		Role  string   `json:"role"`
		Send  bool     `json:"send"`
		Valid bool     `json:"valid"`
		Error string   `json:"error,omitempty"`
	}
	rows := []row{}
	for _, mesh := range meshes {
		entries, err := a.readKeys(mesh)
		if err != nil {
			rows = append(rows, row{Mesh: mesh, Error: err.Error()})
			continue
		}
		for _, e := range entries {
			role := string(e.Role)
			if role == "" {
				role = string(security.RoleMember)
			}
			rows = append(rows, row{Mesh: mesh, Kid: e.Key.ID(), Users: e.Users, Role: role, Send: e.Send, Valid: e.Valid(time.Now())})
		}
	}
	if a.flags.output == "json" {
		raw, err := json.Marshal(rows)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s\n", raw)
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "MESH\tKEY\tFOR\tROLE\tSTATE")
	for _, r := range rows {
		who, state := "all members", "verifies"
		if r.Users != nil {
			who = strings.Join(r.Users, ",")
		}
		if r.Send {
			state = "signs"
		}
		if !r.Valid {
			state = "not valid now"
		}
		if r.Error != "" {
			state, who = r.Error, "–"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Mesh, orDash(r.Kid), who, orDash(r.Role), state)
	}
	return w.Flush()
}
