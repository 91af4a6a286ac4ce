package api

import (
	stdjson "encoding/json"
	"maps"
	"slices"
	"strings"
)

// Merge adds the methods of another API's document to d, which then describes a peer rather than an API. Schemas of
// one name that differ are kept apart: the other's takes the name of its API in front. o stays as it is.
func (d *Document) Merge(o Document) {
	renamed := map[string]string{}
	merged := map[string]stdjson.RawMessage{}
	if d.Components != nil {
		maps.Copy(merged, d.Components.Schemas)
	}
	rename := func(raw stdjson.RawMessage) stdjson.RawMessage {
		return rewriteRefs(raw, func(ref string) string {
			if to, ok := renamed[strings.TrimPrefix(ref, refInDocument)]; ok && strings.HasPrefix(ref, refInDocument) {
				return refInDocument + to
			}
			return ref
		})
	}
	if o.Components != nil {
		theirs := o.Components.Schemas
		names := slices.Sorted(maps.Keys(theirs))
		clash := slices.ContainsFunc(names, func(name string) bool {
			have, ok := merged[name]
			return ok && string(have) != string(theirs[name])
		})
		for _, name := range names {
			if _, ok := merged[name]; clash && ok { // equal ones too: they may refer to one that differs
				as := strings.TrimPrefix(o.Info.Title+"."+name, ".")
				for merged[as] != nil || theirs[as] != nil {
					as += "_"
				}
				renamed[name] = as
			}
		}
		for _, name := range names {
			as, other := renamed[name]
			if !other {
				as = name
			}
			merged[as] = rename(theirs[name])
		}
	}
	if len(merged) > 0 {
		c := DocumentComponents{}
		if d.Components != nil {
			c = *d.Components
		}
		c.Schemas = merged
		d.Components = &c
	}
	d.Methods = slices.Concat(d.Methods, rewriteMethods(o.Methods, rename))
	d.Outgoing = slices.Concat(d.Outgoing, rewriteMethods(o.Outgoing, rename))
}

// rewriteMethods returns copies of methods whose schemas went through f.
func rewriteMethods(methods []DocumentMethod, f func(stdjson.RawMessage) stdjson.RawMessage) []DocumentMethod {
	out := slices.Clone(methods)
	for i := range out {
		m := &out[i]
		m.ParamsSchema = f(m.ParamsSchema)
		m.Params = slices.Clone(m.Params)
		for j := range m.Params {
			m.Params[j].Schema = f(m.Params[j].Schema)
		}
		if m.Result != nil {
			r := *m.Result
			r.Schema = f(r.Schema)
			m.Result = &r
		}
	}
	return out
}
