// What a form needs to know of a JSON Schema, and the methods of OpenRPC documents. Pure functions.
import { Literal } from './json.js'

const deepest = 12 // of schemas within schemas, some of which contain themselves

const plainTypes = ['object', 'array', 'string', 'number', 'integer', 'boolean']
const beyond = ['oneOf', 'anyOf', 'not', 'if', 'patternProperties', 'dependentSchemas', 'prefixItems', 'unevaluatedProperties']

// field reads a schema: {kind, title, description, nullable, default, hasDefault, examples, secret, …}. kind is object (fields),
// array (items), string, number, integer, boolean, enum (values), const (value), or json for all that a form does not do.
export function field(schema, root, depth = 0) {
  if (schema === true || schema === undefined || schema === null) return { kind: 'json' }
  if (schema === false || typeof schema !== 'object' || depth > deepest) return { kind: 'json' }
  let s = resolve(schema, root)
  if (!s) return { kind: 'json' }
  if (Array.isArray(s.allOf)) s = merged(s, root)
  if (!s) return { kind: 'json' }
  const base = {
    title: s.title, description: s.description, default: s.default, hasDefault: s.default !== undefined,
    examples: Array.isArray(s.examples) ? s.examples : [], nullable: s.nullable === true, secret: s.writeOnly === true,
  }
  const alternatives = s.anyOf ?? s.oneOf
  if (Array.isArray(alternatives) && alternatives.length === 2) { // a value or null
    const rest = alternatives.filter((a) => a?.type !== 'null')
    if (rest.length === 1) return { ...field(rest[0], root, depth + 1), ...definedOf(base), nullable: true }
  }
  if (s.const !== undefined) return { ...base, kind: 'const', value: s.const }
  if (Array.isArray(s.enum)) {
    return { ...base, kind: 'enum', values: s.enum.filter((v) => v !== null), nullable: base.nullable || s.enum.includes(null) }
  }
  if (beyond.some((k) => s[k] !== undefined)) return { ...base, kind: 'json' }
  let types = Array.isArray(s.type) ? s.type : s.type ? [s.type] : s.properties ? ['object'] : []
  if (types.length === 1 && types[0] === 'null') return { ...base, kind: 'const', value: null }
  if (types.includes('null')) {
    base.nullable = true
    types = types.filter((t) => t !== 'null')
  }
  const kind = types.length === 1 && plainTypes.includes(types[0]) ? types[0] : 'json'
  const out = { ...base, kind }
  switch (kind) {
    case 'object': {
      const required = new Set(s.required ?? [])
      const names = Object.keys(s.properties ?? {})
      if (names.length === 0) return { ...base, kind: 'json' } // a map of who knows what
      out.fields = names.map((name) => ({ ...field(s.properties[name], root, depth + 1), name, required: required.has(name) }))
      out.open = s.additionalProperties !== false
      break
    }
    case 'array':
      if (!s.items || typeof s.items !== 'object' || Array.isArray(s.items)) return { ...base, kind: 'json' }
      out.items = field(s.items, root, depth + 1)
      out.min = s.minItems
      out.max = s.maxItems
      break
    case 'number': case 'integer':
      out.min = s.minimum ?? s.exclusiveMinimum
      out.max = s.maximum ?? s.exclusiveMaximum
      out.step = s.multipleOf
      break
    case 'string':
      out.minLength = s.minLength
      out.maxLength = s.maxLength
      out.pattern = s.pattern
      out.format = s.format
      out.bytes = s.contentEncoding === 'base64' || s.format === 'byte'
      break
  }
  return out
}

const definedOf = (o) => Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined && v !== false && !(Array.isArray(v) && v.length === 0)))

function resolve(s, root, hops = 0) {
  if (typeof s?.$ref !== 'string') return s
  const found = /^#\/components\/(schemas|contentDescriptors)\/(.+)$/.exec(s.$ref)
  const target = found && root?.components?.[found[1]]?.[found[2].replaceAll('~1', '/').replaceAll('~0', '~')]
  if (!target || hops > deepest) return undefined
  const { $ref, ...own } = s
  return { ...resolve(target, root, hops + 1), ...own }
}

