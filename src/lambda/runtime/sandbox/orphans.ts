/**
 * Ends the processes of execution environments when this process is killed.
 *
 * A function that is at work hears of nothing, so that its process would outlive a runtime that ends without a chance
 * to end it. A shell waits at the end of a pipe: it is told of each process group, and when the pipe breaks, for
 * whatever reason, it ends those that are left. One shell for all; none on Windows.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'

/** Keeps the list of groups, and ends them once its input does. */
const SCRIPT = `
all=" "
while read -r change group; do
  case "$change" in
    +) all="$all$group " ;;
    -) all="\${all%% "$group" *} \${all#* "$group" }" ;;
  esac
done
for group in $all; do kill -9 -"$group"; done
`

/** Process groups that must not outlive this process. */
class Orphans {
  readonly #groups = new Set<number>()
  #shell: ChildProcess | undefined

  add(group: number): void {
    this.#groups.add(group)
    if (this.#shell === undefined) this.#start()
    else this.#tell(`+ ${group}\n`)
  }

  remove(group: number): void {
    if (this.#groups.delete(group)) this.#tell(`- ${group}\n`)
  }

  #start(): void {
    // In a group of its own, so that Ctrl-C does not end it first; and this process does not wait for it.
    const shell: ChildProcess = spawn('/bin/sh', ['-c', SCRIPT], {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: {},
      detached: true
    })
    const forget = (): void => {
      if (this.#shell === shell) this.#shell = undefined
    }
    // Without a shell, functions that are at work outlive a killed runtime: docs/limits.md says so.
    shell.once('error', forget).once('exit', forget).unref()
    // One for which the system has no descriptors left has no input either.
    const { stdin } = shell
    stdin?.on('error', forget)
    // The stream of a pipe is a socket, which its type does not tell.
    if (stdin instanceof Socket) stdin.unref()
    this.#shell = shell
    for (const group of this.#groups) this.#tell(`+ ${group}\n`)
  }

  #tell(line: string): void {
    this.#shell?.stdin?.write(line)
  }
}

/** Of this process: there is one pipe. */
export const orphans: Orphans = new Orphans()
