package peer

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// Where peerctl and peers keep their files, by the XDG Base Directory rules; %AppData% and %LocalAppData% on Windows.
// The functions make nothing. They fail only where there is neither the variable nor a home.

// KeyFile returns where the key of a mesh is kept: $XDG_DATA_HOME/peerctl/keys/MESH.key.
func KeyFile(mesh string) (string, error) {
	dir, err := dataDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "keys", mesh+".key"), nil
}

// IdentityDir returns where the identities are kept: $XDG_DATA_HOME/peerctl/id.
func IdentityDir() (string, error) {
	dir, err := dataDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "id"), nil
}

// ConfigFile returns where peerctl's configuration is: $XDG_CONFIG_HOME/peerctl/config.yaml.
func ConfigFile() (string, error) {
	dir, err := baseDir("XDG_CONFIG_HOME", ".config", "AppData")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "peerctl", "config.yaml"), nil
}

// KnownPeersFile returns where the pins of peers' names are kept: $XDG_STATE_HOME/peerctl/known_peers.
func KnownPeersFile() (string, error) {
	dir, err := baseDir("XDG_STATE_HOME", filepath.Join(".local", "state"), "LocalAppData")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "peerctl", "known_peers"), nil
}

// PolicyFile returns where the policy for a mesh is: $XDG_CONFIG_HOME/peerctl/policy/MESH.
func PolicyFile(mesh string) (string, error) {
	dir, err := baseDir("XDG_CONFIG_HOME", ".config", "AppData")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "peerctl", "policy", mesh), nil
}

func dataDir() (string, error) {
	dir, err := baseDir("XDG_DATA_HOME", filepath.Join(".local", "share"), "LocalAppData")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "peerctl"), nil
}

// ErrNoHome is returned where neither the XDG variable nor the home folder is known.
var ErrNoHome = errors.New("peer: no home folder: set HOME, or XDG_DATA_HOME and XDG_CONFIG_HOME")

func baseDir(xdg, underHome, windows string) (string, error) {
	// "All paths set in these environment variables must be absolute. If an implementation encounters a relative
	// path in any of these variables it should consider the path invalid and ignore it."
	if dir := os.Getenv(xdg); filepath.IsAbs(dir) {
		return dir, nil
	}
	if runtime.GOOS == "windows" {
		if dir := os.Getenv(windows); dir != "" {
			return dir, nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil || home == "" {
		return "", ErrNoHome
	}
	return filepath.Join(home, underHome), nil
}
