// Sorting tables. Pure functions.

// sorted orders rows by a column; what is missing comes last, either way. Numbers begin with the largest.
export function sorted(rows, column, up) {
  const sign = up ? 1 : -1
  return [...rows].sort((a, b) => {
    const [x, y] = [a[column], b[column]]
    const none = (v) => v === undefined || v === null
    if (none(x) || none(y)) return none(x) - none(y)
    return sign * (typeof x === 'string' ? x.localeCompare(y) : x - y)
  })
}
