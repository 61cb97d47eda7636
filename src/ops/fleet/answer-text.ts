/** The text of an HTTP answer, up to a limit: whoever answers may send without end. */

/**
 * Reads it.
 *
 * @throws Error if it is longer; the rest is not read.
 */
export async function answerText(response: Response, charactersMax: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > charactersMax) throw new Error('the answer is too long')
  }
  return text
}
