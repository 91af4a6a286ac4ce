// What has changed between two JSON values. Pure functions.
import { Literal } from './json.js'

const isObject = (v) => v !== null && typeof v === 'object' && !(v instanceof Literal)

// diff lists the places that differ: [{path, was, is, by}], by: the difference of numbers. What is new has no was, what is
// gone no is.
export function diff(was, is, path = '', out = [], limit = 200) {
  if (out.length >= limit || Object.is(was, is)) return out
  if (isObject(was) && isObject(is) && Array.isArray(was) === Array.isArray(is)) {
    const names = Array.isArray(was) ? [...Array(Math.max(was.length, is.length)).keys()] : [...new Set([...Object.keys(was), ...Object.keys(is)])]
    for (const name of names) {
      const at = Array.isArray(was) ? `${path}[${name}]` : path ? `${path}.${name}` : String(name)
      const [a, b] = [Object.hasOwn(was, name) ? was[name] : undefined, Object.hasOwn(is, name) ? is[name] : undefined]
      diff(a, b, at, out, limit)
    }
    return out
  }
  if (was instanceof Literal && is instanceof Literal && was.text === is.text) return out
  const change = { path: path || '(all)' }
  if (was !== undefined) change.was = was
  if (is !== undefined) change.is = is
  if (typeof was === 'number' && typeof is === 'number') change.by = Number((is - was).toPrecision(12))
  out.push(change)
  return out
}

// around shortens two texts to n characters or so, where they begin to differ.
export function around(was, is, n = 60) {
  let i = 0
  while (i < was.length && was[i] === is[i]) i++
  const start = Math.max(was.length, is.length) <= n ? 0 : Math.max(0, i - Math.floor(n / 3))
  return [was, is].map((s) => (start > 0 ? '…' : '') + s.slice(start, start + n) + (s.length > start + n ? '…' : ''))
}
