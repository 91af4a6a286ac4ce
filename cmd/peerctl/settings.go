package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peermesh/peer"
)

// setting is one value and where it came from.
type setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"` // flag, PEERCTL_…, the configuration file's path, or default
}

type settings []setting

// configurable are the flags that the environment and the configuration file may set too. Output and secrets are not
// among them: a script must not change its output by what a user has configured.
var configurable = []string{"mesh", "name", "key-file", "peer", "iface", "no-mdns", "no-local", "timeout", "wait", "color"}

// configure completes the flags: flag before environment before configuration file before default.
func (a *app) configure(cmd *cobra.Command) error {
	path := a.flags.config
	if path == "" {
		path = os.Getenv("PEERCTL_CONFIG")
	}
	must := path != ""
	if path == "" {
		path, _ = peer.ConfigFile() // without a home there is none
	}
	file, err := readConfig(path, must)
	if err != nil {
		return err
	}
	flags := cmd.Root().PersistentFlags()
	for _, name := range configurable {
		f := flags.Lookup(name)
		s := setting{Name: name, Source: "default"}
		env := "PEERCTL_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		switch values, inFile := file[name]; {
		case f.Changed:
			s.Source = "flag"
		case os.Getenv(env) != "":
			s.Source = env
			err = setFlag(f, strings.Split(os.Getenv(env), ","))
		case inFile:
			s.Source = path
			err = setFlag(f, values)
		}
		if err != nil {
			return usageError("%s: %s: %w", s.Source, name, err)
		}
		s.Value = f.Value.String()
		a.settings = append(a.settings, s)
	}
	if !slices.Contains([]string{"", "table", "wide", "json", "yaml", "name", "markdown"}, a.flags.output) {
		return usageError("-o %s: say table, wide, json, yaml or name", a.flags.output)
	}
	if !slices.Contains([]string{"auto", "always", "never"}, a.flags.color) {
		return usageError("--color %s: say auto, always or never", a.flags.color)
	}
	return nil
}

func setFlag(f *pflag.Flag, values []string) error {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.Replace(values)
	}
	if len(values) != 1 {
		return errors.New("want one value")
	}
	return f.Value.Set(values[0])
}

// readConfig reads the configuration file: the long names of flags with a value, or a list where a flag is repeatable.
func readConfig(path string, must bool) (map[string][]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return nil, nil
	}
	if err != nil {
		return nil, usageError("configuration: %w", err)
	}
	var raw map[string]any
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, usageError("configuration %s: %s", path, strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	out := map[string][]string{}
	for key, v := range raw {
		if !slices.Contains(configurable, key) {
			return nil, usageError("configuration %s: there is no key %q%s", path, key, didYouMean(key, configurable))
		}
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				out[key] = append(out[key], fmt.Sprint(e))
			}
		case map[string]any, nil:
			return nil, usageError("configuration %s: %s wants a value or a list", path, key)
		default:
			out[key] = []string{fmt.Sprint(v)}
		}
	}
	return out, nil
}

// suggestFlag adds the nearest flag to the error of an unknown one.
func suggestFlag(root *cobra.Command, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return err
	}
	var names []string
	var collect func(*cobra.Command)
	collect = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		for _, sub := range c.Commands() {
			collect(sub)
		}
	}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	collect(root)
	return fmt.Errorf("%w%s", err, strings.Replace(didYouMean(name, names), `"`, `"--`, 1))
}

// didYouMean names the nearest of the candidates, when one is near.
func didYouMean(word string, candidates []string) string {
	best, distance := "", 1+max(2, len(word)/3)
	for _, c := range candidates {
		d := editDistance(word, c)
		if len(word) > 2 && strings.HasPrefix(c, word) {
			d = 1 // not finished
		}
		if d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(` (did you mean "%s"?)`, best)
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
