/** A function with nested exports. */
export const handler = async () => 'nested'
export const api = { deep: async () => 'deep' }
