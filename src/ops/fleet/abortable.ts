/** A signal as AWS's SDK takes it: absent where there is none. */

/** Options of a call that ends with the signal. */
export function abortable(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal }
}
