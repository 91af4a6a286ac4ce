package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// portOwners returns the names of the other processes that have a UDP port open, as far as this user may see them.
func portOwners(port int) ([]string, error) {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue // a kernel without IPv6 has one of them
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+fields[9]+"]"] = true
			}
		}
		_ = f.Close()
	}
	var names []string
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, err
	}
	self := strconv.Itoa(os.Getpid())
	found := 0
	seen := map[string]bool{}
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || !inodes[to] {
			continue
		}
		pid := strings.Split(link, "/")[2]
		if !seen[to] {
			seen[to] = true
			found++
		}
		comm, _ := os.ReadFile("/proc/" + pid + "/comm") // the process may have gone
		if name := fmt.Sprintf("%s (%s)", strings.TrimSpace(string(comm)), pid); pid != self && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if found < len(inodes) {
		names = append(names, "processes of other users")
	}
	return names, nil
}
