package main

import (
	"log/slog"
)

// logger writes to stderr what -v asks for.
func (a *app) logger() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case a.flags.quiet:
		level = slog.LevelError + 4
	case a.flags.verbose == 1:
		level = slog.LevelInfo
	case a.flags.verbose > 1:
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}
