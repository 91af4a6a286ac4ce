// What has changed between two JSON values. Pure functions.

const isObject = (v) => v !== null && typeof v === 'object'

// diff lists the places that differ: [{path, was, is, by}], by: the difference of numbers. What is new has no was, what is
// gone no is.
export function diff(was, is, path = '', out = [], limit = 200) {
  if (out.length >= limit || Object.is(was, is)) return out
  if (isObject(was) && isObject(is) && Array.isArray(was) === Array.isArray(is) && !was.text && !is.text) {
    const names = Array.isArray(was) ? [...Array(Math.max(was.length, is.length)).keys()] : [...new Set([...Object.keys(was), ...Object.keys(is)])]
    for (const name of names) {
      const at = Array.isArray(was) ? `${path}[${name}]` : path ? `${path}.${name}` : String(name)
      const [a, b] = [Object.hasOwn(was, name) ? was[name] : undefined, Object.hasOwn(is, name) ? is[name] : undefined]
      diff(a, b, at, out, limit)
    }
    return out
  }
  if (isObject(was) && isObject(is) && String(was) === String(is) && was.text) return out
  const change = { path: path || '(all)' }
  if (was !== undefined) change.was = was
  if (is !== undefined) change.is = is
  if (typeof was === 'number' && typeof is === 'number') change.by = Number((is - was).toPrecision(12))
  out.push(change)
  return out
}
