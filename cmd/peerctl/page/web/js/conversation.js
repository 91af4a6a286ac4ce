// A request with all that belongs to it. Pure functions.

// conversation takes the records of one conversation and says who was asked, who answered, who stays silent, and where
// each stands in time: [{row, start, end}], in milliseconds from the first.
export function conversation(rows) {
  const sorted = [...rows].sort((a, b) => Date.parse(a.t) - Date.parse(b.t) || a.seq - b.seq)
  const requests = sorted.filter((r) => r.kind === 'request')
  const replies = sorted.filter((r) => r.kind === 'reply' || r.kind === 'error')
  const asked = [...new Set(requests.flatMap((r) => r.to ?? []))]
  const answered = new Set(replies.map((r) => r.from))
  const silent = requests.length ? asked.filter((name) => !answered.has(name)) : []
  const unasked = requests.length ? [...answered].filter((name) => !asked.includes(name)) : []
  const began = micros(sorted[0]?.t)
  const bars = sorted.map((row) => {
    const at = (micros(row.t) - began) / 1000
    if ((row.kind === 'reply' || row.kind === 'error') && row.ms) return { row, start: Math.max(0, at - row.ms), end: at }
    return { row, start: at, end: at }
  })
  return { rows: sorted, request: requests[0], asked, replies, silent, unasked, bars, length: Math.max(0, ...bars.map((b) => b.end)) }
}

// micros reads a time to the microsecond, which a Date does not.
export function micros(t) {
  if (!t) return 0
  const [, head, fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(t) ?? [null, t]
  return Date.parse(`${head}Z`) * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6))
}

// split says where the time of an answer went: [{name, ms}], which add up to all of it.
export function split(r) {
  const parts = [['queue', 'sender’s queue', r.queue_ms], ['net', 'network', r.net_ms], ['wait', 'receiver’s queue', r.wait_ms], ['handler', 'handler', r.handler_ms]]
    .filter(([, , ms]) => ms > 0).map(([part, name, ms]) => ({ part, name, ms }))
  const known = parts.reduce((sum, p) => sum + p.ms, 0)
  if (r.ms > 0 && r.ms - known > 0.0005) parts.push({ part: 'rest', name: 'way back and the rest', ms: r.ms - known })
  return parts
}
