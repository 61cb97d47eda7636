/** A module without the export that is asked for. */

export const other = 1
