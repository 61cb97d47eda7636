/** Never finishes loading. */
await new Promise(() => setInterval(() => undefined, 1_000))

export const handler = async () => 1
