/** The embedded runtime in a process of its own, so that its CPU time is nobody else's. Started by `invoke.ts`. */

import { startLambdaRuntime } from '../../src/lambda/index.ts'

const [heavy = '', light = ''] = process.argv.slice(2)
const common = { timeoutMs: 30_000, memoryMb: 256, concurrency: 4 }
const environment = { HEAVY_URL: heavy, LIGHT_URL: light }
const distributor = {
  targets: { heavy, light },
  routes: [
    { values: [300, 301, 302], targets: ['heavy'] },
    { values: [303], targets: ['light'] }
  ]
}

const runtime = await startLambdaRuntime({
  taskRoot: import.meta.dirname,
  functions: {
    distributor: { ...common, handler: 'builtin:distributor', distributor },
    fetch: { ...common, handler: 'plain-handler.byFetch', environment },
    undici: { ...common, handler: 'plain-handler.byUndici', environment }
  }
})
process.on('message', () => process.send?.({ cpu: process.cpuUsage() }))
process.on('disconnect', () => void runtime.close())
process.send?.({ endpoint: runtime.endpoint })
