// Package local lets the peers of one user on one machine meet without any network: each writes a small file about
// itself into a directory that only this user can enter, and reads those of the others.
//
// # Model
//
// The directory is DefaultDir unless Config.Dir names another. It must belong to the user and be closed to everybody
// else (mode 0700), and it must not be a symbolic link; otherwise the source refuses to run. A peer's file is named
// after the mesh (a hash of its name) and the peer's id, so that several meshes share the directory without seeing each
// other. With Config.Keys the file also carries a proof made with the mesh's discovery key (discovery.Proof), and files
// without a valid one are ignored: another mesh of the same name is not dialled.
//
// # Lifecycle
//
// The file is written when there is something to announce, replaced by rename when it changes, touched every 10 s, and
// removed when the source stops. The directory is read at once and every 500 ms. The file of a process that is gone, or
// that was not touched for 30 s, is ignored and swept away; a process that was merely asleep writes its own anew.
//
// # Limits
//
// At most 256 files of at most 4 KiB are read. What is malformed, foreign, too long or too much is ignored and counted.
//
// # Concurrency
//
// Run does all its work in the goroutine that calls it. Status may be called from any.
package local
