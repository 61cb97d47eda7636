/**
 * Connections of OpenTelemetry's exporters, that end when whoever exports has ended.
 *
 * Its exporters keep a request without an answer, and those that they would try again, for as long as their timeout
 * allows, whatever becomes of them; so would they keep the process.
 */

import type { Agent } from 'node:http'

/** Agents of one exporter. */
export interface HttpAgents {
  /** For OpenTelemetry's `httpAgentOptions`. */
  readonly create: (protocol: string) => Promise<Agent>
  /** Ends every connection, and what is asked for behind it fails. Idempotent. */
  close(): void
}

/** Not one of the codes for which OpenTelemetry tries again. */
const CLOSED = 'ERR_EXPORTER_CLOSED'

/** Makes agents when they are asked for. */
export function httpAgents(): HttpAgents {
  const agents: Agent[] = []
  let isClosed = false
  const end = (agent: Agent): void => {
    for (const socket of Object.values(agent.sockets).flat()) socket?.destroy(closedError())
    agent.destroy()
  }
  return {
    create: async protocol => {
      const { Agent } = protocol === 'https:' ? await import('node:https') : await import('node:http')
      const agent = new Agent({ keepAlive: true })
      agents.push(agent)
      // Whoever would try again behind the end is told at once.
      const connect = agent.createConnection.bind(agent)
      agent.createConnection = (options, callback) => {
        if (isClosed) throw closedError()
        return connect(options, callback)
      }
      return agent
    },
    close: () => {
      isClosed = true
      for (const agent of agents) end(agent)
    }
  }
}

function closedError(): Error {
  return Object.assign(new Error('the exporter was closed'), { code: CLOSED })
}
