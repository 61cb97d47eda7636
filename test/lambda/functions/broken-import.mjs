/** Imports what is not installed. */
import absent from 'no-such-package-for-this-test'

export const handler = async () => absent
