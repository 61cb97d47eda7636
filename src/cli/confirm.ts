/** Asks before something is changed that cannot be taken back by itself. */

import { createInterface } from 'node:readline/promises'

import { PipelineError } from '../core/index.ts'

/**
 * Has a person type a word, so that nothing is changed by a key too many.
 *
 * @returns Whether the word was typed.
 * @throws PipelineError `ERR_CLI_USAGE` where there is no terminal to ask on: a program says `--yes`.
 */
export async function confirmByTyping(word: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new PipelineError(
      'ERR_CLI_USAGE',
      'nobody can be asked without a terminal: look with --dry-run, go on with --yes'
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question(`Type ${word} to go on: `)).trim() === word
  } finally {
    terminal.close()
  }
}
