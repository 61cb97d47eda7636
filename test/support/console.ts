/** A console in this process, on a free port of loopback, and a browser's view of it. */

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import type { Cluster } from '../../src/client/index.ts'
import { systemClock } from '../../src/core/index.ts'
import { type Console, type ConsoleOptions, startConsole } from '../../src/console/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { consoleSettings } from './console-settings.ts'
import { stillWorld } from './still-world.ts'

/** Token of the operator of a console that `startTestConsole` starts. */
export const OPERATOR_TOKEN = 'the-operator-token-of-tests'
/** Token of the viewer. */
export const VIEWER_TOKEN = 'the-viewer-token-of-all-tests'

const USERS = `
  auth:
    tokens:
      - { name: olga, role: operator, token: ${OPERATOR_TOKEN} }
      - { name: vera, role: viewer, token: ${VIEWER_TOKEN} }
`

/** A request as it is sent: `fetch` has a mind of its own about Host and Origin. */
export interface Asked {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON. */
  readonly body?: unknown
}

/** An answer, read to its end. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** Of a JSON answer. */
  readonly json: Record<string, unknown>
}

/** Asks a console. */
export async function ask({ port }: Pick<Console, 'port'>, asked: Asked): Promise<Answer> {
  const { method = 'GET', path, headers = {}, body } = asked
  const isText = typeof body === 'string' || body === undefined
  const type = isText ? {} : { 'content-type': 'application/json' }
  return await new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, method, path, headers: { ...type, ...headers }, agent: false },
      response => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('end', () => {
          const text = Buffer.concat(pieces).toString()
          const isJson = response.headers['content-type']?.startsWith('application/json') === true
          // What the console answers is an object.
          const json = isJson ? (JSON.parse(text) as Record<string, unknown>) : {}
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
        })
      }
    )
    sent.on('error', reject)
    sent.end(isText ? body : JSON.stringify(body))
  })
}

/** What a logged-in browser sends along. */
export interface Login {
  readonly cookie: string
  readonly csrf: string
  /** Cookie and token, as headers. */
  readonly headers: Readonly<Record<string, string>>
}

/** Logs in. */
export async function logIn(console: Pick<Console, 'port'>, token: string): Promise<Login> {
  const answer = await ask(console, { method: 'POST', path: '/api/login', body: { token } })
  if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.text}`)
  const cookie = String(answer.headers['set-cookie']).split(';')[0] ?? ''
  const csrf = String(answer.json['csrfToken'])
  return { cookie, csrf, headers: { cookie, 'x-csrf-token': csrf } }
}

/** A console for tests; `section` is more of `console:`, with `auth` if it has one. */
export async function startTestConsole(
  t: TestContext,
  { section = USERS, ...options }: Partial<ConsoleOptions> & { readonly section?: string } = {}
): Promise<Console> {
  const folder = mkdtempSync(join(tmpdir(), 'comporta-console-'))
  const console = await startConsole({
    // Tests of the server alone ask nothing of a cluster.
    cluster: {} as Cluster,
    bootstrapServers: ['127.0.0.1:1'],
    version: '0.0.0',
    settings: consoleSettings(section),
    secrets: { tokens: { olga: OPERATOR_TOKEN, vera: VIEWER_TOKEN } },
    undoFolder: join(folder, 'undo'),
    auditFile: join(folder, 'audit.jsonl'),
    clock: systemClock,
    logger: silentLogger,
    pages: () => Promise.resolve(new Map()),
    world: stillWorld(),
    ...options
  })
  t.after(async () => {
    await console.close()
    await rm(folder, { recursive: true, force: true })
  })
  return console
}
