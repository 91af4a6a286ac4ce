package security

import "os"

// openPolicy opens a plain file; the access lists of Windows are left as they are.
func openPolicy(path string) (*os.File, error) { return openPrivate(path, os.O_RDONLY) }
