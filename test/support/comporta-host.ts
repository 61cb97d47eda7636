/**
 * One process for many command lines, one after the other: what `hostedComporta` starts. It is a process of its own,
 * because what a command prints is caught where it would be written.
 */

import { main } from '../../src/cli/main.ts'

const bare = { ...process.env }

process.on('message', ({ args, cwd, env }: { args: string[]; cwd: string; env: Record<string, string> }) => {
  process.chdir(cwd)
  process.env = { ...bare, ...env }
  const caught = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].write = (text: string | Uint8Array, ...rest: unknown[]) => {
      caught[name] += typeof text === 'string' ? text : Buffer.from(text).toString()
      const done = rest.find(each => typeof each === 'function')
      if (done !== undefined) process.nextTick(done as () => void)
      return true
    }
  }
  void main(args).then(exitCode => process.send?.({ exitCode, ...caught }))
})
process.once('disconnect', () => process.exit())