// merged joins the members of allOf when they are plain objects.
function merged(s, root) {
  const { allOf, ...out } = s
  for (const part of allOf) {
    const p = resolve(part, root)
    if (!p || typeof p !== 'object' || p.allOf) return undefined
    if (p.type && out.type && p.type !== out.type) return undefined
    Object.assign(out, { ...p, ...out, properties: { ...p.properties, ...out.properties }, required: [...(p.required ?? []), ...(out.required ?? [])] })
    if (Object.keys(out.properties).length === 0) delete out.properties
    if (out.required.length === 0) delete out.required
  }
  return out
}

// paramsOf is the field of all params of a method.
export function paramsOf(method, root) {
  if (method['x-params']) return field(method['x-params'], root)
  const fields = (method.params ?? []).map((d) => resolve(d, root)).filter((d) => d?.name).map((d) => {
    const f = field(d.schema, root)
    return { ...f, name: d.name, required: d.required === true, description: d.description ?? f.description }
  })
  return { kind: 'object', fields, open: true, top: true, positional: method.paramStructure === 'by-position' }
}

// initial is the value that a form begins with: what must be there, and no more.
export function initial(f) {
  if (f.hasDefault) return f.default
  if (f.examples?.length) return f.examples[0]
  if (f.nullable) return null
  switch (f.kind) {
    case 'object': {
      const out = {}
      for (const x of f.fields) if (x.required) out[x.name] = initial(x)
      return out
    }
    case 'array': return Array.from({ length: f.min ?? 0 }, () => initial(f.items))
    case 'string': return ''
    case 'number': case 'integer': return Math.max(0, f.min ?? 0) <= (f.max ?? Infinity) ? Math.max(0, f.min ?? 0) : f.max
    case 'boolean': return false
    case 'enum': return f.values[0]
    case 'const': return f.value
  }
  return null
}

// example is the value that an example of a method has as params; undefined when there is none.
export function example(method, n = 0) {
  const params = method.examples?.[n]?.params
  if (!params) return undefined
  if (method['x-params'] && params.length === 1) return params[0].value
  return Object.fromEntries(params.filter((p) => p.name).map((p) => [p.name, p.value]))
}

// fits says whether a form can show a value: what it cannot is left to the JSON.
export function fits(f, v) {
  if (v === undefined || f.kind === 'json') return true
  if (v === null) return f.nullable === true || f.kind === 'const' && f.value === null
  switch (f.kind) {
    case 'object': return typeof v === 'object' && !Array.isArray(v) && f.fields.every((x) => fits(x, v[x.name]))
    case 'array': return Array.isArray(v) && v.every((x) => fits(f.items, x))
    case 'string': return typeof v === 'string'
    case 'number': case 'integer': return typeof v === 'number' || v instanceof Literal
    case 'boolean': return typeof v === 'boolean'
  }
  return true
}

// methods lists what can be said in a mesh: [{name, api, method, root, call, peers, outgoing}], of all documents. A name that
// several documents have is one entry, with all peers that handle it.
export function methods({ docs, peers }) {
  const found = new Map()
  for (const [key, root] of Object.entries(docs)) {
    const names = Object.keys(peers).filter((p) => peers[p] === key).sort()
    for (const [list, outgoing] of [[root.methods, false], [root['x-outgoing'], true]]) {
      for (const method of list ?? []) {
        let entry = found.get(method.name)
        if (!entry) found.set(method.name, entry = { name: method.name, api: method.name.replace(/\.[^.]*$/, ''), method, root, call: Boolean(method.result), peers: [], senders: [] })
        if (outgoing) {
          entry.senders.push(...names)
        } else {
          if (entry.peers.length === 0) Object.assign(entry, { method, root, call: Boolean(method.result) })
          entry.peers.push(...names)
        }
      }
    }
  }
  for (const e of found.values()) {
    e.peers = [...new Set(e.peers)].sort()
    e.senders = [...new Set(e.senders)].sort()
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

// typeText is a schema in a word, for the API browser.
export function typeText(f) {
  const word = { object: 'object', json: 'any', enum: (f.values ?? []).map((v) => JSON.stringify(v)).join(' | '), const: JSON.stringify(f.value) }[f.kind] ?? f.kind
  const range = f.min !== undefined || f.max !== undefined ? ` ${f.min ?? ''}..${f.max ?? ''}` : ''
  const text = f.kind === 'array' ? `array of ${typeText(f.items)}` : f.bytes ? 'base64' : word + range
  return f.nullable ? `${text} or null` : text
}
