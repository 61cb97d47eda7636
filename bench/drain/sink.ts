/**
 * The HTTP sink of the drain benchmark: reads each body to its end and answers `{}`.
 * `GET /` answers how many requests, records and bytes came, and starts to count anew.
 */

import { createServer } from 'node:http'

const counts = { requests: 0, records: 0, bytes: 0 }

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify(counts))
    Object.assign(counts, { requests: 0, records: 0, bytes: 0 })
    return
  }
  request.on('data', (chunk: Buffer) => (counts.bytes += chunk.length))
  request.on('end', () => {
    counts.requests += 1
    counts.records += Number(request.headers['comporta-record-count'])
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`)
})
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
