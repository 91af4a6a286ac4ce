package peer

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"

	"peermesh/security"
)

// watchFiles follows the files that a user, or another process of his, may change while the peer runs: the mesh's
// keys, the known peers, the policy, the open invites. What cannot be read as it stands is reported, and what was read
// before holds on.
func (p *Peer) watchFiles() error {
	files := map[string]func() error{}
	watch := func(path string, reload func() error) {
		if path != "" {
			files[filepath.Clean(path)] = reload
		}
	}
	watch(p.cfg.keyPath, p.reloadKeys)
	watch(p.known.Path(), func() error {
		_, err := p.known.Reload()
		return err
	})
	watch(p.invitesPath, p.invites.Reload)
	if p.cfg.Policy == nil {
		path, _ := p.policyPath()
		watch(path, p.loadPolicy)
	}
	if len(files) == 0 {
		return nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("peer: watch files: %w", err)
	}
	var folders []string // whole ones: a file is replaced, not changed, and may not be there yet
	for path := range files {
		if dir := filepath.Dir(path); !slices.Contains(folders, dir) && w.Add(dir) == nil { // a folder that is not there holds no file either
			folders = append(folders, dir)
		}
	}
	p.wg.Go(func() {
		defer func() { _ = w.Close() }()
		for {
			select {
			case ev, ok := <-w.Events:
				if !ok {
					return
				}
				reload := files[filepath.Clean(ev.Name)]
				if reload == nil || ev.Op == fsnotify.Chmod {
					continue
				}
				if err := reload(); err != nil {
					p.log.Warn("a file that has changed is not used", "file", ev.Name, "error", err)
					continue
				}
				p.review()
			case <-w.Errors: // the next change is seen again
			case <-p.ctx.Done():
				return
			}
		}
	})
	return nil
}

// reloadKeys takes the keys as the file has them now.
func (p *Peer) reloadKeys() error {
	entries, err := security.ReadKeyFile(p.cfg.keyPath)
	if err != nil {
		return err
	}
	return p.cfg.Keys.Set(entries)
}
