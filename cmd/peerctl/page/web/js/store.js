// The records that the page holds: as many as the collector, and no more than maxChars of text. No drawing here.

export const maxRows = 10_000
export const maxChars = 24 << 20
const slack = 500 // rows above the bound before the oldest are cut off, in one go

const weight = (r) => 200 + (r.params?.length ?? 0) + (r.result?.length ?? 0) + (r.data?.length ?? 0) + (r.message?.length ?? 0)

export class Store {
  constructor() { this.clear() }

  clear() {
    this.rows = []
    this.shown = []  // those that the filter lets through
    this.chars = 0
    this.missing = 0 // records that were too many, or gone when we asked
    this.cut = 0     // rows that the list has given up at its beginning, of shown
    this.matches ??= () => true
  }

  // add takes rows in the order of their numbers.
  add(rows, missing = 0) {
    this.missing += missing
    for (const r of rows) {
      this.rows.push(r)
      this.chars += weight(r)
      if (this.matches(r)) this.shown.push(r)
    }
    let n = 0
    let chars = this.chars
    if (this.rows.length > maxRows + slack) n = this.rows.length - maxRows
    for (let i = 0; i < n; i++) chars -= weight(this.rows[i])
    if (chars > maxChars) for (; chars > maxChars * 0.95 && n < this.rows.length; n++) chars -= weight(this.rows[n])
    if (n === 0) return
    this.chars = chars
    const first = this.rows[n]?.seq ?? Infinity
    this.rows = this.rows.slice(n)
    let m = 0
    while (m < this.shown.length && this.shown[m].seq < first) m++
    this.shown = this.shown.slice(m)
    this.cut += m
  }

  filter(matches) {
    this.matches = matches
    this.shown = this.rows.filter(matches)
    this.cut = 0
  }

  find(seq) {
    let low = 0
    let high = this.rows.length
    while (low < high) {
      const mid = (low + high) >> 1
      if (this.rows[mid].seq < seq) low = mid + 1
      else high = mid
    }
    return this.rows[low]?.seq === seq ? this.rows[low] : undefined
  }

  // conversation returns what belongs to a record, in the order of time.
  conversation(row) {
    if (!row.conv) return [row]
    const found = this.rows.filter((r) => r.conv === row.conv)
    return found.includes(row) ? found : [...found, row]
  }

  // previous returns the message of the same method, kind and sender before this one.
  previous(row) {
    for (let i = this.rows.length - 1; i >= 0; i--) {
      const r = this.rows[i]
      if (r.seq < row.seq && r.kind === row.kind && r.method === row.method && r.from === row.from) return r
    }
    return undefined
  }
}
