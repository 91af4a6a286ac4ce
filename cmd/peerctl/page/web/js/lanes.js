// Records as bars and ticks in lanes. Pure functions.
import { micros } from './conversation.js'

// lanes lays out what lies between two times (in milliseconds): a lane for each peer, in it a bar for each answer, from the
// question on, at the peer that answered, and a tick for each notification, at its sender. Bars that overlap come to
// different levels.
export function lanes(rows, from, to, known = [], most = 4000) {
  const found = new Map(known.map((name) => [name, { name, ends: [] }]))
  const lane = (name) => {
    if (!found.has(name)) found.set(name, { name, ends: [] })
    return found.get(name)
  }
  const bars = []
  const ticks = []
  for (let i = rows.length - 1; i >= 0 && bars.length + ticks.length < most; i--) {
    const r = rows[i]
    const at = micros(r.t) / 1000
    if (at > to || at - (r.ms ?? 0) < from && at < from) continue
    if (r.kind === 'reply' || r.kind === 'error') {
      if (r.from) bars.push({ row: r, lane: r.from, caller: r.to?.[0], start: at - (r.ms ?? 0), end: at })
    } else if (r.kind === 'notify' || r.kind === 'security' || r.kind === 'peer') {
      const name = r.kind === 'peer' ? r.peer : r.from
      if (name) ticks.push({ row: r, lane: name, at, to: r.to ?? [] })
    }
  }
  bars.sort((a, b) => a.start - b.start)
  for (const b of bars) {
    const { ends } = lane(b.lane)
    let level = ends.findIndex((end) => end <= b.start)
    if (level < 0) level = ends.length < maxLevels ? ends.length : ends.indexOf(Math.min(...ends))
    ends[level] = b.end
    b.level = level
    if (b.caller) lane(b.caller)
  }
  for (const t of ticks) lane(t.lane)
  return { lanes: [...found.values()].map((l) => ({ name: l.name, levels: Math.max(1, l.ends.length) })), bars, ticks }
}

export const maxLevels = 4

// step is a pleasant distance between marks of a time axis.
export function step(span, marks) {
  const rough = span / marks
  const power = 10 ** Math.floor(Math.log10(rough))
  return [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough)
}
