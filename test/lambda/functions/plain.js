/** A function that is the default export. */
export default async function () {
  return 'default'
}
