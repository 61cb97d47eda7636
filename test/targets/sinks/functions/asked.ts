/** A function that gives the event back in a failure, or does what its first message says. */

interface Event {
  readonly topic: string
  readonly offsets: readonly number[]
  readonly messages: readonly { readonly do?: string; readonly answer?: unknown }[]
}

export async function handler(event: Event): Promise<unknown> {
  const [first] = event.messages
  switch (first?.do ?? '') {
    case 'answer':
      return first?.answer
    case 'throw':
      throw new TypeError('the database is away')
    case 'exit':
      return process.exit(3)
    case 'show':
      return { failures: [{ offset: event.offsets[0], action: 'deadLetter', reason: JSON.stringify(event) }] }
    default:
      return {}
  }
}
