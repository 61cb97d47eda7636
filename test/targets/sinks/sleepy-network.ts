/** A TCP proxy whose connections can die without a sign, as those of a function that was frozen too long do. */

import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** A proxy in front of one server. */
export interface SleepyNetwork {
  readonly port: number
  /** Says where the connections go. */
  leadTo(port: number): void
  /** From now on nothing passes on the connections that are open; new ones are well. */
  forgetConnections(): void
  /** How many connections there have been. */
  connectionCount(): number
}

/** Listens on a free port; ends with the test. */
export async function sleepyNetwork(t: TestContext): Promise<SleepyNetwork> {
  const links = new Set<{ isDead: boolean }>()
  const sockets = new Set<Socket>()
  let targetPort = 0
  let connectionCount = 0
  const server = createServer(near => {
    connectionCount += 1
    const far = connect(targetPort, '127.0.0.1')
    const link = { isDead: false }
    links.add(link)
    for (const [from, to] of [
      [near, far],
      [far, near]
    ] as const) {
      sockets.add(from)
      from.setNoDelay(true)
      from.on('data', (bytes: Buffer) => {
        if (!link.isDead) to.write(bytes)
      })
      from.on('error', () => undefined)
      from.on('close', () => link.isDead || to.destroy())
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    leadTo: port => void (targetPort = port),
    forgetConnections: () => {
      for (const link of links) link.isDead = true
    },
    connectionCount: () => connectionCount
  }
}
