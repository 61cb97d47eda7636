/** A handler for the module and Lambda targets: does what the first message says. */

interface Event {
  readonly messages?: readonly { readonly do?: string }[]
}

export async function handler(event: Event): Promise<unknown> {
  switch (event.messages?.[0]?.do ?? '') {
    case 'throw':
      throw new TypeError('codigo is missing')
    case 'later':
      throw Object.assign(new Error('busy'), { retriable: true, retryAfterMs: 250 })
    case 'partial':
      return { failures: [{ offset: 14, action: 'skip', reason: 'old' }] }
    case 'resume':
      return { batchItemFailures: [{ itemIdentifier: { partition: 'mt-c400-3', offset: 14 } }] }
    case 'exit':
      return process.exit(3)
    case 'hang':
      return new Promise(() => undefined)
    default:
      return undefined
  }
}
