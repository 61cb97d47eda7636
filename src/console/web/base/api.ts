/** Questions and orders to the console's server. A refused request becomes an `ApiProblem` with the server's words. */

import type { ProblemAnswer } from '../../api/common.ts'
import { noteServerDate } from './server-time.ts'

/** Why a request was not answered with what it asked for. */
export class ApiProblem extends Error {
  /** The server's code, or `ERR_PAGE_AWAY` if no server answered. */
  readonly code: string
  /** HTTP status; 0 = no server answered. */
  readonly status: number

  constructor(code: string, message: string, status: number) {
    super(message)
    this.name = 'ApiProblem'
    this.code = code
    this.status = status
  }
}

let csrfToken: string | null = null
let onLoggedOut: () => void = () => undefined

/** Says which token goes with every order. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token
}

/** Says what happens when the server no longer knows who asks. */
export function whenLoggedOut(listener: () => void): void {
  onLoggedOut = listener
}

/**
 * Asks for a view.
 *
 * @throws ApiProblem if it is refused or nobody answers.
 */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return ask<T>(path, signal === undefined ? {} : { signal })
}

/**
 * Sends an order.
 *
 * @throws ApiProblem if it is refused or nobody answers.
 */
export async function postJson<T>(path: string, body: unknown = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>(path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...(csrfToken === null ? {} : { 'x-csrf-token': csrfToken }) },
    ...(signal === undefined ? {} : { signal })
  })
}

/** Any failure as an `ApiProblem`, so that a page has one thing to show. */
export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error
  return new ApiProblem('ERR_PAGE_FAULT', error instanceof Error ? error.message : String(error), 0)
}

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  const response = await fetch(path, { credentials: 'same-origin', ...init }).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiProblem('ERR_PAGE_AWAY', error instanceof Error ? error.message : String(error), 0)
  })
  noteServerDate(response.headers.get('date'))
  const text = await response.text()
  if (response.ok) return parse(text) as T // checked boundary: the server's types are this page's types
  const answer = problemOf(parse(text))
  if (response.status === 401 && path !== '/api/login') onLoggedOut()
  throw new ApiProblem(answer.code, answer.message, response.status)
}

function parse(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function problemOf(answer: unknown): ProblemAnswer {
  const isProblem = typeof answer === 'object' && answer !== null && 'code' in answer && 'message' in answer
  return isProblem
    ? { code: String(answer.code), message: String(answer.message) }
    : { code: 'ERR_PAGE_ANSWER', message: 'The answer is not one of this console.' }
}
