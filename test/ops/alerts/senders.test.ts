import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'

import { SeededRandom, systemClock, VirtualClock } from '../../../src/core/index.ts'
import type { Alert } from '../../../src/ops/alerts/alert.ts'
import { messageOfAlert } from '../../../src/ops/alerts/message.ts'
import { AlertOutbox, type AlertOutboxOptions } from '../../../src/ops/alerts/outbox.ts'
import type { AlertSender } from '../../../src/ops/alerts/sender.ts'
import { lineSender, slackSender, webhookSender } from '../../../src/ops/alerts/senders.ts'
import { createLogger } from '../../../src/telemetry/index.ts'

const severities = ['page', 'ticket'] as const

function alert(change: Partial<Alert> = {}): Alert {
  return {
    key: 'lag:billing',
    severity: 'ticket',
    status: 'firing',
    title: 'lag of billing above 1,000 records',
    group: 'billing',
    value: '2,000 records',
    threshold: 'above 1,000 records',
    reason: 'the group has no members (Empty): no consumer is running',
    next: 'comporta lag --group billing',
    sinceMs: Date.UTC(2030, 0, 2, 3, 4, 5),
    atMs: Date.UTC(2030, 0, 2, 3, 5, 5),
    repeats: 0,
    ...change
  }
}

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A server that answers with these statuses, the last one from then on. */
async function receiver(t: TestContext, ...statuses: number[]): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = []
  const listener: RequestListener = (request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', text => (body += text))
    request.on('end', () => {
      received.push({ headers: request.headers, body })
      response.writeHead(statuses[Math.min(received.length, statuses.length) - 1] ?? 200).end('{}')
    })
  }
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.after(() => server.close())
  // An address was given: the server listens.
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/hooks/very-secret`, received }
}

function outbox(senders: readonly AlertSender[], more: Partial<AlertOutboxOptions> = {}): AlertOutbox {
  return new AlertOutbox({ senders, pipeline: 'shop', clock: systemClock, random: new SeededRandom(1), ...more })
}

test('a webhook gets the alert as JSON, signed over time and body', async t => {
  const { url, received } = await receiver(t)
  const clock = new VirtualClock(1_900_000_000_500)
  const sender = webhookSender({ name: 'webhook', severities, url, secret: 'k', headers: { 'x-team': 'a' }, clock })
  const box = outbox([sender])
  box.put([alert()])
  await box.settled()

  const [{ headers, body } = { headers: {}, body: '' }] = received
  const expected = createHmac('sha256', 'k').update(`1900000000.${body}`).digest('hex')
  assert.equal(headers['x-comporta-signature'], `t=1900000000,v1=${expected}`)
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['x-team'], 'a')
  assert.deepEqual(JSON.parse(body), {
    version: 1,
    pipeline: 'shop',
    key: 'lag:billing',
    status: 'firing',
    severity: 'ticket',
    title: 'lag of billing above 1,000 records',
    group: 'billing',
    value: '2,000 records',
    threshold: 'above 1,000 records',
    reason: 'the group has no members (Empty): no consumer is running',
    next: 'comporta lag --group billing',
    since: '2030-01-02T03:04:05.000Z',
    at: '2030-01-02T03:05:05.000Z',
    repeats: 0
  })
})

test('a Slack webhook gets text, and a topic’s name cannot mention anybody', async t => {
  const { url, received } = await receiver(t)
  const box = outbox([slackSender({ name: 'slack', severities, url })])
  box.put([alert({ title: 'lag of <!channel> & co' })])
  await box.settled()
  const body = JSON.parse(received[0]?.body ?? '') as { text: string; attachments: { color: string; text: string }[] }
  assert.equal(body.text, '[ticket] shop: lag of &lt;!channel&gt; &amp; co')
  assert.match(body.attachments[0]?.text ?? '', /^TICKET shop: .*\nis: 2,000 records \(alert: above 1,000 records\)\n/)
  assert.match(
    body.attachments[0]?.text ?? '',
    /likely: the group has no members.*\nnext: comporta lag --group billing$/
  )
})

test('what fails for a while is tried again, in order, with growing pauses', async t => {
  const { url, received } = await receiver(t, 503, 429, 200)
  const waits: number[] = []
  const clock = { ...systemClock, after: afterNoTime(waits) }
  const box = outbox([webhookSender({ name: 'webhook', severities, url, clock: systemClock })], { clock })
  box.put([alert({ key: 'first' }), alert({ key: 'second', status: 'resolved' })])
  await box.settled()
  const keys = received.map(({ body }) => (JSON.parse(body) as { key: string }).key)
  assert.deepEqual(keys, ['first', 'first', 'first', 'second'])
  assert.deepEqual(box.counts(), { sent: 2, dropped: 0, waiting: 0 })
  const pauses = waits.filter(ms => ms !== 10_000)
  assert.equal(pauses.length, 2)
  assert.ok((pauses[0] ?? 0) >= 800 && (pauses[0] ?? 0) <= 1200, String(pauses[0]))
  assert.ok((pauses[1] ?? 0) >= 1600 && (pauses[1] ?? 0) <= 2400, String(pauses[1]))
})

/** Waits that are over at once, except for time limits. */
function afterNoTime(waits: number[]): typeof systemClock.after {
  return (delayMs, callback) => {
    waits.push(delayMs)
    return systemClock.after(delayMs === 10_000 ? delayMs : 0, callback)
  }
}

test('what is refused is dropped at once, and no log line or error has the address', async t => {
  const { url, received } = await receiver(t, 403)
  let log = ''
  const logger = createLogger({
    level: 'debug',
    fields: {},
    destination: { write: (line: string) => void (log += line) }
  })
  const box = outbox([slackSender({ name: 'alerts[0] (slack)', severities, url })], { logger })
  box.put([alert()])
  await box.settled()
  assert.equal(received.length, 1)
  assert.deepEqual(box.counts(), { sent: 0, dropped: 1, waiting: 0 })
  assert.match(log, /alerts\[0\] \(slack\) answered 403/)
  assert.doesNotMatch(log, /very-secret/)
})

test('a header that cannot be sent is not quoted', async () => {
  const headers = { authorization: 'Bearer very\nsecret' }
  const sender = webhookSender({ name: 'webhook', severities, url: 'http://127.0.0.1:1/', headers, clock: systemClock })
  const sent = sender.send(messageOfAlert(alert(), 'shop'), new AbortController().signal)
  await assert.rejects(sent, error => error instanceof Error && !/very|secret/.test(error.message))
})

test('a place that cannot be reached is said without its address', async () => {
  const sender = slackSender({ name: 'slack', severities, url: 'http://127.0.0.1:1/very-secret' })
  await assert.rejects(sender.send(messageOfAlert(alert(), 'shop'), new AbortController().signal), (error: Error) => {
    assert.match(error.message, /slack cannot be reached: (ECONNREFUSED|bad port)/)
    assert.equal(Reflect.get(error, 'code'), 'ERR_OPS_ALERT_FAILED')
    return !error.message.includes('very-secret')
  })
})

test('a sender that hangs holds back nobody else, is cut off, and its full queue drops the oldest', async () => {
  const clock = new VirtualClock(0)
  const lines: string[] = []
  const hanging: AlertSender = {
    name: 'hanging',
    severities,
    send: (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('cut')))),
    close: () => undefined
  }
  const quick = lineSender({ name: 'stdout', severities, write: line => void lines.push(line) })
  const box = outbox([hanging, quick], { clock, queueMax: 2 })
  for (const key of ['1', '2', '3', '4']) {
    box.put([alert({ key })])
    await new Promise(resolve => setImmediate(resolve))
  }
  // One is under way, two wait, one was pushed out.
  assert.equal(box.counts().dropped, 1)
  assert.equal(lines.length, 4)
  const closing = box.close(1000)
  await clock.advance(1000)
  await closing
  assert.deepEqual(box.counts(), { sent: 4, dropped: 4, waiting: 0 })
})

test('a sender for pages gets no tickets', async () => {
  const lines: string[] = []
  const box = outbox([lineSender({ name: 'stdout', severities: ['page'], write: line => void lines.push(line) })])
  box.put([alert(), alert({ severity: 'page' })])
  await box.settled()
  assert.equal(lines.length, 1)
})
