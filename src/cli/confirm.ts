/** Asks before something is changed that cannot be taken back by itself. */

import { createInterface } from 'node:readline/promises'

import { PipelineError, printableText } from '../core/index.ts'

/** Where a person is asked: a terminal. */
export interface AskOn {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

/**
 * Has a person type a word, so that nothing is changed by a key too many.
 *
 * @returns Whether the word was typed; `false` at Ctrl-C and Ctrl-D.
 * @throws PipelineError `ERR_CLI_USAGE` where there is no terminal to ask on: a program says `--yes`.
 */
export async function confirmByTyping(
  word: string,
  { input, output }: AskOn = { input: process.stdin, output: process.stderr }
): Promise<boolean> {
  if (input.isTTY !== true || output.isTTY !== true) {
    throw new PipelineError(
      'ERR_CLI_USAGE',
      'nobody can be asked without a terminal: look with --dry-run, go on with --yes'
    )
  }
  const shown = printableText(word)
  const terminal = createInterface({ input, output, terminal: true })
  try {
    const typed = (await terminal.question(`Type ${shown} to go on: `)).trim()
    return typed === word.trim() || typed === shown.trim()
  } catch (error) {
    // Ctrl-C and Ctrl-D end the question, and are an answer.
    if (!(error instanceof Error && error.name === 'AbortError')) throw error
    output.write('\n')
    return false
  } finally {
    terminal.close()
  }
}
