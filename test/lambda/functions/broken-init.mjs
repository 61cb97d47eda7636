/** Fails while it is loaded. */
export const handler = failing()

function failing() {
  throw new Error('failed while it was loaded')
}
