// Where the peers of a mesh stand, and what is between them. Pure functions.

// circle places n points on an ellipse, the first at the top.
export function circle(n, width, height, margin) {
  const points = Array.from({ length: n }, (_, i) => {
    const turn = (2 * Math.PI * i) / n - Math.PI / 2
    return { x: Math.cos(turn), y: Math.sin(turn) }
  })
  const low = Math.max(-1, ...points.map((p) => p.y)) // an odd number leaves room at the bottom
  return points.map((p) => ({ x: width / 2 + (width / 2 - margin) * p.x, y: margin + ((p.y + 1) / Math.max(low + 1, 1)) * (height - 2 * margin) }))
}

// links joins what is known of each two peers: [{a, b, rate, there, back}]. peers: the first is oneself, linked to the others;
// edges: who spoke to whom, as the rates tell.
export function links(peers, edges) {
  const found = new Map()
  const names = new Set(peers.map((p) => p.name))
  const at = (x, y) => {
    const [a, b] = x < y ? [x, y] : [y, x]
    const key = JSON.stringify([a, b])
    if (!found.has(key)) found.set(key, { a, b, there: 0, back: 0, state: 'linked' })
    return found.get(key)
  }
  for (const p of peers.slice(1)) {
    if (p.state !== 'known' && p.state !== 'left') at(peers[0].name, p.name).state = p.state
  }
  for (const e of edges) {
    if (e.from === e.to || !names.has(e.from) || !names.has(e.to)) continue
    const l = at(e.from, e.to)
    l[e.from === l.a ? 'there' : 'back'] += e.rate
  }
  return [...found.values()].map((l) => ({ ...l, rate: l.there + l.back }))
}

export const width = (rate) => Math.min(10, 1.25 + Math.log2(1 + rate))
