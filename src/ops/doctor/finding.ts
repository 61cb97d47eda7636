/** What the doctor says, and what a check is. */

import type { DoctorFacts } from './facts.ts'

/** `ok` = looked at and nothing found; `unknown` = could not be looked at, the reason says why. */
export type DoctorSeverity = 'ok' | 'info' | 'warn' | 'error' | 'unknown'

/** One thing that was found, or not. */
export interface DoctorFinding {
  /** Name of the check: several findings may have the same. */
  readonly id: string
  readonly severity: DoctorSeverity
  /** What is the case, in a few words. */
  readonly title: string
  /** Why that matters. */
  readonly reason: string
  /** What to do about it; empty where nothing is to be done. */
  readonly fix: string
  /** What it was seen by: names and numbers, at most ten lines. */
  readonly evidence: readonly string[]
}

/** What a check returns: its name is added by the caller. */
export type Found = Omit<DoctorFinding, 'id' | 'evidence'> & { readonly evidence?: readonly string[] }

/** Parts of the report. */
export type CheckArea = 'groups' | 'topics' | 'records' | 'brokers' | 'settings' | 'msk'

/** One check: a pure function of the facts. */
export interface DoctorCheck {
  readonly id: string
  readonly area: CheckArea
  /** What it looks for, in a sentence. */
  readonly sentence: string
  /** Everything that it finds; nothing = all right. */
  readonly find: (facts: DoctorFacts) => readonly Found[]
}

/** Most lines of evidence. */
const EVIDENCE_MAX = 10

/** Evidence that says how much was left out. */
export function evidenceOf(lines: readonly string[]): readonly string[] {
  if (lines.length <= EVIDENCE_MAX) return lines
  return [...lines.slice(0, EVIDENCE_MAX - 1), `… and ${lines.length - EVIDENCE_MAX + 1} more`]
}

/** What a check says that lacks a fact. */
export function cannotSay(title: string, reason: string): Found {
  return { severity: 'unknown', title, reason, fix: '' }
}
