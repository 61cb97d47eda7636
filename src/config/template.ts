/** What `comporta init` writes: a pipeline file that runs as it is, and the function it calls. */

/** The pipeline file. Every line is a default or an example; the comments say which. */
export const PIPELINE_TEMPLATE = `# yaml-language-server: $schema=./node_modules/comporta/schema/comporta.schema.json
# A Comporta pipeline. Check it with: comporta check      Run all of it with: comporta up
# \${NAME:-default} reads the environment; COMPORTA_DISPATCHER__BATCH__RECORDS_MAX=100 overrides any setting.
name: trucks

kafka:
  # "embedded" starts a broker in this package. A real cluster: KAFKA_BOOTSTRAP=host1:9092,host2:9092
  bootstrapServers: \${KAFKA_BOOTSTRAP:-embedded}
  # Amazon MSK with IAM:   tls: true   and   sasl: { mechanism: AWS_MSK_IAM, region: eu-west-1 }

topics: # created by "comporta up" where they do not exist
  mt-c400: { partitions: 12 }
  mt-c300: { partitions: 8 }

producer:
  sources:
    - { type: http, port: 8080 } # POST /events
  route: # values of a field go to topics
    field: codigo
    topics: { mt-c300: [{ from: 300, to: 399 }] }
    otherwise: mt-c400
  key: { strategy: hash, fields: [codigo, truck_id] } # the key decides the partition
  rate: { recordsPerSecond: 13000 }
  deadLetterTopic: mt-dead-letters # what cannot be read, routed or keyed

dispatcher:
  groupId: mt-dispatcher
  topics: [mt-c400, mt-c300]
  batch: { recordsMax: 500, ageMs: 1000 } # whichever is first
  target: { type: lambda, functionName: distributor }
  retry: { attemptsMax: 5 }
  deadLetterTopic: mt-dead-letters # what the function refuses for good

lambda:
  # "embedded": on this machine, in a runtime of this package. LAMBDA_RUNTIME=aws: in AWS Lambda, under the same names
  runtime: \${LAMBDA_RUNTIME:-embedded}
  port: 9001
  functions:
    distributor: { handler: ./handler.mjs, timeoutMs: 30000, concurrency: 4 }
`

/** The function: answers which events it could not take. */
export const HANDLER_TEMPLATE = `// An AWS Lambda function: it gets batches of one partition, in order.
// Offsets are committed only after it has answered. To give single events back, return
// { failures: [{ offset, action: 'retry' | 'deadLetter' | 'skip', reason }] }.
export async function handler(event) {
  const { topic, partition, messages, offsets } = event
  console.log(\`\${topic}-\${partition}: \${messages.length} events from offset \${offsets[0]}\`)
  const failures = []
  messages.forEach((message, index) => {
    if (message.truck_id === undefined) {
      failures.push({ offset: offsets[index], action: 'deadLetter', reason: 'no truck_id' })
    }
  })
  return { failures }
}
`
