/** The frame around every page: navigation, header with health and freshness, what to find and what to choose. */

import './shell.css'

import { useSignal } from '@preact/signals'
import type { ComponentChildren, VNode } from 'preact'

import { useShortcut } from '../../base/keys.ts'
import { areNumbersOld } from '../../base/old-numbers.ts'
import { Link, navigate, useRoute } from '../../base/router.ts'
import { session } from '../../base/session.ts'
import { t } from '../../base/words.ts'
import { type PageEntry, pages } from '../../pages/index.ts'
import { Icon } from '../icon.tsx'
import { Account } from './account.tsx'
import { Banner } from './banner.tsx'
import { Brand } from './brand.tsx'
import { Button } from '../button.tsx'
import { Finder } from './finder.tsx'
import { KeyHelp } from './key-help.tsx'
import { LookStamp, PipelineHealth } from './look-stamp.tsx'

/** See the module. */
export function Shell({ children }: { readonly children: ComponentChildren }): VNode {
  const isMenuOpen = useSignal(false)
  const close = (): void => {
    isMenuOpen.value = false
  }
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={skip}>
        {t('shell.skip')}
      </a>
      <header class="shell-head">
        <Button
          kind="quiet"
          icon={isMenuOpen.value ? 'close' : 'menu'}
          class="shell-menu-button"
          label={isMenuOpen.value ? t('shell.closeMenu') : t('shell.menu')}
          isExpanded={isMenuOpen.value}
          onPress={() => (isMenuOpen.value = !isMenuOpen.value)}
        />
        <span class="shell-pipeline cut">{session.value?.pipeline}</span>
        <PipelineHealth />
        <LookStamp />
        <span class="shell-gap" />
        <Finder />
        <KeyHelp />
        <Account />
      </header>
      <Navigation isOpen={isMenuOpen.value} onDone={close} />
      <main class={`shell-main ${areNumbersOld.value ? 'shell-main-old' : ''}`} id="main" tabIndex={-1}>
        <Banner />
        {children}
      </main>
      {pages.map(page => (page.key === undefined ? null : <PageKey key={page.path} page={page} />))}
    </div>
  )
}

/** Goes to the content without changing the address, which the router would take for a page. */
function skip(event: MouseEvent): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}

function PageKey({ page }: { readonly page: PageEntry }): null {
  useShortcut({ keys: `g ${page.key ?? ''}`, title: page.title, run: () => navigate(page.path) })
  return null
}

function Navigation({ isOpen, onDone }: { readonly isOpen: boolean; readonly onDone: () => void }): VNode {
  const { pattern } = useRoute()
  return (
    <nav
      class={`shell-nav ${isOpen ? 'shell-nav-open' : ''}`}
      aria-label={t('shell.navigation')}
      onKeyDown={event => (event.key === 'Escape' ? onDone() : undefined)}
    >
      <Link to="/" class="nav-brand" onFollow={onDone}>
        <Brand size={26} />
        <span>{t('shell.product')}</span>
      </Link>
      <ul class="nav-list">
        {pages.map(page =>
          page.icon === undefined ? null : (
            <li key={page.path}>
              <Link to={page.path} isCurrent={isWithin(pattern, page.path)} onFollow={onDone}>
                <Icon name={page.icon} />
                <span>{t(page.title)}</span>
              </Link>
            </li>
          )
        )}
      </ul>
      <p class="nav-foot">{t('shell.version', { version: session.value?.version ?? '' })}</p>
    </nav>
  )
}

/** Whether a page is the one in the navigation, or below it, as a group is below the groups. */
function isWithin(pattern: string, path: string): boolean {
  return pattern === path || (path !== '/' && pattern.startsWith(`${path}/`))
}
