/** Functions that stream their answer. */

interface Stream {
  write(chunk: unknown): boolean
  end(chunk?: unknown): void
  setContentType(type: string): void
  once(event: 'drain', listener: () => void): void
}

type StreamingHandler = (event: never, stream: Stream) => Promise<unknown>

declare const awslambda: {
  streamifyResponse(handler: StreamingHandler): StreamingHandler
  HttpResponseStream: { from(stream: Stream, prelude: unknown): Stream }
}

export const words = awslambda.streamifyResponse(async (event: { readonly words: readonly string[] }, stream) => {
  for (const word of event.words) stream.write(word)
  stream.write({ last: true })
  stream.end()
})

export const page = awslambda.streamifyResponse(async (_event, stream) => {
  const page = awslambda.HttpResponseStream.from(stream, { statusCode: 201 })
  page.end('created')
})

export const breaks = awslambda.streamifyResponse(async (_event, stream) => {
  stream.write('half of ')
  throw new RangeError('broken')
})

/** Writes as fast as its reader takes it. */
export const much = awslambda.streamifyResponse(async (event: { readonly mb: number }, stream) => {
  for (let index = 0; index < event.mb * 16; index += 1) {
    if (!stream.write(Buffer.alloc(65_536, 120))) await new Promise<void>(resolve => stream.once('drain', resolve))
  }
  stream.end()
})

export const notAsync = awslambda.streamifyResponse((() => 'text') as never)
