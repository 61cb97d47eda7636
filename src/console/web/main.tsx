/** Entry of the pages. */

import { render } from 'preact'

const root = document.getElementById('root')
if (root !== null) render(<main>Comporta</main>, root)
