/** Entry of the pages. */

import './tokens.css'
import './app.css'

import { render } from 'preact'

import { App } from './app.tsx'
import { takeToken } from './base/arrival.ts'
import { loadWords } from './base/words.ts'

const token = takeToken()
const root = document.getElementById('root')
await loadWords()
if (root !== null) render(<App token={token} />, root)
