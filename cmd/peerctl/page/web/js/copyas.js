// A message as something to type or to compile. Pure functions.
import { parse, stringify, Literal } from './json.js'

const shell = (s) => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", `'\\''`)}'`)

// command is the peerctl command that sends the same.
export function command(r, mesh) {
  const verb = r.kind === 'notify' ? 'notify' : 'call'
  const words = ['peerctl', ...(mesh && mesh !== 'default' ? ['--mesh', shell(mesh)] : []), verb, shell(r.method)]
  let value
  try {
    value = r.params ? parse(r.params) : undefined
  } catch {
    value = undefined
  }
  let stdin = ''
  if (value && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Literal) && Object.keys(value).every((k) => /^[\w.-]+$/.test(k))) {
    for (const [k, v] of Object.entries(value)) {
      // A text that would be read as something else is given as JSON.
      const plain = typeof v === 'number' || v instanceof Literal || typeof v === 'string' && v !== '' && !/^[@\s]|^(true|false|null|-?[\d.].*)$/.test(v)
      words.push(shell(plain ? `${k}=${v}` : `${k}:=${stringify(v, 0)}`))
    }
  } else if (r.params) {
    words.push('-')
    stdin = `printf %s ${shell(r.params)} | `
  }
  if (!r.all) words.push('--to', (r.to ?? []).map(shell).join(','))
  return stdin + words.join(' ')
}

// goCode is the same in Go, for a *peer.Peer p.
export function goCode(r) {
  const params = r.params ? (r.params.includes('`') ? `[]byte(${JSON.stringify(r.params)})` : `[]byte(\`${r.params}\`)`) : 'nil'
  const to = r.all ? 'api.All' : `api.To(${(r.to ?? []).map((n) => JSON.stringify(n)).join(', ')})`
  if (r.kind === 'notify') return `report, err := p.Notify(ctx, nil, ${JSON.stringify(r.method)}, ${to}, ${params})`
  if ((r.to ?? []).length === 1) return `result, err := p.Request(ctx, nil, ${JSON.stringify(r.method)}, ${to}, ${params}, nil)`
  return `err := p.RequestEach(ctx, nil, ${JSON.stringify(r.method)}, ${to}, ${params}, func(who *api.Info, result []byte, err error) bool {\n\treturn true\n})`
}

// message is the JSON-RPC message.
export function message(r) {
  const head = '{"jsonrpc":"2.0"'
  const id = r.id ? `,"id":${r.id}` : ''
  switch (r.kind) {
    case 'reply': return `${head}${id},"result":${r.result || 'null'}}`
    case 'error': return `${head}${id},"error":{"code":${r.code ?? 0},"message":${JSON.stringify(r.message ?? '')}${r.data ? `,"data":${r.data}` : ''}}}`
    default: return `${head}${id},"method":${JSON.stringify(r.method)}${r.params ? `,"params":${r.params}` : ''}}`
  }
}
