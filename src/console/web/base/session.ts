/** Who is logged in. The page keeps its address while somebody logs in, so that they are back where they were. */

import { computed, signal } from '@preact/signals'

import type { LoginRequest, Session } from '../../api/session.ts'
import { getJson, postJson, setCsrfToken, whenLoggedOut } from './api.ts'

/** `null` = not asked yet; a session without a user = nobody is logged in. */
export const session = signal<Session | null>(null)

/** Whether the login ran out while the page was open: the login page then says so. */
export const isExpired = signal(false)

/** Whether the user may change things. */
export const canChange = computed(() => session.value?.role === 'operator')

/** Asks who is logged in. Throws `ApiProblem` if the server is away. */
export async function loadSession(): Promise<void> {
  const answer = await getJson<Session>('/api/session')
  const before = session.peek()?.user ?? null
  setCsrfToken(answer.csrfToken)
  isExpired.value = answer.user === null && (before !== null || isExpired.peek())
  session.value = answer
}

/** Logs in with a token. Throws `ApiProblem` if it is wrong. */
export async function logIn(token: string): Promise<void> {
  const request: LoginRequest = { token }
  await postJson('/api/login', request)
  await loadSession()
}

/** Logs out, here and at the server. */
export async function logOut(): Promise<void> {
  const { logoutUrl } = await postJson<{ readonly logoutUrl?: string | null }>('/api/logout')
  session.value = null
  isExpired.value = false
  // Whoever logged in elsewhere also logs out there.
  if (logoutUrl === null || logoutUrl === undefined) await loadSession()
  else location.assign(logoutUrl)
}

whenLoggedOut(() => {
  const before = session.peek()
  if (before === null || before.user === null) return
  isExpired.value = true
  setCsrfToken(null)
  session.value = { ...before, user: null, role: null, csrfToken: null }
})
