/** The console as a part of `comporta up`. */

import type { PipelineConfig } from '../../config/index.ts'
import type { Instance } from '../../console/index.ts'
import type { RoleProcess, RoleSpec } from '../process/supervisor.ts'
import type { ConsoleRoleOptions } from '../roles/console.ts'
import { createToken, needsStartToken } from '../roles/console-token.ts'

/** What to start. Its token stays the same when it is started again, so that the printed address goes on to work. */
export function consolePart({
  pipeline,
  undoFolder
}: {
  readonly pipeline: PipelineConfig
  readonly undoFolder: string
}): RoleSpec {
  const { kafka, console: settings } = pipeline
  const startToken = needsStartToken(settings) ? createToken() : undefined
  const options: ConsoleRoleOptions = { kafka, pipeline, settings, instances: [], startToken, undoFolder }
  return { role: 'console', name: 'console', options }
}

const roles: readonly string[] = ['broker', 'producer', 'dispatcher', 'lambda', 'esm'] satisfies Instance['role'][]

/** Where the parts of a run can be asked. */
export function instancesOf(parts: readonly RoleProcess[], controlToken: string): Instance[] {
  return parts.flatMap(({ name, role, info, isRunning }) => {
    const metrics = info['metrics']
    if (!isRunning || metrics === undefined || !isRole(role)) return []
    return [{ name, role, url: new URL('/', metrics).origin, controlToken }]
  })
}

/** Port of an address that a console has printed; `undefined` = it names none. */
export function portOf(url: string | undefined): number | undefined {
  const port = url === undefined ? '' : new URL(url).port
  return port === '' ? undefined : Number(port)
}

function isRole(role: string): role is Instance['role'] {
  return roles.includes(role)
}
