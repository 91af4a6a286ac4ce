package local

// EnsureDir makes the directory if it does not exist and reports whether it is fit for what only this user may reach:
// owned by the user, closed to everybody else, no symbolic link.
func EnsureDir(dir string) error {
	root, err := openDir(dir)
	if err != nil {
		return err
	}
	return root.Close()
}
