/**
 * What happens when nobody reads standard output any more (`| head`, a pager that was left).
 *
 * A command that only prints ends at once and quietly, as Unix tools do. One that
 * changes something goes on to its end: what is half done is worse than what
 * nobody hears of. Who listens for errors of the stream has a way of its own.
 */

import { EXIT } from '../exit-codes.ts'

let isWatched = false
let isChanging = false

/** Ends the process without a word when its reader is gone; other errors of the stream stay what they are. */
export function endWithReader(): void {
  if (isWatched) return
  isWatched = true
  process.stdout.on('error', error => {
    if (isChanging || process.stdout.listenerCount('error') > 1) return
    if ('code' in error && error.code === 'EPIPE') process.exit(EXIT.lostReader)
    throw error
  })
}

/** From here on something is changed: it is done, whoever reads of it. */
export function goOnWithoutReader(): void {
  isChanging = true
}
