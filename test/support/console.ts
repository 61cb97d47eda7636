/** A console in this process, on a free port of loopback, and a browser's view of it. */

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import type { Cluster } from '../../src/client/index.ts'
import { type ConsoleConfig, parsePipeline } from '../../src/config/index.ts'
import { systemClock } from '../../src/core/index.ts'
import { type Console, type ConsoleOptions, startConsole } from '../../src/console/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

/** Token of the operator of a console that `startTestConsole` starts. */
export const OPERATOR_TOKEN = 'the-operator-token-of-tests'
/** Token of the viewer. */
export const VIEWER_TOKEN = 'the-viewer-token-of-all-tests'

/** The section `console:` as a pipeline file has it. */
export function consoleSettings(section = ''): ConsoleConfig {
  const text = `name: test\nkafka: { bootstrapServers: [127.0.0.1:1] }\nconsole:\n  port: 0\n${section}`
  return parsePipeline(text, { fileName: 'test.yaml', environment: {} }).console
}

const USERS = `
  auth:
    tokens:
      - { name: olga, role: operator, token: ${OPERATOR_TOKEN} }
      - { name: vera, role: viewer, token: ${VIEWER_TOKEN} }
`

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
    ...options
  })
  t.after(async () => {
    await console.close()
    await rm(folder, { recursive: true, force: true })
  })
  return console
}
