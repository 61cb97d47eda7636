/**
 * What one would write by hand in place of the distributor: group by code, post each group, look at the status. No
 * failures of single records, no limits, no order between requests, no memory of what was done.
 */

import { Agent, request } from 'undici'

interface Payload {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly { readonly codigo: number }[]
  readonly offsets: readonly number[]
}

interface Group {
  readonly url: string
  readonly messages: unknown[]
  readonly offsets: number[]
}

const heavy = process.env['HEAVY_URL'] ?? ''
const light = process.env['LIGHT_URL'] ?? ''
const routes = new Map([
  [300, heavy],
  [301, heavy],
  [302, heavy],
  [303, light]
])
const dispatcher = new Agent({ connections: 16 })

function groupsOf({ messages, offsets }: Payload): Group[] {
  const groups = new Map<string, Group>()
  for (const [index, message] of messages.entries()) {
    const url = routes.get(message.codigo)
    if (url === undefined) throw new Error(`no route for ${message.codigo}`)
    let group = groups.get(url)
    if (group === undefined) groups.set(url, (group = { url, messages: [], offsets: [] }))
    group.messages.push(message)
    group.offsets.push(offsets[index] ?? 0)
  }
  return [...groups.values()]
}

function bodyOf({ topic, partition }: Payload, { messages, offsets }: Group): string {
  const idempotencyKeys = offsets.map(offset => `${topic}-${partition}-${offset}`)
  return JSON.stringify({ source: { topic, partition }, messages, offsets, idempotencyKeys })
}

/** By `fetch`. */
export async function byFetch(event: Payload): Promise<object> {
  await Promise.all(
    groupsOf(event).map(async group => {
      const headers = { 'content-type': 'application/json' }
      const body = bodyOf(event, group)
      const reply = await fetch(group.url, { method: 'POST', headers, body, signal: AbortSignal.timeout(5_000) })
      if (!reply.ok) throw new Error(`status ${reply.status}`)
      await reply.text()
    })
  )
  return {}
}

/** By undici's `request`. */
export async function byUndici(event: Payload): Promise<object> {
  await Promise.all(
    groupsOf(event).map(async group => {
      const headers = { 'content-type': 'application/json' }
      const reply = await request(group.url, { method: 'POST', headers, body: bodyOf(event, group), dispatcher })
      if (reply.statusCode !== 200) throw new Error(`status ${reply.statusCode}`)
      await reply.body.text()
    })
  )
  return {}
}
