/**
 * Plans speak to whoever typed a command; here somebody has a form before them. What they are told to type is told as
 * what they find in the form or on the page.
 */

import { printableText } from '../../core/index.ts'

/** The first that matches is taken at each place; longer ones stand before shorter ones. */
const words: readonly (readonly [RegExp, string])[] = [
  [/, or say --wait 60s to wait until they have gone/g, ', then plan again'],
  [
    /; a static member stays for its session timeout after it has ended, or until: comporta groups remove-member/g,
    '; a static member stays for its session timeout after it has ended, or until it is removed here'
  ],
  [/ \(--force-need <reason>\)/g, ' (say why it is done all the same)'],
  [/ --pre-commit commits 0 for new partitions/g, ' offset 0 can be committed for new partitions'],
  [/^--pre-commit commits 0 for new partitions/g, 'offset 0 can be committed for new partitions'],
  [
    /--drain-first keeps it with producers stopped; --accept-order-break goes on/g,
    'draining first keeps it with producers stopped; accepting the break goes on'
  ],
  [/ \(--max-redrives\)/g, ''],
  [/ \(name a topic with --to\)/g, ' (name a topic to send them to)'],
  [/name another topic with --to|name another with --to/g, 'name another topic to send them to'],
  [/, or name another with --group/g, ''],
  [/ \(--restart begins anew\)/g, ''],
  [/; --timestamp now|: --timestamp now/g, ': let them have the time of the redrive'],
  [/name one with --to-offset, or leave it out/g, 'set an offset there, or leave it out'],
  [/; a new one needs its topics: --topic/g, '; a new one needs its topics'],
  [
    /A dispatcher of comporta can skip it alone: say --dispatcher if that is what reads with this group/g,
    'A dispatcher of comporta could skip it alone'
  ],
  [/: say --group$/g, ''],
  [/ \(comporta groups list\)/g, ''],
  [/: the same command goes on/g, ': plan it again to go on'],
  [/; the same command goes on from here/g, '; plan it again to go on from here'],
  [/: the same command watches again/g, ': plan it again to watch on']
]

/** A sentence of a plan for somebody at a page; always one line without anything that is not seen. */
export function consoleWords(text: string): string {
  let said = text
  for (const [pattern, instead] of words) said = said.replace(pattern, instead)
  return printableText(said)
}
