/**
 * The producer under measurement: an HTTP source, routing by a field, a key of two fields. Arguments: `bootstrap`,
 * `prefix` of the topics. Prints its port, and, when its standard input ends, what it cost.
 */

import { Cluster } from '../../../src/client/index.ts'
import { producerConfig } from '../../../src/config/index.ts'
import { HttpSource, startProducer } from '../../../src/producer/index.ts'
import { readArguments } from '../../support/arguments.ts'

const argument = readArguments()
const prefix = argument('prefix')
const config = producerConfig({
  sources: [{ type: 'http', port: 0 }],
  route: {
    field: 'codigo',
    topics: { [`${prefix}-c300`]: [{ from: 300, to: 399 }], [`${prefix}-c400`]: [{ from: 400, to: 499 }] }
  },
  key: { strategy: 'hash', fields: ['codigo', 'truck_id'] },
  deadLetterTopic: `${prefix}-dead`
})
const cluster = await Cluster.connect({ bootstrapServers: [argument('bootstrap')] })
const producer = await startProducer({ config, cluster })
const [source] = config.sources
if (source?.type !== 'http') throw new Error('no HTTP source')
const http = new HttpSource(source)
void producer.run(http)
const { port } = await http.listening
process.stdout.write(`${JSON.stringify({ port })}\n`)

process.stdin.resume()
process.stdin.once('end', () => {
  void producer
    .drain()
    .then(() => cluster.close())
    .then(() => process.exit(0))
})
