/**
 * The application: the login while nobody is logged in, otherwise the shell with the page of the address. A page that
 * breaks leaves the shell standing.
 */

import { type ComponentType, h, type VNode } from 'preact'
import { useEffect, useErrorBoundary, useState } from 'preact/hooks'

import { asProblem } from './base/api.ts'
import { watchTime } from './base/format.ts'
import { watchKeys } from './base/keys.ts'
import { watchVisibility } from './base/live.ts'
import { reloadOnce, takeWayBack } from './base/arrival.ts'
import { matchPath } from './base/route-match.ts'
import { findRoute, Link, navigate, type Route, useRoute, visits, watchHistory } from './base/router.ts'
import { loadSession, logIn, session } from './base/session.ts'
import { watchTheme } from './base/theme.ts'
import { toast } from './base/toasts.ts'
import { t } from './base/words.ts'
import { Button } from './parts/button.tsx'
import { Empty, Skeleton, Toasts } from './parts/feedback.tsx'
import { Page } from './parts/page.tsx'
import { Shell } from './parts/shell/shell.tsx'
import { type PageEntry, pages } from './pages/index.ts'

findRoute.value = (at): Route => {
  for (const { path } of pages) {
    const params = matchPath(path, at.path)
    if (params !== undefined) return { ...at, pattern: path, params }
  }
  return { ...at, pattern: '', params: {} }
}

/** See the module. `token` came with the address. */
export function App({ token }: { readonly token: string | undefined }): VNode {
  const [isAway, setAway] = useState(false)
  useEffect(() => {
    watchTheme()
    watchTime()
    watchKeys()
    watchHistory()
    watchVisibility()
    void arrive(token, setAway)
  }, [])
  const known = session.value
  if (known === null) return isAway ? <Away /> : <main class="arrival" />
  if (known.user === null) {
    return (
      <>
        <Lazy load={() => import('./pages/login/page.tsx')} />
        <Toasts />
      </>
    )
  }
  return (
    <>
      <Shell>
        <CurrentPage />
      </Shell>
      <Toasts />
    </>
  )
}

async function arrive(token: string | undefined, setAway: (isAway: boolean) => void): Promise<void> {
  if (token !== undefined) await logIn(token).catch((error: unknown) => toast('bad', asProblem(error).message))
  for (let wait = 500; session.peek() === null; wait = Math.min(5_000, wait * 2)) {
    try {
      await loadSession()
      if (session.peek()?.user !== null) returnToPlace()
    } catch {
      setAway(true)
      await new Promise(resolve => setTimeout(resolve, wait))
    }
  }
}

/** A login at another site ends at the first page: the reader was on their way to another. */
function returnToPlace(): void {
  const back = takeWayBack()
  if (back !== undefined) navigate(back, { isReplaced: true })
}

function Away(): VNode {
  return (
    <main class="arrival">
      <Empty title={t('shell.away.title')} icon="away">
        {t('shell.away.text')}
      </Empty>
    </main>
  )
}

function CurrentPage(): VNode {
  const { pattern, path } = useRoute()
  const entry = pages.find(page => page.path === pattern)
  useEffect(() => {
    // The first page keeps the browser's own place, as after a reload.
    if (visits.peek() > 0) window.scrollTo({ top: 0 })
  }, [path])
  return entry === undefined ? <NotFound path={path} /> : <PageFrame key={path} entry={entry} />
}

function PageFrame({ entry }: { readonly entry: PageEntry }): VNode {
  const [error, reset] = useErrorBoundary()
  if (error === undefined) return <Lazy load={entry.load} />
  return (
    <Page title={t('shell.error.title')}>
      <Empty
        title={t(entry.title)}
        icon="away"
        actions={
          <Button icon="refresh" onPress={reset}>
            {t('shell.error.again')}
          </Button>
        }
      >
        {t('shell.error.text', { message: asProblem(error).message })}
      </Empty>
    </Page>
  )
}

function NotFound({ path }: { readonly path: string }): VNode {
  return (
    <Page title={t('shell.notFound.title')}>
      <Empty title={t('shell.notFound.text', { path })} actions={<Link to="/">{t('shell.notFound.home')}</Link>} />
    </Page>
  )
}

/** A page that is loaded now; what fails goes to the boundary around it. */
function Lazy({ load }: { readonly load: () => Promise<{ readonly default: ComponentType }> }): VNode {
  const [page, setPage] = useState<ComponentType | undefined>(undefined)
  const [failure, setFailure] = useState<unknown>(undefined)
  useEffect(() => {
    load().then(
      loaded => setPage(() => loaded.default),
      (error: unknown) => {
        if (!reloadOnce()) setFailure(error ?? new Error(''))
      }
    )
  }, [])
  if (failure !== undefined) throw asProblem(failure)
  return page === undefined ? <Skeleton height={240} /> : h(page, {})
}
