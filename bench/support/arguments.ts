/** Arguments of the programs that benchmarks start: `name=value`, the same for those in Java. */

/** Reads them. @throws Error at the first use of one that is missing. */
export function readArguments(args: readonly string[] = process.argv.slice(2)): (name: string) => string {
  const given = new Map(args.map(arg => [arg.slice(0, arg.indexOf('=')), arg.slice(arg.indexOf('=') + 1)]))
  return name => {
    const value = given.get(name)
    if (value === undefined) throw new Error(`the argument ${name}=… is missing`)
    return value
  }
}

/** Writes them. */
export function writeArguments(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).map(([name, value]) => `${name}=${value}`)
}
