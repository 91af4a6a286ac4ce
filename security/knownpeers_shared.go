package security

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

const (
	// lockFor is how long a change of a shared file waits for other processes that change it.
	lockFor = 10 * time.Second
	// lockTry is how often it looks whether they are done. One with much to change leaves them a pause of lockPause
	// after each lockBurst: without that it could keep them out.
	lockTry   = 4 * time.Millisecond
	lockPause = 2 * lockTry
	lockBurst = 100 * time.Millisecond
)

// sharedFile is a private text file that several processes read and change. A change reads the file anew, under a lock
// that all of them respect, and puts a whole new file in its place, so that no change of another process is lost and
// readers need no lock. It is not safe for concurrent use.
type sharedFile struct {
	path  string
	limit int64       // greatest length
	seen  fs.FileInfo // of the file that was read last; nil when there was none, or when it was written since
	freed time.Time   // when the last change was done
	burst time.Time   // since when there has been no pause between changes
}

// read returns the text, nil when there is no file.
func (s *sharedFile) read() ([]byte, error) {
	s.seen = nil
	f, err := openPrivate(s.path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readAll(f, s.limit)
	if err != nil {
		return nil, err
	}
	s.seen, err = f.Stat()
	return text, err
}

// fresh reports whether the file is still the one that was read last. It does not open it.
func (s *sharedFile) fresh() bool {
	fi, err := os.Lstat(s.path)
	if err != nil {
		return s.seen == nil && errors.Is(err, fs.ErrNotExist)
	}
	return s.seen != nil && os.SameFile(fi, s.seen) && fi.Size() == s.seen.Size() && fi.ModTime().Equal(s.seen.ModTime())
}

// update replaces the text by what edit makes of it, down to the disk. When edit returns nil, or an error, the file
// stays as it is.
func (s *sharedFile) update(edit func(text []byte) ([]byte, error)) error {
	if err := ensureDir(filepath.Dir(s.path)); err != nil {
		return err
	}
	if now := time.Now(); now.Sub(s.freed) > lockPause {
		s.burst = now
	} else if now.Sub(s.burst) > lockBurst {
		time.Sleep(lockPause)
		s.burst = time.Now()
	}
	lock, err := lockShared(s.path + ".lock")
	if err != nil {
		return err
	}
	defer func() {
		_ = lock.Close() // the file stays, because removing it would let two hold it
		s.freed = time.Now()
	}()
	text, err := s.read()
	if err != nil {
		return err
	}
	defer clear(text)
	out, err := edit(text)
	if err != nil || out == nil {
		return err
	}
	defer clear(out)
	if int64(len(out)) > s.limit {
		return fmt.Errorf("security: %s: it would be larger than %d bytes", s.path, s.limit)
	}
	s.seen = nil
	return replacePrivate(s.path, out)
}

// lockShared waits for the lock, for others hold it only while they write.
func lockShared(path string) (*os.File, error) {
	end := time.Now().Add(lockFor)
	for {
		f, err := openLocked(path)
		if !errors.Is(err, errInUse) {
			return f, err
		}
		if !time.Now().Before(end) {
			return nil, fmt.Errorf("%w: %s: another process has held it for %s", errInUse, path, lockFor)
		}
		time.Sleep(lockTry/2 + rand.N(lockTry/2)) // those who wait alike would meet again
	}
}
