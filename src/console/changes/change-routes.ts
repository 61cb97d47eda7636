/** Changes through the console: plan, apply, stop, take back, and what was changed. */

import { messageOf, PipelineError, printableText } from '../../core/index.ts'
import type { AddRoutes, Caller, ConsoleContext } from '../server/server-types.ts'
import { ChangeDesk } from './change-desk.ts'
import { listChanges } from './change-list.ts'
import { readApplyRequest, readChangeRequest, readStopRequest, readUndoRequest } from './read-request.ts'

/** Adds the answers of this area. */
export const addChangeRoutes: AddRoutes = (routes, context) => {
  const desk = new ChangeDesk(context)
  // The cluster and the audit log are closed behind this: a change needs both to end well.
  routes.app.addHook('onClose', async () => await desk.settled())
  const order = (
    path: string,
    run: (body: unknown, caller: Caller) => Promise<unknown>,
    subjectOfBody: (body: unknown) => string
  ): void =>
    routes.order({
      path,
      run: async (body, caller) => {
        try {
          return await run(body, caller)
        } catch (error) {
          await noteRefusal(context, { caller, action: actions[path] ?? path, subject: subjectOfBody(body), error })
          throw error
        }
      }
    })
  order(
    '/api/changes/plan',
    async (body, caller) => await desk.plan(readChangeRequest(body), caller),
    body => subjectOf(body, ['group', 'topic', 'from'])
  )
  order(
    '/api/changes/apply',
    async (body, caller) => await desk.apply(readApplyRequest(body), caller),
    body => subjectOf(body, ['id'])
  )
  order(
    '/api/changes/undo',
    async (body, caller) => await desk.undo(readUndoRequest(body), caller),
    body => subjectOf(body, ['undoId'])
  )
  order(
    '/api/changes/stop',
    async (body, caller) => await desk.stop(readStopRequest(body).id, caller),
    body => subjectOf(body, ['id'])
  )
  routes.view({ path: '/api/change', read: query => desk.progress(query.get('id') ?? '') })
  routes.view({ path: '/api/changes', read: async query => await listChanges(query, context, desk) })
}

const actions: Readonly<Record<string, string>> = {
  '/api/changes/plan': 'change.plan',
  '/api/changes/apply': 'change.apply',
  '/api/changes/undo': 'change.undo',
  '/api/changes/stop': 'change.stop'
}

/** What a body that was refused was about, as far as it says. */
function subjectOf(body: unknown, names: readonly string[]): string {
  if (typeof body !== 'object' || body === null) return ''
  const members = new Map<string, unknown>(Object.entries(body))
  const found = names.map(name => members.get(name)).find(value => typeof value === 'string')
  return typeof found === 'string' ? printableText(found.slice(0, 300)) : ''
}

interface Refusal {
  readonly caller: Caller
  readonly action: string
  readonly subject: string
  readonly error: unknown
}

async function noteRefusal({ audit, logger }: ConsoleContext, refusal: Refusal): Promise<void> {
  const { caller, action, subject, error } = refusal
  const code = PipelineError.is(error) ? `${error.code}: ` : ''
  const detail = printableText(`${code}${messageOf(error)}`).slice(0, 2000)
  const { user, role } = caller
  try {
    await audit.append({ user, role, action, subject, outcome: 'refused', detail, undoId: null })
  } catch (failure) {
    // The refusal itself is what the caller has to hear.
    logger.error({ error: messageOf(failure) }, 'a refusal is not in the audit log')
  }
}
