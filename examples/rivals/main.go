// Command rivals compares this project with other ways to call between processes, on the machine that it runs on. See
// the README beside it for what is measured and how.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"peermesh/examples/rivals/internal/bench"
	"peermesh/examples/rivals/internal/contender"
	"peermesh/examples/rivals/internal/report"
)

func main() {
	bench.Child()
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "rivals:", err)
		}
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	rounds     int
	settings   bench.Settings
	only, work *regexp.Regexp
	into, from string
	readme     string
	note       string
	md         bool
	goals      bool
	grow       bool
}

func parse(args []string, progress io.Writer) (o options, err error) {
	f := flag.NewFlagSet("rivals", flag.ContinueOnError)
	f.SetOutput(progress)
	pattern := func(into **regexp.Regexp) func(string) error {
		return func(s string) (err error) {
			*into, err = regexp.Compile(s)
			return err
		}
	}
	f.IntVar(&o.rounds, "rounds", 5, "`number` of rounds, in each of which all contenders take their turn")
	f.DurationVar(&o.settings.Time, "time", 800*time.Millisecond, "`time` of one measurement")
	f.IntVar(&o.settings.MaxChunk, "chunk", 0, "at most so `many` one-way messages are confirmed at once; 0: as many as each contender stands")
	f.Func("only", "`regexp` of contenders", pattern(&o.only))
	f.Func("work", "`regexp` of workloads: seq1cpu, seq, conc, notify, bcast8, bcast32, big, mesh; with -grow size-, callers-, receivers-", pattern(&o.work))
	f.StringVar(&o.into, "json", "", "`file` for the raw results")
	f.StringVar(&o.from, "from", "", "measure nothing: `file` with the raw results of an earlier run")
	f.StringVar(&o.readme, "readme", "", "`file` in which the summary replaces what stands between its marks")
	f.StringVar(&o.note, "note", "", "`text` that stands with the results")
	f.BoolVar(&o.md, "md", false, "print the tables as Markdown")
	f.BoolVar(&o.goals, "goals", false, "say which goals are met")
	f.BoolVar(&o.grow, "grow", false, "how cost grows with size, callers and receivers, instead of the comparison")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.rounds < 1 || o.settings.Time <= 0 {
		return o, errors.New("no arguments beside flags, at least one round, and some time: see -help")
	}
	return o, nil
}

// run does what the flags say. An error of one contender does not keep the others from being measured.
func run(args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	results, err := o.results(progress)
	if results == nil {
		return err
	}
	if o.note != "" {
		results.Note = o.note
	}
	if o.into != "" {
		text, e := json.MarshalIndent(results, "", " ")
		if e == nil {
			e = os.WriteFile(o.into, append(text, '\n'), 0o644)
		}
		err = errors.Join(err, e)
	}
	o.print(results, out)
	if o.readme != "" {
		err = errors.Join(err, report.Update(o.readme, results))
	}
	return err
}

// results measures, or reads what was measured. They are nil when there are none.
func (o options) results(progress io.Writer) (*bench.Results, error) {
	if o.from != "" {
		text, err := os.ReadFile(o.from)
		if err != nil {
			return nil, err
		}
		r := &bench.Results{}
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("%s: %w", o.from, err)
		}
		return r, nil
	}
	say := func(line string) { fmt.Fprintln(progress, line) }
	r := bench.NewResults(o.rounds, o.settings)
	err := r.Run(o.contenders(), o.workloads(), o.settings, say)
	if o.does("mesh") && !o.grow {
		err = errors.Join(err, r.RunMesh(o.settings, say))
	}
	return r, err
}

func (o options) contenders() (list []*contender.Contender) {
	for _, c := range contender.All() {
		switch {
		case o.only != nil && o.only.MatchString(c.Name),
			o.only == nil && (!o.grow || c.Name == "peermesh-signed" || c.Name == "peermesh-sealed"):
			list = append(list, c)
		}
	}
	return list
}

func (o options) workloads() (list []bench.Workload) {
	all := bench.Workloads
	if o.grow {
		all = nil
		for _, axis := range bench.Grow() {
			all = append(all, axis.Workloads...)
		}
	}
	for _, w := range all {
		if o.does(w.Name) {
			list = append(list, w)
		}
	}
	return list
}

func (o options) does(work string) bool { return o.work == nil || o.work.MatchString(work) }

// print writes the tables of what was measured.
func (o options) print(r *bench.Results, out io.Writer) {
	write := report.Table.Plain
	if o.md {
		write = report.Table.Markdown
	}
	show := func(t report.Table, ok bool) {
		if ok {
			write(t, out)
		}
	}
	fmt.Fprintln(out, report.Where(r))
	for _, s := range r.Skipped {
		fmt.Fprintln(out, "skipped:", s)
	}
	for _, axis := range bench.Grow() {
		show(report.Growth(r, axis))
	}
	if o.grow {
		return
	}
	show(report.Contenders(r), true)
	for _, w := range bench.Workloads {
		show(report.Comparison(r, w))
	}
	show(report.Mesh(r))
	show(report.Summary(r), len(r.Samples) > 0)
	show(report.GoalTable(r), o.goals)
}
