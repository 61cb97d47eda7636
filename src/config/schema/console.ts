/** `console:` — the web console: where it listens, who may log in, what is hidden, which processes it asks. */

import { z } from 'zod'

import { httpUrl, integer, listenHost, port } from './common.ts'
import { consoleAuthSchema, consoleRole, namePattern } from './console-auth.ts'
import { secretTextSchema } from './kafka-sources.ts'

const fieldPath = z
  .string()
  .regex(/^[^.\s]+(?:\.[^.\s]+)*$/, 'not a path of members: names with "." between them, "*" for any')
  .max(256)

const maskingSchema = z
  .array(
    z.strictObject({
      topics: z.array(namePattern).min(1).max(100).default(['*']).describe('Topics, `*` stands for any characters.'),
      roles: z
        .array(consoleRole)
        .min(1)
        .default(['viewer', 'operator'])
        .describe('For whom it is hidden. Default: everybody.'),
      key: z.boolean().default(false).describe('Hide keys.'),
      value: z.boolean().default(false).describe('Hide values.'),
      headers: z
        .union([z.boolean(), z.array(z.string().min(1).max(256)).max(100)])
        .default(false)
        .describe('Hide the values of all headers, or of these.'),
      fields: z
        .array(fieldPath)
        .max(100)
        .default([])
        .describe(
          'Members of keys and values that are JSON: `card.number`, `*.password` one level down, `**.ssn` at any. ' +
            'What is not JSON is hidden as a whole then.'
        )
    })
  )
  .max(100)
  .default([])
  .describe('What is hidden of records, before it leaves the server. All rules that fit hold together.')

const instanceSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[\w.@:-]{1,128}$/, 'letters, digits, ".", "_", "@", ":" and "-", at most 128')
    .describe('How it is called on the pages.'),
  role: z.enum(['broker', 'producer', 'dispatcher', 'lambda', 'esm']).describe('What runs there.'),
  url: httpUrl.describe('Address of its metrics, for example `http://10.0.0.7:9404`.'),
  controlToken: secretTextSchema
    .optional()
    .describe('Its COMPORTA_CONTROL_TOKEN, by ${VARIABLE} or a source. Default: nothing can be paused there.')
})

const limitsSchema = z
  .strictObject({
    loginsPerMinute: integer(1, 10_000).default(10).describe('Attempts to log in, by address.'),
    requestsPerSecond: integer(1, 10_000).default(50).describe('Requests by session, or by address without one.'),
    requestsBurst: integer(1, 100_000).default(200).describe('Requests at once.'),
    streamsMax: integer(1, 10_000).default(200).describe('Pages that are open at once.'),
    streamsPerSession: integer(1, 1000).default(16).describe('Pages of one session that are open at once.')
  })
  .prefault({})
  .describe('Above them the answer is 429 with Retry-After.')

const auditSchema = z
  .strictObject({
    file: z
      .string()
      .min(1)
      .default('.comporta/console-audit.jsonl')
      .describe('File with one JSON object a line: changes, logins, refusals, reading of records.'),
    bytesMax: integer(65_536, 67_108_864)
      .default(4_194_304)
      .describe('A larger file is renamed to `….1`, that to `….2`, and a new one begun.'),
    filesMax: integer(1, 100).default(5).describe('Most files, the current one among them.')
  })
  .prefault({})
  .describe('Who did what.')

const exportSchema = z
  .strictObject({
    roles: z
      .array(consoleRole)
      .default(['viewer', 'operator'])
      .describe('Who may download records and tables. An empty list: nobody.')
  })
  .prefault({})
  .describe('Downloads.')

const tlsSchema = z
  .strictObject({
    cert: z.string().min(1).describe('File with the certificate and those between it and its authority, PEM.'),
    key: z.string().min(1).describe('File with its private key, PEM.')
  })
  .describe('Serves HTTPS. Default: HTTP.')

const trustProxySchema = z
  .array(z.string().regex(/^[0-9a-fA-F.:]+(?:\/\d{1,3})?$/, 'not an IP address or network'))
  .min(1)
  .max(100)
  .describe(
    'Addresses or networks of the proxy that ends TLS in front of the console: requests of others are refused. ' +
      'It must pass on Host, X-Forwarded-For and X-Forwarded-Proto.'
  )

/** The port unless one is named. */
export const CONSOLE_PORT = 7070

/** The section. */
export const consoleSchema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether `comporta up` runs it.'),
    host: listenHost,
    port: port.optional().describe(`Port; 0 for any. Default: ${CONSOLE_PORT}, or a free one if that is taken.`),
    publicUrl: z
      .url({ protocol: /^https?$/, error: 'not an http:// or https:// address' })
      .refine(text => URL.canParse(text) && ['', '/'].includes(new URL(text).pathname), 'must not have a path')
      .optional()
      .describe('Address under which browsers reach it. Needed where it is not on loopback: other hosts are refused.'),
    tls: tlsSchema.optional(),
    trustProxy: trustProxySchema.optional(),
    auth: consoleAuthSchema,
    masking: maskingSchema,
    export: exportSchema,
    limits: limitsSchema,
    audit: auditSchema,
    instances: z
      .array(instanceSchema)
      .max(200)
      .superRefine((instances, context) => {
        // Orders go by name.
        const names = instances.map(({ name }) => name)
        names.forEach((name, index) => {
          if (names.indexOf(name) === index) return
          context.addIssue({ code: 'custom', path: [index, 'name'], message: `there is a ${name} already` })
        })
      })
      .default([])
      .describe('Processes on other machines; `comporta up` adds those that it has started.')
  })
  .superRefine((settings, context) =>
    checkConsole(settings, (path, message) => {
      context.addIssue({ code: 'custom', path, message })
    })
  )
  .prefault({})
  .describe('The web console of `comporta console`, which `comporta up` runs, too.')

interface Exposed {
  readonly host: string
  readonly publicUrl?: string | undefined
  readonly tls?: object | undefined
  readonly trustProxy?: readonly string[] | undefined
  readonly auth: { readonly tokens: readonly unknown[]; readonly oidc?: object | undefined }
}

/** Whether only this machine reaches an address. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

/** What must be there before others than this machine can reach the console. */
export function checkConsole(settings: Exposed, report: (path: string[], message: string) => void): void {
  const { host, publicUrl, tls, trustProxy, auth } = settings
  if (tls !== undefined && trustProxy !== undefined) {
    report(['trustProxy'], 'beside tls: either the console ends TLS, or the proxy')
  }
  const isNamed = publicUrl !== undefined && !isLoopbackHost(new URL(publicUrl).hostname.replace(/^\[|\]$/g, ''))
  if (trustProxy === undefined && !isNamed && isLoopbackHost(host)) return
  const whom = isLoopbackHost(host) ? 'others reach it by the proxy' : `others than this machine reach ${host}`
  if (auth.tokens.length === 0 && auth.oidc === undefined) {
    report(['auth'], `${whom}: give auth.tokens or auth.oidc`)
  }
  if (tls === undefined && trustProxy === undefined) {
    report(['tls'], `${whom}: give tls, or trustProxy if a proxy in front of it ends TLS`)
  }
  if (publicUrl === undefined || !publicUrl.startsWith('https:')) {
    report(['publicUrl'], `${whom}: say under which https:// address, requests for other hosts are refused`)
  }
}

/** The section as read. */
export type ConsoleConfig = z.infer<typeof consoleSchema>

/** The section of a file that says nothing of the console. */
export function consoleDefaults(): ConsoleConfig {
  return consoleSchema.parse(undefined)
}
