/** Words of the login page. */

import { defineWords } from '../base/word-forms.ts'

/** See the module. */
export const loginWords = defineWords({
  en: {
    'login.title': 'Log in',
    'login.intro': 'Console of {pipeline}',
    'login.token': 'Access token',
    'login.tokenHelp': 'Printed by “comporta console” when it starts, or given to you by whoever runs it.',
    'login.submit': 'Log in',
    'login.busy': 'Logging in',
    'login.oidc': 'Log in with your organisation',
    'login.or': 'or',
    'login.expired': 'Your login has ended. After you log in again you are back where you were.',
    'login.wrong': 'This token is not accepted. Check that it is the latest one, without spaces.',
    'login.refused': 'The login was refused ({code}). Try again, or ask whoever runs this console.',
    'login.none': 'This console offers no way to log in: see its configuration.'
  },
  pt: {
    'login.title': 'Entrar',
    'login.intro': 'Console de {pipeline}',
    'login.token': 'Token de acesso',
    'login.tokenHelp': 'Mostrado pelo “comporta console” ao iniciar, ou fornecido por quem o opera.',
    'login.submit': 'Entrar',
    'login.busy': 'Entrando',
    'login.oidc': 'Entrar com a conta da organização',
    'login.or': 'ou',
    'login.expired': 'Sua sessão terminou. Ao entrar de novo, você volta para onde estava.',
    'login.wrong': 'Este token não foi aceito. Confira se é o mais recente, sem espaços.',
    'login.refused': 'O login foi recusado ({code}). Tente de novo ou fale com quem opera este console.',
    'login.none': 'Este console não oferece nenhuma forma de entrar: veja a configuração.'
  }
})
