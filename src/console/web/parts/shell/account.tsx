/** Who is logged in, and how they like the pages: language, colours, motion. */

import type { VNode } from 'preact'

import { asProblem } from '../../base/api.ts'
import { logOut, session } from '../../base/session.ts'
import { chooseMotion, chooseTheme, isMoving, theme, THEMES } from '../../base/theme.ts'
import { toast } from '../../base/toasts.ts'
import { LANGUAGES, type Language } from '../../base/word-forms.ts'
import { chooseLanguage, language, t } from '../../base/words.ts'
import { Check, Select } from '../field.tsx'
import { Menu } from '../menu.tsx'

/** Each language by its own name, whatever is spoken now. */
const languageNames: Readonly<Record<Language, string>> = { en: 'English', 'pt-BR': 'Português (Brasil)' }

/** See the module. */
export function Account(): VNode {
  return (
    <Menu
      label={t('shell.account')}
      button={{ kind: 'quiet', icon: 'user' }}
      head={<Preferences />}
      items={[{ text: t('shell.logout'), icon: 'left', onPress: () => void leave() }]}
    />
  )
}

async function speak(chosen: Language): Promise<void> {
  try {
    await chooseLanguage(chosen)
  } catch (error) {
    toast('bad', asProblem(error).message)
  }
}

async function leave(): Promise<void> {
  try {
    await logOut()
  } catch (error) {
    toast('bad', asProblem(error).message)
  }
}

function Preferences(): VNode {
  const { user, role, isMasked } = session.value ?? { user: '', role: null, isMasked: false }
  return (
    <div class="menu-head">
      <div>
        <strong>{user}</strong>
        {role === null ? null : <p class="soft">{t(`shell.role.${role}`)}</p>}
        {isMasked ? <p class="soft">{t('shell.masked')}</p> : null}
      </div>
      <Select
        label={t('shell.language')}
        value={language.value}
        choices={LANGUAGES.map(value => ({ value, text: languageNames[value] }))}
        onValue={chosen => void speak(chosen)}
      />
      <Select
        label={t('shell.theme')}
        value={theme.value}
        choices={THEMES.map(value => ({ value, text: t(`shell.theme.${value}`) }))}
        onValue={chooseTheme}
      />
      <Check label={t('shell.motion')} isChecked={isMoving.value} onValue={chooseMotion} />
    </div>
  )
}
