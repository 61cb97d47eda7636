/** The function that `esm-compare.ts` runs both ways: it works a little, and reports records whose text is `bad`. */

interface KafkaEvent {
  readonly records: Readonly<Record<string, readonly { readonly offset: number; readonly value?: string }[]>>
}

const POISON = Buffer.from('{"bad":true}').toString('base64')

/** Answers with the first bad record of each partition: what it did after that one is to come again. */
export async function handler(event: KafkaEvent): Promise<object> {
  await new Promise(resolve => setTimeout(resolve, Number(process.env['WORK_MS'] ?? 5)))
  const batchItemFailures = Object.entries(event.records).flatMap(([partition, records]) => {
    const bad = records.find(record => record.value === POISON)
    return bad === undefined ? [] : [{ itemIdentifier: { partition, offset: bad.offset } }]
  })
  return { batchItemFailures }
}
