/**
 * Logging in, by token or by the organisation's own login. Shown in place of any page while nobody is logged in: the
 * address stays, so that the reader is then where they wanted to be.
 */

import './login.css'

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { type ApiProblem, asProblem } from '../../base/api.ts'
import { keepWayBack, takeProblem } from '../../base/arrival.ts'
import { place } from '../../base/router.ts'
import { isExpired, logIn, session } from '../../base/session.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Field } from '../../parts/field.tsx'
import { Brand } from '../../parts/shell/brand.tsx'

/** See the module. */
export default function LoginPage(): VNode {
  const logins = session.value?.logins ?? []
  const [refused] = useState(takeProblem)
  useEffect(() => {
    document.title = `${t('login.title')} · ${t('shell.product')}`
  })
  return (
    <main class="login">
      <div class="login-card">
        <div class="login-brand">
          <Brand size={40} />
          <div>
            <h1>{t('login.title')}</h1>
            <p class="soft">{t('login.intro', { pipeline: session.value?.pipeline ?? t('shell.product') })}</p>
          </div>
        </div>
        {refused === undefined ? null : (
          <p class="login-notice" role="alert">
            {t('login.refused', { code: refused })}
          </p>
        )}
        {isExpired.value ? (
          <p class="login-notice" role="status">
            {t('login.expired')}
          </p>
        ) : null}
        {logins.includes('token') ? <TokenForm /> : null}
        {logins.length > 1 ? <p class="login-or">{t('login.or')}</p> : null}
        {logins.includes('oidc') ? <OidcButton /> : null}
        {logins.length === 0 ? <p>{t('login.none')}</p> : null}
      </div>
    </main>
  )
}

function TokenForm(): VNode {
  const token = useSignal('')
  const problem = useSignal<ApiProblem | undefined>(undefined)
  const isBusy = useSignal(false)
  const submit = async (): Promise<void> => {
    isBusy.value = true
    problem.value = undefined
    try {
      await logIn(token.value.trim())
    } catch (error) {
      problem.value = asProblem(error)
    } finally {
      isBusy.value = false
    }
  }
  const failure = problem.value
  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        if (!isBusy.value && token.value.trim() !== '') void submit()
      }}
    >
      <Field
        label={t('login.token')}
        help={t('login.tokenHelp')}
        type="password"
        value={token.value}
        onValue={value => (token.value = value)}
        autoComplete="current-password"
        problem={failure === undefined ? undefined : failure.status === 401 ? t('login.wrong') : failure.message}
        isRequired
        isFirst
        isMono
      />
      <Button kind="main" type="submit" isBusy={isBusy.value}>
        {isBusy.value ? t('login.busy') : t('login.submit')}
      </Button>
    </form>
  )
}

function OidcButton(): VNode {
  const go = (): void => {
    keepWayBack(`${place.value.path}${place.value.query}`)
    location.assign('/api/login/oidc')
  }
  return (
    <Button icon="user" onPress={go}>
      {t('login.oidc')}
    </Button>
  )
}
