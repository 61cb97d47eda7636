/** A function for event source mappings: it notes what it gets and fails where a record says so. */

interface EsmEvent {
  readonly records: Readonly<Record<string, readonly { offset: number; partition: number; value?: string }[]>>
}

/** Records whose text is `bad` fail the invocation; `first` fails it the first time that a worker sees the offset. */
export function whole(event: EsmEvent): object {
  const texts = textsOf(event)
  console.log(JSON.stringify(texts))
  if (texts.includes('bad')) throw new TypeError('a bad record')
  return {}
}

/** Reports the first bad record of each partition. */
export function partial(event: EsmEvent): object {
  const batchItemFailures = Object.entries(event.records).flatMap(([name, records]) => {
    const bad = records.find(record => textOf(record) === 'bad')
    return bad === undefined ? [] : [{ itemIdentifier: { partition: name, offset: bad.offset } }]
  })
  return { batchItemFailures }
}

/** Answers what no mapping understands. */
export function nonsense(): object {
  return { batchItemFailures: [{ itemIdentifier: 'orders-0/1' }] }
}

function textsOf({ records }: EsmEvent): string[] {
  return Object.values(records).flatMap(list => list.map(textOf))
}

function textOf({ value }: { readonly value?: string }): string {
  return Buffer.from(value ?? '', 'base64').toString('utf8')
}
